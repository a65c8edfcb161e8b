"""Which bytes may come next: those that keep a text valid UTF-8, or any. Knows no model."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from h2q.model.tokenizer import (
    END_OF_DOCUMENT,
    PAD,
    START,
    TRANSITIONS,
    VOCAB_SIZE,
    allowed_bytes,
)

_CONTROLS = {*range(0x20), 0x7F} - set(b"\t\n\r")
_CHARACTER_BYTES = 4  # the longest character of UTF-8


@dataclass(frozen=True)
class Grammar:
    """An automaton over bytes, which begins in state ``START``.

    ``mask`` takes a state and the number of bytes left to write. It returns an array (V,): 0 for
    bytes that may come next and -inf for the others.
    """

    mask: Callable[[int, int], NDArray[np.float64]]
    transitions: Sequence[Mapping[int, int]]  # of each state, from a byte to the next state


def _text_mask(state: int, budget: int) -> NDArray[np.float64]:
    """The text may end between two characters only, and no character is begun for which ``budget``
    is too small. Control characters except tab and line ends are forbidden: they are not text,
    and a terminal would obey them."""
    return _cached_text_mask(state, min(budget, _CHARACTER_BYTES))


@functools.cache
def _cached_text_mask(state: int, budget: int) -> NDArray[np.float64]:
    mask = np.full(VOCAB_SIZE, -np.inf)
    mask[[byte for byte in allowed_bytes(state, budget) if byte not in _CONTROLS]] = 0.0
    if state == START:
        mask[END_OF_DOCUMENT] = 0.0
    return mask


_NO_PADDING = np.where(np.arange(VOCAB_SIZE) == PAD, -np.inf, 0.0)

TEXT = Grammar(_text_mask, TRANSITIONS)
ANY_BYTES = Grammar(lambda state, budget: _NO_PADDING, [dict.fromkeys(range(VOCAB_SIZE), START)])
