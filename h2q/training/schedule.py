"""The plan of a run: its learning rate, its depth, how much of it is done and when it ends.

A run is planned by epochs, or by time where ``max_minutes`` says so. Works on numbers alone: knows
no model, no text and no clock.
"""

import math
import statistics
from collections.abc import Sequence

from h2q.checkpoint.saved_run import Position
from h2q.config import ModelConfig, TrainingConfig

_PACE_STEPS = 25  # the pace is the median time of this many steps; the first few are slow
_FEWEST_PACE_STEPS = 4
_EVALUATION_SPEED = 3  # bytes a second in an evaluation, as a multiple of those in training


def rate_share(config: TrainingConfig, step: int, progress: float) -> float:
    """Share of the peak learning rate after ``step`` steps and ``progress`` (0 to 1) of the run.

    ``cosine``: 1 at the beginning, 0 at the end (arXiv 1608.03983). ``linear``: constant, then
    down to ``min_lr_ratio`` over the last ``decay_fraction`` of the run (arXiv 2405.18392). Both
    rise from 0 within ``warmup_steps``.
    """
    if config.schedule == "cosine":
        share = 0.5 * (1.0 + math.cos(math.pi * progress))
    else:
        share = min(1.0, (1.0 - progress) / config.decay_fraction)
        share = config.min_lr_ratio + (1.0 - config.min_lr_ratio) * share
    return min(share, (step + 1) / (config.warmup_steps + 1))


class Schedule:
    """What a run does at which point, and how far each step brings it."""

    def __init__(
        self,
        config: TrainingConfig,
        model_config: ModelConfig,
        batches_per_epoch: int,
        heldout_bytes: int,
    ):
        """``heldout_bytes`` is the size of the held-out text, which the last evaluation reads."""
        self.config = config
        self.batches_per_epoch = batches_per_epoch
        self.total_steps = config.epochs * batches_per_epoch  # of a run that is planned by epochs
        self.by_time = bool(config.max_minutes)
        self._n_layers = model_config.n_layers
        self._least_depth = config.first_depth(model_config.n_layers)
        self._batch_bytes = config.batch_size * model_config.context_length
        self._evaluated_bytes = min(config.eval_bytes, heldout_bytes)

    # What is done at a point of the run

    def depth(self, progress: float) -> int:
        """How many layers, the first ones, are trained after ``progress`` (0 to 1) of the run.

        A step of few layers costs less, so that a short run makes more steps. The other layers
        join later, on top of these (arXiv 2511.04981).
        """
        return self._least_depth if progress < self.config.growth else self._n_layers

    def restore_depth(self, depth: int) -> None:
        """Trains at least the first ``depth`` layers: those that were trained before the run was
        resumed.

        Raises ``ValueError`` if they are fewer than any run of these settings trains.
        """
        if depth < self._least_depth:
            raise ValueError("depth")
        self._least_depth = depth

    def train_all_layers(self) -> None:
        """Trains all layers from now on, however far the run is."""
        self._least_depth = self._n_layers

    def updates_per_batch(self, progress: float) -> int:
        """Into how many updates a batch is cut: 4, then 2 in the first part of the run, and then 1.

        Their windows are shorter by the same factor. Such updates cost less and come more often.
        """
        short = self.config.short_fraction
        return 1 if progress >= short else 2 if progress >= short / 2 else 4

    def rate_share(self, position: Position) -> float:
        """Share of the peak learning rate in the step that comes next."""
        return rate_share(self.config, position.step, position.progress)

    # How far the run is

    def time_is_up(self, position: Position) -> bool:
        """Whether the planned time is over; a run that is planned by epochs has none."""
        return self.by_time and position.progress >= 1.0

    def stopped_early(self, position: Position) -> bool:
        """Whether the last ``patience`` epochs brought no lower held-out loss."""
        best = position.best
        if not self.config.patience or best is None:
            return False
        return position.epoch - best["epoch"] >= self.config.patience

    def finished(self, position: Position) -> bool:
        """Whether there is nothing left to train and to evaluate."""
        if self.stopped_early(position):
            return True
        if self.by_time:
            return self.time_is_up(position) and position.batch == 0  # evaluated as well
        return position.epoch >= self.config.epochs

    def restore_progress(self, position: Position, former: TrainingConfig) -> None:
        """Computes the progress anew where the plan of the run is not the one of ``former``."""
        if not self.by_time:
            self.advance(position)
        elif self.config.max_minutes != former.max_minutes:
            position.progress = min(1.0, position.seconds / (60 * self.config.max_minutes))

    def advance(self, position: Position) -> None:
        """Sets the progress of a run that is planned by epochs."""
        position.progress = min(1.0, position.step / self.total_steps)

    def advance_by_time(self, position: Position, seconds: float) -> None:
        """Moves the progress on by one step, in a run that is planned by time.

        The step was one of those that fit into the time left; its part of the progress left is
        added. ``seconds`` is what it took. So the run ends in time and passes through the whole
        schedule, even if the machine slows down or speeds up.
        """
        recent = [*position.step_seconds, seconds][-_PACE_STEPS:]
        position.step_seconds = recent
        pace = statistics.median(recent)
        evaluation = pace * self._evaluated_bytes / self._batch_bytes / _EVALUATION_SPEED
        left = 60 * self.config.max_minutes - position.seconds - evaluation
        if left < pace:
            position.progress = 1.0
        elif len(recent) >= _FEWEST_PACE_STEPS:
            position.progress += (1.0 - position.progress) * pace / left
        epochs = position.epoch + (position.batch + left / pace) / self.batches_per_epoch
        if len(recent) == _PACE_STEPS and epochs > self.config.growth_epochs:
            self.train_all_layers()

    # What the rest of the run costs

    def mean_depth(self, progress: float) -> float:
        """The mean number of layers that are trained in the remaining steps. The cost of a step is
        nearly proportional to this number."""
        growth = self.config.growth
        if progress >= growth:
            return self._n_layers
        growing = (growth - progress) / (1.0 - progress)  # share of what is left
        if self.by_time:  # of the time, not of the steps
            return 1.0 / (growing / self._least_depth + (1.0 - growing) / self._n_layers)
        return growing * self._least_depth + (1.0 - growing) * self._n_layers

    def mean_step_seconds(self, progress: float, timed: Sequence[float]) -> float:
        """Mean seconds of the remaining steps, if steps at this progress take ``timed``."""
        return statistics.median(timed) * self.mean_depth(progress) / self.depth(progress)
