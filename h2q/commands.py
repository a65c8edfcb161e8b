"""What ``train`` and ``evolve`` do once their arguments are in order.

Brings together text, model, trainer and engine; ``cli`` checks the arguments and holds the lock
on the output directory.
"""

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

import torch

import h2q
from h2q.config import (
    CHECKPOINT_DIR,
    DEFAULT_DATA_DIR,
    DEFAULT_KNOWLEDGE_DIR,
    DTYPES,
    MODEL_PATH,
    TRAINING_LOG,
    EvolutionConfig,
    Preset,
    TrainingConfig,
    from_dict,
)
from h2q.console import Console
from h2q.corpus import Corpus, open_corpus
from h2q.errors import CorpusError, SettingError
from h2q.evolution import SelfEvolutionEngine
from h2q.files import write_bytes
from h2q.hardware import choose_device, choose_dtype, environment
from h2q.knowledge import (
    KnowledgeBase,
    create_sample_text,
    knowledge_files,
    load_knowledge_base,
    shipped_data,
)
from h2q.messages import message
from h2q.model_file import load_model
from h2q.saved_run import SavedRun, load_saved_run
from h2q.text_files import find_text_files
from h2q.trainer import LocalModelTrainer

_TRANSCODED = Path(CHECKPOINT_DIR) / "transcoded"
_KNOWLEDGE_INDEX = Path(CHECKPOINT_DIR) / "evolution" / "index.sqlite"
_KNOWLEDGE_PROBLEMS = Path(CHECKPOINT_DIR) / "evolution" / "knowledge_problems.txt"
_PROBLEMS_SHOWN = 10


class TrainingCommands:
    """One call of ``local_training_system.py``."""

    def __init__(
        self, arguments: argparse.Namespace, preset: Preset, given: dict, console: Console
    ):
        """``given`` holds the training settings named on the command line; they win over the
        preset. Raises ``CorpusError`` when a path named there holds no text file."""
        self.arguments = arguments
        self.output_dir = arguments.output_dir
        self.preset = preset
        self.given = given
        self.console = console
        self.device = choose_device(arguments.device)
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
                model_config = saved.model_config
        training_config = replace(training_config, **self.given)
        dtype = self._dtype(saved)
        self._say_banner(dtype, training_config.seed)
        corpus = self._open_corpus(model_config.context_length)
        trainer = LocalModelTrainer(
            corpus,
            self.output_dir,
            model_config,
            training_config,
            device=self.device,
            dtype=dtype,
            console=self.console,
            resume_from=saved,
        )
        trainer.train()
        self.console.say(
            "train.files",
            model=self.output_dir / MODEL_PATH,
            checkpoints=self.output_dir / CHECKPOINT_DIR,
            log=self.output_dir / TRAINING_LOG,
        )
        if self.arguments.mode == "train":
            self._say_next()
        return corpus

    def evolve(self, evolution: EvolutionConfig) -> None:
        """Lets the trained model evolve; trains one first where there is none."""
        knowledge_dir = self._knowledge_dir()
        model_path = self.output_dir / MODEL_PATH
        corpus = None
        if not model_path.exists():
            self._open_knowledge(knowledge_dir)  # refused before an hour of training, not after
            self.console.say("evolve.no_model")
            corpus = self.train()
        champion, provenance = load_model(model_path)
        training_config = replace(self._trained_with(provenance), **self.given)
        dtype = self._dtype(None)
        if corpus is None:
            self._say_banner(dtype, training_config.seed)
            corpus = self._open_corpus(champion.config.context_length)
        knowledge = self._open_knowledge(knowledge_dir, champion.config.context_length)
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

    def _open_knowledge(
        self, directory: Path, context_length: int | None = None
    ) -> KnowledgeBase | None:
        """The knowledge base; None where the default place is there and holds nothing."""
        if self.arguments.knowledge_dir is None and not any(knowledge_files(directory).values()):
            return None
        return load_knowledge_base(
            directory,
            self.output_dir / _KNOWLEDGE_INDEX,
            context_length=context_length or self.preset.model.context_length,
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
        if knowledge.problem_count > _PROBLEMS_SHOWN:
            path = self.output_dir / _KNOWLEDGE_PROBLEMS
            lines = [f"{p.path}:{p.line}: {p.reason}\n" for p in knowledge.problems()]
            write_bytes(path, "".join(lines).encode("utf-8", "replace"))
            count = knowledge.problem_count - _PROBLEMS_SHOWN
            self.console.warn("knowledge.more_problems", count=count, path=path)

    def _say_next(self) -> None:
        """The next commands, with the places that were named on the command line."""
        model, places = "", ""
        if self.output_dir != Path():
            model = f" --model {shlex.quote(str(self.output_dir / MODEL_PATH))}"
            places = f" --output_dir {shlex.quote(str(self.output_dir))}"
        for name in ("data_dir", "eval_dir", "encoding"):
            if (value := getattr(self.arguments, name)) is not None:
                places += f" --{name} {shlex.quote(str(value))}"
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
            if not path.exists() or not find_text_files(path):
                create_sample_text(path)
                self.console.say("train.sample_text", path=path)
        corpus = open_corpus(
            path,
            self.output_dir / _TRANSCODED,
            context_length=context_length,
            eval_path=self.arguments.eval_dir,
            encoding=self.arguments.encoding,
        )
        for skipped, reason in corpus.scan.skipped:
            self.console.warn("train.skipped", path=skipped, reason=message(reason))
        encodings = " · ".join(
            f"{name.upper()} {count}" for name, count in corpus.scan.encodings.most_common()
        )
        self.console.say(
            "train.corpus",
            path=path,
            encodings=encodings,
            skipped=len(corpus.scan.skipped),
            train=len(corpus.train) - len(corpus.scan.files),
            heldout=len(corpus.heldout),
        )
        return corpus

    def _say_banner(self, dtype: torch.dtype, seed: int) -> None:
        machine = environment(torch.device(self.device), dtype)
        self.console.say("train.banner", version=h2q.__version__, seed=seed, **machine)
