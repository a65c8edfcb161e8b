"""The local knowledge base: facts and passages, and the training text generated from them.

Facts are JSON lines ``{"id", "subject", "relation", "object", "aliases", "lang"}`` in ``*.jsonl``;
passages are paragraphs of ``*.txt`` and ``*.md``; ``wordings.json`` says how a relation is stated
and asked. Also makes the sample text for a person who has none yet. Does not know of models.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from h2q.errors import KnowledgeError
from h2q.files import parse_json, read_json, write_bytes

LANGUAGES = ("zh", "en")
ANY_RELATION = "*"  # the wordings of a relation that has none of its own
WORDINGS_NAME = "wordings.json"
GENERATED_TEXT = "generated.txt"
GENERATED_RECORD = "generated.jsonl"
_FORMS = ("statements", "questions")
_SAMPLE_SEED = 42
_FACT_SHARE = 0.8  # of generated documents, where there are passages too
_QUESTION_SHARE = 1 / 3  # of the documents about facts: 20 % questions to 40 % statements


@dataclass(frozen=True)
class Fact:
    """``subject`` and ``object`` related by ``relation``, in one language."""

    id: str
    subject: str
    relation: str
    object: str
    aliases: tuple[str, ...]  # other right answers to a question for the object
    lang: str


@dataclass(frozen=True)
class Document:
    """A generated text and where it comes from."""

    text: str
    kind: str  # statement, question or passage
    source: str  # id of the fact, or name of the file


@dataclass
class KnowledgeBase:
    """What is known, how it is worded, and what in the files could not be used."""

    facts: list[Fact] = field(default_factory=list)
    passages: list[tuple[str, str]] = field(default_factory=list)  # paragraph, file name
    wordings: dict = field(default_factory=dict)
    problems: list[tuple[Path, int, str]] = field(default_factory=list)  # file, line, reason


def shipped_data() -> Path:
    """The directory with the sample text and knowledge base that come with the program."""
    package = Path(str(resources.files("h2q")))
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "data"


def load_knowledge_base(directory: Path) -> KnowledgeBase:
    """Reads all facts and passages below ``directory``.

    A line that is no fact, repeats an id, or contradicts an earlier fact is listed under
    ``problems`` and left out. Raises ``KnowledgeError`` when nothing usable is found.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise KnowledgeError("knowledge.missing", path=directory)
    shipped = shipped_data() / "knowledge_base"
    base = KnowledgeBase(wordings=_read_wordings(shipped / WORDINGS_NAME))
    if (directory / WORDINGS_NAME).is_file():
        base.wordings.update(_read_wordings(directory / WORDINGS_NAME))
    ids, objects = set(), {}
    for path in sorted(directory.rglob("*.jsonl")):
        for number, line in _lines(path):
            if not line.strip():
                continue
            try:
                fact = _parse_fact(line)
                if fact.id in ids:
                    raise ValueError("repeated id")
                key = (fact.lang, fact.subject, fact.relation)
                if objects.setdefault(key, fact.object) != fact.object:
                    raise ValueError("contradicts an earlier line")
            except ValueError as error:
                base.problems.append((path, number, str(error)))
            else:
                ids.add(fact.id)
                base.facts.append(fact)
    for path in sorted([*directory.rglob("*.txt"), *directory.rglob("*.md")]):
        base.passages += ((passage, path.name) for passage in _paragraphs(path))
    if not base.facts and not base.passages:
        raise KnowledgeError("knowledge.empty", path=directory, problems=len(base.problems))
    return base


def _read_wordings(path: Path) -> dict:
    """``{relation: {lang: {"statements": [...], "questions": [...]}}}``, no list empty."""
    wordings = read_json(path)
    if not isinstance(wordings, dict):
        raise KnowledgeError("knowledge.wordings", path=path, relation="")
    for relation, by_language in wordings.items():
        try:
            lists = [by_language[lang][form] for lang in by_language for form in _FORMS]
        except (TypeError, KeyError, AttributeError):
            lists = [None]
        for templates in lists:
            if not (isinstance(templates, list) and templates) or not all(
                isinstance(template, str) for template in templates
            ):
                raise KnowledgeError("knowledge.wordings", path=path, relation=relation)
    return wordings


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with open(path, encoding="utf-8-sig", errors="replace") as stream:
        yield from enumerate(stream, start=1)


def _parse_fact(line: str) -> Fact:
    values = parse_json(line)
    if not isinstance(values, dict):
        raise ValueError("not an object")
    for name in ("id", "subject", "relation", "object"):
        if not isinstance(values.get(name), str) or not values[name].strip():
            raise ValueError(f"no {name}")
    if values.get("lang") not in LANGUAGES:
        raise ValueError("lang is neither zh nor en")
    aliases = values.get("aliases", [])
    if not (isinstance(aliases, list) and all(isinstance(alias, str) for alias in aliases)):
        raise ValueError("aliases is no list of texts")
    names = ("id", "subject", "relation", "object")
    return Fact(*(values[name] for name in names), tuple(aliases), values["lang"])


def _paragraphs(path: Path) -> Iterator[str]:
    lines = []
    for _, line in _lines(path):
        if line.strip():
            lines.append(line.rstrip())
        elif lines:
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def state(fact: Fact, wordings: dict, generator: random.Random) -> str:
    """``fact`` as a sentence, in one of its relation's wordings."""
    return _word(fact, wordings, "statements", generator)


def ask(fact: Fact, wordings: dict, generator: random.Random) -> str:
    """A question for the object of ``fact``, with its answer on the next line."""
    return f"{_word(fact, wordings, 'questions', generator)}\n{fact.object}"


def _word(fact: Fact, wordings: dict, form: str, generator: random.Random) -> str:
    of_relation = (
        wordings.get(fact.relation, {}).get(fact.lang) or wordings[ANY_RELATION][fact.lang]
    )
    template = generator.choice(of_relation[form])
    parts = {"subject": fact.subject, "object": fact.object, "relation": fact.relation}
    for name, value in parts.items():
        template = template.replace("{" + name + "}", value)
    return template


def generate_documents(base: KnowledgeBase, size_bytes: int, seed: int) -> list[Document]:
    """About ``size_bytes`` of new text from the knowledge base, no document twice.

    Stops early when there is nothing new to say. The order is random over all kinds: restatements
    of one fact must not stand side by side (arXiv 2309.14316).
    """
    generator = random.Random(seed)
    documents: dict[str, Document] = {}
    size = misses = 0
    while size < size_bytes and misses < 100:
        document = _generate_one(base, generator)
        if document.text in documents:
            misses += 1
            continue
        misses = 0
        documents[document.text] = document
        size += len(document.text.encode("utf-8")) + 1
    return list(documents.values())


def _generate_one(base: KnowledgeBase, generator: random.Random) -> Document:
    if base.facts and (not base.passages or generator.random() < _FACT_SHARE):
        fact = generator.choice(base.facts)
        if generator.random() < _QUESTION_SHARE:
            return Document(ask(fact, base.wordings, generator), "question", fact.id)
        return Document(state(fact, base.wordings, generator), "statement", fact.id)
    text, name = generator.choice(base.passages)
    return Document(text, "passage", name)


def write_documents(documents: list[Document], directory: Path, cycle: int) -> None:
    """Writes ``generated.txt`` to train on and ``generated.jsonl``, which records for each
    document its cycle, kind and source."""
    text = "\n\n".join(document.text for document in documents) + "\n"
    records = "".join(
        json.dumps({"cycle": cycle, **vars(document)}, ensure_ascii=False) + "\n"
        for document in documents
    )
    for name, content in ((GENERATED_TEXT, text), (GENERATED_RECORD, records)):
        write_bytes(Path(directory) / name, content.encode("utf-8"))


def create_sample_text(directory: Path) -> list[Path]:
    """Writes sample text to ``directory`` for a person who has none; returns the files.

    It holds the shipped passages and a statement of each shipped fact, half of the facts in
    Chinese and half in English, in random order.
    """
    base = load_knowledge_base(shipped_data() / "knowledge_base")
    generator = random.Random(_SAMPLE_SEED)
    paths = []
    for turn, lang in enumerate(LANGUAGES):
        passages = list(_paragraphs(shipped_data() / "sample_text" / f"passages.{lang}.txt"))
        facts = sorted((fact for fact in base.facts if fact.lang == lang), key=lambda fact: fact.id)
        passages += [state(fact, base.wordings, generator) for fact in facts[turn::2]]
        generator.shuffle(passages)
        text = "\n\n".join(dict.fromkeys(passages)) + "\n"
        path = Path(directory) / f"sample_{lang}.txt"
        write_bytes(path, text.encode("utf-8"))
        paths.append(path)
    return paths
