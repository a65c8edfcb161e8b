"""How the learning rate runs through training."""

import math

from h2q.config import TrainingConfig


def rate_share(config: TrainingConfig, step: int, progress: float) -> float:
    """Share of the peak learning rate after ``step`` steps and ``progress`` (0 to 1) of the run.

    ``cosine``: 1 at the beginning, 0 at the end (arXiv 1608.03983). ``linear``: constant, then
    down to ``min_lr_ratio`` over the last ``decay_fraction`` of the run (arXiv 2405.18392). Either
    rises from 0 within ``warmup_steps``.
    """
    if config.schedule == "cosine":
        share = 0.5 * (1.0 + math.cos(math.pi * progress))
    else:
        share = min(1.0, (1.0 - progress) / config.decay_fraction)
        share = config.min_lr_ratio + (1.0 - config.min_lr_ratio) * share
    return min(share, (step + 1) / (config.warmup_steps + 1))
