"""Zip and gzip, read with a limit: a small file that unpacks to an enormous one is refused.

Nothing is unpacked to the disk, and no name within an archive becomes a path.
"""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from h2q.system.errors import DocumentError

MOST_RATIO = 200  # unpacked bytes for each byte of the file; text seldom reaches 20
FREE_BYTES = 16 * 2**20  # that any file may unpack to
_CHUNK_BYTES = 1 << 16
# OSError: a place before the beginning of the file, or what is no gzip.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OSError)
_NOT_OURS = (NotImplementedError, RuntimeError)  # a way to pack or to encrypt that Python lacks


def _most_bytes(stream: IO[bytes]) -> int:
    """The unpacked bytes that ``stream`` may give."""
    size = stream.seek(0, 2)
    stream.seek(0)
    return FREE_BYTES + MOST_RATIO * size


class Archive:
    """The members of a zip file, which may give only so many bytes together.

    Whatever is wrong with the file raises ``DocumentError``.
    """

    def __init__(self, stream: IO[bytes]):
        self._left = _most_bytes(stream)
        try:
            self._zip = zipfile.ZipFile(stream)
        except (*_BROKEN, *_NOT_OURS) as error:
            raise DocumentError("document.damaged") from error
        self.names = frozenset(self._zip.namelist())

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of the member ``name``, a chunk at a time."""
        try:
            with self._zip.open(name) as member:
                while chunk := member.read(_CHUNK_BYTES):
                    self._left -= len(chunk)
                    if self._left < 0:
                        raise DocumentError("document.bomb")
                    yield chunk
        except (*_BROKEN, *_NOT_OURS) as error:
            raise DocumentError("document.damaged") from error


class GzipText(gzip.GzipFile):
    """The unpacked bytes of a gzip file. Reading raises ``DocumentError`` where it is damaged, and
    where it gives too many bytes."""

    def __init__(self, stream: IO[bytes]):
        self._left = _most_bytes(stream)
        super().__init__(fileobj=stream, mode="rb")

    def read(self, size: int | None = -1) -> bytes:
        try:
            data = super().read(size)
        except _BROKEN as error:
            raise DocumentError("document.damaged") from error
        self._left -= len(data)
        if self._left < 0:
            raise DocumentError("document.bomb")
        return data
