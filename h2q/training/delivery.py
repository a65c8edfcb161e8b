"""The end of a run: the weights of its best epoch become the trained model.

Does not know what a model's file looks like (``model_file``).
"""

import contextlib
from dataclasses import asdict
from typing import Any

from h2q.checkpoint.directory import CheckpointDirectory
from h2q.checkpoint.model_file import load_model, save_model
from h2q.checkpoint.saved_run import LogEntry, Position, load_best_weights
from h2q.config import TrainingConfig, saved_training_config
from h2q.model.transformer import Transformer
from h2q.system.console import Console
from h2q.system.errors import ModelFileError, SettingError
from h2q.system.files import link_or_copy
from h2q.system.paths import OutputPaths

_MEASURED = ("epoch", "step", "eval_loss", "memory_eval_loss")  # of an epoch


def restore_best_epoch(
    model: Transformer, position: Position, checkpoints: CheckpointDirectory, console: Console
) -> LogEntry:
    """Gives ``model`` the weights of the epoch with the lowest held-out loss; returns that epoch.

    ``model`` has the weights of the last epoch. It keeps them if they are the best, or if the
    checkpoint of the best ones is damaged, which is warned about.
    """
    last = position.log[-1]
    best = position.best or last
    if best is last:
        return last
    try:
        model.load_state_dict(load_best_weights(checkpoints))
    except ModelFileError:
        console.warn("resume.damaged", path=checkpoints.directory)
        return last
    console.say("train.best", epoch=best["epoch"])
    return best


def provenance(
    epoch: LogEntry, config: TrainingConfig, corpus: str, environment: dict[str, Any]
) -> dict[str, Any]:
    """Where the model of ``epoch`` comes from: settings, fingerprint of the text, machine, and the
    held-out losses that were measured."""
    measured = {name: value for name, value in epoch.items() if name in _MEASURED}
    return {
        "training": asdict(config),
        "corpus": corpus,
        "environment": environment,
        **measured,
    }


def deliver(model: Transformer, provenance: dict[str, Any], paths: OutputPaths) -> None:
    """Saves ``model`` as the trained model; the model of another run stays beside it.

    A model that is there with this ``provenance`` is left as it is: it is of the same run, and has
    perhaps evolved since. Raises ``SaveFailed``.
    """
    if paths.model.exists():
        with contextlib.suppress(ModelFileError):
            _, found = load_model(paths.model)
            if _is_of_the_run(found, provenance):
                return
        link_or_copy(paths.model, paths.previous_model)
    save_model(paths.model, model, provenance)


def _is_of_the_run(found: dict[str, Any], provenance: dict[str, Any]) -> bool:
    """Whether the model with the provenance ``found`` comes from the run that has ``provenance``:
    all of the latter is in it, with the settings as a resumed run reads them."""
    with contextlib.suppress(KeyError, TypeError, SettingError):
        found = {**found, "training": asdict(saved_training_config(found["training"]))}
    return {**found, **provenance} == found
