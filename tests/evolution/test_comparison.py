"""How a verdict puts what was measured (the whole of it: test_evolution.py)."""

import math

import numpy as np
import pytest

from h2q.evaluation import significance
from h2q.evolution import comparison

BEFORE = np.zeros(20, dtype=bool)
AFTER = np.array([True] * 19 + [False])


def test_shares_differ_by_one_at_the_most():
    clusters = [f"entity {n}" for n in range(20)]
    plain = significance.paired_difference(~AFTER, ~BEFORE, np.ones(20), clusters, 0.001)
    shown = comparison._difference_of_shares(AFTER, BEFORE, clusters, 0.001)
    assert plain.low < -1 and shown.low == -1
    assert shown.mean == plain.mean == pytest.approx(-0.95)
    assert shown.high == plain.high


def test_an_unknown_bound_stays_unknown():
    shown = comparison._difference_of_shares(AFTER[:2], BEFORE[:2], ["a", "b"], 0.025)
    assert math.isinf(shown.high)
