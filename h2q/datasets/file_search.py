"""The files of a directory that are to be read, and those that are left out, with the reason.

A directory that holds any ``*.txt`` is read for these alone, unless the person says otherwise; else
for every format that is known. Opens no file.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from h2q.documents.formats import known_format
from h2q.system.errors import CorpusError
from h2q.system.files import LOCK_NAME
from h2q.system.messages.catalogue import message
from h2q.system.paths import (
    CHECKPOINT_DIR,
    EVOLUTION_STATS,
    REPORT,
    TRAINING_LOG,
    OutputPaths,
    chat_history,
)

_GENERATED = {"node_modules", "__pycache__"}
_ENVIRONMENT = "pyvenv.cfg"  # lies in every virtual environment of Python
# What our own runs write beside a person's text is neither read nor reported.
_OUTPUT = OutputPaths(Path())
_OURS = {
    *(LOCK_NAME, TRAINING_LOG, EVOLUTION_STATS, REPORT),
    *(_OUTPUT.model.name, _OUTPUT.previous_model.name, chat_history(_OUTPUT.model).name),
    _OUTPUT.evolution_facts.name,
}
_LOCKS = ("~$", ".~lock.")  # how the names of lock files of Word and LibreOffice begin


@dataclass
class Found:
    """What lies below a path."""

    files: list[Path] = field(default_factory=list)  # to read, sorted
    left_out: list[tuple[Path, str]] = field(default_factory=list)  # path, key of the reason


def find_files(path: Path, include: Sequence[str] = ()) -> Found:
    """The files to read below a directory, or the one file that ``path`` names.

    With ``include``, a file is read when one of these patterns fits its path below the directory
    (``*`` also stands for ``/``, and case does not count). Symbolic links to files are followed,
    links to directories are not; a file that is reached twice counts once. Hidden and generated
    directories are left out, and without a word the directories of checkpoints, in which our own
    runs write. A subdirectory that may not be read is among the files, so that reading reports it.
    Raises ``CorpusError`` when ``path`` itself is missing or cannot be listed.
    """
    path = Path(path)
    if not path.exists():
        raise CorpusError("corpus.missing", path=path)
    if not path.is_dir():
        return Found([path])
    listing = _list(path)
    texts = [file for file in listing.files if _is_txt(file)]
    found = Found(left_out=listing.left_out)
    chosen: dict[str, Path] = {}  # by the file that is read in the end
    real_path = Path(os.path.realpath(path))
    for file in listing.files:
        if reason := _left_out_as(file, path, include, bool(texts)):
            found.left_out.append((file, reason))
        else:
            is_link = os.path.islink(file)  # else only the directory has to be looked up
            target = os.path.realpath(file) if is_link else str(real_path / file.relative_to(path))
            chosen.setdefault(target, file)
    found.files = sorted([*chosen.values(), *listing.unreadable])
    return found


def without_text(path: Path, unread: Sequence[tuple[Path, str]]) -> CorpusError:
    """The error for a path below which nothing is read. ``unread`` is what lies there."""
    if not unread:
        return CorpusError("corpus.empty", path=path)
    reasons = []
    for reason, files in by_reason(unread).items():
        key = "corpus.unread_one" if len(files) == 1 else "corpus.unread"
        text = message(key, first=files[0], count=len(files), reason=message(reason))
        reasons.append(text if files != [path] else message(reason))
    names_encoding = any(reason == "skip.not_text" for _, reason in unread)
    key = "corpus.no_encoding" if names_encoding else "corpus.no_text"
    return CorpusError(key, path=path, reasons="; ".join(reasons))


def by_reason(unread: Sequence[tuple[Path, str]]) -> dict[str, list[Path]]:
    """The paths of each reason, in the order in which the reasons occur."""
    groups: dict[str, list[Path]] = {}
    for path, reason in unread:
        groups.setdefault(reason, []).append(path)
    return groups


def _is_txt(file: Path) -> bool:
    return file.name.lower().endswith(".txt")


def _left_out_as(file: Path, root: Path, include: Sequence[str], holds_txt: bool) -> str:
    """The key of the reason for which ``file`` is not read; empty where it is."""
    if include:
        below = file.relative_to(root).as_posix().lower()
        matches = any(fnmatchcase(below, pattern.lower()) for pattern in include)
        return "" if matches else "skip.not_matched"
    if known_format(file) is None:
        return "skip.format"
    return "" if _is_txt(file) or not holds_txt else "skip.not_txt"


@dataclass
class _Listing(Found):
    """All files below a directory; ``unreadable`` are subdirectories that may not be listed."""

    unreadable: list[Path] = field(default_factory=list)


def _list(root: Path) -> _Listing:
    listing = _Listing()

    def note(error: OSError) -> None:
        if Path(error.filename) == root:
            raise CorpusError("corpus.unreadable", path=root, reason=error.strerror)
        listing.unreadable.append(Path(error.filename))

    for folder, directories, names in os.walk(root, onerror=note):
        place = Path(folder)
        if _ENVIRONMENT in names and place != root:
            listing.left_out.append((place, "skip.folder"))
            directories.clear()
            continue
        kept = []
        for name in sorted(directories):
            if name.startswith(".") or name in _GENERATED:
                listing.left_out.append((place / name, "skip.folder"))
            elif os.path.islink(place / name):
                listing.left_out.append((place / name, "skip.link"))
            elif name != CHECKPOINT_DIR:
                kept.append(name)
        directories[:] = kept
        for name in sorted([*kept, *names]):
            file = place / name
            if name in _OURS:
                continue
            if _is_hidden(file):
                listing.left_out.append((file, "skip.hidden"))
            elif name not in kept or _is_txt(file):
                listing.files.append(file)
    return listing


def _is_hidden(file: Path) -> bool:
    """A name that begins with a dot or as a lock file does. A ``.txt`` is read all the same."""
    return file.name.startswith((".", *_LOCKS)) and not _is_txt(file)
