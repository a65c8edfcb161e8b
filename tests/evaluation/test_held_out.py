import math

import numpy as np
import pytest
import torch

from h2q.datasets.corpus import open_corpus
from h2q.evaluation.held_out import evaluate, evaluate_both, perplexity
from h2q.model.transformer import Transformer
from tests.conftest import make_text, memory_of


@pytest.fixture
def heldout(text_dir, tmp_path):
    evaluation = tmp_path / "eval.txt"
    evaluation.write_text(make_text(3000, seed=9), encoding="utf-8")
    corpus = open_corpus(text_dir, tmp_path / "cache", context_length=64, eval_path=evaluation)
    return corpus.heldout


@pytest.fixture
def model(tiny_model_config):
    return Transformer(tiny_model_config).initialize(seed=0)


def test_loss_is_the_mean_over_each_byte_once(model, heldout):
    """The reference computes one window and one position at a time."""
    result = evaluate(model, heldout, limit_bytes=10**9)
    model.eval()
    data = heldout.read(0, len(heldout))
    total, count = 0.0, 0
    for begin in range(0, len(data) - 1, 64):
        window = torch.tensor([list(data[begin : begin + 65])])
        log_probabilities = model(window[:, :-1]).double().log_softmax(dim=-1)[0]
        for position, target in enumerate(window[0, 1:].tolist()):
            total -= log_probabilities[position, target].item()
            count += 1
    assert count == len(data) - 1 == result.predicted_bytes
    assert result.loss == pytest.approx(total / count, rel=1e-5)
    assert result.perplexity == pytest.approx(math.exp(total / count), rel=1e-4)
    assert result.bits_per_byte == pytest.approx(total / count / math.log(2), rel=1e-5)


def test_limit_bounds_what_is_read(model, heldout):
    result = evaluate(model, heldout, limit_bytes=640)
    assert result.predicted_bytes <= 640
    whole = evaluate(model, heldout, limit_bytes=10**9)
    assert result.loss == pytest.approx(whole.loss, abs=0.1)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_ignores_dropout_and_leaves_the_mode(model, heldout, training):
    model.train(training)
    first = evaluate(model, heldout, limit_bytes=640)
    second = evaluate(model, heldout, limit_bytes=640)
    assert np.array_equal(first.sums, second.sums)
    assert model.training is training


def test_bfloat16_is_close_to_float32(model, heldout):
    exact = evaluate(model, heldout, limit_bytes=2000)
    rounded = evaluate(model, heldout, limit_bytes=2000, dtype=torch.bfloat16)
    assert rounded.loss == pytest.approx(exact.loss, rel=0.01)


def test_perplexity_of_a_hopeless_loss_is_still_a_number():
    assert math.isfinite(perplexity(1e6))
    assert perplexity(2.0) == math.exp(2.0)


def test_both_losses_in_one_pass_are_those_of_two(model, heldout):
    memory = memory_of(make_text(3000).encode())
    alone, together = evaluate_both(model, heldout, memory, limit_bytes=2000)
    assert np.array_equal(alone.sums, evaluate(model, heldout, limit_bytes=2000).sums)
    with_memory = evaluate(model, heldout, limit_bytes=2000, memory=memory)
    assert np.array_equal(together.sums, with_memory.sums)
    assert together.predicted_bytes == alone.predicted_bytes
    assert together.loss < 0.7 * alone.loss


def test_without_a_memory_there_is_one_loss(model, heldout):
    alone, together = evaluate_both(model, heldout, None, limit_bytes=2000)
    assert np.array_equal(alone.sums, evaluate(model, heldout, limit_bytes=2000).sums)
    assert together is None
