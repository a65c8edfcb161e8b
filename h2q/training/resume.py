"""Whether a saved run may go on with these settings, on this text, on this machine."""

from dataclasses import asdict
from typing import Any

from h2q.checkpoint.saved_run import SavedRun
from h2q.config import ModelConfig, TrainingConfig
from h2q.system.console import Console
from h2q.system.errors import SettingError

# What may differ between a run and its resumption: how long it lasts, and how often it saves.
_FREE_ON_RESUME = {"epochs", "max_minutes", "patience", "save_interval_seconds"}


def require_same_run(
    saved: SavedRun, model_config: ModelConfig, training_config: TrainingConfig, corpus: str
) -> None:
    """Raises ``SettingError`` if the settings, or ``corpus``, the fingerprint of the text, are not
    those of the run ``saved``."""
    for config, former in (
        (model_config, saved.model_config),
        (training_config, saved.training_config),
    ):
        for name, value in asdict(former).items():
            wanted = getattr(config, name)
            if value != wanted and name not in _FREE_ON_RESUME:
                raise SettingError("resume.differs", name=name, saved=value, value=wanted)
    if saved.corpus != corpus:
        raise SettingError("resume.text_changed")


def warn_of_other_environment(
    saved: SavedRun, environment: dict[str, Any], console: Console
) -> None:
    """Warns of each value of ``environment`` for which the run will not end bit for bit as it would
    have where it began."""
    for name, value in environment.items():
        former = saved.environment.get(name)
        if former != value:
            console.warn("resume.not_exact", name=name, saved=former, value=value)
