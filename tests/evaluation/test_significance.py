import math

import numpy as np
import pytest

from h2q.evaluation.significance import (
    FEWEST_CLUSTERS,
    Difference,
    binomial_tail,
    interval_line,
    paired_difference,
    student_quantile,
)


def difference(after, before, clusters=None, level=0.025):
    after, before = np.asarray(after, dtype=float), np.asarray(before, dtype=float)
    clusters = range(len(after)) if clusters is None else clusters
    return paired_difference(after, before, np.ones(len(after)), clusters, level)


@pytest.mark.parametrize(
    ("level", "degrees", "quantile"),  # tables of Student's distribution
    [(0.025, 5, 2.5706), (0.005, 30, 2.7500), (0.0001, 60, 3.9621), (0.05, 3, 2.3534)],
)
def test_student_quantiles(level, degrees, quantile):
    assert student_quantile(level, degrees) == pytest.approx(quantile, abs=2e-4)


def test_pairing_sees_a_small_steady_gain_among_hard_and_easy_items():
    generator = np.random.default_rng(1)
    before = generator.normal(200, 50, size=40)
    found = difference(before - 1 + generator.normal(0, 0.5, size=40), before)
    assert found.low < -1 < found.high < 0


def test_related_items_count_once():
    """Four questions about each of ten entities are ten observations, not forty."""
    generator = np.random.default_rng(2)
    gains = np.repeat(generator.normal(0, 1, size=10), 4)
    together = difference(gains, np.zeros(40), np.repeat(np.arange(10), 4))
    apart = difference(gains, np.zeros(40))
    assert together.clusters == 10
    assert together.high - together.low > 1.8 * (apart.high - apart.low)


def test_other_items_are_not_compared():
    with pytest.raises(ValueError, match="same items"):
        paired_difference(np.ones(2), np.ones(2), np.ones(3), [1, 2], 0.05)


def test_fewer_clusters_than_a_spread_needs_prove_nothing():
    for count in (1, FEWEST_CLUSTERS - 1, FEWEST_CLUSTERS):
        found = difference(np.arange(count), np.zeros(count))
        assert math.isinf(found.high) == math.isinf(found.low) == (count < FEWEST_CLUSTERS)


def test_the_difference_is_that_of_two_ratios():
    """Each ratio is a sum of costs over a sum of sizes, not a mean of shares."""
    found = paired_difference([8, 2, 3, 4], [4, 2, 1, 4], [4, 1, 1, 2], [1, 2, 3, 4], 0.025)
    assert found.mean == pytest.approx((17 - 11) / 8)


def test_bounds_are_those_of_students_t_where_differences_are_symmetric():
    gains = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    found = difference(gains, np.zeros(5), level=0.025)
    wide = 2.7764 * gains.std(ddof=1) / math.sqrt(5)
    assert (found.low, found.high) == (
        pytest.approx(-wide, rel=1e-4),
        pytest.approx(wide, rel=1e-4),
    )
    assert found.confidence == pytest.approx(0.95)


def test_skewed_differences_widen_the_bound_on_their_long_side():
    """Many small gains and one large loss: further large losses may be missing in the sample."""
    found = difference(np.array([-1.0] * 19 + [12.0]), np.zeros(20))
    assert found.high - found.mean > 1.1 * (found.mean - found.low)


def test_a_person_reads_gains_as_positive():
    line = interval_line(Difference(-0.5, -0.6, -0.3, 0.025, 50))
    assert line == {"improvement": 0.5, "low": 0.3, "high": 0.6, "confidence": 0.95}
    assert list(line) == ["improvement", "low", "high", "confidence"]


@pytest.mark.parametrize(
    ("right", "count", "chance", "wanted"),
    [(1, 2, 0.5, 0.75), (0, 9, 0.3, 1.0), (10, 10, 0.5, 2.0**-10), (3, 2, 0.5, 0.0)],
)
def test_right_answers_by_chance(right, count, chance, wanted):
    assert binomial_tail(right, count, chance) == pytest.approx(wanted)
