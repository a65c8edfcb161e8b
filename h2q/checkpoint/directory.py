"""The checkpoints of one run in their directory: the newest few, and the best.

Decides which files stay and which one is loaded. Does not know what is in them.
"""

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from h2q.checkpoint.container import Tensors, load, save
from h2q.system.errors import ModelFileError
from h2q.system.files import link_or_copy, saving, sync_directory

KEEP = 3  # newest checkpoints that stay, besides the best


@dataclass(frozen=True)
class Checkpoint:
    """One loaded checkpoint."""

    path: Path
    tensors: Tensors
    metadata: dict[str, Any]


class CheckpointDirectory:
    """The checkpoints of one run: the newest ``KEEP`` by step, and the best.

    Files are ordered by the step in their names, never by their times.
    """

    _BEST = "best.pt"
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

    def save(
        self, step: int, tensors: Tensors, metadata: dict[str, Any], *, best: bool = False
    ) -> Path:
        """Saves a checkpoint, marks it as the best if it is, and removes the oldest ones.

        The file of this ``step`` stays, whatever other steps are there. Raises ``SaveFailed``;
        nothing is removed then.
        """
        path = self.directory / f"step_{step:09d}.pt"
        save(path, tensors, metadata)
        if best:
            link_or_copy(path, self.directory / self._BEST)
        for old_step in [old for old in self.steps() if old != step][: 1 - KEEP]:
            with contextlib.suppress(OSError):
                (self.directory / f"step_{old_step:09d}.pt").unlink()
        return path

    def load_newest(self, on_damage: Callable[[Path, ModelFileError], None]) -> Checkpoint | None:
        """The newest valid checkpoint; None where there are no checkpoints.

        ``on_damage(path, error)`` is called for each damaged file. These files are renamed to
        ``*.damaged`` if an older one is valid. Raises ``ModelFileError`` if none is valid, and for
        a file that may be sound: one without read permission, or one of another version.
        """
        damaged: list[Path] = []
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
        """The best checkpoint; ``ModelFileError`` if it is missing or damaged."""
        path = self.directory / self._BEST
        return Checkpoint(path, *load(path))

    def set_aside(self, *others: Path) -> Path:
        """Moves the files of an earlier run, and ``others``, to ``previous/``; returns that path.

        The files that are already there, of a still earlier run, are removed. Raises
        ``SaveFailed``.
        """
        previous = self.directory / "previous"
        with saving(previous):
            if previous.is_symlink():  # nothing is removed where it points to
                previous.unlink()
            previous.mkdir(parents=True, exist_ok=True)
            for old in previous.iterdir():
                if old.is_file():
                    old.unlink()
            for path in [*self.steps().values(), self.directory / self._BEST, *others]:
                if path.exists():
                    os.replace(path, previous / path.name)
            sync_directory(previous)
            sync_directory(self.directory)
        return previous
