from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from h2q.memory import mixture
from h2q.memory.mixture import FEATURES, HIDDEN, SOURCES, Gate, Memory, neutral_gate
from h2q.memory.table import TableError
from tests.conftest import make_text, memory_of

TEXT = make_text(6_000).encode()
WINDOWS = [TEXT[start : start + 65] for start in range(0, 1_000, 64)]


def random_gate() -> Gate:
    generator = np.random.default_rng(0)

    def drawn(*shape):
        return generator.normal(size=shape).astype(np.float32)

    return Gate(
        drawn(FEATURES),
        np.abs(drawn(FEATURES)) + 1,
        drawn(FEATURES, HIDDEN),
        drawn(HIDDEN),
        drawn(HIDDEN, SOURCES),
        drawn(SOURCES),
    )


@pytest.fixture(scope="module")
def memory() -> Memory:
    return replace(memory_of(TEXT), gate=random_gate())


def logits(count: int) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(count, 256)).astype(np.float32) * 3


def test_it_is_the_same_after_it_was_stored(memory):
    again = Memory.from_arrays(memory.arrays())
    recalled = memory.recall(WINDOWS)
    found = again.mix(logits(len(recalled.table)), again.recall(WINDOWS))
    assert (found == memory.mix(logits(len(recalled.table)), recalled)).all()


def test_a_row_does_not_depend_on_the_others(memory):
    """Bit for bit: so a text is the same on one stream or among many."""
    recalled = memory.recall(WINDOWS)
    own = logits(len(recalled.table))
    together = memory.mix(own, recalled)
    for count in (1, 2, 3, 7, 8, 100):
        for first in (0, 5, 600):
            part = slice(first, first + count)
            assert (memory.mix(own[part], recalled.part(part)) == together[part]).all()


def test_many_windows_are_recalled_as_few(memory, monkeypatch):
    whole = memory.recall(WINDOWS)
    monkeypatch.setattr(mixture, "MOST_WINDOWS", 3)
    parts = memory.recall(WINDOWS)
    for item in fields(whole):
        assert (getattr(whole, item.name) == getattr(parts, item.name)).all()


def test_a_neutral_gate_gives_the_same_weights_everywhere(memory):
    recalled = memory.recall(WINDOWS[:2])
    weights = neutral_gate()(recalled.features(np.zeros(len(recalled.table), np.float32)))
    assert (weights == weights[0]).all() and weights[0].sum() == pytest.approx(1)


def test_the_mixture_is_the_weighted_sum_of_logarithms(memory):
    plain = replace(memory, gate=neutral_gate())
    recalled = plain.recall(WINDOWS[:2])
    own = logits(len(recalled.table))
    wanted = 0.5 * own + 0.3 * recalled.table + 0.2 * recalled.window
    assert plain.mix(own, recalled) == pytest.approx(wanted, abs=1e-5)


def test_a_number_added_to_all_logits_changes_nothing(memory):
    """Nor is any logit too large for a float."""
    recalled = memory.recall(WINDOWS[:2])
    own = logits(len(recalled.table))
    near, far = (
        torch.from_numpy(memory.mix(own + np.float32(added), recalled)).softmax(-1)
        for added in (0, 200)
    )
    torch.testing.assert_close(near, far, rtol=1e-2, atol=1e-5)


def test_features_far_from_what_was_fitted_are_cut_off(memory):
    far = np.full((1, FEATURES), 1e9, np.float32)
    assert (memory.gate(far) == memory.gate(far * 2)).all()


DAMAGES = {
    "missing": lambda array: None,
    "short": lambda array: array[:-4],
    "long": lambda array: np.append(array, array[-4:]),
    "not finite": lambda array: np.full(len(array) // 4, np.nan, "<f4").view(np.uint8),
    "half a number": lambda array: array[:-1],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", ["gate.mean", "gate.hidden_weight", "gate.output_bias"])
def test_what_is_no_gate_is_refused(memory, damage, name):
    arrays = memory.arrays()
    if (changed := damage(arrays.pop(name))) is not None:
        arrays[name] = changed
    with pytest.raises(TableError):
        Memory.from_arrays(arrays)


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_a_scale_of_nothing_or_less_is_refused(memory, scale):
    arrays = memory.arrays()
    arrays["gate.scale"] = np.full(FEATURES, scale, "<f4").view(np.uint8)
    with pytest.raises(TableError):
        Memory.from_arrays(arrays)
