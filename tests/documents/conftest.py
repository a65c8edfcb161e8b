"""Documents made on the spot, and ways to cut a text into pieces."""

import io
import itertools
import zipfile

from hypothesis import strategies as st


def archive(members: dict[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    """A zip file with these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    stream.seek(0)
    return stream


@st.composite
def cut(draw, text: str) -> list[str]:
    """``text`` in pieces, cut anywhere."""
    places = draw(st.lists(st.integers(0, len(text)), max_size=6))
    edges = [0, *sorted(places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]
