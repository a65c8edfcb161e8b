"""What training and evolution read: the text and the knowledge base, opened and reported.

A run and a dry run share this. Only caches and the list of problems are written, at the paths that
are given.
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
from h2q.datasets.knowledge_base import KnowledgeBase, load_knowledge_base
from h2q.datasets.knowledge_files import knowledge_files
from h2q.system.console import Console
from h2q.system.device import choose_device, environment
from h2q.system.errors import SettingError
from h2q.system.files import write_bytes
from h2q.system.paths import DEFAULT_KNOWLEDGE_DIR, OutputPaths, shipped_knowledge_dir
from h2q.training.tensorboard import require_tensorboard

_PROBLEMS_SHOWN = 10


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


def knowledge_dir(call: TrainingCall) -> Path:
    """The directory that is named; else the default one where it exists, else the shipped one."""
    if call.knowledge_dir is not None:
        return call.knowledge_dir
    own = Path(DEFAULT_KNOWLEDGE_DIR)
    return own if own.is_dir() else shipped_knowledge_dir()


def open_knowledge(
    call: TrainingCall, paths: OutputPaths, context_length: int
) -> KnowledgeBase | None:
    """The knowledge base, with its index in ``paths``; None where the default directory is empty.

    Raises ``KnowledgeError`` where nothing in it is usable.
    """
    directory = knowledge_dir(call)
    if call.knowledge_dir is None and not any(knowledge_files(directory).values()):
        return None
    return load_knowledge_base(
        directory, paths.knowledge_index, context_length=context_length, encoding=call.encoding
    )


def report_knowledge(
    call: TrainingCall,
    knowledge: KnowledgeBase | None,
    problems_path: Path | None,
    console: Console,
) -> None:
    """Says what was found and which lines cannot be used, ten of them at most.

    Where there are more, all of them are written to ``problems_path``; None in a dry run.
    """
    directory = knowledge_dir(call)
    if knowledge is None:
        console.say("knowledge.none", path=directory)
        return
    console.say(
        "knowledge.found",
        path=directory,
        facts=knowledge.fact_count,
        passages=knowledge.passage_count,
        problems=knowledge.problem_count,
    )
    for problem in knowledge.problems(_PROBLEMS_SHOWN):
        console.warn("knowledge.problem", **vars(problem))
    count = knowledge.problem_count - _PROBLEMS_SHOWN
    if count > 0 and problems_path is not None:
        lines = [f"{p.path}:{p.line}: {p.reason}\n" for p in knowledge.problems()]
        write_bytes(problems_path, "".join(lines).encode("utf-8", "replace"))
        console.warn("knowledge.more_problems", count=count, path=problems_path)
