"""Curves for TensorBoard, an extra: losses, learning rate and speed, in ``tensorboard/``.

A resumed run hides the points that the killed run wrote after its last checkpoint, so that no curve
shows a step twice. A new run moves the curves of the former one aside.
"""

import os
import shutil
from pathlib import Path

from h2q.checkpoint.saved_run import LogEntry
from h2q.system.errors import SettingError
from h2q.system.files import saving
from h2q.system.paths import OutputPaths


class TensorBoardCurves:
    """Writes the curves of a run below ``output_dir``, of which ``first_step`` steps were made
    before."""

    def __init__(self, output_dir: Path, first_step: int):
        """Raises ``SettingError`` if the extra is missing, and ``SaveFailed``."""
        require_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        paths = OutputPaths(Path(output_dir))
        directory = paths.tensorboard
        with saving(directory):
            if first_step == 0 and directory.exists():
                shutil.rmtree(paths.previous_tensorboard, ignore_errors=True)
                os.replace(directory, paths.previous_tensorboard)
            self._writer = SummaryWriter(str(directory), purge_step=first_step + 1)

    def step(self, step: int, loss: float, lr: float) -> None:
        """After each step: its loss in nats per byte, and the learning rate of the next."""
        self._writer.add_scalar("loss/train", loss, step)
        self._writer.add_scalar("learning_rate", lr, step)

    def epoch(self, entry: LogEntry) -> None:
        """After each epoch: its entry of the training log."""
        step = entry["step"]
        self._writer.add_scalar("loss/heldout", entry["eval_loss"], step)
        self._writer.add_scalar("bits_per_byte/heldout", entry["eval_bits_per_byte"], step)
        if "memory_eval_loss" in entry:
            self._writer.add_scalar("loss/heldout_with_memory", entry["memory_eval_loss"], step)
        self._writer.add_scalar("bytes_per_second", entry["tokens_per_second"], step)
        self._writer.flush()

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()


def require_tensorboard() -> None:
    """Raises ``SettingError``, which names the extra, where TensorBoard cannot be used."""
    try:
        import tensorboard  # noqa: F401
    except ModuleNotFoundError as error:
        raise SettingError("extra.missing", name="tensorboard", extra="tensorboard") from error
