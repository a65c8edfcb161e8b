"""Statistics of paired differences: intervals, quantiles, tails. Knows only numbers, no models."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST_CLUSTERS = 4  # with fewer, the spread is unknown


@dataclass(frozen=True)
class Difference:
    """``mean`` of the challenger minus that of the champion; below 0 the challenger is better.

    Each of the two bounds is one-sided, and wrong with probability ``level``.
    """

    mean: float
    low: float
    high: float
    level: float
    clusters: int

    @property
    def confidence(self) -> float:
        """The confidence of the interval from ``low`` to ``high``."""
        return 1 - 2 * self.level


def paired_difference(
    challenger: ArrayLike,
    champion: ArrayLike,
    sizes: ArrayLike,
    clusters: Sequence[str] | Sequence[int],
    level: float,
) -> Difference:
    """The difference of two sums of costs, divided by the sum of ``sizes``, e.g. in bits per byte.

    ``clusters`` names the cluster of each item: items of one cluster are not independent. A bound
    is Student's t over clusters, with the residuals of a ratio of sums, or a bound that allows for
    skewed differences, whichever is wider. With fewer than ``FEWEST_CLUSTERS`` clusters the bounds
    are infinite. Raises ``ValueError`` when the arguments are of different lengths.
    """
    difference = np.asarray(challenger, dtype=float) - np.asarray(champion, dtype=float)
    if difference.shape != np.shape(sizes) or len(clusters) != len(difference):
        raise ValueError("the two models were not measured on the same items")
    _, members = np.unique(np.asarray(clusters), return_inverse=True)
    gains = np.bincount(members, weights=difference)
    weights = np.bincount(members, weights=sizes)
    count, total = len(weights), float(weights.sum())
    mean = float(gains.sum()) / total
    if count < FEWEST_CLUSTERS:
        return Difference(mean, -math.inf, math.inf, level, count)
    residuals = gains - mean * weights
    error = math.sqrt(count / (count - 1) * float((residuals**2).sum())) / total
    quantile = student_quantile(level, count - 1)
    skew = _skewness(residuals)
    low = mean - error * max(quantile, _unskewed(quantile, skew, count))
    high = mean - error * min(-quantile, _unskewed(-quantile, skew, count))
    return Difference(mean, low, high, level, count)


def _skewness(residuals: NDArray[np.float64]) -> float:
    spread = float(residuals.std())
    return float((residuals**3).mean()) / spread**3 if spread else 0.0


def _unskewed(quantile: float, skew: float, count: int) -> float:
    """The quantile of a mean's t where single differences are skewed (Hall 1992, J. R. Stat. Soc. B
    54:221). Without it, rare large losses that are missing from a sample look like gains."""
    if abs(skew) < 1e-6:
        return quantile
    root = math.sqrt(count)
    inner = 1 + skew * (quantile - skew / (6 * root)) / root
    return 3 * root / skew * (float(np.cbrt(inner)) - 1)


@functools.lru_cache(maxsize=4096)
def student_quantile(level: float, degrees: int) -> float:
    """The t that Student's distribution exceeds with probability ``level`` (below one half).

    With t = √n tan θ the density becomes cos^(n-1) θ, whose integral is taken numerically.
    """
    angles = np.linspace(0.0, math.pi / 2, 200_001)
    density = np.cos(angles) ** (degrees - 1)
    steps = (density[1:] + density[:-1]) / 2
    above = np.concatenate([np.cumsum(steps[::-1])[::-1], [0.0]]) / (2 * steps.sum())
    # ``above`` falls. On a log scale the far tail is interpolated well too.
    tail = np.log(np.maximum(above, 1e-300))[::-1]
    angle = np.interp(math.log(level), tail, angles[::-1])
    return math.sqrt(degrees) * math.tan(angle)


def binomial_tail(right: int, count: int, chance: float) -> float:
    """The probability of ``right`` or more right answers out of ``count`` by chance alone."""
    return sum(
        math.comb(count, k) * chance**k * (1 - chance) ** (count - k)
        for k in range(right, count + 1)
    )


def interval_line(difference: Difference) -> dict[str, float]:
    """The numbers of a difference as a person reads them: a gain is positive."""
    return {
        "improvement": -difference.mean,
        "low": -difference.high,
        "high": -difference.low,
        "confidence": difference.confidence,
    }
