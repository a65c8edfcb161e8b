"""How a challenger is trained: the settings of one pass over a lesson.

A new optimizer warms up to a learning rate of its own and decays (arXiv 2403.08763). Does not train.
"""

from dataclasses import dataclass, replace

from h2q.config import TrainingConfig, derived_seed
from h2q.evolution.context import Cycle
from h2q.evolution.records import Plan

_MUON_SHARE = 0.6  # of the rate of AdamW
_LONG_WINDOW = 512  # bytes; a quarter of it still holds a question with its answer
_WARMUP_SHARE = 0.05  # of the steps
_ROUNDS_APART = 1_000_003  # between the seeds of two rounds of a cycle


@dataclass(frozen=True)
class Recipe:
    """How a challenger is trained: the settings of the base model, and what differs by cycle."""

    base: TrainingConfig
    lr: float  # peak learning rate of AdamW
    seed: int
    min_lr_ratio: float = 0.0
    weight_decay: float = 0.1  # replayed text is repeated often; a stronger decay forgets facts


def recipe_of(cycle: Cycle, plan: Plan, rates: tuple[float, float] = (1.0, 0.0)) -> Recipe:
    """The recipe of this round: of facts, between these ``rates``, shares of the peak at its
    beginning and its end; of prose, of its part of the course."""
    base, lr = cycle.setup.training, cycle.config.lr
    seed = derived_seed(cycle.setup.seed, cycle.number + _ROUNDS_APART * (cycle.round - 1))
    if plan.primary == "facts":
        first, last = rates
        return Recipe(base, lr * first, seed, min_lr_ratio=last / first)
    index, count = cycle.course.index, cycle.course.count
    return Recipe(
        base,
        lr * (1 - index / count),
        seed,
        min_lr_ratio=(count - index - 1) / (count - index),
        weight_decay=base.weight_decay,
    )


def challenger_config(recipe: Recipe, size_bytes: int, context_length: int) -> TrainingConfig:
    """Settings for one pass over ``size_bytes`` of text."""
    # Half a batch: a cycle is short, and facts need many updates more than exact gradients.
    batch_size = max(1, recipe.base.batch_size // 2)
    steps = size_bytes / (context_length * batch_size)
    return replace(
        recipe.base,
        epochs=1,
        max_minutes=0.0,
        optimizer="muon",
        lr=recipe.lr,
        muon_lr=_MUON_SHARE * recipe.lr,
        batch_size=batch_size,
        adam_beta2=0.95,
        weight_decay=recipe.weight_decay,
        schedule="linear",
        decay_fraction=1.0,
        min_lr_ratio=recipe.min_lr_ratio,
        growth_fraction=0.0,  # all layers are there
        validation_fraction=0.0,  # all of a lesson is taught
        # Documents are short, so windows may be short too. Updates then come more often.
        short_fraction=1.0 if context_length >= _LONG_WINDOW else 0.0,
        warmup_steps=int(_WARMUP_SHARE * steps),
        seed=recipe.seed,
    )
