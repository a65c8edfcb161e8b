"""Which optimizer changes which weight, and its state."""

from dataclasses import replace

import pytest
import torch

from h2q.config import TrainingConfig
from h2q.model.transformer import Transformer
from h2q.training.muon import Muon
from h2q.training.optimizers import Optimizers, adamw_groups, trained_depth

MUON = TrainingConfig(optimizer="muon", schedule="linear", warmup_steps=9, decay_fraction=0.25)


@pytest.fixture
def model(tiny_model_config):
    return Transformer(tiny_model_config).initialize(seed=0)


def give_gradients(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_every_parameter_is_in_one_group_and_only_matrices_decay(model):
    decayed, free = adamw_groups(dict(model.named_parameters()), 0.01)
    assert decayed["weight_decay"] == 0.01
    assert free["weight_decay"] == 0.0
    ids = [id(p) for group in (decayed, free) for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())
    assert all(p.dim() == 2 for p in decayed["params"])
    assert id(model.embedding.weight) in {id(p) for p in free["params"]}


@pytest.mark.parametrize("config", [TrainingConfig(), MUON], ids=["adamw", "muon"])
def test_a_step_changes_every_weight_and_forgets_the_gradients(model, config):
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    give_gradients(model)
    Optimizers(model, replace(config, lr=1e-2), torch.float32).step()
    for name, parameter in model.named_parameters():
        assert not torch.equal(parameter, before[name]), name
        assert parameter.grad is None


def test_muon_is_for_the_matrices_of_the_layers(model):
    """Muon also splits the projection into queries, keys and values."""
    optimizers = Optimizers(model, MUON, torch.float32)
    muon = next(o for o in optimizers._optimizers if isinstance(o, Muon))
    single, triple = muon.param_groups
    assert len(single["params"]) == 3 * model.config.n_layers
    assert (single["blocks"], triple["blocks"]) == (1, 3)
    assert {p.shape for p in triple["params"]} == {(96, 32)}


def test_update_equals_adamw_of_the_paper(model):
    """One step against arXiv 1711.05101, algorithm 2, computed in float64."""
    config = TrainingConfig(lr=1e-2, weight_decay=0.1)
    weight = model.output.weight
    before = weight.detach().double().clone()
    give_gradients(model)
    gradient = weight.grad.double()
    Optimizers(model, config, torch.float32).step()
    step = gradient / (gradient.abs() + 1e-8)  # both moments are fresh: m/sqrt(v) is the sign
    expected = before - 1e-2 * (step + 0.1 * before)
    torch.testing.assert_close(weight.detach().double(), expected, rtol=1e-5, atol=1e-7)


def test_all_rates_are_the_same_share_of_their_peaks(model):
    optimizers = Optimizers(model, replace(MUON, lr=3e-3, muon_lr=2e-2), torch.float32)
    optimizers.set_rate(0.5)
    optimizers.set_rate(0.25)
    assert optimizers.lr == 0.25 * 3e-3
    rates = {type(o).__name__: {g["lr"] for g in o.param_groups} for o in optimizers._optimizers}
    assert rates == {"AdamW": {0.25 * 3e-3}, "Muon": {0.25 * 2e-2}}


@pytest.mark.parametrize("config", [TrainingConfig(), MUON], ids=["adamw", "muon"])
def test_state_goes_on_where_it_was(tiny_model_config, config):
    whole = Transformer(tiny_model_config).initialize(seed=0)
    optimizers = Optimizers(whole, config, torch.float32)
    resumed = Transformer(tiny_model_config)
    for seed in range(3):
        if seed == 2:
            resumed.load_state_dict(whole.state_dict())
            again = Optimizers(resumed, config, torch.float32)
            saved = {name: value.clone() for name, value in optimizers.state().items()}
            again.load_state(saved, depth=2)
            give_gradients(resumed, seed)
            again.step()
        give_gradients(whole, seed)
        optimizers.step()
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value)
    assert again.state().keys() == optimizers.state().keys()


@pytest.mark.parametrize("change", ["missing", "shape"])
def test_state_of_another_model_is_refused(model, change):
    optimizers = Optimizers(model, MUON, torch.float32)
    give_gradients(model)
    optimizers.step()
    state = optimizers.state()
    name = "layers.1.feedforward_input.weight.momentum_buffer"
    if change == "missing":
        del state[name]
    else:
        state[name] = state[name][:-1]
    with pytest.raises(ValueError, match=name):
        optimizers.load_state(state, depth=2)


@pytest.mark.parametrize("config", [TrainingConfig(), MUON], ids=["adamw", "muon"])
def test_layers_that_were_not_trained_have_no_state(model, config):
    """A run goes on without it, unless the layers were trained before."""
    optimizers = Optimizers(model, config, torch.float32)
    assert trained_depth(optimizers.state()) == 0
    give_gradients(model)
    for parameter in model.layers[1].parameters():
        parameter.grad = None
    optimizers.step()
    state = optimizers.state()
    assert trained_depth(state) == 1
    Optimizers(model, config, torch.float32).load_state(state, depth=1)
    with pytest.raises(ValueError, match=r"layers\.1\."):
        Optimizers(model, config, torch.float32).load_state(state, depth=2)
