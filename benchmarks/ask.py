"""Questions as people type them, answered from invented notebooks: right answers with right places.

    python benchmarks/ask.py write DIRECTORY [--lang en] [--seed 1]
    python benchmarks/ask.py answers [--languages en zh] [--seeds 1 2 3] [--forms FILE] [--model FILE] [--json FILE] [--wrong]
    python benchmarks/ask.py thresholds [--seeds 101 102 103]
    python benchmarks/ask.py large [--megabytes 10] [--json FILE]

- ``write``: the files of one notebook, to train a model on.
- ``answers``: for each kind of question and each language the share that is answered right with the
  right place, in percent; for questions about what is in no file, the share that is refused.
  Opponents: the line that SQLite's own ranking (bm25) puts first; the first line that ``grep`` finds
  with the longest word; a trained model alone (``--model``), for which a right answer counts without a
  place. ``--forms`` asks in forms of another hand, too, such as ``evolution/asked.json``. ``--wrong`` lists what the look-up got wrong.
- ``thresholds``: the same shares for several thresholds, on seeds that are not those of the report.
- ``large``: notes of 50,000 lines: seconds to read them, seconds to an answer, peak memory, each in a
  process of its own.

The notebooks are made by ``ask_notebooks``. A question counts as right where the first answer and its
file and line are right.
"""

import argparse
import itertools
import json
import re
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ask_notebooks import DATA, FILES, Asked, Notebook
from h2q.asking import answers
from h2q.asking.asker import Asker
from h2q.asking.words import terms, tokens

ANSWERED = ("forms", "other forms", "own words", "first name", "reverse", "edited", "notes")
REFUSED = ("stranger", "not noted", "relative", "elsewhere")
EDITED = 0.2  # of the facts
# From a question to an answer and its place; None: not in the notes.
Answering = Callable[[str], tuple[str, str] | None]
# Language, kind and contestant: for each question whether it was right.
Results = dict[tuple[str, str, str], list[bool]]


# The contestants


def look_up(directory: Path) -> tuple[Answering, Asker]:
    asker = Asker(directory, None, None, lambda: None)

    def answer(question: str) -> tuple[str, str] | None:
        reply = asker.reply(question)
        first = reply.found[0] if reply.found else None
        return (first.answer, f"{first.file}:{first.line}") if first else None

    return answer, asker


def all_lines(directory: Path) -> Iterator[tuple[str, str]]:
    """The text and the place of every line of a notebook."""
    for name in FILES.values():
        lines = (directory / name).read_text(encoding="utf-8").splitlines()
        yield from ((line, f"{name}:{number}") for number, line in enumerate(lines, 1))


def bm25(directory: Path, lang: str) -> Answering:
    """SQLite's full-text search and its ranking alone: with its stemmer for English, and with pairs
    of characters for Chinese, which serve it better than its own trigrams."""
    index = sqlite3.connect(":memory:")
    index.execute(
        "CREATE VIRTUAL TABLE lines USING fts5(words, text UNINDEXED, place UNINDEXED, tokenize='porter unicode61')"
    )
    for text, place in all_lines(directory):
        words = text if lang == "en" else " ".join(terms(tokens(text)))
        index.execute("INSERT INTO lines VALUES (?, ?, ?)", (words, text, place))

    def answer(question: str) -> tuple[str, str] | None:
        words = re.findall(r"\w+", question) if lang == "en" else terms(tokens(question))
        wanted = " OR ".join(f'"{word}"' for word in words)
        query = "SELECT text, place FROM lines WHERE words MATCH ? ORDER BY rank LIMIT 1"
        return index.execute(query, (wanted,)).fetchone() if wanted else None

    return answer


def grep(directory: Path, lang: str) -> Answering:
    """The first line with the longest word of the question; in Chinese, with the longest part of it
    that stands in any line."""
    lines = [(text.lower(), text, place) for text, place in all_lines(directory)]

    def first(part: str) -> tuple[str, str] | None:
        return next(((text, place) for lower, text, place in lines if part in lower), None)

    def answer(question: str) -> tuple[str, str] | None:
        words = sorted(re.findall(r"\w+", question.lower()), key=len, reverse=True)
        if lang == "en":
            return first(words[0]) if words else None
        parts = {
            word[i:j] for word in words for i in range(len(word)) for j in range(i + 2, i + 12)
        }
        for part in sorted(parts, key=lambda part: (-len(part), part)):
            if found := first(part):
                return found
        return None

    return answer


def model_alone(path: Path) -> Answering:
    from h2q.asking.model_answer import model_answer
    from h2q.generation.inference import LocalInferenceModel

    model = LocalInferenceModel(path).model

    def answer(question: str) -> tuple[str, str] | None:
        written = model_answer(model, question)
        return (written, "") if written is not None else None

    return answer


# Answers


def is_right(
    asked: Asked, given: tuple[str, str] | None, *, place_only: bool, needs_place: bool
) -> bool:
    """Whether the question is answered as it should be. A contestant that gives lines is right by the
    place alone, a model by the answer alone."""
    if given is None or not asked.places:
        return given is None and not asked.places
    answer, place = given
    right_place = place in asked.places or not needs_place
    return right_place and (place_only or answer == asked.answer)


def measure(
    languages: list[str],
    seeds: list[int],
    model: Path | None,
    wrong: list[str],
    forms: Path | None = None,
) -> Results:
    """Asks every question of every notebook; ``wrong`` takes the mistakes of the look-up."""
    results: Results = defaultdict(list)
    for lang in languages:
        for seed in seeds:
            with tempfile.TemporaryDirectory() as place:
                notebook = Notebook(lang, seed)
                if forms is not None:
                    rows = json.loads(forms.read_text("utf-8"))["forms"][lang]
                    notebook.other_forms = [(row["text"], row.get("style", ())) for row in rows]
                _ask_all(notebook, Path(place), model, results, wrong)
    return results


def _ask_all(
    notebook: Notebook, directory: Path, model: Path | None, results: Results, wrong: list[str]
) -> None:
    notebook.write(directory)
    ours, asker = look_up(directory)
    questions = list(notebook.asked())
    _score(notebook.lang, "look-up", ours, questions, results, wrong)
    others = {"bm25": bm25, "grep": grep}
    contestants = {name: make(directory, notebook.lang) for name, make in others.items()}
    if model is not None:
        contestants["model"] = model_alone(model)
    for name, answer in contestants.items():
        _score(notebook.lang, name, answer, questions, results)
    before = notebook.edit(EDITED)
    notebook.write(directory)
    asker.refresh()
    edited = {(fact.subject, fact.relation) for fact in before}
    facts = [fact for fact in notebook.facts if (fact.subject, fact.relation) in edited]
    questions = list(notebook.typed("edited", facts))
    _score(notebook.lang, "look-up", ours, questions, results, wrong)
    for name, make in others.items():
        _score(notebook.lang, name, make(directory, notebook.lang), questions, results)
    if model is not None:
        _score(notebook.lang, "model", contestants["model"], questions, results)
    asker.close()


def _score(
    lang: str,
    name: str,
    answer: Answering,
    questions: list[Asked],
    results: Results,
    wrong: list[str] | None = None,
) -> None:
    for asked in questions:
        given = answer(asked.text)
        right = is_right(
            asked, given, place_only=name in ("bm25", "grep"), needs_place=name != "model"
        )
        results[lang, asked.kind, name].append(right)
        if asked.places:
            results[lang, "answerable, refused", name].append(given is None)
        if wrong is not None and not right:
            wrong.append(
                f"{lang} {asked.kind}: {asked.text} -> {given}, not {asked.answer} {asked.places}"
            )


def percent(found: list[bool]) -> float:
    return 100 * sum(found) / len(found) if found else float("nan")


def summary(results: Results) -> dict[str, dict[str, dict[str, float]]]:
    """By language, kind of question and contestant: percent, and the number of questions."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for lang in dict.fromkeys(lang for lang, _, _ in results):
        rows = table.setdefault(lang, {})
        for (language, kind, name), found in results.items():
            if language == lang:
                rows.setdefault(kind, {"questions": len(found)})[name] = round(percent(found), 1)
        for title, kinds in (("all answerable", ANSWERED), ("all unanswerable", REFUSED)):
            for name in {name for _, _, name in results}:
                found = [one for kind in kinds for one in results.get((lang, kind, name), [])]
                rows.setdefault(title, {"questions": len(found)})[name] = round(percent(found), 1)
    return table


def show(table: dict[str, dict[str, dict[str, float]]]) -> None:
    order = [*ANSWERED, "all answerable", "answerable, refused", *REFUSED, "all unanswerable"]
    for lang, rows in table.items():
        names = [name for name in ("look-up", "bm25", "grep", "model") if name in rows["forms"]]
        print(f"\n| {lang} | questions | " + " | ".join(names) + " |")
        print("|---|---|" + "---|" * len(names))
        for kind in order:
            if kind not in rows:
                continue
            row = rows[kind]
            values = [f"{row.get(name, float('nan')):.1f}" for name in names]
            print(f"| {kind} | {row.get('questions', 0)} | " + " | ".join(values) + " |")


def run_answers(arguments: argparse.Namespace) -> Any:
    wrong: list[str] = []
    table = summary(
        measure(arguments.languages, arguments.seeds, arguments.model, wrong, arguments.forms)
    )
    show(table)
    if arguments.wrong:
        print("\n".join(wrong))
    return table


def run_thresholds(arguments: argparse.Namespace) -> Any:
    """What is answered and refused at several thresholds."""
    found = {}
    for threshold in (0.45, 0.5, 0.55, 0.6, 0.65, 0.7):
        answers.LEAST_SCORE = threshold
        table = summary(measure(arguments.languages, arguments.seeds, None, []))
        found[threshold] = {
            lang: {kind: row["look-up"] for kind, row in rows.items()}
            for lang, rows in table.items()
        }
        for lang, rows in found[threshold].items():
            kinds = ("all answerable", "answerable, refused", "all unanswerable")
            print(threshold, lang, *(f"{kind}: {rows[kind]}" for kind in kinds))
    return found


# Large notes


def write_large(directory: Path, megabytes: float) -> None:
    """Invented facts, and notes of lines of 200 characters with words by Zipf's law."""
    import numpy as np

    Notebook("en", 1).write(directory)
    generator = np.random.default_rng(0)
    letters = "etaoinshrdlcumwfgypbvk"
    words = [
        "".join(generator.choice(list(letters), generator.integers(3, 10))) for _ in range(30_000)
    ]
    weights = 1 / np.arange(1, len(words) + 1)
    with open(directory / "diary.txt", "w", encoding="utf-8") as stream:
        while stream.tell() < megabytes * 10**6:
            chosen = generator.choice(len(words), (1000, 32), p=weights / weights.sum())
            stream.writelines(" ".join(words[i] for i in row)[:200] + "\n" for row in chosen)


def large_child(directory: Path, index: Path) -> dict[str, float]:
    """Opens an index and asks for lines of the diary and for facts; seconds, and MB of memory."""
    started = time.perf_counter()
    asker = Asker(directory, None, index, lambda: None)
    opened = time.perf_counter() - started
    with open(directory / "diary.txt", encoding="utf-8") as stream:
        lines = itertools.islice(stream, 0, 100_000, 1000)
        words = [" ".join(line.split()[2:6]) for line in lines]
    seconds = []
    for question in [*words, *(asked.text for asked in [*Notebook("en", 1).asked()][:100])]:
        begun = time.perf_counter()
        asker.reply(question)
        seconds.append(time.perf_counter() - begun)
    asker.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "opened": opened,
        "first": seconds[0],
        "median": sorted(seconds)[len(seconds) // 2],
        "slowest": max(seconds),
        "peak_mb": peak,
    }


def run_large(arguments: argparse.Namespace) -> Any:
    found = {}
    with tempfile.TemporaryDirectory() as place:
        for megabytes in (0, arguments.megabytes / 10, arguments.megabytes):
            directory, index = Path(place, f"{megabytes}"), Path(place, f"{megabytes}.sqlite")
            directory.mkdir()
            write_large(directory, megabytes)
            for run in ("built", "opened again"):
                command = [sys.executable, __file__, "child", str(directory), str(index)]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                found[f"{megabytes:g} MB, {run}"] = json.loads(output)
    for name, values in found.items():
        print(name, *(f"{key} {value:.3f}" for key, value in values.items()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, seeds in (("answers", [1, 2, 3]), ("thresholds", [101, 102, 103])):
        command = commands.add_parser(name)
        command.add_argument("--languages", nargs="+", default=list(DATA), choices=list(DATA))
        command.add_argument("--seeds", type=int, nargs="+", default=seeds)
        command.add_argument("--json", type=Path)
    commands.choices["answers"].add_argument("--forms", type=Path)
    commands.choices["answers"].add_argument("--model", type=Path)
    commands.choices["answers"].add_argument("--wrong", action="store_true")
    command = commands.add_parser("write")
    command.add_argument("directory", type=Path)
    command.add_argument("--lang", default="en", choices=list(DATA))
    command.add_argument("--seed", type=int, default=1)
    command = commands.add_parser("large")
    command.add_argument("--megabytes", type=float, default=10)
    command.add_argument("--json", type=Path)
    command = commands.add_parser("child")  # for ``large``
    command.add_argument("paths", type=Path, nargs=2)
    arguments = parser.parse_args()
    if arguments.command == "write":
        Notebook(arguments.lang, arguments.seed).write(arguments.directory)
        return
    if arguments.command == "child":
        print(json.dumps(large_child(*arguments.paths)))
        return
    runs = {"answers": run_answers, "thresholds": run_thresholds, "large": run_large}
    result = runs[arguments.command](arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
