"""Curves for TensorBoard, an extra: losses, learning rate and speed, below ``tensorboard/``.

A resumed run hides what the killed one wrote behind its checkpoint, so no curve runs twice over
the same steps; a new run moves the former one's curves aside.
"""

import os
import shutil
from pathlib import Path

from h2q.system.errors import SettingError
from h2q.system.files import saving

DIRECTORY = "tensorboard"
PREVIOUS = "tensorboard.previous"


class TensorBoardCurves:
    """Writes what it is told of a run that has made ``first_step`` steps before."""

    def __init__(self, output_dir: Path, first_step: int):
        """Raises ``SettingError`` where the extra is missing, ``SaveFailed``."""
        require_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        directory = Path(output_dir) / DIRECTORY
        with saving(directory):
            if first_step == 0 and directory.exists():
                shutil.rmtree(directory.with_name(PREVIOUS), ignore_errors=True)
                os.replace(directory, directory.with_name(PREVIOUS))
            self._writer = SummaryWriter(str(directory), purge_step=first_step + 1)

    def step(self, step: int, loss: float, lr: float) -> None:
        """After each step: its loss in nats per byte, and the learning rate of the next."""
        self._writer.add_scalar("loss/train", loss, step)
        self._writer.add_scalar("learning_rate", lr, step)

    def epoch(self, entry: dict) -> None:
        """After each epoch: its object of the training log."""
        for name, key in (
            ("loss/heldout", "eval_loss"),
            ("bits_per_byte/heldout", "eval_bits_per_byte"),
            ("bytes_per_second", "tokens_per_second"),
        ):
            self._writer.add_scalar(name, entry[key], entry["step"])
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def require_tensorboard() -> None:
    """Raises ``SettingError``, which names the extra, where TensorBoard cannot be used."""
    try:
        import tensorboard  # noqa: F401
    except ModuleNotFoundError as error:
        raise SettingError("extra.missing", name="tensorboard", extra="tensorboard") from error
