"""From logits to bytes: small functions, each of which does one thing to rows of numbers.

``sampler`` makes one function of a temperature and filters; the repetition penalty comes before it.
All work on rows (N, V) at once and treat each row alone: what is drawn for one row does not depend
on the others. Randomness comes from outside, a number for each byte of a row: the same numbers and
the same logits give the same byte. Plain NumPy in float64: for so few numbers the calls of a tensor
library cost more than the work. Settings are those of a ``SamplingConfig``, which checks them.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from h2q.config import SamplingConfig

_Rows = NDArray[np.float64]  # (N, V)
Filter = Callable[[_Rows], _Rows]  # from probabilities to probabilities, which need not sum to 1
Sampler = Callable[[_Rows, _Rows], NDArray[np.int64]]

LEAST_NOISE = 1e-100  # prevents division by zero
PENALTY_WINDOW = 64  # bytes in which the repetition penalty looks for a byte (llama.cpp's default)


def top_k(k: int) -> Filter:
    """Keeps the ``k`` most likely bytes, and all that are as likely as the last of them."""

    def apply(probabilities: _Rows) -> _Rows:
        bound = np.partition(probabilities, -k, axis=-1)[:, -k, None]
        return np.where(probabilities >= bound, probabilities, 0.0)

    return apply


def top_p(p: float) -> Filter:
    """Keeps the smallest set of bytes with probability ``p`` or more (arXiv 1904.09751)."""

    def apply(probabilities: _Rows) -> _Rows:
        order = np.argsort(-probabilities, axis=-1, kind="stable")
        falling = np.take_along_axis(probabilities, order, -1)
        before = np.cumsum(falling, axis=-1) - falling
        dropped = before >= p * probabilities.sum(-1, keepdims=True)
        dropped[:, 0] = False
        falling[dropped] = 0.0
        kept = np.empty_like(falling)
        np.put_along_axis(kept, order, falling, -1)
        return kept

    return apply


def min_p(share: float) -> Filter:
    """Keeps bytes at least ``share`` times as likely as the most likely one (arXiv 2407.01082)."""

    def apply(probabilities: _Rows) -> _Rows:
        bound = share * probabilities.max(-1, keepdims=True)
        return np.where(probabilities >= bound, probabilities, 0.0)

    return apply


def penalized(logits: _Rows, seen: NDArray[np.bool_], penalty: float) -> _Rows:
    """``logits`` (N, V) where ``seen`` bytes, boolean (N, V), are less likely: their logits are
    divided by ``penalty`` where positive and multiplied by it where negative (arXiv 1909.05858)."""
    lowered = np.where(logits > 0, logits / penalty, logits * penalty)
    return np.where(seen, lowered, logits)


def probabilities(logits: _Rows, temperature: float) -> _Rows:
    """softmax(logits / temperature) along rows (N, V), not divided by the sum of the row."""
    # The largest logit becomes 0 first: divided by a tiny temperature it must not overflow.
    below: _Rows = logits - logits.max(-1, keepdims=True)
    with np.errstate(over="ignore"):  # to -inf, whose exponential is 0, as it should be
        weights: _Rows = np.exp(below / temperature)
    return weights


def draw(weights: _Rows, noise: _Rows) -> NDArray[np.int64]:
    """A byte (N,) of each row of ``weights`` (N, V), drawn in proportion to its weight. ``noise``
    (N, V) is exponentially distributed. A byte of weight 0 is never drawn.

    This is the exponential form of the Gumbel-max trick. With the same noise, weights that differ
    little mostly give the same byte, which makes drafts agree.
    """
    drawn: NDArray[np.int64] = (weights / np.maximum(noise, LEAST_NOISE)).argmax(-1)
    return drawn


def filters(config: SamplingConfig) -> list[Filter]:
    """The filters that ``config`` asks for, in the order in which they apply."""
    chosen = []
    if config.top_k:
        chosen.append(top_k(config.top_k))
    if config.top_p < 1.0:
        chosen.append(top_p(config.top_p))
    if config.min_p > 0.0:
        chosen.append(min_p(config.min_p))
    return chosen


def sampler(config: SamplingConfig) -> Sampler:
    """A function from logits (N, V), masked and penalized, and noise (N, V) to bytes (N,).

    At temperature 0 it takes the most likely byte, the lowest one where several are equal.
    """
    if config.temperature == 0:
        return lambda logits, noise: logits.argmax(-1)
    applied = filters(config)

    def sample(logits: _Rows, noise: _Rows) -> NDArray[np.int64]:
        weights = probabilities(logits, config.temperature)
        for apply in applied:
            weights = apply(weights)
        return draw(weights, noise)

    return sample
