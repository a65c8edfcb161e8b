"""Model and checkpoint files: named tensors and metadata, saved whole, verified when loaded.

A file is data. It is a PyTorch zip archive holding one dictionary of plain values and tensors;
it is read with ``weights_only=True``, and only after its size and structure were checked. A
SHA-256 over tensors and metadata tells damage from health. Knows nothing of the model's class.
"""

import contextlib
import hashlib
import json
import os
import re
import struct
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from h2q.errors import ModelFileError
from h2q.files import (
    link_or_copy,
    parse_json,
    require_regular,
    saving,
    sync_directory,
    write_atomically,
)

FORMAT = "h2q-evo"
FORMAT_VERSION = 1
KEEP = 3  # newest checkpoints that stay, besides the best
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


def save(path: Path, tensors: Tensors, metadata: dict) -> None:
    """Writes ``tensors`` and JSON-able ``metadata`` to ``path``, atomically.

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

    def write(stream):
        remembering = _Remembering(stream)
        try:
            torch.save(content, remembering)
        except RuntimeError as error:  # what PyTorch makes of a failed write
            raise remembering.error or OSError(str(error).splitlines()[0]) from error

    write_atomically(path, write)


class _Remembering:
    """A stream that keeps the error of a failed write, which PyTorch forgets."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self.error: OSError | None = None

    def write(self, data) -> int:
        try:
            return self._stream.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._stream.flush()


def load(path: Path) -> tuple[Tensors, dict]:
    """The tensors and metadata in ``path``, verified.

    Raises ``ModelFileError`` when the file is missing, truncated, damaged, made by another
    program or another version, or holds a number that is not finite. Never runs code from it.
    """
    path = Path(path)
    try:
        _check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelFileError("model.missing", path=path) from error
    except OSError as error:
        raise ModelFileError("model.unreadable", path=path, reason=error.strerror) from error
    except Exception as error:  # unpickling hostile bytes can raise nearly anything
        raise ModelFileError("model.damaged", path=path) from error
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


def _check_end(stream, size: int) -> None:
    """Refuses an archive in which two readers could find two directories, or bytes around it.

    At the end stand the directory, in most files the zip64 record and its locator, and a record
    without a comment; each names where the one before lies.
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


def _is_tensors(value) -> bool:
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
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """One loaded checkpoint."""

    path: Path
    tensors: Tensors
    metadata: dict


class CheckpointDirectory:
    """The checkpoints of one run: the newest ``KEEP`` by step, and the best.

    Files are ordered by the step in their names, never by their times.
    """

    BEST = "best.pt"
    _NAME = re.compile(r"step_(\d{9})\.pt")

    def __init__(self, directory: Path):
        self.directory = Path(directory)

    def steps(self) -> dict[int, Path]:
        """The files present, by step, oldest first."""
        if not self.directory.is_dir():
            return {}
        found = {}
        for path in self.directory.iterdir():
            if match := self._NAME.fullmatch(path.name):
                found[int(match[1])] = path
        return dict(sorted(found.items()))

    def save(self, step: int, tensors: Tensors, metadata: dict, *, best: bool = False) -> Path:
        """Saves a checkpoint, marks it as the best if it is, and removes what is superseded."""
        path = self.directory / f"step_{step:09d}.pt"
        save(path, tensors, metadata)
        if best:
            link_or_copy(path, self.directory / self.BEST)
        for old_step in [old for old in self.steps() if old != step][: 1 - KEEP]:
            with contextlib.suppress(OSError):
                (self.directory / f"step_{old_step:09d}.pt").unlink()
        return path

    def load_newest(self, on_damage) -> Checkpoint | None:
        """The newest valid checkpoint; None where there is none at all.

        ``on_damage(path, error)`` is called for each damaged file; it is kept aside as
        ``*.damaged`` when an older one is valid. Raises ``ModelFileError`` when none is, or at a
        file that may be healthy: without permission, or of another version.
        """
        damaged = []
        for path in reversed(self.steps().values()):
            try:
                found = Checkpoint(path, *load(path))
            except ModelFileError as error:
                if error.key == "model.version" or isinstance(error.__cause__, PermissionError):
                    raise
                on_damage(path, error)
                damaged.append(path)
                continue
            for bad in damaged:
                with contextlib.suppress(OSError):
                    os.replace(bad, bad.with_name(bad.name + ".damaged"))
            return found
        if damaged:
            raise ModelFileError("checkpoint.all_damaged", path=self.directory)
        return None

    def load_best(self) -> Checkpoint:
        path = self.directory / self.BEST
        return Checkpoint(path, *load(path))

    def set_aside(self, *others: Path) -> Path:
        """Moves the files of an earlier run, and ``others``, below ``previous/``; returns that."""
        previous = self.directory / "previous"
        with saving(previous):
            if previous.is_symlink():  # nothing is removed where it points to
                previous.unlink()
            previous.mkdir(parents=True, exist_ok=True)
            for old in previous.iterdir():
                if old.is_file():
                    old.unlink()
            for path in [*self.steps().values(), self.directory / self.BEST, *others]:
                if path.exists():
                    os.replace(path, previous / path.name)
            sync_directory(previous)
            sync_directory(self.directory)
        return previous
