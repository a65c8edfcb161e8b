"""Facts and passages in notes, plain or in Markdown.

Three things are facts: a question with its answer (``Q:``, ``A:``); ``key: value`` lines below a
heading, which is their subject; and tables. All else is prose, in paragraphs. In doubt lines are
prose: what somebody says, a time and an address have colons too. Nothing in a block of code is a
fact. Does not know files.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from h2q.datasets.fact_parts import (
    Found,
    as_relation,
    chinese_characters,
    made_fact,
    made_question,
    one_line,
)
from h2q.datasets.knowledge_tables import facts_in_rows
from h2q.system.errors import KnowledgeError

Line = tuple[int, str]  # its number, from 1, and its text
_PASSAGE_CHARACTERS = 16_384  # a longer paragraph is cut
_MOST_KEYS = 10_000  # lines of keys that are judged together
_MARK = r"\s*(?:[-*+•]\s+|\d+[.)、]\s+)?"  # of a list
_HEADING = re.compile(r"#{1,6}\s+(.*?)[\s#]*$")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_ASKED = re.compile(
    rf"(?:#{{1,6}}\s+)?{_MARK}(?:\*\*)?(?:Q|Question|问题?)\s*\d*(?:\*\*)?\s*[:：](.*)", re.I | re.S
)
_ANSWERED = re.compile(
    rf"{_MARK}(?:\*\*)?(?:A|Answer|答案?)\s*\d*(?:\*\*)?\s*[:：](.*)", re.I | re.S
)
_ANSWER_WITHIN = re.compile(
    r"\s(?:\*\*)?(?:A|Answer)(?:\*\*)?:\s|(?:\*\*)?(?<!回)答案?(?:\*\*)?[:：]"
)
# A Chinese colon, or one before a space: not that of a time, a path or the address of a page.
_KEY = re.compile(rf"{_MARK}(.+?)(?::(?=\s|\*|$)|：)(.*)")
_KEY_WORDS, _KEY_CHARACTERS, _KEY_CHINESE = 4, 40, 12  # at most
_SUBJECT_WORDS = 8  # at most; three Chinese characters are a word
_NOT_IN_KEYS = frozenset('/\\?？!！。,，;；|<>[]{}"“”:：=')
_SAYING = re.compile(r"(?:\b(?:said|says?|asked|answered|replied|wrote|added)|[说道问答曰])$", re.I)
_SENTENCE_ENDS = tuple('.!?。！？…"”')
_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*")  # below the header of a table
_CELL_END = re.compile(r"(?<!\\)\|")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
# Headers of tables that say nothing: then each row is about the heading above.
_KEY_NAMES = {"", "key", "field", "property", "attribute", "项目", "属性", "字段"}
_VALUE_NAMES = {"value", "details", "content", "值", "内容", "详情"}


@dataclass(frozen=True)
class _Block:
    """Lines of one paragraph that belong together."""

    paragraph: int
    lines: list[Line]

    @property
    def first(self) -> str:
        return self.lines[0][1]

    @property
    def text(self) -> str:
        return "\n".join(text for _, text in self.lines)


def facts_and_passages(lines: Iterable[Line]) -> Iterator[Found]:
    """The facts in notes, and their paragraphs of prose."""
    prose: list[_Block] = []
    for item in _Reader().read(lines):
        if prose and (isinstance(item, Found) or item.paragraph != prose[0].paragraph):
            yield _passage(prose)
            prose = []
        if isinstance(item, Found):
            yield item
        else:
            prose.append(item)
    if prose:
        yield _passage(prose)


def _passage(blocks: list[_Block]) -> Found:
    return Found(blocks[0].lines[0][0], "passage", "\n".join(block.text for block in blocks))


def paragraphs(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Runs of lines that are not blank. A very long one comes in several parts."""
    kept: list[Line] = []
    size = 0
    for number, line in lines:
        line = line.rstrip()
        parts = [
            line[i : i + _PASSAGE_CHARACTERS] for i in range(0, len(line), _PASSAGE_CHARACTERS)
        ]
        for part in parts or [""]:
            if kept and (not part or size + len(part) > _PASSAGE_CHARACTERS):
                yield kept
                kept, size = [], 0
            if part:
                kept.append((number, part))
                size += len(part)
    if kept:
        yield kept


@dataclass
class _Reader:
    """Tells facts from prose, a block at a time. What is not decided yet is kept."""

    subject: str = ""  # the last heading
    heading: _Block | None = None  # the same, as long as it may be prose
    keys: list[_Block] = field(default_factory=list)  # below it, until something else comes
    question: _Block | None = None  # that waits for its answer
    has_prose: bool = False  # whether the section holds more than ``keys``

    def read(self, lines: Iterable[Line]) -> Iterator[Found | _Block]:
        """Facts and blocks of prose, in the order of the lines."""
        in_code = False
        for number, paragraph in enumerate(paragraphs(lines)):
            fences = sum(_FENCE.match(text) is not None for _, text in paragraph)
            if in_code or fences:
                in_code ^= fences % 2 == 1
                yield from self._prose(_Block(number, paragraph))
            else:
                for block in _blocks(number, paragraph):
                    yield from self._next(block)
        yield from self._end_of_section()

    def _next(self, block: _Block) -> Iterator[Found | _Block]:
        if self.question and _ANSWERED.match(block.first):
            yield _pair(self.question, block.text)
            self.question = self.heading = None
        elif _ASKED.match(block.first):
            yield from self._decide()
            asked, *answer = _ANSWER_WITHIN.split(block.text, maxsplit=1)
            self.question = block
            if answer:
                yield _pair(_Block(0, [(block.lines[0][0], asked)]), f"A: {answer[0]}")
                self.question = self.heading = None
        elif match := _HEADING.match(block.first):
            yield from self._end_of_section()
            self.subject, self.heading, self.has_prose = _subject(match[1]), block, False
        elif _is_table(block):
            yield from self._decide()
            self.heading, self.has_prose = None, True
            yield from _facts_in_table(block, self.subject)
        elif self.subject and all(_key_and_value(text) for _, text in block.lines):
            if self.question or sum(len(item.lines) for item in self.keys) >= _MOST_KEYS:
                yield from self._decide()
            self.keys.append(block)
        else:
            yield from self._prose(block)

    def _prose(self, block: _Block) -> Iterator[Found | _Block]:
        yield from self._decide()
        yield from self._no_subject()
        yield block

    def _no_subject(self) -> Iterator[_Block]:
        """The heading belongs to the prose below it."""
        if self.heading:
            yield self.heading
        self.heading, self.has_prose = None, True

    def _end_of_section(self) -> Iterator[Found | _Block]:
        yield from self._decide(at_end=True)
        yield from self._no_subject()

    def _decide(self, at_end: bool = False) -> Iterator[Found | _Block]:
        """What is kept as facts or, in doubt, as prose. A section may be a single line."""
        lines = [line for block in self.keys for line in block.lines]
        if lines and _are_facts(lines, least=1 if at_end and not self.has_prose else 2):
            self.heading = None
            yield from _facts_in_keys(lines, self.subject)
        elif undecided := [*self.keys, *([self.question] if self.question else [])]:
            yield from self._no_subject()
            yield from undecided
        self.keys, self.question = [], None


def _blocks(number: int, paragraph: list[Line]) -> Iterator[_Block]:
    """``paragraph`` cut at headings, questions and answers."""
    kept: list[Line] = []
    for line in paragraph:
        if kept and _begins_block(line[1], kept[0][1]):
            yield _Block(number, kept)
            kept = []
        kept.append(line)
    yield _Block(number, kept)


def _begins_block(text: str, begun: str) -> bool:
    """Whether the line ``text`` does not belong to the block whose first line is ``begun``."""
    if _HEADING.match(text) or _ASKED.match(text):
        return True
    return bool(_ANSWERED.match(text) if _ASKED.match(begun) else _HEADING.match(begun))


def _subject(heading: str) -> str:
    """What the lines below ``heading`` are about; nothing, if it is a sentence."""
    name = _plain(heading).rstrip(":：")
    words = len(name.split()) + chinese_characters(name) // 3
    return name if words <= _SUBJECT_WORDS and not _is_sentence(name) else ""


def _pair(question: _Block, answer: str) -> Found:
    asked, answered = _ASKED.match(question.text), _ANSWERED.match(answer)
    assert asked and answered
    line = question.lines[0][0]
    try:
        return Found(line, "pair", made_question(_plain(asked[1]), _plain(answered[1])))
    except KnowledgeError as error:
        return Found(line, "pair", error)


def _key_and_value(text: str) -> tuple[str, str] | None:
    """Key and value of a line; None where it has none."""
    if not (match := _KEY.match(text)):
        return None
    key = _plain(match[1])
    fits = (
        key[:1].isalpha()
        and len(key) <= _KEY_CHARACTERS
        and len(key.split()) <= _KEY_WORDS
        and chinese_characters(key) <= _KEY_CHINESE
        and _NOT_IN_KEYS.isdisjoint(key)
        and not _SAYING.search(key)
    )
    return (key, _plain(match[2])) if fits else None


def _are_facts(lines: list[Line], least: int) -> bool:
    """Whether lines of keys are facts: ``least`` of them or more, none twice, and most values no
    sentences. (A dialogue has speakers for keys, who come again or speak in sentences.)"""
    pairs = [pair for _, text in lines if (pair := _key_and_value(text))]
    values = [value for _, value in pairs if value]
    return (
        len(values) >= least
        and len({key.casefold() for key, _ in pairs}) == len(pairs)
        and 2 * sum(map(_is_sentence, values)) < len(values)
    )


def _is_sentence(value: str) -> bool:
    words = len(value.split()) >= 3 or chinese_characters(value) >= 6
    return words and value.endswith(_SENTENCE_ENDS)


def _facts_in_keys(lines: list[Line], subject: str) -> Iterator[Found]:
    for number, text in lines:
        key, value = _key_and_value(text) or ("", "")
        try:
            yield Found(number, "keys", made_fact(subject, as_relation(key), value))
        except KnowledgeError as error:
            yield Found(number, "keys", error)


def _is_table(block: _Block) -> bool:
    texts = [text for _, text in block.lines]
    return len(texts) > 1 and all("|" in text for text in texts) and bool(_RULE.fullmatch(texts[1]))


def _facts_in_table(block: _Block, subject: str) -> Iterator[Found]:
    """The facts of a table. They are about the heading where the header says nothing."""
    rows = [(number, _cells(text)) for number, text in block.lines]
    del rows[1]
    names = [name.lower() for name in rows[0][1]]
    nameless = len(names) == 2 and (names[0] in _KEY_NAMES or names[1] in _VALUE_NAMES)
    return facts_in_rows(rows, subject if nameless else "")


def _cells(text: str) -> list[str]:
    cells = _CELL_END.split(text.strip().removeprefix("|"))
    if not cells[-1].strip():
        del cells[-1]  # after the last mark
    return [_plain(cell.replace("\\|", "|")) for cell in cells]


def _plain(text: str) -> str:
    """``text`` in one line, without the marks of bold type, code and links."""
    text = _LINK.sub(r"\1", text).replace("**", "").replace("`", "")
    return one_line(text).strip("*_ ")
