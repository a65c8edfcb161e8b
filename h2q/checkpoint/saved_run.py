"""A run that can be resumed: its position and settings, read back from its newest checkpoint.

What is written is decided by ``trainer``; this is the way in.
"""

import math
from dataclasses import dataclass, field, fields
from pathlib import Path

from h2q.checkpoint.container import Tensors
from h2q.checkpoint.directory import CheckpointDirectory
from h2q.checkpoint.model_file import read_model_config
from h2q.config import ModelConfig, TrainingConfig, from_dict
from h2q.system.console import Console
from h2q.system.errors import ModelFileError, SettingError
from h2q.system.paths import CHECKPOINT_DIR

KIND = "checkpoint"
WEIGHTS = "model."  # prefixes of the names of a checkpoint's tensors
OPTIMIZER = "optimizer."
AVERAGE = "average."
_LOGGED = ("epoch", "step", "train_loss", "train_perplexity", "eval_loss")  # what a run reads back
_CURVE = ("step", "loss", "learning_rate", "seconds", "tokens_per_second")


@dataclass
class Position:
    """Where a run is: ``batch`` of ``epoch`` is the next to be trained (both from 0)."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    progress: float = 0.0  # share of the run that is done, from 0 to 1
    loss_sum: float = 0.0  # nats, over the bytes of this epoch so far
    loss_bytes: int = 0
    seconds: float = 0.0  # all sessions together
    step_seconds: list[float] = field(default_factory=list)  # of the last steps of planned time
    epoch_seconds: float = 0.0
    first_loss: float | None = None  # nats per byte, of the very first batch
    curve: list[dict] = field(default_factory=list)  # points of this epoch so far
    log: list[dict] = field(default_factory=list)  # one object an epoch

    @property
    def best(self) -> dict | None:
        """The epoch with the lowest held-out loss."""
        return min(self.log, key=lambda entry: entry["eval_loss"], default=None)


@dataclass(frozen=True)
class SavedRun:
    """A run that can be resumed: its settings, and the checkpoint to go on from."""

    model_config: ModelConfig
    training_config: TrainingConfig
    environment: dict
    position: Position
    corpus: str  # fingerprint of its text
    tensors: Tensors
    path: Path

    @property
    def weights(self) -> Tensors:
        """The model's tensors by the names that the model has for them."""
        return with_prefix(self.tensors, WEIGHTS)


def load_saved_run(output_dir: Path, console: Console) -> SavedRun | None:
    """The newest valid checkpoint below ``output_dir``; None where there is none at all.

    Raises ``ModelFileError`` when there are checkpoints and none is valid.
    """
    directory = CheckpointDirectory(Path(output_dir) / CHECKPOINT_DIR)
    found = directory.load_newest(lambda path, error: console.warn("resume.damaged", path=path))
    if found is None:
        return None
    metadata = found.metadata
    if metadata.get("kind") != KIND:
        raise ModelFileError("model.foreign", path=found.path)
    try:
        return SavedRun(
            read_model_config(metadata, found.path),
            from_dict(TrainingConfig, metadata["training"]),
            dict(metadata["environment"]),
            _position(metadata["position"]),
            metadata["corpus"],
            found.tensors,
            found.path,
        )
    except (KeyError, TypeError, ValueError, SettingError) as error:
        raise ModelFileError("model.config", path=found.path, reason=error) from error


def _position(values: dict) -> Position:
    """The position in a checkpoint's metadata; ``ValueError`` where a run could never be there."""
    position = Position(**values)
    for item in fields(Position):
        value = getattr(position, item.name)
        if item.type == list[float]:
            valid = isinstance(value, list) and all(_is_number(seconds) for seconds in value)
        elif item.type == list[dict]:
            names = _LOGGED if item.name == "log" else _CURVE
            valid = isinstance(value, list) and all(_holds(entry, names) for entry in value)
        elif value is None:
            valid = item.default is None
        else:
            valid = _is_number(value) and item.type in (float, float | None, type(value))
        if not valid:
            raise ValueError(f"position.{item.name}")
    if len(position.log) != position.epoch or (position.batch > 0) != (position.loss_bytes > 0):
        raise ValueError("position")
    return position


def _is_number(value) -> bool:
    """A finite number of no sign; a whole one not so large that a float could not hold it."""
    if type(value) is int:
        return 0 <= value < 2**62
    return type(value) is float and 0.0 <= value < math.inf


def _holds(entry, names: tuple[str, ...]) -> bool:
    """Whether ``entry`` is an object with a number under each of ``names``."""
    return isinstance(entry, dict) and all(_is_number(entry.get(name)) for name in names)


def with_prefix(tensors: Tensors, prefix: str) -> Tensors:
    """The tensors whose names begin with ``prefix``, without it."""
    return {
        name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)
    }
