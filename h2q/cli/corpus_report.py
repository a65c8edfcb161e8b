"""The report on a person's text before training: formats, sizes, some lines, what is not read.

The numbers come from the scan of the files; only the lines that are shown are read again.
"""

import shutil
from collections import Counter, defaultdict
from pathlib import Path

from h2q.datasets.corpus import ByteStream, Corpus
from h2q.datasets.file_search import by_reason
from h2q.datasets.text_files import Scan, TextFile
from h2q.model.tokenizer import END_OF_DOCUMENT, decode
from h2q.system.console import Console, columns
from h2q.system.messages.catalogue import message

LINES_SHOWN = 3
LINE_COLUMNS = 72  # most of a line; a Chinese character takes two
_INDENT_COLUMNS = 6  # those before a line that is shown, and the last one of the terminal
FILES_SHOWN = 10
NAMES_SHOWN = 3  # of files that are not read; where there are more, they are counted
KINDS_SHOWN = 6
_PIECE_BYTES = 4096  # read to find a line in


def report_text(corpus: Corpus, path: Path, console: Console, every_file: bool = False) -> None:
    """Says what was found below ``path``: a summary, then what deserves a look.

    Files in UTF-8 are only counted. At most ten of the others are named; ``every_file`` names all.
    """
    found, root = corpus.scan, corpus.scan.path
    _say_unread(found, console, every_file)
    console.say("train.corpus", path=path, encodings=_kinds(found))
    validated = len(corpus.validation)
    console.say(
        "train.text",
        characters=sum(file.characters for file in found.files),
        lines=sum(file.lines for file in found.files),
        train=len(corpus.train) - len(found.files),
        validation=message("train.validation", size=validated) if validated else "",
        heldout=len(corpus.heldout),
    )
    named = [file for file in found.files if every_file or not file.encoding.startswith("utf-8")]
    shown = named if every_file else named[:FILES_SHOWN]
    for file in shown:
        console.say(
            "train.file", name=_below(root, file.path), encoding=_kind(file), size=file.size
        )
    if len(shown) < len(named):
        console.say("train.more_files", count=len(named) - len(shown))
    for line in sample_lines(corpus.train):
        console.say("train.line", text=line)
    for copies in duplicates(found.files)[:FILES_SHOWN]:
        console.warn(
            "train.duplicates", paths=" = ".join(str(_below(root, copy)) for copy in copies)
        )
    if corpus.heldout_scan is not None:
        _say_unread(corpus.heldout_scan, console, every_file)
        trained = {file.digest for file in found.files}
        for file in corpus.heldout_scan.files:
            if file.digest in trained:
                console.warn("train.heldout_is_trained", path=file.path)


def duplicates(files: list[TextFile]) -> list[list[Path]]:
    """The groups of files whose text is the same, byte for byte of UTF-8."""
    by_digest = defaultdict(list)
    for file in files:
        by_digest[file.digest].append(file.path)
    return [paths for paths in by_digest.values() if len(paths) > 1]


def sample_lines(stream: ByteStream, count: int = LINES_SHOWN) -> list[str]:
    """``count`` lines from evenly spread places, decoded and cut to the width of the screen.

    Each is the first readable line after its place; a place without one gives none.
    """
    lines = []
    for number in range(count):
        start = len(stream) * (2 * number + 1) // (2 * count)
        piece = stream.read(start, min(_PIECE_BYTES, len(stream)))
        text = decode(piece.replace(bytes([END_OF_DOCUMENT]), b"\n"))
        text = text.strip("\ufffd")  # the halves of characters at both ends
        _, _, behind = text.partition("\n")  # the first line may be the end of one
        whole = (" ".join(line.split()) for line in (behind or text).splitlines())
        line = next((line for line in whole if len(line) >= 4 and "\ufffd" not in line), "")
        if line and line not in lines:
            lines.append(line)
    return [_cut(line) for line in lines]


def _cut(line: str) -> str:
    """``line``; where it is too wide for the screen, its beginning and ``…``."""
    most = min(LINE_COLUMNS, shutil.get_terminal_size().columns - _INDENT_COLUMNS)
    width = 0
    for index, character in enumerate(line):
        width += columns(character)
        if width > most:
            return line[: index - 1] + "…"
    return line


def _below(root: Path, path: Path) -> Path:
    """The part of ``path`` below ``root``, or its name where it is ``root`` itself."""
    return path.relative_to(root) if path != root else Path(path.name)


def _kinds(found: Scan) -> str:
    """``UTF-8 31 · GB18030 12 · DOCX 3 · 跳过 1（空文件）``."""
    kinds = Counter(_kind(file) for file in found.files)
    parts = [f"{name} {count}" for name, count in kinds.most_common()]
    if found.skipped:
        why = " · ".join(message(reason) for reason in by_reason(found.skipped))
        parts.append(message("train.skipped_count", count=len(found.skipped), why=why))
    return " · ".join(parts)


def _kind(file: TextFile) -> str:
    """The encoding of a ``.txt``; the format of another file, and its encoding unless UTF-8."""
    encoding = file.encoding.upper()
    if file.format == "txt":
        return encoding
    name = file.format.upper()
    return name if encoding.startswith("UTF-8") else f"{name} ({encoding})"


def _say_unread(found: Scan, console: Console, every_file: bool) -> None:
    """Names what could not be read, and counts what was not to be read."""
    for reason, paths in by_reason(found.skipped).items():
        if every_file or len(paths) <= FILES_SHOWN:
            for path in paths:
                console.warn("train.skipped", path=_below(found.path, path), reason=message(reason))
        else:
            _say_count(found.path, paths, reason, console)
    for reason, paths in by_reason(found.left_out).items():
        _say_count(found.path, paths, reason, console)


def _say_count(root: Path, paths: list[Path], reason: str, console: Console) -> None:
    """One line for all ``paths``: their names, or how many there are of each kind."""
    names = [str(_below(root, path)) for path in paths]
    if len(paths) > NAMES_SHOWN:
        kinds: dict[str, list[str]] = defaultdict(list)
        for path in paths:
            kinds[path.suffix.lower() or path.name].append(path.name)
        largest = sorted(kinds.items(), key=lambda kind: -len(kind[1]))[:KINDS_SHOWN]
        names = [f"{len(same):,} {kind}" if len(same) > 1 else same[0] for kind, same in largest]
        names += ["…"] * (len(kinds) > KINDS_SHOWN)
    console.warn("train.left_out", count=len(paths), names=", ".join(names), reason=message(reason))
