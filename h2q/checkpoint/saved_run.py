"""A run that can be resumed: saved as a checkpoint, and loaded from one.

Only this module knows the names of the tensors and the keys of the metadata in a checkpoint.
Does not know how a file is written and verified (``container``), nor which files are kept
(``directory``).
"""

import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypedDict

from h2q.checkpoint.container import Tensors
from h2q.checkpoint.directory import CheckpointDirectory
from h2q.checkpoint.model_file import read_model_config
from h2q.config import ModelConfig, TrainingConfig, saved_training_config
from h2q.system.console import Console
from h2q.system.errors import ModelFileError, SettingError
from h2q.system.paths import OutputPaths

KIND = "checkpoint"
# How the names of a checkpoint's tensors begin.
_WEIGHTS, _OPTIMIZER, _AVERAGE = "model.", "optimizer.", "average."


class CurvePoint(TypedDict):
    """The state of a run at one step: a point of the curve in the training log."""

    step: int
    loss: float  # nats per byte, of this step's batch
    learning_rate: float  # of the next step
    seconds: float  # of training so far; depends on the machine, like the next value
    tokens_per_second: float


class _LoggedEpoch(TypedDict):
    """What a resumed run reads again; a checkpoint without these values is refused."""

    epoch: int  # counted from 1
    step: int
    train_loss: float  # nats per byte
    train_perplexity: float
    eval_loss: float  # nats per byte, on held-out text


class LogEntry(_LoggedEpoch, total=False):
    """One epoch: an object of the list in ``training_log.json``. A resumed run keeps it as it is,
    even if an older version wrote fewer of these keys."""

    eval_perplexity: float
    eval_bits_per_byte: float
    eval_bytes: int
    learning_rate: float
    tokens_per_second: float
    seconds: float
    curve: list[CurvePoint]
    memory_eval_loss: float  # of the model with its memory
    memory_eval_bits_per_byte: float


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
    # Of the latest steps, in a run that is planned by time.
    step_seconds: list[float] = field(default_factory=list)
    epoch_seconds: float = 0.0
    first_loss: float | None = None  # nats per byte, of the very first batch
    curve: list[CurvePoint] = field(default_factory=list)  # of this epoch so far
    log: list[LogEntry] = field(default_factory=list)  # one entry an epoch

    @property
    def best(self) -> LogEntry | None:
        """The epoch with the lowest held-out loss; None before the first epoch has ended."""
        return min(self.log, key=lambda entry: entry["eval_loss"], default=None)

    @property
    def bytes_per_second(self) -> float:
        """The speed of training in this epoch."""
        return self.loss_bytes / max(self.epoch_seconds, 1e-9)

    def begin_next_epoch(self) -> None:
        """Moves to the first batch of the next epoch, of which nothing is summed up yet."""
        self.epoch += 1
        self.batch = 0
        self.loss_sum, self.loss_bytes, self.epoch_seconds = 0.0, 0, 0.0
        self.curve = []


@dataclass(frozen=True)
class RunTensors:
    """The tensors of a run. Each part has the names that its owner gives: the model, the optimizers
    or the average."""

    weights: Tensors
    optimizer: Tensors
    average: Tensors  # empty if no average of the weights is taken

    @classmethod
    def from_file(cls, tensors: Tensors) -> "RunTensors":
        """The parts of a checkpoint's ``tensors``."""
        return cls(
            weights=_with_prefix(tensors, _WEIGHTS),
            optimizer=_with_prefix(tensors, _OPTIMIZER),
            average=_with_prefix(tensors, _AVERAGE),
        )

    def for_file(self) -> Tensors:
        """All parts by their names in a checkpoint."""
        parts = ((_WEIGHTS, self.weights), (_OPTIMIZER, self.optimizer), (_AVERAGE, self.average))
        return {prefix + name: tensor for prefix, part in parts for name, tensor in part.items()}


@dataclass(frozen=True)
class RunState:
    """All that a run needs to go on."""

    model_config: ModelConfig
    training_config: TrainingConfig
    environment: dict[str, Any]  # ``system.device.environment``
    corpus: str  # fingerprint of its text
    position: Position
    tensors: RunTensors


@dataclass(frozen=True)
class SavedRun(RunState):
    """A run that was read from the checkpoint ``path``."""

    path: Path


def save_run(directory: CheckpointDirectory, run: RunState, *, best: bool = False) -> Path:
    """Writes a checkpoint of ``run``, and marks it as the best if it is; returns its path.

    Raises ``SaveFailed``; older checkpoints are then as they were.
    """
    metadata = {
        "kind": KIND,
        "model": asdict(run.model_config),
        "training": asdict(run.training_config),
        "corpus": run.corpus,
        "environment": run.environment,
        "position": asdict(run.position),
    }
    return directory.save(run.position.step, run.tensors.for_file(), metadata, best=best)


def load_saved_run(output_dir: Path, console: Console) -> SavedRun | None:
    """The newest valid checkpoint below ``output_dir``; None where there are no checkpoints.

    Raises ``ModelFileError`` when there are checkpoints and none is valid.
    """
    directory = CheckpointDirectory(OutputPaths(Path(output_dir)).checkpoints)
    found = directory.load_newest(lambda path, error: console.warn("resume.damaged", path=path))
    if found is None:
        return None
    metadata = found.metadata
    if metadata.get("kind") != KIND:
        raise ModelFileError("model.foreign", path=found.path)
    try:
        return SavedRun(
            model_config=read_model_config(metadata, found.path),
            training_config=saved_training_config(metadata["training"]),
            environment=dict(metadata["environment"]),
            corpus=metadata["corpus"],
            position=_position(metadata["position"]),
            tensors=RunTensors.from_file(found.tensors),
            path=found.path,
        )
    except (KeyError, TypeError, ValueError, SettingError) as error:
        raise ModelFileError("model.config", path=found.path, reason=error) from error


def load_best_weights(directory: CheckpointDirectory) -> Tensors:
    """The weights of the best checkpoint; ``ModelFileError`` when it is missing or damaged."""
    return RunTensors.from_file(directory.load_best().tensors).weights


def _position(values: dict[str, Any]) -> Position:
    """The position in a checkpoint's metadata; ``ValueError`` for one that no run can reach."""
    position = Position(**values)
    for item in fields(Position):
        if not _is_valid(getattr(position, item.name), item.type):
            raise ValueError(f"position.{item.name}")
    if len(position.log) != position.epoch or (position.batch > 0) != (position.loss_bytes > 0):
        raise ValueError("position")
    return position


def _is_valid(value: object, kind: object) -> bool:
    """Whether ``value`` may be in a field of ``Position`` whose type is ``kind``."""
    if kind is int:
        return type(value) is int and _is_number(value)
    if kind == float | None and value is None:
        return True
    if kind in (float, float | None):
        return _is_number(value)
    if not isinstance(value, list):
        return False
    if kind == list[float]:
        return all(map(_is_number, value))
    record = LogEntry if kind == list[LogEntry] else CurvePoint
    return all(_holds(entry, record.__required_keys__) for entry in value)


def _is_number(value: object) -> bool:
    """A finite number that is not negative; a whole one only if a float can hold it."""
    if type(value) is int:
        return 0 <= value < 2**62
    return type(value) is float and 0.0 <= value < math.inf


def _holds(entry: object, names: frozenset[str]) -> bool:
    """Whether ``entry`` is an object with a number under each of ``names``."""
    return isinstance(entry, dict) and all(_is_number(entry.get(name)) for name in names)


def _with_prefix(tensors: Tensors, prefix: str) -> Tensors:
    """The tensors whose names begin with ``prefix``, by the rest of their names."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
