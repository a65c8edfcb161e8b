"""From logits to bytes: small functions, each of which does one thing to a row of numbers.

A sampler is put together by ``sampler`` from a repetition penalty, a temperature and filters; all
work on rows (N, 256) at once and treat each row alone, so that what is drawn for one does not
depend on its neighbours. Randomness comes from outside, a number for each byte of a row: the same
numbers and the same logits give the same byte, whoever else is drawing. Plain NumPy, float64:
calls on so few numbers cost a tensor library more than the work does.
"""

from collections.abc import Callable

import numpy as np

from h2q.config import SamplingConfig
from h2q.system.errors import SettingError

_LEAST_NOISE = 1e-100  # against division by zero
PENALTY_WINDOW = 64  # bytes that the repetition penalty looks back (llama.cpp's default)
Filter = Callable[[np.ndarray], np.ndarray]  # probabilities (N, V) to probabilities, not normed


def _require_range(name: str, value: float, minimum: float, maximum: float) -> None:
    if not minimum <= value <= maximum:
        raise SettingError(
            "setting.range", name=name, value=value, minimum=minimum, maximum=maximum
        )


def top_k(k: int) -> Filter:
    """Keeps the ``k`` most likely bytes, and those as likely as the last of them."""
    _require_range("top_k", k, 1, 256)

    def apply(probabilities: np.ndarray) -> np.ndarray:
        bound = np.partition(probabilities, -k, axis=-1)[:, -k, None]
        return np.where(probabilities >= bound, probabilities, 0.0)

    return apply


def top_p(p: float) -> Filter:
    """Keeps the fewest bytes that together have probability ``p`` (arXiv 1904.09751)."""
    _require_range("top_p", p, 1e-6, 1.0)

    def apply(probabilities: np.ndarray) -> np.ndarray:
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
    """Keeps bytes at least ``share`` times as likely as the likeliest (arXiv 2407.01082)."""
    _require_range("min_p", share, 0.0, 1.0)

    def apply(probabilities: np.ndarray) -> np.ndarray:
        bound = share * probabilities.max(-1, keepdims=True)
        return np.where(probabilities >= bound, probabilities, 0.0)

    return apply


def penalized(logits: np.ndarray, seen: np.ndarray, penalty: float) -> np.ndarray:
    """``logits`` (N, V) with those of ``seen`` bytes, boolean (N, V), made less likely: divided by
    ``penalty`` where positive, multiplied where negative (arXiv 1909.05858)."""
    _require_range("repetition_penalty", penalty, 0.1, 10.0)
    lowered = np.where(logits > 0, logits / penalty, logits * penalty)
    return np.where(seen, lowered, logits)


def probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(logits / temperature) along rows (N, V), without the division by the sum."""
    _require_range("temperature", temperature, 5e-324, 10.0)
    # The best logit becomes 0 first: divided by a tiny temperature it must not overflow.
    below = logits - logits.max(-1, keepdims=True)
    with np.errstate(over="ignore"):  # to -inf, whose exponential is the 0 it should be
        return np.exp(below / temperature)


def draw(weights: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """A byte of each row of ``weights`` (N, V), as likely as it weighs, where ``noise`` (N, V) is
    exponentially distributed; a byte of weight 0 never is.

    Of clocks that ring at these rates, the first to ring (the Gumbel-max trick). With the same
    noise, weights that differ little give mostly the same byte, which serves drafts.
    """
    return (weights / np.maximum(noise, _LEAST_NOISE)).argmax(-1)


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


def sampler(config: SamplingConfig) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function of masked, penalized logits (N, V) and noise (N, V) to bytes (N,).

    At temperature 0 it takes the best byte, the lowest of equals.
    """
    if config.temperature == 0:
        return lambda logits, noise: logits.argmax(-1)
    applied = filters(config)

    def sample(logits: np.ndarray, noise: np.ndarray) -> np.ndarray:
        weights = probabilities(logits, config.temperature)
        for apply in applied:
            weights = apply(weights)
        return draw(weights, noise)

    return sample
