"""Files that are never half written, and directories in which one process works at a time.

Knows bytes and JSON. Does not know what a file means.
"""

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TextIO

from h2q.system.errors import DirectoryInUse, SaveFailed, UnusableInput

LOCK_NAME = ".h2q.lock"
_TEMPORARY_SUFFIX = ".h2q.tmp"  # no other program uses it
JSON_LIMIT_BYTES = 256 * 2**20
try:
    import fcntl
except ImportError:  # Windows
    import msvcrt


@contextlib.contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turns an ``OSError`` within into ``SaveFailed``, which names ``path``."""
    try:
        yield
    except OSError as error:
        raise SaveFailed("save.failed", path=path, reason=error.strerror or error) from error


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Lets ``write`` fill a temporary file, then renames it to ``path``.

    Order on disk: contents synced, renamed, directory synced. So a reader, or a machine that lost
    power, finds the old file or the new one, never a part. Raises ``SaveFailed`` and leaves the
    old file as it was; if only the last of these steps fails, the error says so.
    """
    path = Path(path)
    temporary = None
    try:
        with saving(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(
                dir=path.parent, prefix=f".{path.name}.", suffix=_TEMPORARY_SUFFIX
            )
            with os.fdopen(descriptor, "wb") as stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
            _sync_rename(path)
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes ``data`` to ``path``, atomically."""
    write_atomically(path, lambda stream: stream.write(data))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync_directory(directory: Path) -> None:
    """Makes renames in ``directory`` durable (Windows does that by itself)."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_rename(path: Path) -> None:
    """Makes the rename to ``path`` durable; a failure says that the new file is in its place."""
    try:
        sync_directory(path.parent)
    except OSError as error:
        raise SaveFailed("save.not_synced", path=path, reason=error.strerror or error) from error


def require_writable(directory: Path) -> None:
    """Raises ``SaveFailed`` when no file can be made in ``directory``, which is made if missing."""
    with saving(directory):
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".", suffix=_TEMPORARY_SUFFIX):
            pass


def remove_leftovers(directory: Path) -> None:
    """Removes the temporary files of a process that was killed while it wrote in ``directory``.

    Only for a directory that no other process is writing in.
    """
    with contextlib.suppress(OSError):
        for path in Path(directory).glob(f".*{_TEMPORARY_SUFFIX}"):
            path.unlink()


def link_or_copy(source: Path, target: Path) -> None:
    """Atomically makes ``target`` the same file as ``source``; a copy where links do not work."""
    temporary = target.with_name(f".{target.name}.link{_TEMPORARY_SUFFIX}")
    try:
        with saving(target):
            temporary.unlink(missing_ok=True)
            try:
                os.link(source, temporary)
            except OSError:
                shutil.copyfile(source, temporary)
                with open(temporary, "rb+") as stream:
                    os.fsync(stream.fileno())
            os.replace(temporary, target)
            _sync_rename(target)
    finally:  # a rename between two links to one file does nothing: the temporary one stays
        with contextlib.suppress(OSError):
            temporary.unlink()


def promote(source: Path, target: Path) -> None:
    """Replaces ``target`` by ``source``, which is complete on disk, in one rename. Raises
    ``SaveFailed``."""
    with saving(target):
        os.replace(source, target)
        sync_directory(target.parent)


def sha256_of_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Writes ``value`` as indented UTF-8 JSON, atomically; refuses NaN and infinity."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    write_bytes(path, text.encode("utf-8"))


def require_regular(path: Path) -> None:
    """Raises ``OSError`` for a pipe or a device, which may never come to an end."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))


def read_json(path: Path) -> Any:
    """The value in a JSON file; raises ``UnusableInput`` naming the file when it holds none."""
    try:
        require_regular(path)
        if os.path.getsize(path) > JSON_LIMIT_BYTES:
            raise ValueError(f"more than {JSON_LIMIT_BYTES} bytes")
        return parse_json(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UnusableInput("file.json", path=path, reason=error.strerror or error) from error
    except ValueError as error:
        raise UnusableInput("file.json", path=path, reason=error) from error


def parse_json(text: str) -> Any:
    """``json.loads`` without NaN and infinity; whatever is wrong raises ``ValueError``."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not a number of JSON")

    def finite(digits: str) -> float:
        number = float(digits)
        return number if math.isfinite(number) else refuse(digits)

    try:
        return json.loads(text, parse_constant=refuse, parse_float=finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


@contextlib.contextmanager
def locked_directory(directory: Path) -> Iterator[None]:
    """Holds ``directory`` for this process; raises ``DirectoryInUse`` naming the holder.

    The lock belongs to the open file: the system frees it when the process ends, in whatever way.
    """
    directory = Path(directory)
    path = directory / LOCK_NAME
    with saving(path):
        directory.mkdir(parents=True, exist_ok=True)
        stream = open(path, "a+", encoding="utf-8")  # noqa: SIM115  closed below
    with stream:
        try:
            _lock(stream)
        except OSError as error:
            stream.seek(0)
            holder = stream.read(32).strip() or "?"
            raise DirectoryInUse("directory.in_use", path=directory, holder=holder) from error
        with saving(path):
            stream.truncate(0)
            os.write(stream.fileno(), str(os.getpid()).encode("ascii"))
        yield


def _lock(stream: TextIO) -> None:
    """Raises ``OSError`` when another process holds the lock."""
    if sys.platform == "win32":
        stream.seek(1000)  # after the process number, which others must be able to read
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
