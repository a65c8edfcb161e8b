"""Does a model answer questions as people type them?

    python benchmarks/evolution/asked.py MODEL KNOWLEDGE_DIR [--facts 60] [--learnt] [--json]

``asked.json`` holds forms of question that people would type: keywords, long stories, small
letters, no question mark, mistyped, in another order. No template that is trained on shares four
words in a row with them (eight characters in Chinese) but for names. They are for measuring alone.
Some facts of each language are asked about in all forms of that language. An answer is right when the
model's greedy answer is the object or an alias. Chance is how often the most frequent object of the
same relation is right. With ``--learnt`` only facts are asked about that an evolution has learnt.
The model answers with its memory, as a person uses it.
"""

import argparse
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from h2q.checkpoint.model_file import load_model
from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.datasets.templates import LANGUAGES, Fact, Wordings, fill, name_of
from h2q.evaluation.exact_match import Question, score
from h2q.evolution.gate import chance_of
from h2q.evolution.records import Memory, load
from h2q.model.transformer import Transformer
from h2q.system.files import read_json
from h2q.system.paths import OutputPaths

FORMS = Path(__file__).with_name("asked.json")
_MISTYPED_LETTERS = 4  # of a word, at least


@dataclass(frozen=True)
class Form:
    """A form of question. ``style`` says how it is typed: lower, upper or typo."""

    kind: str
    text: str
    style: tuple[str, ...] = ()

    def ask(self, fact: Fact, wordings: Wordings) -> str:
        """The question about ``fact``, with the name by which people call its relation."""
        name = name_of(wordings, fact) or fact.relation
        question = fill(self.text, replace(fact, relation=name))
        for style in self.style:
            question = {"lower": str.lower, "upper": str.upper, "typo": mistyped}[style](question)
        return question


def read_forms() -> dict[str, list[Form]]:
    """The forms of each language."""
    return {
        lang: [Form(row["kind"], row["text"], tuple(row.get("style", ()))) for row in rows]
        for lang, rows in read_json(FORMS).items()
    }


def mistyped(question: str) -> str:
    """``question`` with a letter of one of its longer words left out or typed twice. Which one
    depends on the question alone."""
    words = question.split(" ")
    long = [
        index
        for index, word in enumerate(words)
        if len(word) >= _MISTYPED_LETTERS and word.isascii() and word.isalpha()
    ]
    if not long:
        return question
    digest = hashlib.sha256(question.encode()).digest()
    index = long[digest[0] % len(long)]
    word = words[index]
    place = 1 + digest[1] % (len(word) - 2)
    words[index] = word[:place] + word[place] * (2 * (digest[2] % 2)) + word[place + 1 :]
    return " ".join(words)


def chosen(facts: list[Fact], count: int) -> list[Fact]:
    """At most ``count`` of ``facts``, evenly spaced."""
    most = min(count, len(facts))
    return [facts[index * len(facts) // most] for index in range(most)]


def measure(
    model: Transformer, facts: list[Fact], wordings: Wordings
) -> Iterator[tuple[str, Form, np.ndarray]]:
    """For each form of the languages of ``facts``: which facts are answered right."""
    forms = read_forms()
    for lang in LANGUAGES:
        mine = [fact for fact in facts if fact.lang == lang]
        for form in forms[lang] if mine else []:
            questions = [
                Question(form.ask(fact, wordings), fact.answers, fact.subject) for fact in mine
            ]
            yield lang, form, score(model, questions).correct


def run(arguments: argparse.Namespace) -> dict:
    """The shares of right answers: of all, by language, by kind and by form."""
    model = load_model(arguments.model)[0].eval()
    length = model.config.context_length
    knowledge = load_knowledge_base(arguments.knowledge_dir, context_length=length)
    facts = list(knowledge.facts())
    if arguments.learnt:
        found = load(Memory, OutputPaths.of_model(arguments.model).champions) or Memory()
        facts = [fact for fact in facts if fact.id in found.known]
    asked = [
        fact
        for lang in LANGUAGES
        for fact in chosen([item for item in facts if item.lang == lang], arguments.facts)
    ]
    by_form, by_kind, by_lang = [], defaultdict(list), defaultdict(list)
    for lang, form, right in measure(model, asked, knowledge.wordings):
        by_form.append({"lang": lang, "text": form.text, "right": float(right.mean())})
        by_kind[form.kind].append(right)
        by_lang[lang].append(right)
    guessed = defaultdict(list)
    for fact in asked:
        guessed[fact.lang].append(chance_of(knowledge.objects(fact.relation, fact.lang)))
    return {
        "facts": {lang: len(chances) for lang, chances in guessed.items()},
        "chance": {lang: float(np.mean(chances)) for lang, chances in guessed.items()},
        "languages": {lang: float(np.mean(rights)) for lang, rights in by_lang.items()},
        "kinds": {kind: float(np.mean(np.concatenate(r))) for kind, r in by_kind.items()},
        "forms": by_form,
    }


def arguments_of(line: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("knowledge_dir", type=Path, metavar="KNOWLEDGE_DIR")
    parser.add_argument("--facts", type=int, default=60, help="of each language")
    parser.add_argument("--learnt", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(line)


def table(result: dict) -> str:
    """The result as Markdown; the forms that are answered worst stand first."""
    lines = ["| language | facts | right | by guessing |", "|---|---|---|---|"]
    for lang, share in result["languages"].items():
        chance = result["chance"][lang]
        lines.append(f"| {lang} | {result['facts'][lang]} | {share:.1%} | {chance:.1%} |")
    lines += ["", "| kind | right |", "|---|---|"]
    lines += [f"| {kind} | {share:.1%} |" for kind, share in result["kinds"].items()]
    lines += ["", "| form | right |", "|---|---|"]
    forms = sorted(result["forms"], key=lambda form: form["right"])
    lines += [f"| {form['text']} | {form['right']:.1%} |" for form in forms]
    return "\n".join(lines)


if __name__ == "__main__":
    arguments = arguments_of()
    found = run(arguments)
    if not found["facts"]:
        raise SystemExit("There is no fact to ask about.")
    print(json.dumps(found, ensure_ascii=False) if arguments.json else table(found))
