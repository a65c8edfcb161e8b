"""``LocalModelTrainer``: trains a model on a corpus, step by step, so that nothing is lost.

The state of a run is its weights, its optimizer and its position; everything random is a function
of the seed and the step, so there is no random state to lose. A run that was killed and resumed
ends bit for bit like one that was not (on the same machine, PyTorch and number of threads).
"""

import contextlib
import itertools
import math
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from h2q.checkpoint.directory import CheckpointDirectory
from h2q.checkpoint.model_file import build_model, load_model, save_model
from h2q.checkpoint.saved_run import KIND, WEIGHTS, Position, SavedRun, with_prefix
from h2q.config import ModelConfig, SamplingConfig, TrainingConfig
from h2q.datasets.batches import batches_per_epoch, epoch_batches
from h2q.datasets.corpus import Corpus
from h2q.evaluation.held_out import evaluate, perplexity
from h2q.generation.generate import generate
from h2q.model.ngram import draft_table, sample_text
from h2q.model.tokenizer import decode
from h2q.model.transformer import Transformer
from h2q.system.console import Console, duration
from h2q.system.device import environment, keep_freed_memory
from h2q.system.errors import Interrupted, ModelFileError, SettingError, TrainingDiverged
from h2q.system.files import link_or_copy, require_writable, write_json
from h2q.system.interrupts import stop_requests
from h2q.system.messages.catalogue import message
from h2q.system.paths import CHECKPOINT_DIR, MODEL_PATH, TRAINING_LOG
from h2q.training.train_step import Learner

_LINES_PER_EPOCH = 10
_LEAST_BATCHES_A_LINE = 10
_POINTS_PER_EPOCH = 20  # of the curve in the log
_ESTIMATE_AFTER_STEPS = 4  # the first of which is slow and not counted
_LONG_SECONDS = 1800  # from which on quicker ways are offered
_PACE_STEPS = 25  # whose median is the pace; the first few are slow
_FEWEST_PACE_STEPS = 4
_SAMPLE = SamplingConfig(max_length=120)
# What may differ between a run and its resumption: how long it lasts, and how often it saves.
_FREE_ON_RESUME = {"epochs", "max_minutes", "patience", "save_interval_seconds"}


@dataclass(frozen=True)
class FineTuning:
    """How a run goes on from a trained model.

    ``initial`` gives the first weights. ``teacher`` predicts the training text from position
    ``replay_from`` on, and its predictions are learnt beside the bytes. After the share
    ``average_from`` of the run the weights are also averaged.
    """

    initial: Transformer
    teacher: Transformer | None = None
    replay_from: int = 0
    average_from: float = 1.0


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
        curves=None,
    ):
        """Prepares a run in ``output_dir``; nothing is written yet.

        ``fine_tuning`` starts from a trained model instead of random weights. ``dtype`` is that of
        the computation; weights and optimizer stay float32. ``curves`` (``TensorBoardCurves``) is
        told of every step and epoch. Raises ``SettingError`` when the settings or the text are not
        those of ``resume_from``.
        """
        self.corpus = corpus
        self.output_dir = Path(output_dir)
        self.config = training_config
        self.device = torch.device(device)
        self.dtype = dtype
        self.console = console or Console(silent=True)
        self.checkpoints = CheckpointDirectory(self.output_dir / CHECKPOINT_DIR)
        self.batches_per_epoch = batches_per_epoch(
            corpus.train, model_config.context_length, training_config.batch_size
        )
        self._curves = curves
        self._fine_tuning = fine_tuning
        self._timed_seconds = []  # of the first steps of this session
        self._resumed = resume_from is not None
        if resume_from is not None:
            self._require_same_run(resume_from, model_config)
            self.position = resume_from.position
            self.model = build_model(model_config, resume_from.weights, resume_from.path)
        else:
            self.position = Position()
            depth = training_config.first_depth(model_config.n_layers)
            self.model = Transformer(model_config).initialize(training_config.seed, depth)
            if fine_tuning is not None:
                self.model.load_state_dict(fine_tuning.initial.state_dict())
        self.model.to(self.device)
        teacher = fine_tuning.teacher if fine_tuning is not None else None
        self.learner = Learner(self.model, training_config, dtype, teacher)
        if resume_from is not None:
            self._restore(resume_from)
        self._set_rate()
        self._clock = time.monotonic()
        keep_freed_memory()

    @property
    def total_steps(self) -> int:
        """Of a run that is planned in epochs."""
        return self.config.epochs * self.batches_per_epoch

    @property
    def finished(self) -> bool:
        if self.stopped_early:
            return True
        if self.config.max_minutes:
            return self._time_is_up and self.position.batch == 0  # evaluated as well
        return self.position.epoch >= self.config.epochs

    @property
    def _time_is_up(self) -> bool:
        return bool(self.config.max_minutes) and self.position.progress >= 1.0

    @property
    def stopped_early(self) -> bool:
        """Whether the last ``patience`` epochs brought no lower held-out loss."""
        best = self.position.best
        if not self.config.patience or best is None:
            return False
        return self.position.epoch - best["epoch"] >= self.config.patience

    def train(self) -> Transformer:
        """Trains to the last epoch, saves the model and returns it, in evaluation mode.

        The model is the one of the epoch with the lowest held-out loss. Raises ``Interrupted``
        when asked to stop by a signal (everything is saved then), ``TrainingDiverged`` before a
        loss or gradient that is not finite could reach the weights, ``SaveFailed``.
        """
        self.announce()
        for path in (TRAINING_LOG, Path(CHECKPOINT_DIR) / "step", MODEL_PATH):
            require_writable((self.output_dir / path).parent)
        if not self._resumed and self.checkpoints.steps():
            previous = self.checkpoints.set_aside(self.output_dir / TRAINING_LOG)
            self.console.say("train.set_aside", path=previous)
        self._clock = time.monotonic()
        with stop_requests() as stop, self._progress_bar() as advance:
            while not self.finished:
                self._train_epoch(stop, advance)
                path = self._finish_epoch(stop)
                if stop() and not self.finished:
                    raise Interrupted("train.interrupted", step=self.position.step, path=path)
        if self.stopped_early:
            self.console.say("train.stopped_early", epochs=self.config.patience)
        self._deliver(self.output_dir / MODEL_PATH)
        return self.model.eval()

    def time_steps(self, count: int) -> float:
        """Seconds that a step of the run takes, from the median of ``count``, after a first one.

        For a run that is not made: it changes the weights, and writes nothing.
        """
        batches = epoch_batches(
            self.corpus.train,
            self.model.config.context_length,
            self.config.batch_size,
            self.config.seed,
            0,
        )
        cost = self._mean_depth() / len(self.model.layers)
        self.position.progress = 1.0  # at once with all layers, which is what needs the most memory
        seconds = []
        for batch in itertools.islice(itertools.cycle(batches), count + 1):
            started = time.monotonic()
            self.train_step(*batch)
            seconds.append(time.monotonic() - started)
        return statistics.median(seconds[1:]) * cost

    def _mean_depth(self) -> float:
        """Layers trained in the mean step of those still to be made: its cost goes by them."""
        progress, growth = self.position.progress, self.config.growth
        now, last = self.learner.depth(progress), len(self.model.layers)
        if progress >= growth:
            return last
        growing = (growth - progress) / (1.0 - progress)  # share of what is left
        if self.config.max_minutes:  # of the time, not of the steps
            return 1.0 / (growing / now + (1.0 - growing) / last)
        return growing * now + (1.0 - growing) * last

    def _train_epoch(self, stop, advance) -> None:
        """Trains to the end of the epoch, or of the planned time."""
        position = self.position
        key = "train.epoch_by_time" if self.config.max_minutes else "train.epoch"
        self.console.say(key, epoch=position.epoch + 1, epochs=self.config.epochs)
        line_every = max(_LEAST_BATCHES_A_LINE, self.batches_per_epoch // _LINES_PER_EPOCH)
        point_every = max(_LEAST_BATCHES_A_LINE, self.batches_per_epoch // _POINTS_PER_EPOCH)
        saved = position.seconds
        batches = epoch_batches(
            self.corpus.train,
            self.model.config.context_length,
            self.config.batch_size,
            self.config.seed,
            position.epoch,
            position.batch,
        )
        for batch in batches:
            if self._time_is_up:
                break
            loss = self.train_step(*batch)
            if position.first_loss is None:
                position.first_loss = loss
            if position.batch % line_every == 0:
                self.console.say(
                    "train.batch",
                    batch=position.batch,
                    loss=loss,
                    perplexity=perplexity(loss),
                    lr=self.learner.optimizers.lr,
                )
            position.batch += 1
            seconds = self._tick()
            position.epoch_seconds += seconds
            if self.config.max_minutes:
                self._plan_by_time(seconds)
            if position.batch % point_every == 0:
                self._add_point(loss)
            if self._curves is not None:
                self._curves.step(position.step, loss, self.learner.optimizers.lr)
            advance(position)
            self._estimate(seconds)
            self._leave_if(stop)
            if self._time_is_up:
                break
            if position.seconds - saved >= self.config.save_interval_seconds:
                self._say_saved(self._save())
                self._show_sample()
                self._tick()
                saved = position.seconds

    def _leave_if(self, stop) -> None:
        """Saves and raises ``Interrupted`` when asked to stop: after a step, or in an evaluation,
        which a resumed run then begins anew."""
        if stop():
            path = self._save()
            raise Interrupted("train.interrupted", step=self.position.step, path=path)

    def _tick(self) -> float:
        """Adds the time since the last call to that of the run; returns it, in seconds."""
        now = time.monotonic()
        seconds = now - self._clock
        self._clock = now
        self.position.seconds += seconds
        return seconds

    def _plan_by_time(self, seconds: float) -> None:
        """Moves on by the share that one step has of all that are left in the planned time.

        So a machine that slows down or speeds up ends in time all the same, with the whole of
        the schedule behind it.
        """
        position = self.position
        recent = [*position.step_seconds, seconds][-_PACE_STEPS:]
        position.step_seconds = recent
        pace = statistics.median(recent)
        # Kept free for the last evaluation, which reads a byte in a third of the time of training.
        heldout = min(self.config.eval_bytes, len(self.corpus.heldout))
        batch_bytes = self.config.batch_size * self.model.config.context_length
        left = 60 * self.config.max_minutes - position.seconds - pace * heldout / batch_bytes / 3
        if left < pace:
            position.progress = 1.0
        elif len(recent) >= _FEWEST_PACE_STEPS:
            position.progress += (1.0 - position.progress) * pace / left
        epochs = position.epoch + (position.batch + left / pace) / self.batches_per_epoch
        if len(recent) == _PACE_STEPS and epochs > self.config.growth_epochs:
            self.learner.train_all_layers()
        self._set_rate()

    def _set_rate(self) -> None:
        self.learner.set_rate(self.position.step, self.position.progress)

    def train_step(self, inputs: Tensor, targets: Tensor, starts: Tensor | None = None) -> float:
        """Trains on a batch (B, T), whose rows begin at ``starts`` (B,) of the training text, and
        moves on; returns its loss in nats per byte."""
        position = self.position
        self.model.train(position.epoch >= self.config.dropout_after_epochs)  # only for dropout
        tuning, replayed = self._fine_tuning, None
        if tuning is not None and tuning.teacher is not None and starts is not None:
            places = starts[:, None] + torch.arange(1, 1 + targets.shape[1])
            replayed = places % len(self.corpus.train) >= tuning.replay_from
        loss_sum, count = self.learner.learn(
            inputs, targets, position.step, position.progress, replayed
        )
        position.step += 1
        if not self.config.max_minutes:
            position.progress = min(1.0, position.step / self.total_steps)
            self._set_rate()
        position.loss_sum += loss_sum
        position.loss_bytes += count
        if tuning is not None and position.progress > tuning.average_from:
            self.learner.average()
        return loss_sum / count

    def _finish_epoch(self, stop) -> Path:
        """Evaluates, writes the log, saves; returns the checkpoint."""
        position = self.position
        result = evaluate(
            self.model,
            self.corpus.heldout,
            limit_bytes=self.config.eval_bytes,
            dtype=self.dtype,
            between=lambda: self._leave_if(stop),
        )
        if not math.isfinite(result.loss):
            raise TrainingDiverged("train.diverged", step=position.step)
        train_loss = position.loss_sum / position.loss_bytes
        best_before = position.best
        entry = {
            "epoch": position.epoch + 1,
            "step": position.step,
            "train_loss": train_loss,
            "train_perplexity": perplexity(train_loss),
            "eval_loss": result.loss,
            "eval_perplexity": result.perplexity,
            "eval_bits_per_byte": result.bits_per_byte,
            "eval_bytes": result.predicted_bytes,
            "learning_rate": self.learner.optimizers.lr,
            "tokens_per_second": self._speed(),
            "seconds": position.seconds,
            "curve": position.curve,
        }
        self.console.say("train.evaluation", loss=result.loss, perplexity=result.perplexity)
        self.console.say("train.epoch_detail", **entry)
        self._show_sample()
        if self._curves is not None:
            self._curves.epoch(entry)
        position.log.append(entry)
        position.epoch += 1
        position.batch = 0
        position.loss_sum, position.loss_bytes, position.epoch_seconds = 0.0, 0, 0.0
        position.curve = []
        self._tick()
        # The log first: a kill between the two repeats the epoch and writes the same log again.
        write_json(self.output_dir / TRAINING_LOG, position.log)
        best = best_before is None or entry["eval_loss"] < best_before["eval_loss"]
        path = self._save(best)
        self._say_saved(path, best)
        return path

    def _deliver(self, path: Path) -> None:
        """Saves the best epoch's weights as the trained model; an older model stays beside it."""
        best, last = self.position.best, self.position.log[-1]
        if best is not last:
            try:
                found = self.checkpoints.load_best()
                self.model.load_state_dict(with_prefix(found.tensors, WEIGHTS))
                self.console.say("train.best", epoch=best["epoch"])
            except ModelFileError:
                self.console.warn("resume.damaged", path=self.checkpoints.directory)
                best = last
        provenance = {
            "training": asdict(self.config),
            "corpus": self.corpus.fingerprint,
            "epoch": best["epoch"],
            "step": best["step"],
            "eval_loss": best["eval_loss"],
            "environment": environment(self.device, self.dtype),
        }
        text = sample_text(len(self.corpus.train), self.corpus.train.read)
        self.model.drafts = torch.from_numpy(draft_table(text))  # also of a model that is returned
        if path.exists():
            with contextlib.suppress(ModelFileError):
                _, found = load_model(path)
                if {**found, **provenance} == found:  # of this run, perhaps evolved since
                    return
            link_or_copy(path, path.with_suffix(".previous.pt"))
        save_model(path, self.model, provenance)

    def checkpoint_bytes(self) -> int:
        """What a checkpoint takes on disk, nearly; the optimizer's share is there after a step."""
        return sum(tensor.nbytes for tensor in self._tensors().values())

    def _tensors(self) -> dict[str, Tensor]:
        weights = {WEIGHTS + name: tensor for name, tensor in self.model.state_dict().items()}
        return weights | self.learner.state()

    def _save(self, best: bool = False) -> Path:
        metadata = {
            "kind": KIND,
            "model": vars(self.model.config),
            "training": asdict(self.config),
            "corpus": self.corpus.fingerprint,
            "environment": environment(self.device, self.dtype),
            "position": asdict(self.position),
        }
        return self.checkpoints.save(self.position.step, self._tensors(), metadata, best=best)

    def _restore(self, run: SavedRun) -> None:
        try:
            self.learner.load_state(run.tensors)
        except ValueError as error:
            raise ModelFileError("model.dimensions", path=run.path) from error
        if self.position.batch > self.batches_per_epoch:
            raise ModelFileError("model.config", path=run.path, reason="position.batch")
        position, limit = self.position, self.config.max_minutes
        if not limit:
            position.progress = min(1.0, position.step / self.total_steps)
        elif limit != run.training_config.max_minutes:
            position.progress = min(1.0, position.seconds / (60 * limit))

    def _require_same_run(self, run: SavedRun, wanted: ModelConfig) -> None:
        pairs = [
            (name, value, getattr(config, name))
            for config, saved in ((wanted, run.model_config), (self.config, run.training_config))
            for name, value in asdict(saved).items()
        ]
        for name, saved, value in pairs:
            if saved != value and name not in _FREE_ON_RESUME:
                raise SettingError("resume.differs", name=name, saved=saved, value=value)
        if run.corpus != self.corpus.fingerprint:
            raise SettingError("resume.text_changed")
        for name, value in environment(self.device, self.dtype).items():
            if run.environment.get(name) != value:
                self.console.warn(
                    "resume.not_exact", name=name, saved=run.environment.get(name), value=value
                )

    def announce_end(self) -> None:
        """Says how long the run took and what it brought."""
        first, last = self.position.log[0], self.position.log[-1]
        self.console.say(
            "train.done",
            seconds=self.position.seconds,
            loss=last["train_loss"],
            perplexity=last["train_perplexity"],
        )
        self.console.say(
            "train.gain",
            start=self.position.first_loss or first["train_loss"],
            end=last["train_loss"],
            first=first["eval_loss"],
            best=self.position.best["eval_loss"],
        )

    def announce(self) -> None:
        """Says what is trained, how long, and from where on."""
        position, limit = self.position, self.config.max_minutes
        self.console.say(
            "train.model_by_time" if limit else "train.model",
            parameters=self.model.parameter_count() / 1e6,
            batches=self.batches_per_epoch,
            steps=self.total_steps,
            minutes=limit,
        )
        if self.stopped_early:
            self.console.say("resume.stopped_early", epochs=self.config.patience)
        elif self.finished:
            self.console.say("resume.finished", epochs=position.epoch)
        elif self._resumed:
            self.console.say("resume.from", epoch=position.epoch + 1, batch=position.batch)

    @contextlib.contextmanager
    def _progress_bar(self):
        """Yields a function that shows a position: its step, or its time where that is planned."""
        by_time = bool(self.config.max_minutes)
        total = round(60 * self.config.max_minutes) if by_time else self.total_steps

        def done(position: Position) -> int:
            return min(total, int(position.seconds)) if by_time else position.step

        with self.console.progress(total, done(self.position)) as show:

            def advance(position: Position) -> None:
                show(done(position), message("progress.speed", speed=self._speed()))

            yield advance

    def _speed(self) -> float:
        """Bytes trained on a second, in this epoch."""
        return self.position.loss_bytes / max(self.position.epoch_seconds, 1e-9)

    def _add_point(self, loss: float) -> None:
        """Remembers for the log how far the run is; ``seconds`` depend on the machine."""
        point = {
            "step": self.position.step,
            "loss": loss,
            "learning_rate": self.learner.optimizers.lr,
        }
        point["seconds"], point["tokens_per_second"] = self.position.seconds, self._speed()
        self.position.curve.append(point)

    def _estimate(self, seconds: float) -> None:
        """Says once a session how long it will take, from the first steps timed."""
        timed = self._timed_seconds
        if self.config.max_minutes or len(timed) >= _ESTIMATE_AFTER_STEPS:
            return
        timed.append(seconds)
        if len(timed) < _ESTIMATE_AFTER_STEPS:
            return
        depth = self.learner.depth(self.position.progress)
        pace = statistics.median(timed[1:]) * self._mean_depth() / depth
        remaining = (self.total_steps - self.position.step) * pace
        if remaining >= 60:
            epoch = duration(self.batches_per_epoch * pace)
            self.console.say("train.estimate", epoch=epoch, total=duration(remaining))
        if remaining >= _LONG_SECONDS and self._fine_tuning is None:  # else they do not apply
            self.console.say("train.quicker")

    def _say_saved(self, path: Path, best: bool = False) -> None:
        self.console.say("train.saved_best" if best else "train.saved", path=path)

    def _show_sample(self) -> None:
        self.model.eval()
        text = decode(bytes(generate(self.model, b"\n", _SAMPLE)))
        self.console.say("train.sample", text=" ".join(text.split()))
