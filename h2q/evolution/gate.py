"""Whether a challenger may take the champion's place.

The primary measure, named before training, must be better beyond doubt; everything else must not
be worse by more than its tolerance. Differences are paired by item and clustered by entity or
block of text (arXiv 2411.00640): items of one cluster are not independent. Attempt t is tested at
level 0.05 / (t (t + 1)), which adds up to 0.05 over any number of attempts, so that a lifetime
without any true gain ends in a promotion at most 5 % of the time. Knows no models, only numbers.
"""

import math
from dataclasses import dataclass

from h2q.evaluation.significance import Difference, binomial_tail

LIFETIME_LEVEL = 0.05
PROSE_TOLERANCE = 0.01  # bits per byte
MATCH_TOLERANCE = 0.02  # exact match
SAFE_LEVEL = 0.2  # at which prose is shown not to be worse than the tolerance
CANARY_LEVEL = 0.001


def level_of_attempt(attempt: int) -> float:
    """The level of the ``attempt``-th test, from 1 on."""
    return LIFETIME_LEVEL / (attempt * (attempt + 1))


@dataclass(frozen=True)
class Decision:
    """Whether the challenger is promoted, and the key of the message that says why."""

    promoted: bool
    reason: str


def judge(
    primary: Difference,
    prose: Difference,
    retained: tuple[int, int, int],
    canary: tuple[int, int, float],
) -> Decision:
    """Applies every rule, in the order of the messages that it may lead to.

    ``prose`` compares with the best champion so far, as does ``retained``: its right answers, the
    challenger's and the questions about facts learnt before. ``canary`` holds the right answers,
    the questions and the chance of one on facts that nobody can know.
    """
    if not (math.isfinite(primary.mean) and math.isfinite(prose.mean)):
        return Decision(False, "gate.not_finite")
    if binomial_tail(*canary) < CANARY_LEVEL:
        return Decision(False, "gate.canary")
    if not primary.high < 0:
        return Decision(False, "gate.not_better")
    # With too little text for a bound the difference itself has to do.
    worst = prose.high if math.isfinite(prose.high) else prose.mean
    if worst > PROSE_TOLERANCE:
        return Decision(False, "gate.prose_worse")
    before, after, asked = retained
    if before - after > most_forgotten(asked):
        return Decision(False, "gate.forgotten")
    return Decision(True, "gate.better")


def most_forgotten(asked: int) -> float:
    """How many of so many facts learnt before may be forgotten. Of fewer than 50 a single one is
    more than the tolerance, and shows nothing."""
    return max(1, MATCH_TOLERANCE * asked)


def chance_of(objects: list[tuple[str, int]]) -> float:
    """How often the commonest of ``objects`` (each with its count), always answered, is right."""
    total = sum(count for _, count in objects)
    return max((count for _, count in objects), default=0) / max(1, total)
