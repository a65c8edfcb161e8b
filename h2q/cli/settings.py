"""A call of each program as a checked record, made from its arguments and its settings file.

This is the one place that knows which flags fit together. The range and the choices of a single
setting are checked by ``config``. Loads no library, so wrong use is reported at once.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from h2q import config
from h2q.cli.settings_file import Settings
from h2q.config import (
    EvolutionConfig,
    InferenceJob,
    ModelConfig,
    SamplingConfig,
    TrainingConfig,
    TrainingJob,
    Values,
)
from h2q.system.errors import CorpusError, ModelFileError, SettingError
from h2q.system.paths import MODEL_PATH, OutputPaths

_TRAINING_FLAGS = ("epochs", "max_minutes", "patience", "lr", "batch_size", "seed")
_EVOLUTION_FLAGS = ("max_minutes", "lr")  # with ``evolve`` they set the evolution
_SAMPLING_FLAGS = (
    *("temperature", "max_length", "seed", "top_k", "top_p", "min_p"),
    *("repetition_penalty", "loop_guard"),
)
_ASKING_MODES = ("ask", "interactive")  # those that answer questions


@dataclass(frozen=True)
class TrainingCall:
    """One call of ``local_training_system.py``."""

    job: TrainingJob
    output: OutputPaths
    data_dir: Path | None  # None: the default directory, or sample text
    eval_dir: Path | None  # None: a part of the training text is held out
    knowledge_dir: Path | None  # None: the default directory, the text, or what is shipped
    include: tuple[str, ...]  # patterns of the files to read; empty: .txt, or all known formats
    encoding: str | None  # None: it is detected
    model: ModelConfig  # of a new run
    training: TrainingConfig  # of a new run
    evolution: EvolutionConfig
    model_changes: Values  # what the person set; it wins over a preset and over a saved run
    training_changes: Values
    names_preset: bool
    resume: bool
    dry_run: bool
    quiet: bool
    tensorboard: bool

    def resumed_model(self, saved: ModelConfig) -> ModelConfig:
        """The model of a run that goes on: the saved one, unless a preset is named."""
        return self.model if self.names_preset else replace(saved, **self.model_changes)

    def resumed_training(self, saved: TrainingConfig) -> TrainingConfig:
        """The settings of a run that goes on from one with the settings ``saved``."""
        return replace(saved, **self.training_changes)


@dataclass(frozen=True)
class InferenceCall:
    """One call of ``local_inference_demo.py``."""

    job: InferenceJob
    model: Path
    sampling: SamplingConfig
    prompt: str | None
    prompts_file: Path | None
    files: tuple[Path, ...]  # to score
    lines: bool  # score each line, too
    as_json: bool
    export_dir: Path
    knowledge_dir: Path | None  # of ``ask``; None: the default directory, or the shipped one
    data_dir: Path | None  # notes of ``ask``; None: the default directory, where there is one


def training_call(arguments: argparse.Namespace, file: Settings) -> TrainingCall:
    """The call that ``arguments`` and the settings file ask for.

    Raises ``SettingError`` for wrong use and ``CorpusError`` for an encoding that does not exist.
    """
    job = TrainingJob(
        arguments.mode, arguments.device, arguments.dtype, arguments.memory, arguments.knowledge
    )
    if arguments.encoding is not None:
        _require_encoding(arguments.encoding)
    preset = config.preset(arguments.preset or "readme")
    if arguments.dry_run and arguments.resume:
        raise SettingError("dry.resume")
    if job.memory == "off" and job.mode == "evolve":  # the model would lose it
        raise SettingError("usage.not_in", flag="--memory off", mode=job.mode)
    if job.knowledge == "shipped" and arguments.knowledge_dir is not None:
        raise SettingError("usage.knowledge")
    training, evolution = _changes(arguments, file, job.mode == "evolve")
    return TrainingCall(
        job=job,
        output=OutputPaths(arguments.output_dir),
        data_dir=arguments.data_dir,
        eval_dir=arguments.eval_dir,
        knowledge_dir=arguments.knowledge_dir,
        include=_patterns(arguments.include or []),
        encoding=arguments.encoding,
        training=replace(preset.training, **training),
        model=replace(preset.model, **file.model),
        evolution=EvolutionConfig(**evolution),
        model_changes=file.model,
        training_changes=training,
        names_preset=arguments.preset is not None,
        resume=arguments.resume,
        dry_run=arguments.dry_run,
        quiet=arguments.quiet,
        tensorboard=arguments.tensorboard,
    )


def _changes(
    arguments: argparse.Namespace, file: Settings, evolves: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of training and of evolution that the person set; flags win over tables.

    With ``evolve``, ``max_minutes`` is the time of all cycles together, and ``epochs`` decides how
    long a base model is trained. ``lr`` is the learning rate of both; in the evolution, the table
    ``[evolution]`` wins over the table ``[training]``.
    """
    flags = _given(arguments, _TRAINING_FLAGS)
    training = {**file.training, **flags}
    if arguments.memory == "off":
        # Without a memory there is nothing to choose on a validation part.
        training |= {"memory_bytes": 0, "validation_fraction": 0.0}
    evolution = dict(file.evolution)
    if evolves:
        for name in _EVOLUTION_FLAGS:
            if name in flags or (name in training and name not in evolution):
                evolution[name] = training[name]
        training.pop("max_minutes", None)
    evolution |= _given(arguments, ("cycles",))
    if "epochs" in training:
        if training.get("max_minutes"):
            raise SettingError("usage.epochs_or_minutes")
        training["max_minutes"] = 0.0
    return training, evolution


def _given(arguments: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    """The flags that the person gave, with their values."""
    values = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _patterns(given: list[str]) -> tuple[str, ...]:
    """``--include '*.md,*.txt' --include '*.py'`` as three patterns."""
    patterns = (pattern.strip() for text in given for pattern in text.split(","))
    return tuple(pattern for pattern in patterns if pattern)


def _require_encoding(name: str) -> None:
    try:
        b" ".decode(name)
    except LookupError as error:
        raise CorpusError("corpus.codec", encoding=name) from error
    except UnicodeError:  # half a character of UTF-16: the encoding exists
        pass


def inference_call(arguments: argparse.Namespace) -> InferenceCall:
    """The call that ``arguments`` ask for.

    Raises ``SettingError`` for wrong use and ``ModelFileError`` where there is no model file.
    """
    job = InferenceJob(arguments.mode, arguments.format, arguments.memory)
    _require_fitting(arguments)
    stop = tuple(text.replace("\\n", "\n") for text in arguments.stop)
    values = {name: getattr(arguments, name) for name in _SAMPLING_FLAGS}
    sampling = SamplingConfig(**values, stop=stop)
    # Questions are also answered without a model.
    is_needed = job.mode != "ask" or arguments.model != Path(MODEL_PATH)
    if is_needed and not arguments.model.exists():  # said at once, not after PyTorch is loaded
        raise ModelFileError("model.missing", path=arguments.model)
    return InferenceCall(
        job=job,
        model=arguments.model,
        sampling=sampling,
        prompt=arguments.prompt,
        prompts_file=arguments.prompts_file,
        files=tuple(arguments.files),
        lines=arguments.lines,
        as_json=arguments.json,
        export_dir=arguments.export_dir,
        knowledge_dir=arguments.knowledge_dir,
        data_dir=arguments.data_dir,
    )


def _require_fitting(arguments: argparse.Namespace) -> None:
    """Raises ``SettingError`` for a flag that the mode or another flag excludes."""
    mode = arguments.mode
    if mode == "score" and not arguments.files:
        raise SettingError("usage.files")
    if mode != "score" and arguments.files:
        raise SettingError("usage.no_files", name=arguments.files[0])
    out_of_place = {
        "--lines": arguments.lines and mode != "score",
        "--json": arguments.json and mode == "interactive",
        "--prompts_file": arguments.prompts_file is not None and mode not in ("demo", "ask"),
        "--knowledge_dir": arguments.knowledge_dir is not None and mode not in _ASKING_MODES,
        "--data_dir": arguments.data_dir is not None and mode not in _ASKING_MODES,
        "--prompt": arguments.prompt is not None and mode == "score",
        "--memory off": arguments.memory == "off" and mode == "export",
    }
    for flag, wrong in out_of_place.items():
        if wrong:
            raise SettingError("usage.not_in", flag=flag, mode=mode)
    if arguments.prompt is not None and arguments.prompts_file is not None:
        raise SettingError("usage.prompt_or_file")
