"""Streams of bytes for tests, without files, and the parts of a stream."""

from h2q.datasets.corpus import ByteStream
from tests.conftest import bytes_of

MARKER = -1
CONTEXT = 512


def pieces(stream: ByteStream) -> list[tuple[int, int, int]]:
    """(file, start, length) of the segments that are text, in their order."""
    columns = zip(stream.sources.tolist(), stream.offsets.tolist(), stream.lengths.tolist())
    return [segment for segment in columns if segment[0] != MARKER]


def contents(stream: ByteStream, files) -> list[bytes]:
    return [
        bytes_of(files[index])[start : start + length] for index, start, length in pieces(stream)
    ]


class MemoryReader:
    """Stands in for files on disk."""

    def __init__(self, files: list[bytes]):
        self.files = files

    def read(self, index: int, start: int, length: int) -> bytes:
        return self.files[index][start : start + length]


def stream_of(files: list[bytes]) -> ByteStream:
    segments = []
    for index, data in enumerate(files):
        segments += [(index, 0, len(data)), (MARKER, 0, 1)]
    return ByteStream(MemoryReader(files), segments)
