"""What the tests of the readers of knowledge share."""

import io
from collections.abc import Iterable, Iterator

from hypothesis import strategies as st

from h2q.datasets.fact_parts import Found, one_line
from h2q.system.errors import KnowledgeError

# A part of a fact as it stays when it is read.
PLAIN = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" "), min_size=1
).filter(lambda text: one_line(text) == text)


def numbered(text: str) -> Iterator[tuple[int, str]]:
    """The lines of ``text``, as those of a file."""
    return enumerate(io.StringIO(text, newline=None), start=1)


def parts(found: Iterable[Found]) -> list[tuple]:
    """(line, subject, relation, object) of facts, (line, key) of errors, (line, text) of prose."""
    result = []
    for item in found:
        content = item.content
        if isinstance(content, str):
            result.append((item.line, content))
        elif isinstance(content, KnowledgeError):
            result.append((item.line, content.key))
        else:
            result.append((item.line, content.subject, content.relation, content.object))
    return result
