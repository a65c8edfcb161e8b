"""Facts in tables: CSV and TSV files with a header, and Anki's text export.

Three kinds of header are known: ``subject, relation, object``; a question and its answer; and any
other, where the first column holds the subjects and each further name is a relation. Cells are
plain text, formulas too. Does not know Markdown, whose tables ``knowledge_notes`` cuts into cells.
"""

import csv
import html
import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

from h2q.datasets.fact_parts import Found, as_relation, made_fact, made_question, one_line
from h2q.datasets.templates import Fact
from h2q.system.errors import KnowledgeError

Lines = Iterable[tuple[int, str]]
Row = tuple[int, list[str]]  # the number of its first line, and its cells
_DELIMITERS = "\t,;|"
_MOST_LINES = 50  # of one row; a quotation mark that does not close takes no more
# What a column is, by its name in lower case. Other names are relations.
_COLUMNS = {
    **dict.fromkeys(("id", "编号"), "id"),
    **dict.fromkeys(("subject", "主体", "主语"), "subject"),
    **dict.fromkeys(("relation", "关系"), "relation"),
    **dict.fromkeys(("object", "客体", "宾语"), "object"),
    **dict.fromkeys(("question", "prompt", "front", "q", "问题", "问", "正面"), "question"),
    **dict.fromkeys(("answer", "completion", "back", "a", "答案", "答", "背面"), "answer"),
    **dict.fromkeys(("aliases", "别名"), "aliases"),
    **dict.fromkeys(("lang", "语言"), "lang"),
}
_TRIPLE, _PAIR = {"subject", "relation", "object"}, {"question", "answer"}
_OPTIONAL = {"id", "aliases", "lang"}
_BETWEEN_ALIASES = re.compile(r"[|;；]")
_ANKI_SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "colon": ":"}
_ANKI_SEPARATORS["space"] = " "
_ANKI_HEADER = re.compile(r"#([a-z ]+):(.*)")
_ANKI_EXTRA = ("guid column", "notetype column", "deck column", "tags column")
_BLOCK_END = re.compile(r"<br\s*/?>|</(?:div|p|li|tr)>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>|\[sound:[^\]]*\]")


def is_anki(line: str) -> bool:
    """Whether a file that begins with ``line`` is Anki's text export."""
    return line.startswith(("#separator:", "#html:"))


def facts_in_table(lines: Lines, delimiter: str | None = None) -> Iterator[Found]:
    """The facts of a table, whose ``delimiter`` is recognised by its header."""
    numbered = iter(lines)
    header = next((item for item in numbered if item[1].strip()), None)
    if header is not None and header[1].lower().startswith("sep="):  # a note for Excel
        delimiter = header[1].strip()[4:] or None
        header = next(numbered, None)
    if header is None:
        return
    if delimiter is None:
        outside_quotes = re.sub(r'"[^"]*"', "", header[1])
        delimiter = max(_DELIMITERS, key=outside_quotes.count)
    yield from facts_in_rows(rows(chain([header], numbered), delimiter))


def rows(lines: Lines, delimiter: str) -> Iterator[Row | Found]:
    """The rows of a table; a row may go on over several lines within quotation marks."""
    source, pending = iter(lines), deque[tuple[int, str]]()
    while True:
        taken: list[tuple[int, str]] = []

        def taking(taken: list[tuple[int, str]] = taken) -> Iterator[str]:
            while len(taken) < _MOST_LINES:
                item = pending.popleft() if pending else next(source, None)
                if item is None:
                    return
                taken.append(item)
                yield item[1]

        reader = csv.reader(taking(), delimiter=delimiter, skipinitialspace=True, strict=True)
        try:
            cells = next(reader, None)
        except csv.Error:
            pending.extendleft(reversed(taken[1:]))
            if delimiter != "\t":
                yield Found(taken[0][0], "table", KnowledgeError("knowledge.quotes"))
                continue
            cells = taken[0][1].split("\t")  # such files often know no quotation
        if cells is None:
            return
        if any(map(str.strip, cells)):
            yield taken[0][0], cells


def facts_in_rows(table: Iterable[Row | Found], subject: str = "") -> Iterator[Found]:
    """The facts of the rows of ``table`` below the first, which is the header.

    Where a ``subject`` is given, each row holds one of its relations and the object.
    """
    header: list[str] | None = None
    for row in table:
        if isinstance(row, Found):
            yield row
        elif header is not None:
            yield from _facts_in_row(header, row, subject)
        else:
            line, cells = row
            header = [one_line(name) for name in cells]
            if len(header) < 2:
                yield Found(line, "table", KnowledgeError("knowledge.one_column"))
                return


def _facts_in_row(header: list[str], row: Row, subject: str) -> Iterator[Found]:
    line, cells = row[0], [one_line(cell) for cell in row[1]]
    cells += [""] * (len(header) - len(cells))
    columns = [_COLUMNS.get(name.lower(), "") for name in header]
    try:
        if any(cells[len(header) :]):
            raise KnowledgeError("knowledge.cells", cells=len(cells), columns=len(header))
        if subject:
            facts = [made_fact(subject, as_relation(cells[0]), cells[1])]
        elif set(columns) >= _TRIPLE or set(columns) >= _PAIR:
            facts = [_fact_of_named(dict(zip(columns, cells)))]
        else:
            begin = int(columns[0] == "id")  # a number of the row
            facts = _facts_about(header[begin:], cells[begin:])
    except KnowledgeError as error:
        yield Found(line, "table", error)
    else:
        yield from (Found(line, "table", fact) for fact in facts)


def _fact_of_named(parts: dict[str, str]) -> Fact:
    """The fact in a row whose cells are named by what they are."""
    optional = {name: parts[name] for name in _OPTIONAL if parts.get(name)}
    aliases = map(str.strip, _BETWEEN_ALIASES.split(optional.pop("aliases", "")))
    others = {"aliases": tuple(filter(None, aliases)), **optional}
    if parts.keys() >= _TRIPLE:
        return made_fact(parts["subject"], parts["relation"], parts["object"], **others)
    return made_question(parts["question"], parts["answer"], **others)


def _facts_about(header: list[str], cells: list[str]) -> list[Fact]:
    """A fact for each cell that is not empty; the first one is the subject of all."""
    facts = []
    for name, cell in zip(header[1:], cells[1:]):
        if cell and not name:
            raise KnowledgeError("knowledge.no_name", value=cell)
        if cell:
            facts.append(made_fact(cells[0], as_relation(name), cell))
    return facts


def facts_in_anki(lines: Lines) -> Iterator[Found]:
    """The facts of Anki's text export: front and back of each note, as a question and its answer.

    Further fields are left out, and so are pictures and sounds.
    """
    settings: dict[str, str] = {}
    numbered = iter(lines)
    first: list[tuple[int, str]] = []
    for item in numbered:
        if not (match := _ANKI_HEADER.match(item[1].strip())):
            first = [item]
            break
        settings[match[1]] = match[2]
    separator = settings.get("separator", "tab")
    delimiter = _ANKI_SEPARATORS.get(separator.lower(), separator[:1] or "\t")
    extra = {int(value) - 1 for name in _ANKI_EXTRA if (value := settings.get(name, "")).isdigit()}
    is_html = settings.get("html", "false") == "true"
    for row in rows(chain(first, numbered), delimiter):
        if isinstance(row, Found):
            yield Found(row.line, "anki", row.content)
            continue
        fields = [cell for index, cell in enumerate(row[1]) if index not in extra]
        front, back, *_ = [_text(field) if is_html else field for field in [*fields, "", ""]]
        try:
            yield Found(row[0], "anki", made_question(front, back))
        except KnowledgeError as error:
            yield Found(row[0], "anki", error)


def _text(field: str) -> str:
    """The text of a field in HTML."""
    return html.unescape(_TAG.sub("", _BLOCK_END.sub("\n", field)))
