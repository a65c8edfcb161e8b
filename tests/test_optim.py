import math

import pytest
import torch

from h2q.config import TrainingConfig
from h2q.model import Transformer
from h2q.optim import build_optimizer, build_schedule, cosine_factor, parameter_groups


@pytest.fixture
def model(tiny_model_config):
    return Transformer(tiny_model_config).initialize(seed=0)


def test_every_parameter_is_in_one_group_and_only_matrices_decay(model):
    decayed, free = parameter_groups(model, 0.01)
    assert decayed["weight_decay"] == 0.01
    assert free["weight_decay"] == 0.0
    ids = [id(p) for group in (decayed, free) for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())
    assert all(p.dim() == 2 for p in decayed["params"])
    assert id(model.embedding.weight) in {id(p) for p in free["params"]}


def test_update_equals_adamw_of_the_paper(model):
    """One step against arXiv 1711.05101, algorithm 2, computed in float64."""
    config = TrainingConfig(lr=1e-2, weight_decay=0.1)
    optimizer = build_optimizer(model, config)
    weight = model.output.weight
    before = weight.detach().double().clone()
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    gradient = weight.grad.double()
    optimizer.step()
    step = gradient / (gradient.abs() + 1e-8)  # both moments are fresh: m/sqrt(v) is the sign
    expected = before - 1e-2 * (step + 0.1 * before)
    torch.testing.assert_close(weight.detach().double(), expected, rtol=1e-5, atol=1e-7)


def test_rate_falls_as_a_cosine_from_its_peak_to_zero(model):
    """README 学习率: 1e-4（带余弦退火)."""
    optimizer = build_optimizer(model, TrainingConfig())
    schedule = build_schedule(optimizer, total_steps=100)
    rates = [schedule.get_last_lr()[0]]
    for _ in range(100):
        optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr()[0])
    assert rates[0] == 1e-4
    assert rates[50] == pytest.approx(5e-5)
    assert rates[100] == 0.0
    assert rates == sorted(rates, reverse=True)
    for step, rate in enumerate(rates):
        assert rate == pytest.approx(1e-4 * (1 + math.cos(math.pi * step / 100)) / 2, abs=1e-18)


@pytest.mark.parametrize("done", [0, 1, 37, 99])
def test_schedule_resumes_where_it_was(model, done):
    whole = build_schedule(build_optimizer(model, TrainingConfig()), 100)
    for _ in range(done):
        whole.optimizer.step()
        whole.step()
    resumed = build_schedule(build_optimizer(model, TrainingConfig()), 100, done)
    assert resumed.get_last_lr() == whole.get_last_lr()


def test_no_rate_past_the_end():
    assert cosine_factor(101, 100) == 0.0
