"""What ``train`` and ``evolve`` do once their arguments are in order.

Brings together text, model, trainer and engine. Holds the lock on the output directory.
"""

import contextlib
from pathlib import Path

import torch

from h2q.checkpoint.model_file import load_model
from h2q.checkpoint.saved_run import SavedRun, load_saved_run
from h2q.cli.corpus_report import report_text
from h2q.cli.inputs import (
    is_without_text,
    open_text,
    require_usable,
    say_banner,
    trained_with,
)
from h2q.cli.knowledge import knowledge_path, open_knowledge, report_knowledge
from h2q.cli.report_plot import write_report
from h2q.cli.settings import TrainingCall
from h2q.config import DTYPES, ModelConfig, TrainingConfig
from h2q.datasets.corpus import Corpus
from h2q.datasets.sample_text import create_sample_text
from h2q.evolution.engine import SelfEvolutionEngine
from h2q.system.console import Console
from h2q.system.device import choose_device, choose_dtype
from h2q.system.files import locked_directory, remove_leftovers
from h2q.system.invocation import command_line
from h2q.system.paths import DEFAULT_DATA_DIR, DEFAULT_KNOWLEDGE_DIR, OutputPaths
from h2q.training.tensorboard import TensorBoardCurves
from h2q.training.trainer import LocalModelTrainer


def train_or_evolve(call: TrainingCall, console: Console) -> None:
    """One call of ``local_training_system.py`` that is not a dry run."""
    require_usable(call)
    with locked_directory(call.output.root):
        _remove_leftovers(call.output)
        if call.job.mode == "train":
            _train(call, console)
            _say_next(call, console)
        else:
            _evolve(call, console)


def _remove_leftovers(output: OutputPaths) -> None:
    """Removes what a killed process was writing; the caller holds the lock."""
    for directory in (output.root, output.checkpoints, output.transcoded, output.model.parent):
        remove_leftovers(directory)


def _train(call: TrainingCall, console: Console) -> Corpus:
    """Trains a model, from the newest checkpoint with ``--resume``; returns its text."""
    saved = _saved_run(call, console) if call.resume else None
    model_config, training_config = call.model, call.training
    if saved is not None:
        model_config = call.resumed_model(saved.model_config)
        training_config = call.resumed_training(saved.training_config)
    device, dtype = _computation(call, saved)
    say_banner(device, dtype, training_config.seed, console)
    corpus = _open_corpus(call, model_config, training_config, console)
    curves = None
    if call.tensorboard:
        first_step = saved.position.step if saved is not None else 0
        curves = TensorBoardCurves(call.output.root, first_step)
    with contextlib.closing(curves) if curves is not None else contextlib.nullcontext():
        trainer = LocalModelTrainer(
            corpus,
            call.output.root,
            model_config,
            training_config,
            device=device,
            dtype=dtype,
            console=console,
            resume_from=saved,
            curves=curves,
        )
        trainer.train()
    trainer.progress.announce_end()
    paths = call.output
    console.say(
        "train.files", model=paths.model, checkpoints=paths.checkpoints, log=paths.training_log
    )
    write_report(paths, console)
    return corpus


def _evolve(call: TrainingCall, console: Console) -> None:
    """Lets the trained model evolve; trains one first where there is none."""
    corpus = None
    if not call.output.model.exists():
        # An unusable knowledge base is refused now, not after an hour of training.
        open_knowledge(call, call.output, call.model.context_length)
        console.say("evolve.no_model")
        corpus = _train(call, console)
    champion, provenance = load_model(call.output.model)
    base_config = trained_with(provenance) or call.training
    training_config = call.resumed_training(base_config)
    device, dtype = _computation(call)
    if corpus is None:
        say_banner(device, dtype, training_config.seed, console)
        corpus = _open_corpus(call, champion.config, base_config, console)
    knowledge = open_knowledge(call, call.output, champion.config.context_length)
    report_knowledge(call, knowledge, call.output.knowledge_problems, console)
    SelfEvolutionEngine(
        corpus,
        knowledge,
        call.output.root,
        call.evolution,
        training_config,
        device=device,
        dtype=dtype,
        console=console,
        resume=call.resume,
    ).evolve()
    write_report(call.output, console)


def _saved_run(call: TrainingCall, console: Console) -> SavedRun | None:
    saved = load_saved_run(call.output.root, console)
    if saved is None:
        console.say("resume.none")
    return saved


def _computation(call: TrainingCall, saved: SavedRun | None = None) -> tuple[str, torch.dtype]:
    """Device and precision; a run that goes on keeps its precision unless another is named."""
    device, dtype = choose_device(call.job.device), call.job.dtype
    if saved is not None and dtype == "auto" and saved.environment.get("dtype") in DTYPES:
        dtype = saved.environment["dtype"]
    return device, choose_dtype(dtype, device)


def _open_corpus(
    call: TrainingCall, model: ModelConfig, training: TrainingConfig, console: Console
) -> Corpus:
    """The text to train on, reported to the person; sample text where there is none."""
    path = call.data_dir
    if path is None:
        path = Path(DEFAULT_DATA_DIR)
        if not call.include and is_without_text(path):
            create_sample_text(path)
            console.say("train.sample_text", path=path)
    corpus = open_text(call, path, call.output, model.context_length, training)
    report_text(corpus, path, console)
    return corpus


def _say_next(call: TrainingCall, console: Console) -> None:
    """The next commands, with the places that were named on the command line."""
    model = places = ""
    if call.output.root != Path():
        model = f" --model {command_line([str(call.output.model)])}"
        places = f" --output_dir {command_line([str(call.output.root)])}"
    named = {
        "data_dir": call.data_dir,
        "eval_dir": call.eval_dir,
        "include": ",".join(call.include) or None,
        "encoding": call.encoding,
        "knowledge_dir": call.knowledge_dir,
    }
    for name, value in named.items():
        if value is not None:
            places += f" --{name} {command_line([str(value)])}"
    if call.job.knowledge == "shipped":
        places += " --knowledge shipped"
    console.say("train.next", model=model, places=places)
    if knowledge_path(call) is None:
        console.say("train.next_facts", path=DEFAULT_KNOWLEDGE_DIR)
