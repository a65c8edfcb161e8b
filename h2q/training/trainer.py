"""``LocalModelTrainer``: a training run from its first step to the delivered model.

The state of a run is its weights, its optimizers and its position. Everything random depends on the
seed and the step alone, so there is no random state to save. A run that was killed and resumed ends
bit for bit like one that was not, on the same machine, with the same PyTorch and number of threads.
Does not know how a step changes the weights (``train_step``), nor when the run ends (``schedule``).
"""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from h2q.checkpoint.container import Tensors
from h2q.checkpoint.directory import CheckpointDirectory
from h2q.checkpoint.model_file import build_model
from h2q.checkpoint.saved_run import Position, RunState, RunTensors, SavedRun, save_run
from h2q.config import ModelConfig, TrainingConfig
from h2q.datasets.batches import batches_per_epoch, epoch_batches
from h2q.datasets.corpus import Corpus
from h2q.evaluation.held_out import Evaluation, evaluate_both
from h2q.model.transformer import Transformer
from h2q.system.console import Console
from h2q.system.device import environment, keep_freed_memory
from h2q.system.errors import Interrupted, ModelFileError, TrainingDiverged
from h2q.system.files import require_writable, write_json
from h2q.system.interrupts import stop_requests
from h2q.system.paths import OutputPaths
from h2q.training.delivery import deliver, provenance, restore_best_epoch
from h2q.training.fine_tuning import FineTuning
from h2q.training.memory import MemoryFitting
from h2q.training.optimizers import Optimizers, trained_depth
from h2q.training.progress import ProgressReporter
from h2q.training.resume import require_same_run, warn_of_other_environment
from h2q.training.schedule import Schedule
from h2q.training.tensorboard import TensorBoardCurves
from h2q.training.train_step import TrainStep
from h2q.training.training_log import curve_point, log_entry
from h2q.training.weight_average import WeightAverage

_POINTS_PER_EPOCH = 20  # of the curve in the log
_LEAST_BATCHES_A_POINT = 10


class LocalModelTrainer:
    """Trains one model on one corpus (README: 本地模型训练器)."""

    def __init__(
        self,
        corpus: Corpus,
        output_dir: Path,
        model_config: ModelConfig = ModelConfig(),
        training_config: TrainingConfig = TrainingConfig(),
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        console: Console | None = None,
        fine_tuning: FineTuning | None = None,
        resume_from: SavedRun | None = None,
        curves: TensorBoardCurves | None = None,
    ):
        """Prepares a run in ``output_dir``; nothing is written yet.

        ``fine_tuning`` starts from a trained model instead of random weights. ``dtype`` is that of
        the computation; weights and optimizers stay float32. ``curves`` is told of every step and
        epoch. Raises ``SettingError`` when the settings or the text are not those of
        ``resume_from``, and ``ModelFileError`` when its tensors do not fit them.
        """
        self.corpus = corpus
        self.paths = OutputPaths(Path(output_dir))
        self.config = training_config
        self.device = torch.device(device)
        self.dtype = dtype
        self.console = console or Console(silent=True)
        self.checkpoints = CheckpointDirectory(self.paths.checkpoints)
        self._curves = curves
        self._fine_tuning = fine_tuning
        self._resumed = resume_from is not None
        if resume_from is None:
            self._begin_anew(model_config)
        else:
            self._begin_from(resume_from, model_config)
        self.model.to(self.device)
        self._prepare_steps()
        if resume_from is not None:
            self._restore(resume_from)
        self._set_rate()

    def _begin_anew(self, model_config: ModelConfig) -> None:
        """Position and model before the first step."""
        self.position = Position()
        depth = self.config.first_depth(model_config.n_layers)
        self.model = Transformer(model_config).initialize(self.config.seed, depth)
        if self._fine_tuning is not None:
            self.model.load_state_dict(self._fine_tuning.initial.state_dict())
            self.model.memory = self._fine_tuning.initial.memory

    def _begin_from(self, run: SavedRun, model_config: ModelConfig) -> None:
        """Position and model where ``run`` was saved, if it is the same run."""
        require_same_run(run, model_config, self.config, self.corpus.fingerprint)
        warn_of_other_environment(run, environment(self.device, self.dtype), self.console)
        self.position = run.position
        self.model = build_model(model_config, run.tensors.weights, run.path)

    def _prepare_steps(self) -> None:
        """Makes the plan of the run, its report to a person, its optimizers and its step."""
        keep_freed_memory()
        self._clock = time.monotonic()
        config, tuning = self.config, self._fine_tuning
        self.batches_per_epoch = batches_per_epoch(
            self.corpus.train, self.model.config.context_length, config.batch_size
        )
        heldout_bytes = len(self.corpus.heldout)
        self.schedule = Schedule(config, self.model.config, self.batches_per_epoch, heldout_bytes)
        self.progress = ProgressReporter(
            self.console,
            self.model,
            self.schedule,
            self.position,
            resumed=self._resumed,
            fine_tuning=tuning is not None,
        )
        self.optimizers = Optimizers(self.model, config, self.dtype)
        self._average = WeightAverage()
        self._memory: MemoryFitting | None = None  # once the run has begun
        teacher = tuning.teacher if tuning is not None else None
        self._step = TrainStep(self.model, self.optimizers, config, self.dtype, teacher)

    @property
    def total_steps(self) -> int:
        """How many steps the run has, if it is planned by epochs."""
        return self.schedule.total_steps

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train and to evaluate."""
        return self.schedule.finished(self.position)

    def averaged_weights(self) -> Tensors | None:
        """The mean of the weights after each step of the run's last part, which begins at the share
        ``average_from``; None before it."""
        return self._average.mean()

    # The run

    def train(self) -> Transformer:
        """Trains to the last epoch, saves the model and returns it, in evaluation mode.

        The model is the one of the epoch with the lowest held-out loss. Raises ``Interrupted``
        when asked to stop by a signal (everything is saved then), ``TrainingDiverged`` before a
        loss or gradient that is not finite could reach the weights, and ``SaveFailed``.
        """
        self.progress.announce()
        for directory in (self.paths.root, self.paths.checkpoints, self.paths.model.parent):
            require_writable(directory)
        if not self._resumed and self.checkpoints.steps():
            previous = self.checkpoints.set_aside(self.paths.training_log)
            self.console.say("train.set_aside", path=previous)
        self._clock = time.monotonic()
        with stop_requests() as stop:
            self._remember(stop)
            with self.progress.bar() as advance:
                while not self.finished:
                    self._train_epoch(stop, advance)
                    path = self._finish_epoch(stop)
                    if stop() and not self.finished:
                        raise Interrupted("train.interrupted", step=self.position.step, path=path)
        if self.schedule.stopped_early(self.position):
            self.console.say("train.stopped_early", epochs=self.config.patience)
        self._deliver()
        return self.model.eval()

    def _remember(self, stop: Callable[[], bool]) -> None:
        """Counts the text for the model's memory. Fine-tuning keeps the memory that there is."""
        if self._fine_tuning is None and self.config.memory_bytes:
            length, size = self.model.config.context_length, self.config.memory_bytes
            self._memory = MemoryFitting(
                self.corpus, length, size, self.dtype, lambda: self._leave_if(stop), self.console
            )
            self.model.memory = self._memory.before()
            self._tick()

    def _train_epoch(self, stop: Callable[[], bool], advance: Callable[[], None]) -> None:
        """Trains to the end of the epoch, or of the planned time."""
        position, schedule = self.position, self.schedule
        self.progress.announce_epoch()
        saved = position.seconds
        for batch in self.batches(position.epoch, position.batch):
            if schedule.time_is_up(position):
                break
            seconds = self._record(self.train_step(*batch))
            advance()
            self.progress.estimate(seconds)
            self._leave_if(stop)
            if schedule.time_is_up(position):
                break
            if position.seconds - saved >= self.config.save_interval_seconds:
                self.progress.saved(self._save())
                self.progress.sample()
                self._tick()
                saved = position.seconds

    def batches(self, epoch: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The batches of an epoch from the ``first`` on: inputs, targets, places in the text."""
        context_length = self.model.config.context_length
        batch_size, seed = self.config.batch_size, self.config.seed
        return epoch_batches(self.corpus.train, context_length, batch_size, seed, epoch, first)

    def train_step(self, inputs: Tensor, targets: Tensor, starts: Tensor | None = None) -> float:
        """Trains on a batch (B, T), whose rows begin at ``starts`` (B,) of the training text, and
        moves on; returns its loss in nats per byte."""
        position, schedule, tuning = self.position, self.schedule, self._fine_tuning
        self.model.train(position.epoch >= self.config.dropout_after_epochs)  # for dropout only
        replayed = weights = None
        if tuning is not None and starts is not None:
            replayed, weights = tuning.of_batch(inputs, targets, starts, len(self.corpus.train))
        loss_sum, count = self._step(
            inputs,
            targets,
            replayed,
            weights,
            step=position.step,
            depth=schedule.depth(position.progress),
            updates=schedule.updates_per_batch(position.progress),
        )
        position.step += 1
        if not schedule.by_time:
            schedule.advance(position)
            self._set_rate()
        position.loss_sum += loss_sum
        position.loss_bytes += count
        if tuning is not None and position.progress > tuning.average_from:
            self._average.add(self.model.state_dict())
        return loss_sum / count

    def _record(self, loss: float) -> float:
        """Counts a step with this ``loss``, and reports it to the person and to the curves. Returns
        the seconds that the step took."""
        position = self.position
        if position.first_loss is None:
            position.first_loss = loss
        self.progress.batch(loss, self.optimizers.lr)
        position.batch += 1
        seconds = self._tick()
        position.epoch_seconds += seconds
        if self.schedule.by_time:
            self.schedule.advance_by_time(position, seconds)
            self._set_rate()
        point_every = max(_LEAST_BATCHES_A_POINT, self.batches_per_epoch // _POINTS_PER_EPOCH)
        if position.batch % point_every == 0:
            position.curve.append(curve_point(position, loss, self.optimizers.lr))
        if self._curves is not None:
            self._curves.step(position.step, loss, self.optimizers.lr)
        return seconds

    def _tick(self) -> float:
        """Adds the time since the last call to that of the run; returns it, in seconds."""
        before, self._clock = self._clock, time.monotonic()
        seconds = self._clock - before
        self.position.seconds += seconds
        return seconds

    def _set_rate(self) -> None:
        self.optimizers.set_rate(self.schedule.rate_share(self.position))

    def _leave_if(self, stop: Callable[[], bool]) -> None:
        """Saves and raises ``Interrupted`` when asked to stop. A resumed run begins counting or an
        evaluation anew. Before the first step there is nothing to save."""
        if stop():
            path = self._save() if self.position.step else self.checkpoints.directory
            raise Interrupted("train.interrupted", step=self.position.step, path=path)

    def _finish_epoch(self, stop: Callable[[], bool]) -> Path:
        """Evaluates, writes the log, saves; returns the checkpoint."""
        position = self.position
        alone, together = self._evaluate(stop)
        if not math.isfinite(alone.loss):
            raise TrainingDiverged("train.diverged", step=position.step)
        entry = log_entry(position, alone, together, self.optimizers.lr)
        best_before = position.best
        self.progress.epoch(entry)
        self.progress.sample()
        if self._curves is not None:
            self._curves.epoch(entry)
        position.log.append(entry)
        position.begin_next_epoch()
        self._tick()
        # The log comes first: after a kill between the two, a resumed run repeats the epoch and
        # writes the same log again.
        write_json(self.paths.training_log, position.log)
        best = best_before is None or entry["eval_loss"] < best_before["eval_loss"]
        path = self._save(best)
        self.progress.saved(path, best)
        return path

    def _evaluate(self, stop: Callable[[], bool]) -> tuple[Evaluation, Evaluation | None]:
        """The held-out losses of the Transformer alone, and with its memory if it has one."""
        if self._memory is not None:
            self.model.memory = self._memory.fitted(self.model)
        return evaluate_both(
            self.model,
            self.corpus.heldout,
            None if self._memory is None else self.model.memory,
            limit_bytes=self.config.eval_bytes,
            dtype=self.dtype,
            between=lambda: self._leave_if(stop),
        )

    def _deliver(self) -> None:
        """Makes the best epoch's weights the trained model."""
        best = restore_best_epoch(self.model, self.position, self.checkpoints, self.console)
        if self._memory is not None:
            self.model.memory = self._memory.whole(self.model)
        machine = environment(self.device, self.dtype)
        origin = provenance(best, self.config, self.corpus.fingerprint, machine)
        deliver(self.model, origin, self.paths)

    # Saved and resumed

    def tensors(self) -> RunTensors:
        """The tensors of the run as they are now, not copied."""
        return RunTensors(self.model.state_dict(), self.optimizers.state(), self._average.state())

    def _save(self, best: bool = False) -> Path:
        run = RunState(
            model_config=self.model.config,
            training_config=self.config,
            environment=environment(self.device, self.dtype),
            corpus=self.corpus.fingerprint,
            position=self.position,
            tensors=self.tensors(),
        )
        return save_run(self.checkpoints, run, best=best)

    def _restore(self, run: SavedRun) -> None:
        """Gives optimizers, average and plan the state that they had in ``run``."""
        try:
            depth = trained_depth(run.tensors.optimizer)
            self.schedule.restore_depth(depth)
            self.optimizers.load_state(run.tensors.optimizer, depth)
            self._average.load_state(run.tensors.average, self.model.state_dict())
        except ValueError as error:
            raise ModelFileError("model.dimensions", path=run.path) from error
        if self.position.batch > self.batches_per_epoch:
            raise ModelFileError("model.config", path=run.path, reason="position.batch")
        self.schedule.restore_progress(self.position, run.training_config)
