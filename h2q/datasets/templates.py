"""How a fact is stated and asked for: templates by relation, and which are never trained on.

``wordings.json`` holds ``{relation: {language: {"statements": [...], "questions": [...]}}}`` with
``{subject}``, ``{object}`` and ``{relation}`` to be filled in, and may hold a ``"name"`` by which
people call the relation in that language. A relation without wordings of its own uses those of
``*``. Every fact may be trained on, but not every question: of the questions of
each relation some are held out. Those in ``dev`` steer what is taught, those in ``gate`` decide
whether a new model is kept, those in ``vault`` are only reported.

A question that a person wrote with its answer is a fact without a relation: its subject is the
question. It is asked in the person's own words and in rewordings by rule. Does not know where facts
come from.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from h2q.system.errors import KnowledgeError
from h2q.system.files import read_json

WORDINGS_NAME = "wordings.json"
LANGUAGES = ("zh", "en")
ANY_RELATION = "*"  # the wordings of a relation that has none of its own
QUESTION = ""  # the relation of a fact whose subject is a question
HELD_OUT = ("gate", "vault", "dev")
TRAIN = "train"
BLANK = "____"
_FORMS = ("statements", "questions")
_NAME = "name"
_NEEDED = {"statements": ("{subject}", "{object}"), "questions": ("{subject}",)}
# Questions of a relation. Where there are fewer, all are trained on, and those of * are held out.
_FEWEST_TO_SPLIT = 5
Wordings = dict[str, dict[str, dict[str, Any]]]
# A person's question as it is, in lower case, without its mark, and without both: always trained on.
_AS_WRITTEN = ["{subject}", "{lower}", "{bare}", "{plain}"]
# Its rewordings, which are split like templates. Each has words of its own around the question, so
# no two are equal, whatever the question is.
_REWORDED = {
    "en": [
        "Tell me: {subject}",
        "Please answer: {subject}",
        "I would like to know: {plain}",
        "Could you tell me, {plain}?",
        "Quick question: {subject}",
        "Do you know this? {subject}",
        "Remind me: {plain}",
        "Question: {subject}",
        "hey, {plain}",
        "{subject} I forgot.",
        "Can you help me? {subject}",
        "{subject} Do you remember?",
    ],
    "zh": [
        "请问，{subject}",
        "请告诉我：{subject}",
        "我想知道，{plain}",
        "问一下，{subject}",
        "有个问题：{subject}",
        "你知道吗，{plain}？",
        "麻烦问一下：{subject}",
        "考考你：{subject}",
        "提醒我一下，{plain}",
        "{subject}我忘了",
        "想请教一下：{subject}",
        "{subject}你还记得吗？",
    ],
}
_PLACE = re.compile(r"\{\w+\}")
_END_MARKS = " ?？.。!！"


@dataclass(frozen=True)
class Fact:
    """``subject`` and ``object`` related by ``relation``, in one language; or a question and its
    answer."""

    id: str
    subject: str
    relation: str  # ``QUESTION`` where the subject is a question and the object its answer
    object: str
    aliases: tuple[str, ...]  # other right answers to a question for the object
    lang: str

    @property
    def answers(self) -> tuple[str, ...]:
        return (self.object, *self.aliases)

    @property
    def is_question(self) -> bool:
        return self.relation == QUESTION


def read_wordings(path: Path) -> Wordings:
    """The wordings in ``path``.

    Raises ``KnowledgeError`` for a list that is empty, a statement without subject or object, a
    question without subject or with the object, which is its answer, and a name that is no text.
    """
    wordings = read_json(path)
    if not isinstance(wordings, dict):
        raise KnowledgeError("knowledge.wordings", path=path, relation="")
    for relation, by_language in wordings.items():
        try:
            lists = {
                (lang, form): by_language[lang][form] for lang in by_language for form in _FORMS
            }
            names = [by_language[lang].get(_NAME, relation) for lang in by_language]
        except (TypeError, KeyError, AttributeError):
            lists, names = {("", "statements"): None}, []
        if not all(isinstance(name, str) and name.strip() for name in names):
            raise KnowledgeError("knowledge.wordings", path=path, relation=relation)
        for (_, form), templates in lists.items():
            if not (isinstance(templates, list) and templates and _all_fit(templates, form)):
                raise KnowledgeError("knowledge.wordings", path=path, relation=relation)
    return wordings


def _all_fit(templates: list[object], form: str) -> bool:
    return all(
        isinstance(template, str)
        and all(name in template for name in _NEEDED[form])
        and not (form == "questions" and "{object}" in template)
        for template in templates
    )


def statements(wordings: Wordings, fact: Fact) -> list[str]:
    """The templates that state ``fact``; all of them may be trained on."""
    if fact.is_question:
        return ["{subject} {object}"]
    return _of(wordings, fact.relation, fact.lang)["statements"]


def questions(wordings: Wordings, fact: Fact, split: str) -> list[str]:
    """The templates that ask for the object of ``fact`` in one of the four splits.

    The split of a template depends on the order of the templates' hashes alone: it does not change
    when facts or other relations are added.
    """
    if fact.is_question:
        reworded = _split(tuple(_REWORDED[fact.lang]))[split]
        return [*_AS_WRITTEN, *reworded] if split == TRAIN else reworded
    own = _of(wordings, fact.relation, fact.lang)["questions"]
    if len(own) >= _FEWEST_TO_SPLIT:
        return _split(tuple(own))[split]
    if split == TRAIN:
        return own
    general = _split(tuple(wordings[ANY_RELATION][fact.lang]["questions"]))[split]
    templates = [template for template in general if template not in own] or general
    name = name_of(wordings, fact) or "{relation}"
    return [template.replace("{relation}", name) for template in templates]


def name_of(wordings: Wordings, fact: Fact) -> str:
    """What people call the relation of ``fact`` in its language. Empty where nobody would say its
    name: an English one in Chinese."""
    name: str = wordings.get(fact.relation, {}).get(fact.lang, {}).get(_NAME, "")
    said = fact.lang != "zh" or not fact.relation.isascii()
    return name or (_spoken(fact.relation) if said else "")


def _spoken(relation: str) -> str:
    """``birth date`` for ``birth_date``."""
    return relation.replace("_", " ")


def _of(wordings: Wordings, relation: str, lang: str) -> dict[str, list[str]]:
    return wordings.get(relation, {}).get(lang) or wordings[ANY_RELATION][lang]


@lru_cache(maxsize=1024)  # of relations
def _split(templates: tuple[str, ...]) -> dict[str, list[str]]:
    """A sixth of the templates, at least one, for each split that is held out; the rest train."""
    ordered = sorted(
        dict.fromkeys(templates), key=lambda item: hashlib.sha256(item.encode()).digest()
    )
    each = max(1, len(ordered) // 6)
    split = {
        name: ordered[index * each : (index + 1) * each] for index, name in enumerate(HELD_OUT)
    }
    return {**split, TRAIN: ordered[len(HELD_OUT) * each :]}


def fill(template: str, fact: Fact, *, blank: str = "") -> str:
    """``template`` with the parts of ``fact``; the part that ``blank`` names becomes ``BLANK``."""
    relation = _spoken(fact.relation)
    parts = {"subject": fact.subject, "object": fact.object, "relation": relation}
    if fact.is_question:
        bare = fact.subject.rstrip(_END_MARKS) or fact.subject
        parts |= {"bare": bare, "lower": fact.subject.lower(), "plain": bare.lower()}
    if blank:
        parts[blank] = BLANK
    # In one pass: a subject that looks like a placeholder itself stays as it is.
    pieces = []
    while "{" in template:
        before, _, rest = template.partition("{")
        name, closed, after = rest.partition("}")
        pieces.append(before)
        if closed and name in parts:
            pieces.append(parts[name])
            template = after
        else:
            pieces.append("{")
            template = rest
    return "".join([*pieces, template])


def longest_question_bytes(wordings: Wordings, fact: Fact) -> int:
    """Bytes of the longest question about ``fact`` with its longest answer."""
    templates = tuple(
        template for split in (TRAIN, *HELD_OUT) for template in questions(wordings, fact, split)
    )
    question = max(len(fill(template, fact).encode("utf-8")) for template in _longest(templates))
    return question + max(len(answer.encode("utf-8")) for answer in fact.answers)


@lru_cache(maxsize=1024)
def _longest(templates: tuple[str, ...]) -> list[str]:
    """The longest templates: one of each group with the same parts to be filled in."""
    found: dict[tuple[str, ...], str] = {}
    for template in sorted(templates, key=lambda item: len(item.encode("utf-8"))):
        found[tuple(sorted(_PLACE.findall(template)))] = template
    return list(found.values())
