"""The gate: decides whether a challenger may take the champion's place.

The primary measure, which is named before training, must be better beyond doubt. Everything else
must not be worse by more than its tolerance. Differences are paired by item and clustered by entity
or block of text, because the items of one cluster are not independent (arXiv 2411.00640). Attempt t
is tested at level 0.05 / (t (t + 1)). These levels add up to 0.05 over any number of attempts: a
lifetime without any true gain ends in a promotion at most 5 % of the time. Knows no models, only
numbers.
"""

import math
from dataclasses import dataclass

from h2q.evaluation.significance import Difference, binomial_tail

LIFETIME_LEVEL = 0.05
PROSE_TOLERANCE = 0.01  # bits per byte
MATCH_TOLERANCE = 0.02  # exact match
SAFE_LEVEL = 0.2  # of the test that prose is not worse by more than the tolerance
CANARY_LEVEL = 0.001  # least probability of so many right answers by chance alone


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
    """Applies the rules one after the other; the first one that is broken gives the reason.

    ``prose`` is the difference from the best champion so far. ``retained`` is about facts learnt
    before: right answers of the best champion, right answers of the challenger, and questions.
    ``canary`` is about facts that nobody can know: right answers, questions, and the chance of a
    right answer.
    """
    if not (math.isfinite(primary.mean) and math.isfinite(prose.mean)):
        return Decision(False, "gate.not_finite")
    if binomial_tail(*canary) < CANARY_LEVEL:
        return Decision(False, "gate.canary")
    if not primary.high < 0:
        return Decision(False, "gate.not_better")
    # With too little text there is no bound: the difference itself is used.
    worst = prose.high if math.isfinite(prose.high) else prose.mean
    if worst > PROSE_TOLERANCE:
        return Decision(False, "gate.prose_worse")
    before, after, asked = retained
    if before - after > most_forgotten(asked):
        return Decision(False, "gate.forgotten")
    return Decision(True, "gate.better")


def most_forgotten(asked: int) -> float:
    """How many of the ``asked`` facts learnt before may be forgotten. One always may be: of fewer
    than 50 facts, a single one is more than the tolerance, but proves nothing."""
    return max(1, MATCH_TOLERANCE * asked)


def chance_of(objects: list[tuple[str, int]]) -> float:
    """The share of right answers of a model that always gives the most frequent of ``objects``,
    each of which comes with its count."""
    total = sum(count for _, count in objects)
    return max((count for _, count in objects), default=0) / max(1, total)
