"""Facts made of their parts, as people write them: cleaned, checked, with a language and an id.

Whatever the format of a file, its reader ends here. Does not know files or formats.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from h2q.datasets.templates import LANGUAGES, QUESTION, Fact
from h2q.system.errors import KnowledgeError

_ID_DIGITS = 16
_HAN = r"\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_HAN_CHARACTER = re.compile(f"[{_HAN}]")
_WORD = re.compile(r"[^\W\d_]+")  # in any script; Chinese characters are removed before
_LINE_END = re.compile(r"\s*[\n\r\u2028\u2029]\s*")
_WIDE = re.compile(f"[{_HAN}\u3001-\u303f\uff00-\uffef]")  # Chinese, with its punctuation
# Joiners of Persian, emoji and hyphenation belong to a text; other invisible marks are dropped.
_ALLOWED = (
    "\u200c\u200d\u00ad" + "\u00a0\u202f\u3000"
)  # and spaces that are not printable to Python
_DROPPED = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")


@dataclass(frozen=True)
class Found:
    """What stands at a line of a file: a fact, a passage, or the reason why it is neither."""

    line: int  # from 1; the first one where there are several
    form: str  # how it is written: json, table, anki, pair, keys, or passage
    content: Fact | str | KnowledgeError


def made_fact(
    subject: Any,
    relation: Any,
    object: Any,
    *,
    aliases: Any = (),
    lang: Any = None,
    id: Any = None,
) -> Fact:
    """The fact with these parts, without the spaces around them. Where there is no ``lang``, the
    language is recognised; where there is no ``id``, it is derived.

    Raises ``KnowledgeError`` for a part that is missing or not a single line of text.
    """
    if isinstance(object, int | float) and not isinstance(object, bool):
        object = str(object)
    parts = _part("subject", subject), _part("relation", relation), _part("object", object)
    return _fact(*parts, aliases, lang, id)


def made_question(
    question: Any, answer: Any, *, aliases: Any = (), lang: Any = None, id: Any = None
) -> Fact:
    """The fact that ``answer`` answers ``question``. Both become one line each; otherwise like
    ``made_fact``."""
    asked, answered = (one_line(v) if isinstance(v, str) else v for v in (question, answer))
    parts = _part("question", asked), QUESTION, _part("answer", answered)
    return _fact(*parts, aliases, lang, id)


def _fact(subject: str, relation: str, object: str, aliases: Any, lang: Any, id: Any) -> Fact:
    if lang is None:
        lang = recognised_language(subject, relation)
    if lang not in LANGUAGES:
        raise KnowledgeError("knowledge.no_language", value=lang)
    if not (isinstance(aliases, list | tuple) and all(map(_is_one_line, aliases))):
        raise KnowledgeError("knowledge.aliases")
    name = derived_id(subject, relation, lang) if id is None else _part("id", id)
    return Fact(name, subject, relation, object, tuple(aliases), lang)


def _part(name: str, value: Any) -> str:
    if not _is_one_line(value):
        raise KnowledgeError("knowledge.no_field", name=name)
    text: str = value.strip()
    return text


def derived_id(subject: str, relation: str, lang: str) -> str:
    """The id of a fact that was given none: the same when its object is corrected."""
    digest = hashlib.sha256(f"{lang}\n{relation}\n{subject}".encode()).hexdigest()
    return f"#{digest[:_ID_DIGITS]}"


def recognised_language(subject: str, relation: str = QUESTION) -> str:
    """``zh`` where the relation holds a Chinese character, or the subject at least as many of them
    as words of other scripts; else ``en``."""
    if _HAN_CHARACTER.search(relation):
        return "zh"
    rest, count = _HAN_CHARACTER.subn(" ", subject)
    return "zh" if count and count >= len(_WORD.findall(rest)) else "en"


def one_line(text: str) -> str:
    """``text`` in one line, in composed characters (NFC), without invisible marks. Several spaces
    of any kind are one. A line end is a space, but nothing between two Chinese characters."""
    text = _DROPPED.sub("", unicodedata.normalize("NFC", text)).strip()

    def joined(match: re.Match[str]) -> str:
        ends = text[match.start() - 1], text[match.end()]
        return "" if all(map(_WIDE.match, ends)) else " "

    return " ".join(_LINE_END.sub(joined, text).split())


def as_relation(name: str) -> str:
    """The relation that a heading or a key names: words that begin with a capital become lower
    case (``Date of Birth``), others stay as they are (``IBAN``)."""
    words = one_line(name).split(" ")
    return " ".join(word.lower() if word[1:].islower() or word == "A" else word for word in words)


def chinese_characters(text: str) -> int:
    """How many Chinese characters ``text`` holds."""
    return len(_HAN_CHARACTER.findall(text))


def _is_one_line(value: Any) -> bool:
    """Whether ``value`` is printable text without line ends, and more than spaces."""
    return (
        isinstance(value, str)
        and bool(value.strip())
        and all(char.isprintable() or char in _ALLOWED for char in value)
    )
