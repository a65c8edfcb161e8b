"""Model and checkpoint files: named tensors and metadata, saved whole, verified when loaded.

A file is data. It is a PyTorch zip archive that holds one dictionary of plain values and tensors.
It is read with ``weights_only=True``, and only after its size and structure were checked. A SHA-256
over tensors and metadata shows whether it is damaged. Does not know what the tensors mean.
"""

import hashlib
import json
import os
import struct
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeGuard, cast

import torch
from torch import Tensor

from h2q.system.errors import ModelFileError
from h2q.system.files import parse_json, require_regular, write_atomically

FORMAT = "h2q-evo"
FORMAT_VERSION = 1
_DTYPES = {
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
}
METADATA_LIMIT_BYTES = 64 * 2**20
Tensors = dict[str, Tensor]


def save(path: Path, tensors: Tensors, metadata: dict[str, Any]) -> None:
    """Writes ``tensors`` and ``metadata``, which JSON can hold, to ``path``, atomically.

    Raises ``SaveFailed``; the old file, if any, is then as it was.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(metadata, ensure_ascii=False, sort_keys=True, allow_nan=False)
    content = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "metadata": text,
        "tensors": tensors,
        "sha256": _digest(tensors, text),
    }

    def write(stream: BinaryIO) -> None:
        remembering = _Remembering(stream)
        try:
            torch.save(content, cast(IO[bytes], remembering))
        except RuntimeError as error:  # which PyTorch raises when a write fails
            raise remembering.error or OSError(str(error).splitlines()[0]) from error

    write_atomically(path, write)


class _Remembering:
    """A stream that keeps the error of a failed write, which PyTorch forgets. Has the two methods
    that ``torch.save`` calls."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._stream.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._stream.flush()


def load(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """The tensors and metadata in ``path``, verified.

    Raises ``ModelFileError`` when the file is missing, truncated, damaged, made by another
    program or another version, or holds a number that is not finite. Never runs code from it.
    """
    path = Path(path)
    tensors, text = _verified(_content(path), path)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ModelFileError("model.not_finite", path=path, name=name)
    try:
        metadata = parse_json(text)
    except ValueError as error:
        raise ModelFileError("model.damaged", path=path) from error
    if not isinstance(metadata, dict):
        raise ModelFileError("model.damaged", path=path)
    return tensors, metadata


def _content(path: Path) -> object:
    """What PyTorch reads from ``path`` without running code; ``ModelFileError`` if it cannot."""
    try:
        _check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelFileError("model.missing", path=path) from error
    except OSError as error:
        raise ModelFileError("model.unreadable", path=path, reason=error.strerror) from error
    except Exception as error:  # unpickling hostile bytes can raise nearly anything
        raise ModelFileError("model.damaged", path=path) from error


def _verified(content: object, path: Path) -> tuple[Tensors, str]:
    """The tensors and the text of the metadata in ``content``.

    Raises ``ModelFileError`` unless form, version and hash are right.
    """
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelFileError("model.foreign", path=path)
    version = content.get("version")
    if not (isinstance(version, int) and version == FORMAT_VERSION):
        raise ModelFileError("model.version", path=path, version=version)
    tensors, text = content.get("tensors"), content.get("metadata")
    if not (_is_tensors(tensors) and isinstance(text, str) and len(text) <= METADATA_LIMIT_BYTES):
        raise ModelFileError("model.damaged", path=path)
    if content.get("sha256") != _digest(tensors, text):
        raise ModelFileError("model.damaged", path=path)
    return tensors, text


def _check_archive(path: Path) -> None:
    """Refuses what ``torch.save`` never writes: compression, overlaps, more than the file holds."""
    require_regular(path)
    with open(path, "rb") as stream, zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
        size = os.fstat(stream.fileno()).st_size
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("compressed entries")
        if sum(entry.file_size for entry in entries) > size:
            raise ValueError("entries overlap")
        _check_end(stream, size)


def _check_end(stream: BinaryIO, size: int) -> None:
    """Refuses an archive with bytes around it, or in which two readers could find two directories.

    An archive ends with three parts: its directory; in most files a zip64 record and its locator;
    and an end record of 22 bytes, without a comment. The last two parts together have 98 bytes.
    Each part names the place of the one before it.
    """
    stream.seek(-98, os.SEEK_END)
    tail = stream.read()
    length, start = struct.unpack("<II", tail[88:96])
    end = size - 22
    if tail[56:60] == b"PK\6\7":
        end = size - 98
        if struct.unpack("<Q", tail[64:72])[0] != end or tail[:4] != b"PK\6\6":
            raise ValueError("the zip64 record is elsewhere")
        if (start, length) != tuple(
            min(n, 0xFFFFFFFF) for n in struct.unpack("<QQ", tail[40:56])[::-1]
        ):
            raise ValueError("two directories")
        length, start = struct.unpack("<QQ", tail[40:56])
    if tail[76:80] != b"PK\5\6" or start + length != end:
        raise ValueError("the directory is elsewhere")


def _is_tensors(value: object) -> TypeGuard[Tensors]:
    """Whether ``value`` is a dictionary of plain tensors such as ``save`` writes."""
    return isinstance(value, dict) and all(
        isinstance(name, str)
        and name.isprintable()
        and type(tensor) is Tensor
        and tensor.dtype in _DTYPES
        and not tensor.is_nested
        and tensor.layout == torch.strided
        and tensor.is_contiguous()
        and tensor.device.type == "cpu"
        for name, tensor in value.items()
    )


def _digest(tensors: Tensors, text: str) -> str:
    """SHA-256 over metadata, names, types, shapes and numbers, in hexadecimal."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
