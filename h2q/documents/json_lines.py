"""The text in a file of JSON lines. Does not know what the records mean."""

from collections.abc import Iterable, Iterator
from typing import Any

from h2q.documents.lines import lines_of
from h2q.system.files import parse_json


def text_values(pieces: Iterable[str]) -> Iterator[str]:
    """For each record its ``text``, or where it has none, all its text values in their order, a line
    for each. A line that is not JSON is text as it is."""
    for line in lines_of(pieces):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
        except ValueError:
            yield line + "\n"
            continue
        if isinstance(record, dict) and isinstance(record.get("text"), str):
            record = record["text"]
        for text in _texts(record):
            yield text + "\n"


def _texts(value: Any) -> Iterator[str]:
    """The strings in ``value``, at any depth, that are more than spaces."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and value.strip():
            yield value
        elif isinstance(value, dict):
            waiting.extend(reversed(value.values()))
        elif isinstance(value, list):
            waiting.extend(reversed(value))
