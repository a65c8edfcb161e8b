"""How much text a cycle can train on in the time that the person gives.

Measures the pace of training on this machine; changes no model.
"""

import time
from dataclasses import replace

import torch

from h2q.config import EvolutionConfig
from h2q.evolution.context import Setup
from h2q.evolution.recipe import Recipe, challenger_config
from h2q.model.transformer import Transformer
from h2q.training.fine_tuning import FineTuning
from h2q.training.trainer import LocalModelTrainer

_STEPS = 6  # that are timed, after a first one
_TRAINING_SHARE = 0.75  # of the time; the rest is for measuring


def affordable_bytes(setup: Setup, champion: Transformer, config: EvolutionConfig) -> int:
    """Bytes that each cycle may train on so that all cycles end in ``config.max_minutes``."""
    seconds = _TRAINING_SHARE * 60 * config.max_minutes / config.cycles
    pace = _bytes_per_second(setup, champion, config)
    return max(2 * champion.config.context_length, int(pace * seconds))


def _bytes_per_second(setup: Setup, champion: Transformer, config: EvolutionConfig) -> float:
    """From a few steps of a copy of ``champion``, with the share of replay that a lesson has."""
    length = champion.config.context_length
    shape = (setup.training.batch_size, length)
    tokens = torch.randint(1, 256, shape, generator=torch.Generator().manual_seed(0))
    starts = length * torch.arange(len(tokens))
    recipe = Recipe(setup.training, config.lr, seed=0)
    training = challenger_config(recipe, len(setup.corpus.train), length)
    trainer = LocalModelTrainer(
        setup.corpus,
        setup.paths.evolution / "pace",  # nothing is written
        champion.config,
        replace(training, epochs=1000),
        device=setup.device,
        dtype=setup.dtype,
        fine_tuning=FineTuning(
            champion,
            champion if setup.knowledge else None,
            round((1 - config.replay_fraction) * tokens.numel()),
        ),
    )
    trainer.train_step(tokens, tokens, starts)
    began = time.monotonic()
    for _ in range(_STEPS):
        trainer.train_step(tokens, tokens, starts)
    return _STEPS * tokens.numel() / (time.monotonic() - began)
