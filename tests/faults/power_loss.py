"""Power loss: what a disk may hold at any moment of a run, judged from a trace of its system calls.

A disk keeps what was synced. Bytes of a file that were not synced read as zeros. A name (created,
renamed or removed) whose directory was not synced may be as before or as after, because a file
system writes names at any time. Both are tried, at every moment.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from h2q.checkpoint.directory import CheckpointDirectory
from h2q.checkpoint.model_file import load_model
from h2q.system.errors import H2QError
from h2q.system.paths import CHECKPOINT_DIR, MODEL_PATH

from .trials import Runs

_TRACED = (
    "openat,write,fsync,rename,renameat,renameat2,unlink,unlinkat,link,linkat,ftruncate,pwrite64"
)
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


@dataclass
class Inode:
    """The bytes of a file, and those that are certainly on disk."""

    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""

    def after_power_loss(self) -> bytes:
        return self.synced + bytes(len(self.data) - len(self.synced))


@dataclass
class Event:
    """One call below the traced directory: its name, the paths, and the bytes written."""

    call: str
    paths: list[str]
    data: bytes = b""


def trace_of(runs: Runs, output: Path) -> list[Event]:
    """The calls of one training that concern files below ``output``, and its saves."""
    trace = runs.directory / "trace"
    options = ("-y", "-xx", "-s", "10000000", "-e", f"trace={_TRACED}")
    ending = runs.train(output, trace=trace, trace_options=options)
    if ending.code != 0:
        raise RuntimeError(ending.stderr)
    return list(_parse(trace, str(output)))


def _parse(trace: Path, below: str) -> Iterator[Event]:
    with open(trace, encoding="ascii") as lines:
        for line in lines:
            match = _CALL.match(line)
            if match is None or int(match[3]) < 0:
                continue
            call, text = match[1], match[2]
            strings = [bytes.fromhex(found[0].replace("\\x", "")) for found in _TEXT.findall(text)]
            named = re.match(r"\d+<([^>]*)>", text)
            opened = bytes.fromhex(named[1].replace("\\x", "")).decode() if named else ""
            if call == "pwrite64":  # the acknowledgement of a save
                yield Event("acknowledged", [], strings[0])
            elif call in ("write", "fsync", "ftruncate"):
                if opened.startswith(below):
                    yield Event(call, [opened], strings[0] if call == "write" else b"")
            elif call != "openat" or "O_CREAT" in text:
                names = [name.decode() for name in strings]
                if names and all(name.startswith(below) for name in names):
                    yield Event(re.sub("at2?$", "", call), names)


class Disk:
    """Names and contents, as processes see them and as they are certainly on disk."""

    def __init__(self):
        self.names: dict[str, Inode] = {}
        self.synced: dict[str, Inode] = {}

    def apply(self, event: Event) -> None:
        paths = event.paths
        if event.call == "open":
            self.names.setdefault(paths[0], Inode())
        elif event.call == "write":
            self.names[paths[0]].data += event.data
        elif event.call == "ftruncate":
            self.names[paths[0]].data.clear()
        elif event.call == "rename":
            self.names[paths[1]] = self.names.pop(paths[0])
        elif event.call == "link":
            self.names[paths[1]] = self.names[paths[0]]
        elif event.call == "unlink":
            self.names.pop(paths[0])
        elif event.call == "fsync":
            self._sync(paths[0])

    def _sync(self, path: str) -> None:
        if path in self.names:
            inode = self.names[path]
            inode.synced = bytes(inode.data)
            return
        inside = [name for name in {**self.names, **self.synced} if str(Path(name).parent) == path]
        for name in inside:
            if name in self.names:
                self.synced[name] = self.names[name]
            else:
                self.synced.pop(name)

    def write_to(self, target: Path, below: Path, names: dict[str, Inode]) -> None:
        """Writes to ``target`` what is found when the power is back and ``names`` survived."""
        for name, inode in names.items():
            path = target / Path(name).relative_to(below)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(inode.after_power_loss())


def order_of(events: list[Event]) -> list[str]:
    """The order of syncs, renames and removals of a save, in words; temporary names are left out."""
    words = []
    for event in events:
        name = Path(event.paths[0]).name if event.paths else ""
        if event.call == "fsync":
            temporary = name.startswith(".")
            words.append("sync file" if temporary else "sync directory")
        elif event.call == "rename":
            words.append(f"rename {Path(event.paths[1]).name}")
        elif event.call == "unlink" and not name.startswith("."):
            words.append(f"remove {name}")
    return words


def lost_at_every_moment(runs: Runs) -> Iterator[tuple[str, str]]:
    """Row 3: at every moment of a run, the newest checkpoint on disk is that of the last
    acknowledged save or a later one, and a delivered model is whole."""
    output = runs.fresh()
    events = trace_of(runs, output)
    disk, acknowledged, damaged = Disk(), 0, runs.directory / "power loss"
    for number, event in enumerate(events):
        if event.call == "acknowledged":
            acknowledged = int.from_bytes(event.data, "little")
        else:
            disk.apply(event)
        if event.call == "write":
            continue  # after the next call the disk holds the same, or more
        for kind, names in (("as before", disk.synced), ("as after", disk.names)):
            shutil.rmtree(damaged, ignore_errors=True)
            disk.write_to(damaged, output, names)
            yield f"call {number} ({event.call}), names {kind}", _judge(damaged, acknowledged)


def _judge(directory: Path, acknowledged: int) -> str:
    run = CheckpointDirectory(directory / CHECKPOINT_DIR)
    try:
        found = run.load_newest(lambda path, error: None)
    except H2QError as error:
        return str(error)
    step = found.metadata["position"]["step"] if found else 0
    if step < acknowledged:
        return f"step {acknowledged} was acknowledged, {step} is the newest"
    if (directory / MODEL_PATH).exists():
        try:
            load_model(directory / MODEL_PATH)
        except H2QError as error:
            return str(error)
    return ""
