import math
import sys

import numpy as np
import pytest

from h2q.evaluation import significance
from h2q.evolution import gate
from tests.conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks" / "evolution"))
from never_worse import SHAPES, false_promotions

BETTER = significance.Difference(-0.5, -0.6, -0.4, 0.025, 50)
SAME = significance.Difference(0.0, 0.0, 0.0, 0.2, 50)
NONE = (0, 0, 0)  # facts learnt before


def difference(after, before, clusters=None, level=0.025):
    after, before = np.asarray(after, dtype=float), np.asarray(before, dtype=float)
    clusters = range(len(after)) if clusters is None else clusters
    return significance.paired_difference(after, before, np.ones(len(after)), clusters, level)


def test_levels_of_a_lifetime_add_up_to_5_percent():
    assert gate.level_of_attempt(1) == 0.025
    assert sum(map(gate.level_of_attempt, range(1, 100_000))) == pytest.approx(0.05, rel=1e-4)


def test_equal_models_do_not_differ():
    found = difference([1, 0, 1, 1, 0], [1, 0, 1, 1, 0])
    assert (found.mean, found.low, found.high) == (0, 0, 0)
    assert not gate.judge(found, SAME, NONE, (0, 0, 0.0)).promoted


def test_too_few_clusters_prove_nothing():
    found = difference([0, 0, 0], [9, 9, 9])
    assert math.isinf(found.high)
    assert gate.judge(found, SAME, NONE, (0, 0, 0.0)).reason == "gate.not_better"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "gate.better"),
        ({"primary": significance.Difference(-0.5, -1.1, 0.1, 0.025, 50)}, "gate.not_better"),
        ({"primary": significance.Difference(math.nan, 0, 0, 0.025, 50)}, "gate.not_finite"),
        ({"prose": significance.Difference(0.0, -0.02, 0.02, 0.2, 50)}, "gate.prose_worse"),
        ({"prose": significance.Difference(0.02, -math.inf, math.inf, 0.2, 1)}, "gate.prose_worse"),
        ({"prose": significance.Difference(0.005, -math.inf, math.inf, 0.2, 1)}, "gate.better"),
        ({"retained": (90, 87, 100)}, "gate.forgotten"),
        ({"retained": (90, 88, 100)}, "gate.better"),
        ({"retained": (20, 19, 20)}, "gate.better"),  # one fact is the smallest loss
        ({"retained": (20, 18, 20)}, "gate.forgotten"),
        ({"canary": (12, 24, 0.1)}, "gate.canary"),
        ({"canary": (4, 24, 0.1)}, "gate.better"),
    ],
)
def test_every_rule(changes, reason):
    values = {"primary": BETTER, "prose": SAME, "retained": NONE, "canary": (0, 24, 0.1)}
    decision = gate.judge(**{**values, **changes})
    assert decision == gate.Decision(reason == "gate.better", reason)


@pytest.mark.parametrize("shape", SHAPES)
def test_lifetimes_without_a_gain_hardly_ever_promote(shape):
    """The short form of experiment C: at most 5 % and three standard errors of 100 lifetimes."""
    allowed = 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)
    assert false_promotions(shape, 100, 20, seed=1) <= 100 * allowed


def test_without_the_gate_they_would():
    assert false_promotions("answers, 64 entities", 20, 20, seed=1, gated=False) == 20


def test_chance_is_that_of_the_commonest_object():
    assert gate.chance_of([("Asia", 3), ("Europe", 1)]) == 0.75
    assert gate.chance_of([]) == 0
