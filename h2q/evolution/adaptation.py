"""How the settings of an evolution change with the outcome of its cycles.

A function of the history alone: an evolution that goes on after a kill gets the same settings.
"""

from dataclasses import replace

from h2q.config import EvolutionConfig
from h2q.evolution.planning import MOST_REVIEW
from h2q.evolution.statistics import Entry, rejections_in_a_row

_HALVE_AFTER = 3  # rejections in a row
_MOST_LEARNT = 0.75  # share of a cycle's facts; where as many are learnt, exposures are halved
_FEWEST_EXPOSURES = 20
_MORE_REPLAY, _MOST_REPLAY = 0.15, 0.7  # of the text, after a rejection for worse prose
_MOST_REVIEW_AGAIN = 0.9  # of the documents about facts, after rejections for forgotten facts


def adapted(config: EvolutionConfig, history: list[Entry], first_cycle: int) -> EvolutionConfig:
    """The settings of the next cycle. ``config`` is what the person set, ``history`` the cycles of
    this base model, ``first_cycle`` the first one of this call.

    Three rejections in a row halve the learning rate.
    """
    changed = _after_lessons(config, history)
    count = rejections_in_a_row(history, first_cycle)
    for entry in history[len(history) - count :]:
        changed = _after_rejection(changed, entry.get("reason", ""))
    return replace(changed, lr=changed.lr / 2) if count >= _HALVE_AFTER else changed


def _after_lessons(config: EvolutionConfig, history: list[Entry]) -> EvolutionConfig:
    """Once the form of question and answer is learnt, facts need fewer exposures. At half the
    learning rate they are then learnt just as well, and far fewer are forgotten. So a promoted
    cycle that learnt most of its facts halves the exposures, down to 20, and the rate becomes half
    of ``config.lr``. One that did not doubles the exposures; the rate is then ``config.lr``."""
    changed = config
    for entry in history:
        if entry["promoted"] and entry.get("facts"):
            # Measured on dev, before a mixture with the champion took some of it back.
            learnt = 1 - entry.get("trained_cost", 1.0) >= _MOST_LEARNT
            fewer = max(_FEWEST_EXPOSURES, changed.exposures // 2)
            exposures = min(config.exposures, fewer if learnt else 2 * changed.exposures)
            lr = config.lr / 2 if learnt else config.lr
            changed = replace(config, exposures=exposures, lr=lr)
    return changed


def _after_rejection(config: EvolutionConfig, reason: str) -> EvolutionConfig:
    """More of the person's own text, more review, or more exposures and so fewer facts."""
    if reason == "gate.prose_worse":
        share = min(_MOST_REPLAY, config.replay_fraction + _MORE_REPLAY)
        return replace(config, replay_fraction=max(share, config.replay_fraction))
    if reason == "gate.forgotten":
        share = (1 + max(config.review_fraction, MOST_REVIEW)) / 2  # halves what is not review
        return replace(config, review_fraction=min(_MOST_REVIEW_AGAIN, share))
    return replace(config, exposures=round(1.5 * config.exposures))
