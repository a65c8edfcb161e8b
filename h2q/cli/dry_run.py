"""``--dry_run``: what a run would work on, and what it would cost, measured on a few steps.

Transcoded text and sample text are made in a temporary directory; nothing stays.
"""

import tempfile
from pathlib import Path

from h2q.checkpoint.directory import KEEP
from h2q.checkpoint.model_file import load_model
from h2q.cli.corpus_report import report_text
from h2q.cli.inputs import (
    is_without_text,
    open_text,
    require_usable,
    say_banner,
    trained_with,
)
from h2q.cli.knowledge import open_knowledge, report_knowledge
from h2q.cli.settings import TrainingCall
from h2q.config import ModelConfig, TrainingConfig
from h2q.datasets.corpus import Corpus
from h2q.datasets.sample_text import create_sample_text
from h2q.system.console import Console, duration
from h2q.system.device import choose_device, choose_dtype, peak_memory_bytes
from h2q.system.paths import DEFAULT_DATA_DIR, OutputPaths
from h2q.training.cost import checkpoint_bytes, time_steps
from h2q.training.trainer import LocalModelTrainer

_TIMED_STEPS = 3
_MEMORY_SHARE = 6  # bytes in the model file for each byte of a text of 1 MB; fewer for a larger one


def dry_run(call: TrainingCall, console: Console) -> None:
    """Reports the text of a training run, and the time and the space that the run would take.

    With ``evolve`` it also reports the knowledge base. Where there is a model, no base model would
    be trained, and so there is no time to report.
    """
    require_usable(call)
    evolves = call.job.mode == "evolve"
    trains = not (evolves and call.output.model.exists())
    model_config, training_config = call.model, call.training
    if not trains:
        champion, provenance = load_model(call.output.model)
        model_config = champion.config
        training_config = trained_with(provenance) or training_config
    device = choose_device(call.job.device)
    dtype = choose_dtype(call.job.dtype, device)
    say_banner(device, dtype, call.training.seed, console)
    with tempfile.TemporaryDirectory() as scratch:
        temporary = OutputPaths(Path(scratch))
        corpus = _open_corpus(call, temporary, model_config, training_config, console)
        if evolves:
            knowledge = open_knowledge(call, temporary, model_config.context_length)
            report_knowledge(call, knowledge, None, console)
        if trains:
            trainer = LocalModelTrainer(
                corpus,
                call.output.root,
                model_config,
                call.training,
                device=device,
                dtype=dtype,
                console=console,
            )
            _say_cost(trainer, console)
    console.say("dry.done")


def _open_corpus(
    call: TrainingCall,
    temporary: OutputPaths,
    model: ModelConfig,
    training: TrainingConfig,
    console: Console,
) -> Corpus:
    """The text to train on, with each of its files; sample text where there is none."""
    path = place = call.data_dir or Path(DEFAULT_DATA_DIR)
    if call.data_dir is None and not call.include and is_without_text(path):
        place = temporary.root / DEFAULT_DATA_DIR
        create_sample_text(place)
        console.say("dry.sample_text", path=path)
    corpus = open_text(call, place, temporary, model.context_length, training)
    report_text(corpus, path, console, every_file=True)
    return corpus


def _say_cost(trainer: LocalModelTrainer, console: Console) -> None:
    """The time of a step, of an epoch and of the run; memory and disk space."""
    trainer.progress.announce()
    with console.passing("dry.timing"):
        step = time_steps(trainer, _TIMED_STEPS)
    minutes = trainer.config.max_minutes
    seconds = 60 * minutes or step * trainer.total_steps
    values = {
        "step": step,
        "speed": trainer.config.batch_size * trainer.model.config.context_length / step,
        "epoch": duration(step * trainer.batches_per_epoch),
        "total": duration(seconds),
    }
    if minutes:
        console.say("dry.time_planned", steps=int(seconds / step), **values)
    else:
        console.say("dry.time", **values)
    checkpoint = checkpoint_bytes(trainer)
    memory = min(trainer.config.memory_bytes, _MEMORY_SHARE * len(trainer.corpus.train))
    disk = (KEEP + 1) * checkpoint + 4 * trainer.model.parameter_count() + memory
    key = "dry.memory" if (peak := peak_memory_bytes()) else "dry.disk"
    console.say(key, peak=peak / 1e9, checkpoint=checkpoint / 1e6, disk=disk / 1e6)
