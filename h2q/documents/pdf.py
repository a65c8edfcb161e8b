"""The text of a PDF, by pypdf, an extra. Scanned pages hold no text: nothing is recognised."""

import logging
from collections.abc import Iterator
from typing import BinaryIO

from h2q.system.errors import DocumentError

_MOST_CHARACTERS = 2**28  # of all pages


def pdf_text(stream: BinaryIO) -> Iterator[str]:
    """The text of all pages. Raises ``DocumentError`` where pypdf is missing or cannot read it."""
    try:
        import pypdf
    except ModuleNotFoundError as error:
        raise DocumentError("document.pdf") from error
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it tells of every flaw it mends
    size = 0
    try:
        for page in pypdf.PdfReader(stream).pages:
            text = page.extract_text().strip()
            size += len(text)
            if size > _MOST_CHARACTERS:
                raise DocumentError("document.bomb")
            yield text + "\n\n" if text else ""
    except DocumentError:
        raise
    except Exception as error:  # a damaged file makes pypdf raise nearly anything
        raise DocumentError("document.damaged") from error
