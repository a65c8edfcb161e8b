"""The memory of a run: what its order and its gate are chosen on, and what it counts."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from h2q.datasets.corpus import open_corpus
from h2q.evaluation.byte_losses import byte_losses
from h2q.memory.mixture import neutral_gate
from h2q.model.transformer import Transformer
from h2q.training.memory import MemoryFitting, fit_gate
from tests.conftest import make_text, memory_of

BUDGET = 2**22


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "text" / "t.txt"
    path.parent.mkdir()
    path.write_text(make_text(60_000))
    return open_corpus(path, tmp_path / "cache", context_length=64, validation_fraction=0.05)


@pytest.fixture
def model(tiny_model_config):
    return Transformer(tiny_model_config).initialize(seed=0).eval()


def rows_of(text):
    return [text.read(start, count + 1) for start, count in text.windows(64, 2**20)]


def loss(model, rows, memory):
    losses = byte_losses(model, rows, torch.float32, memory)
    return sum(float(row[: len(data) - 1].sum()) for row, data in zip(losses, rows))


def test_the_gate_fits_what_it_is_fitted_on(model, corpus):
    memory, rows = memory_of(corpus.train.read(0, 20_000)), rows_of(corpus.validation)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    gate = fit_gate(model, memory, rows, torch.float32)
    assert torch.equal(torch.get_rng_state(), state)
    fitted = replace(memory, gate=gate)
    assert loss(model, rows, fitted) < 0.9 * loss(model, rows, memory)
    assert loss(model, rows, fitted) < loss(model, rows, None)
    again = fit_gate(model, memory, rows, torch.float32)
    assert (again.hidden_weight == gate.hidden_weight).all()


def test_a_better_model_is_believed_more(model, corpus, tiny_model_config):
    """The weight of a Transformer that knows nothing is small."""
    memory, rows = memory_of(corpus.train.read(0, 20_000)), rows_of(corpus.validation)
    gate = fit_gate(model, memory, rows, torch.float32)
    recalled = memory.recall(rows)
    own = np.full(len(recalled.table), -np.log(256), np.float32)
    mean = gate(recalled.features(own)).mean(0)
    assert mean[0] < mean[1] + mean[2]


def test_order_and_gate_are_chosen_on_the_validation_part(corpus, model):
    fitting = MemoryFitting(corpus, 64, BUDGET, torch.float32)
    assert 4 <= fitting.before().table.order <= 7
    assert (fitting.before().gate.output_bias == neutral_gate().output_bias).all()
    assert (fitting.fitted(model).gate.output_bias != neutral_gate().output_bias).any()


@pytest.mark.parametrize(
    ("choices", "order"), [("ab", 4), (("abbaabab ", "babbbaaa ", "aaababba ", "bbabaabb "), 7)]
)
def test_the_order_is_the_one_that_predicts_the_validation_part_best(tmp_path, choices, order):
    """Of chance, long contexts only learn by heart; words must be told apart by many bytes."""
    path = tmp_path / "t.txt"
    path.write_text("".join(random.Random(0).choices(choices, k=60_000 // len(choices[0]))))
    corpus = open_corpus(path, tmp_path / "c", context_length=64, validation_fraction=0.05)
    assert MemoryFitting(corpus, 64, BUDGET, torch.float32).before().table.order == order


def test_the_finished_memory_counts_the_validation_part_too_but_not_what_is_held_out(
    tmp_path, model
):
    path = tmp_path / "t.txt"
    path.write_text("".join(f"line {n} says {n * n}\n" for n in range(3_000)))
    corpus = open_corpus(path, tmp_path / "c", context_length=64, validation_fraction=0.05)
    fitting = MemoryFitting(corpus, 64, BUDGET, torch.float32)
    rows = rows_of(corpus.validation)
    before, after = fitting.fitted(model), fitting.whole(model)
    assert loss(model, rows, after) < 0.85 * loss(model, rows, before)
    held_out = rows_of(corpus.heldout)
    assert loss(model, held_out, after) > 0.95 * loss(model, held_out, before)


def test_without_a_validation_part_the_gate_is_neutral(tmp_path, model):
    path = tmp_path / "t.txt"
    path.write_text(make_text(5_000))
    corpus = open_corpus(path, tmp_path / "c", context_length=64, validation_fraction=0.05)
    assert len(corpus.validation) == 0
    fitting = MemoryFitting(corpus, 64, BUDGET, torch.float32)
    whole = fitting.whole(model)
    assert (whole.gate.output_bias == neutral_gate().output_bias).all()
    assert whole.table.arrays.keys() == fitting.before().table.arrays.keys()


def test_counting_can_be_interrupted(corpus):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MemoryFitting(corpus, 64, BUDGET, torch.float32, stop)
