"""The checkpoints of one run in their directory: the newest few, and the best.

The container of each file and its checks are ``container``'s.
"""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from h2q.checkpoint.container import Tensors, load, save
from h2q.system.errors import ModelFileError
from h2q.system.files import (
    link_or_copy,
    saving,
    sync_directory,
)

KEEP = 3  # newest checkpoints that stay, besides the best


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
