import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from h2q.config import SamplingConfig
from h2q.generation.sampling import draw, min_p, penalized, sampler, top_k, top_p

WEIGHTS = np.array([[0.5, 0.2, 0.15, 0.1, 0.05]])


def kept(apply, weights=WEIGHTS):
    return (apply(weights)[0] > 0).nonzero()[0].tolist()


def test_top_k_keeps_the_likeliest_and_ties():
    assert kept(top_k(2)) == [0, 1]
    assert kept(top_k(1), np.array([[0.4, 0.4, 0.2]])) == [0, 1]


@pytest.mark.parametrize(("p", "wanted"), [(0.3, [0]), (0.49, [0]), (0.6, [0, 1]), (1.0, range(5))])
def test_top_p_keeps_the_fewest_that_reach_it(p, wanted):
    assert kept(top_p(p)) == list(wanted)
    shuffled = WEIGHTS[:, ::-1].copy()
    assert kept(top_p(p), shuffled) == sorted(4 - i for i in wanted)


def test_min_p_compares_with_the_likeliest():
    assert kept(min_p(0.3)) == [0, 1, 2]
    assert kept(min_p(1.0)) == [0]


def test_penalty_lowers_what_was_seen_whatever_its_sign():
    logits = np.array([[2.0, -2.0, 2.0, -2.0]])
    seen = np.array([[True, True, False, False]])
    assert penalized(logits, seen, 2.0).tolist() == [[1.0, -4.0, 2.0, -2.0]]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_sampling_follows_the_distribution(temperature):
    """Draws of a four-way choice agree with softmax(logits / T) by a chi-squared test."""
    logits = np.array([1.0, 0.0, -1.0, 2.0])
    draws = 4000
    sample = sampler(SamplingConfig(temperature=temperature))
    noise = np.random.default_rng(7).standard_exponential((draws, 4))
    counts = np.bincount(sample(np.tile(logits, (draws, 1)), noise), minlength=4)
    expected = np.exp(logits / temperature)
    expected *= draws / expected.sum()
    assert ((counts - expected) ** 2 / expected).sum() < 16.3  # 99.9 % of chi², three degrees


@pytest.mark.parametrize("temperature", [1e-300, 1e-30, 1e-3])
def test_a_tiny_temperature_does_not_overflow(temperature):
    logits = np.array([[10.0, 30.0, -np.inf, 29.0]])
    assert sampler(SamplingConfig(temperature=temperature))(
        logits, np.array([[0.5, 9.0, 0.1, 0.2]])
    ) == [1]


def test_temperature_zero_takes_the_best():
    logits = np.array([[0.1, 3.0, -1.0], [5.0, 5.0, 0.0]])
    assert sampler(SamplingConfig(temperature=0))(logits, np.zeros((2, 3))).tolist() == [1, 0]


@given(
    st.lists(st.floats(1e-200, 1) | st.just(0.0), min_size=2, max_size=20).filter(
        lambda w: sum(w) > 0
    ),
    st.lists(st.floats(0, 50), min_size=20, max_size=20),
)
def test_a_byte_of_no_weight_is_never_drawn(weights, noise):
    [byte] = draw(np.array([weights]), np.array([noise[: len(weights)]]))
    assert weights[byte] > 0


def test_rows_do_not_depend_on_each_other():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(50, 256)) * 3
    noise = generator.standard_exponential((50, 256))
    sample = sampler(SamplingConfig(top_k=40, top_p=0.9, min_p=0.01))
    alone = [sample(logits[i : i + 1], noise[i : i + 1])[0] for i in range(50)]
    assert sample(logits, noise).tolist() == alone


def test_settings_are_applied_in_the_loop():
    """Each filter alone leaves only the likeliest byte at its strictest."""
    logits = np.array([[1.0, 1.1, 0.9]])
    for strict in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}):
        sample = sampler(SamplingConfig(**strict))
        noise = np.random.default_rng(0).standard_exponential((20, 3))
        assert sample(np.tile(logits, (20, 1)), noise).tolist() == [1] * 20
