"""What training and evolution need before they begin: a machine, settings, and the text.

A run and a dry run share this. Only the cache of transcoded text is written, at the path that is
given.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import h2q
from h2q.cli.settings import TrainingCall
from h2q.config import TrainingConfig, saved_training_config
from h2q.datasets.corpus import Corpus, open_corpus
from h2q.datasets.file_search import find_files, without_text
from h2q.system.console import Console
from h2q.system.device import choose_device, environment
from h2q.system.errors import SettingError
from h2q.system.paths import OutputPaths
from h2q.training.tensorboard import require_tensorboard


def require_usable(call: TrainingCall) -> None:
    """Refuses what cannot work before anything is written.

    Raises ``SettingError`` for a device or an extra that is not there, and ``CorpusError`` for a
    path without a file to read.
    """
    choose_device(call.job.device)
    if call.tensorboard:
        require_tensorboard()
    for path in (call.data_dir, call.eval_dir):
        if path is not None and not (found := find_files(path, call.include)).files:
            raise without_text(path, found.left_out)


def say_banner(device: str, dtype: torch.dtype, seed: int, console: Console) -> None:
    """The first line of a run: version, machine and seed."""
    machine = environment(torch.device(device), dtype)
    console.say("train.banner", version=h2q.__version__, seed=seed, **machine)


def is_without_text(path: Path) -> bool:
    return not path.exists() or not find_files(path).files


def trained_with(provenance: Mapping[str, Any]) -> TrainingConfig | None:
    """The settings that the model was trained with; None where they are unknown."""
    try:
        return saved_training_config(provenance["training"])
    except (KeyError, TypeError, SettingError):
        return None


def open_text(
    call: TrainingCall,
    path: Path,
    paths: OutputPaths,
    context_length: int,
    training: TrainingConfig,
) -> Corpus:
    """The text below ``path``, split as ``training`` asks; what has to be transcoded is kept in the
    cache of ``paths``."""
    return open_corpus(
        path,
        paths.transcoded,
        context_length=context_length,
        eval_path=call.eval_dir,
        validation_fraction=training.validation_fraction,
        encoding=call.encoding,
        include=call.include,
    )
