"""What a person sees of a training run: its lines, its bar, an estimate of its time, sample text.

Does not change the run. The few lines about files that are moved or restored are printed elsewhere.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from h2q.checkpoint.saved_run import LogEntry, Position
from h2q.config import SamplingConfig
from h2q.evaluation.held_out import perplexity
from h2q.generation.generate import generate
from h2q.model.tokenizer import decode
from h2q.model.transformer import Transformer
from h2q.system.console import Console, duration
from h2q.system.messages.catalogue import message
from h2q.training.schedule import Schedule

_LINES_PER_EPOCH = 10
_LEAST_BATCHES_A_LINE = 10
_ESTIMATE_AFTER_STEPS = 4  # the first of which is slow and not counted
_LONG_SECONDS = 1800  # a run that takes longer is told of quicker ways
_SAMPLE = SamplingConfig(max_length=120)


class ProgressReporter:
    """Reports on a run to ``console``: each method says one thing, at the moment it is called."""

    def __init__(
        self,
        console: Console,
        model: Transformer,
        schedule: Schedule,
        position: Position,
        *,
        resumed: bool,
        fine_tuning: bool,
    ):
        """``position`` is the object that the trainer changes from step to step."""
        self._console = console
        self._model = model
        self._schedule = schedule
        self._position = position
        self._resumed = resumed
        self._fine_tuning = fine_tuning
        self._timed_seconds: list[float] = []  # of the first steps of this session
        batches = schedule.batches_per_epoch
        self._line_every = max(_LEAST_BATCHES_A_LINE, batches // _LINES_PER_EPOCH)

    def announce(self) -> None:
        """Says what is trained, how long, and from where on."""
        position, schedule = self._position, self._schedule
        self._console.say(
            "train.model_by_time" if schedule.by_time else "train.model",
            parameters=self._model.parameter_count() / 1e6,
            batches=schedule.batches_per_epoch,
            steps=schedule.total_steps,
            minutes=schedule.config.max_minutes,
        )
        if schedule.stopped_early(position):
            self._console.say("resume.stopped_early", epochs=schedule.config.patience)
        elif schedule.finished(position):
            self._console.say("resume.finished", epochs=position.epoch)
        elif self._resumed:
            self._console.say("resume.from", epoch=position.epoch + 1, batch=position.batch)

    def announce_epoch(self) -> None:
        """Says which epoch begins."""
        key = "train.epoch_by_time" if self._schedule.by_time else "train.epoch"
        epochs = self._schedule.config.epochs
        self._console.say(key, epoch=self._position.epoch + 1, epochs=epochs)

    def announce_end(self) -> None:
        """Says how long the run took and what it brought. At least one epoch must have ended."""
        position = self._position
        first, last = position.log[0], position.log[-1]
        self._console.say(
            "train.done",
            seconds=position.seconds,
            loss=last["train_loss"],
            perplexity=last["train_perplexity"],
        )
        self._console.say(
            "train.gain",
            start=position.first_loss or first["train_loss"],
            end=last["train_loss"],
            first=first["eval_loss"],
            best=min(entry["eval_loss"] for entry in position.log),
        )

    @contextlib.contextmanager
    def bar(self) -> Iterator[Callable[[], None]]:
        """Yields a function that moves a bar to the position: its step, or its time if that is
        planned."""
        position, schedule = self._position, self._schedule
        minutes = schedule.config.max_minutes
        total = round(60 * minutes) if schedule.by_time else schedule.total_steps

        def done() -> int:
            return min(total, int(position.seconds)) if schedule.by_time else position.step

        with self._console.progress(total, done()) as show:
            yield lambda: show(done(), message("progress.speed", speed=position.bytes_per_second))

    def batch(self, loss: float, lr: float) -> None:
        """A line for the batch that was trained last, if it is one of those that get a line."""
        number = self._position.batch
        if number % self._line_every == 0:
            self._console.say(
                "train.batch", batch=number, loss=loss, perplexity=perplexity(loss), lr=lr
            )

    def estimate(self, seconds: float) -> None:
        """Says once a session how long the run will take. Called after each step with its
        ``seconds``; the estimate comes from the first few."""
        timed, schedule, position = self._timed_seconds, self._schedule, self._position
        if schedule.by_time or len(timed) >= _ESTIMATE_AFTER_STEPS:
            return
        timed.append(seconds)
        if len(timed) < _ESTIMATE_AFTER_STEPS:
            return
        pace = schedule.mean_step_seconds(position.progress, timed[1:])
        remaining = (schedule.total_steps - position.step) * pace
        if remaining >= 60:
            epoch = duration(schedule.batches_per_epoch * pace)
            self._console.say("train.estimate", epoch=epoch, total=duration(remaining))
        if remaining >= _LONG_SECONDS and not self._fine_tuning:  # which takes no preset
            self._console.say("train.quicker")

    def epoch(self, entry: LogEntry) -> None:
        """Lines on an epoch that was trained and evaluated."""
        loss, held_out_perplexity = entry["eval_loss"], entry["eval_perplexity"]
        self._console.say("train.evaluation", loss=loss, perplexity=held_out_perplexity)
        self._console.say("train.epoch_detail", **entry)
        if "memory_eval_loss" in entry:
            self._console.say("train.epoch_memory", **entry)

    def saved(self, path: Path, best: bool = False) -> None:
        """A line on the checkpoint ``path``, which may be the best so far."""
        self._console.say("train.saved_best" if best else "train.saved", path=path)

    def sample(self) -> None:
        """A line of text that the model writes; leaves the model in evaluation mode."""
        self._model.eval()
        text = decode(bytes(generate(self._model, b"\n", _SAMPLE)))
        self._console.say("train.sample", text=" ".join(text.split()))
