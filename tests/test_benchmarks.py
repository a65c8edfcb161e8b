"""What the benchmarks compute by themselves; what they measure is in ``benchmarks/RESULTS.md``."""

import math
import random
import sys

import pytest

from tests.conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks"))
from memory import copied_share
from opponents import primed_nats, primed_window_nats, xz

TRAIN = random.Random(0).randbytes(500)


def test_text_from_the_training_text_is_copied():
    assert copied_share([TRAIN[100:300]], TRAIN) == 1
    assert copied_share([TRAIN[100:164]], TRAIN) == 1


def test_a_passage_that_is_too_short_is_not_copied():
    assert copied_share([TRAIN[100:163], TRAIN[163:226]], TRAIN) == 0


def test_only_the_bytes_of_copied_passages_count():
    """Two passages, the second one's windows overlapping each other, among bytes of its own."""
    other = bytes(50)
    text = other + TRAIN[:64] + other + TRAIN[200:270] + other
    assert copied_share([text, other], TRAIN) == pytest.approx((64 + 70) / (len(text) + 50))


def test_held_out_text_costs_what_it_adds():
    assert primed_nats(len, TRAIN, b"ten bytes!") == pytest.approx(80 * math.log(2))


def test_the_first_byte_of_a_window_costs_nothing():
    windows = [b"window", b"other window"]
    assert primed_window_nats(len, TRAIN, windows) == pytest.approx((5 + 11) * 8 * math.log(2))


def test_text_that_was_seen_costs_a_compressor_little():
    seen, unseen = xz(TRAIN, TRAIN), xz(TRAIN, random.Random(1).randbytes(500))
    assert seen < 0.1 * unseen
    assert unseen == pytest.approx(8 * 500 * math.log(2), rel=0.1)
