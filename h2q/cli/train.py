"""What ``train`` and ``evolve`` do once their arguments are in order.

Brings together text, model, trainer and engine; ``cli`` checks the arguments and holds the lock
on the output directory.
"""

import argparse
import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

import h2q
from h2q.checkpoint.directory import KEEP
from h2q.checkpoint.model_file import load_model
from h2q.checkpoint.saved_run import SavedRun, load_saved_run
from h2q.cli.corpus_report import report_text
from h2q.cli.report_plot import write_report
from h2q.config import DTYPES, EvolutionConfig, Preset, TrainingConfig, from_dict
from h2q.datasets.corpus import Corpus, open_corpus
from h2q.datasets.knowledge_base import KnowledgeBase, knowledge_files, load_knowledge_base
from h2q.datasets.sample_text import create_sample_text
from h2q.datasets.text_files import find_text_files
from h2q.evolution.engine import SelfEvolutionEngine
from h2q.system.console import Console, duration
from h2q.system.device import choose_device, choose_dtype, environment, peak_memory_bytes
from h2q.system.errors import CorpusError, SettingError
from h2q.system.files import remove_leftovers, write_bytes
from h2q.system.invocation import command_line
from h2q.system.paths import (
    CHECKPOINT_DIR,
    DEFAULT_DATA_DIR,
    DEFAULT_KNOWLEDGE_DIR,
    MODEL_PATH,
    TRAINING_LOG,
    shipped_data,
)
from h2q.training.cost import checkpoint_bytes, time_steps
from h2q.training.tensorboard import TensorBoardCurves, require_tensorboard
from h2q.training.trainer import LocalModelTrainer

_TRANSCODED = Path(CHECKPOINT_DIR) / "transcoded"
_KNOWLEDGE_INDEX = Path(CHECKPOINT_DIR) / "evolution" / "index.sqlite"
_KNOWLEDGE_PROBLEMS = Path(CHECKPOINT_DIR) / "evolution" / "knowledge_problems.txt"
_PROBLEMS_SHOWN = 10
_TIMED_STEPS = 3


class TrainingCommands:
    """One call of ``local_training_system.py``."""

    def __init__(
        self, arguments: argparse.Namespace, preset: Preset, given: dict, console: Console
    ):
        """``given`` holds the training settings named on the command line; they win over the
        preset. Raises ``CorpusError`` when a path named there holds no text file."""
        self.arguments = arguments
        self.output_dir = arguments.output_dir
        self.preset = replace(preset, model=replace(preset.model, **arguments.settings.model))
        self.given = given
        self.console = console
        self.device = choose_device(arguments.device)
        if arguments.tensorboard:
            require_tensorboard()
        for path in (arguments.data_dir, arguments.eval_dir):
            if path is not None and not find_text_files(path):
                raise CorpusError("corpus.empty", path=path)

    def train(self) -> Corpus:
        """Trains a model, from the newest checkpoint with ``--resume``; returns its text."""
        saved = self._saved_run() if self.arguments.resume else None
        model_config, training_config = self.preset.model, self.preset.training
        if saved is not None:
            training_config = saved.training_config
            if self.arguments.preset is None:
                model_config = replace(saved.model_config, **self.arguments.settings.model)
        training_config = replace(training_config, **self.given)
        dtype = self._dtype(saved)
        self._say_banner(dtype, training_config.seed)
        corpus = self._open_corpus(model_config.context_length)
        curves = None
        if self.arguments.tensorboard:
            first_step = saved.position.step if saved is not None else 0
            curves = TensorBoardCurves(self.output_dir, first_step)
        trainer = LocalModelTrainer(
            corpus,
            self.output_dir,
            model_config,
            training_config,
            device=self.device,
            dtype=dtype,
            console=self.console,
            resume_from=saved,
            curves=curves,
        )
        with contextlib.closing(curves) if curves is not None else contextlib.nullcontext():
            trainer.train()
        trainer.progress.announce_end()
        self.console.say(
            "train.files",
            model=self.output_dir / MODEL_PATH,
            checkpoints=self.output_dir / CHECKPOINT_DIR,
            log=self.output_dir / TRAINING_LOG,
        )
        write_report(self.output_dir, self.console)
        if self.arguments.mode == "train":
            self._say_next()
        return corpus

    def remove_leftovers(self) -> None:
        """Removes what a killed process was writing; the caller holds the lock."""
        checkpoints = self.output_dir / CHECKPOINT_DIR
        model_dir = (self.output_dir / MODEL_PATH).parent
        for directory in (self.output_dir, checkpoints, self.output_dir / _TRANSCODED, model_dir):
            remove_leftovers(directory)

    def evolve(self, evolution: EvolutionConfig) -> None:
        """Lets the trained model evolve; trains one first where there is none."""
        knowledge_dir, index = self._knowledge_dir(), self.output_dir / _KNOWLEDGE_INDEX
        model_path = self.output_dir / MODEL_PATH
        corpus = None
        if not model_path.exists():
            # Refused before an hour of training, not after.
            self._open_knowledge(knowledge_dir, index, self.preset.model.context_length)
            self.console.say("evolve.no_model")
            corpus = self.train()
        champion, provenance = load_model(model_path)
        training_config = replace(self._trained_with(provenance), **self.given)
        dtype = self._dtype(None)
        if corpus is None:
            self._say_banner(dtype, training_config.seed)
            corpus = self._open_corpus(champion.config.context_length)
        knowledge = self._open_knowledge(knowledge_dir, index, champion.config.context_length)
        self._report_knowledge(knowledge, knowledge_dir)
        SelfEvolutionEngine(
            corpus,
            knowledge,
            self.output_dir,
            evolution,
            training_config,
            device=self.device,
            dtype=dtype,
            console=self.console,
            resume=self.arguments.resume,
        ).evolve()
        write_report(self.output_dir, self.console)

    def _open_knowledge(
        self, directory: Path, index: Path, context_length: int
    ) -> KnowledgeBase | None:
        """The knowledge base; None where the default place is there and holds nothing."""
        if self.arguments.knowledge_dir is None and not any(knowledge_files(directory).values()):
            return None
        return load_knowledge_base(
            directory,
            index,
            context_length=context_length,
            encoding=self.arguments.encoding,
        )

    def _report_knowledge(self, knowledge: KnowledgeBase | None, directory: Path) -> None:
        if knowledge is None:
            self.console.say("knowledge.none", path=directory)
            return
        self.console.say(
            "knowledge.found",
            path=directory,
            facts=knowledge.fact_count,
            passages=knowledge.passage_count,
            problems=knowledge.problem_count,
        )
        for problem in knowledge.problems(_PROBLEMS_SHOWN):
            self.console.warn("knowledge.problem", **vars(problem))
        if knowledge.problem_count > _PROBLEMS_SHOWN and not self.arguments.dry_run:
            path = self.output_dir / _KNOWLEDGE_PROBLEMS
            lines = [f"{p.path}:{p.line}: {p.reason}\n" for p in knowledge.problems()]
            write_bytes(path, "".join(lines).encode("utf-8", "replace"))
            count = knowledge.problem_count - _PROBLEMS_SHOWN
            self.console.warn("knowledge.more_problems", count=count, path=path)

    def _say_next(self) -> None:
        """The next commands, with the places that were named on the command line."""
        model = places = ""
        if self.output_dir != Path():
            model = f" --model {command_line([str(self.output_dir / MODEL_PATH)])}"
            places = f" --output_dir {command_line([str(self.output_dir)])}"
        for name in ("data_dir", "eval_dir", "encoding"):
            if (value := getattr(self.arguments, name)) is not None:
                places += f" --{name} {command_line([str(value)])}"
        self.console.say("train.next", model=model, places=places)

    def _saved_run(self) -> SavedRun | None:
        saved = load_saved_run(self.output_dir, self.console)
        if saved is None:
            self.console.say("resume.none")
        return saved

    def _dtype(self, saved: SavedRun | None) -> torch.dtype:
        """A resumed run keeps its precision unless another is named."""
        name = self.arguments.dtype
        if saved is not None and name == "auto" and saved.environment.get("dtype") in DTYPES:
            name = saved.environment["dtype"]
        return choose_dtype(name, self.device)

    def _trained_with(self, provenance: dict) -> TrainingConfig:
        """The settings that the model was trained with, or the preset's where they are unknown."""
        try:
            return from_dict(TrainingConfig, provenance["training"])
        except (KeyError, TypeError, SettingError):
            return self.preset.training

    def _knowledge_dir(self) -> Path:
        if self.arguments.knowledge_dir is not None:
            return self.arguments.knowledge_dir
        own = Path(DEFAULT_KNOWLEDGE_DIR)
        return own if own.is_dir() else shipped_data() / "knowledge_base"

    def _open_corpus(self, context_length: int) -> Corpus:
        """The text to train on, reported line by line; sample text where there is none."""
        path = self.arguments.data_dir
        if path is None:
            path = Path(DEFAULT_DATA_DIR)
            if self._is_without_text(path):
                create_sample_text(path)
                self.console.say("train.sample_text", path=path)
        corpus = self._open_text(path, self.output_dir / _TRANSCODED, context_length)
        report_text(corpus, path, self.console)
        return corpus

    def _open_text(self, path: Path, cache_dir: Path, context_length: int) -> Corpus:
        return open_corpus(
            path,
            cache_dir,
            context_length=context_length,
            eval_path=self.arguments.eval_dir,
            encoding=self.arguments.encoding,
        )

    def dry_run(self) -> None:
        """Says what a run would work on, and measures on a few steps what it would cost.

        Transcoded text and sample text are made in a temporary directory; nothing stays. For
        ``evolve`` where there is a model: the model, the text and the knowledge base.
        """
        model_path = self.output_dir / MODEL_PATH
        evolves = self.arguments.mode == "evolve"
        trains = not (evolves and model_path.exists())
        config = self.preset.model if trains else load_model(model_path)[0].config
        training_config = replace(self.preset.training, **self.given)
        dtype = self._dtype(None)
        self._say_banner(dtype, training_config.seed)
        with tempfile.TemporaryDirectory() as scratch:
            path = self.arguments.data_dir or Path(DEFAULT_DATA_DIR)
            place = path
            if self.arguments.data_dir is None and self._is_without_text(path):
                place = Path(scratch) / "sample_text"
                create_sample_text(place)
                self.console.say("dry.sample_text", path=path)
            corpus = self._open_text(place, Path(scratch) / "transcoded", config.context_length)
            report_text(corpus, path, self.console, every_file=True)
            if evolves:
                directory = self._knowledge_dir()
                index = Path(scratch) / _KNOWLEDGE_INDEX.name
                knowledge = self._open_knowledge(directory, index, config.context_length)
                self._report_knowledge(knowledge, directory)
            if trains:
                options = {"device": self.device, "dtype": dtype, "console": self.console}
                trainer = LocalModelTrainer(
                    corpus, self.output_dir, config, training_config, **options
                )
                self._say_cost(trainer)
        self.console.say("dry.done")

    def _say_cost(self, trainer: LocalModelTrainer) -> None:
        trainer.progress.announce()
        with self.console.passing("dry.timing"):
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
            self.console.say("dry.time_planned", steps=int(seconds / step), **values)
        else:
            self.console.say("dry.time", **values)
        checkpoint = checkpoint_bytes(trainer)
        disk = (KEEP + 1) * checkpoint + 4 * trainer.model.parameter_count()
        key = "dry.memory" if (peak := peak_memory_bytes()) else "dry.disk"
        self.console.say(key, peak=peak / 1e9, checkpoint=checkpoint / 1e6, disk=disk / 1e6)

    @staticmethod
    def _is_without_text(path: Path) -> bool:
        return not path.exists() or not find_text_files(path)

    def _say_banner(self, dtype: torch.dtype, seed: int) -> None:
        machine = environment(torch.device(self.device), dtype)
        self.console.say("train.banner", version=h2q.__version__, seed=seed, **machine)
