import pytest
import torch

from h2q.config import ModelConfig
from h2q.model.attention import rotary_table
from h2q.model.transformer import Transformer, TransformerLayer


@pytest.fixture
def model(tiny_model_config):
    return Transformer(tiny_model_config).initialize(seed=0).eval()


def tokens(batch, length, seed=0):
    return torch.randint(0, 256, (batch, length), generator=torch.Generator().manual_seed(seed))


def test_readme_model_has_about_8_million_parameters():
    """README 模型大小: 当前模型约8M参数."""
    with torch.device("meta"):
        model = Transformer(ModelConfig())
    assert model.parameter_count() == 8_022_272


def test_layers_above_a_depth(tiny_model_config):
    """Only the first are computed; those initialized to do nothing change nothing."""
    shallow = Transformer(tiny_model_config).initialize(seed=0, depth=1).eval()
    assert torch.equal(shallow(tokens(2, 64)), shallow(tokens(2, 64), depth=1))
    deep = Transformer(tiny_model_config).initialize(seed=0).eval()
    assert torch.equal(deep(tokens(2, 64), depth=1), shallow(tokens(2, 64)))
    assert not torch.equal(deep(tokens(2, 64)), shallow(tokens(2, 64)))


@pytest.mark.parametrize("changed", [1, 17, 40, 63])
def test_a_later_byte_moves_no_earlier_logit(model, changed):
    ids = tokens(2, 64)
    before = model(ids)
    ids[:, changed] = (ids[:, changed] + 1) % 256
    after = model(ids)
    torch.testing.assert_close(after[:, :changed], before[:, :changed], rtol=0, atol=0)
    assert (after[:, changed:] != before[:, changed:]).any(dim=-1).all()


def test_more_positions_than_the_context_holds_are_refused(model):
    with pytest.raises(ValueError, match="65 positions"):
        model(tokens(1, 65))


def test_a_model_that_was_evaluated_can_still_be_trained():
    """The table of rotations is shared; if it were made in inference mode, training would fail."""
    config = ModelConfig(embed_dim=32, n_heads=2, n_layers=1, context_length=31, feedforward_dim=64)
    model = Transformer(config).initialize(seed=0)
    rotary_table.cache_clear()
    with torch.inference_mode():
        model(tokens(1, 31))
    model(tokens(1, 31)).sum().backward()
    assert model.output.weight.grad is not None


def test_order_of_bytes_matters(model):
    """Without positions, swapping two earlier bytes could not move the last logits."""
    ids = tokens(1, 16)
    swapped = ids.clone()
    swapped[0, [2, 9]] = ids[0, [9, 2]]
    assert not torch.allclose(model(ids)[0, -1], model(swapped)[0, -1], atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_layer_without_rotation_is_torch_encoder_layer(training):
    """README 模型架构: TransformerEncoderLayer(embed_dim=256, n_heads=8, dropout=0.1)."""
    config = ModelConfig(dropout=0.0)
    ours = TransformerLayer(config)
    ours.rotary_base = None
    theirs = torch.nn.TransformerEncoderLayer(
        256, 8, dim_feedforward=2048, dropout=0.0, norm_first=True, batch_first=True
    )
    copies = {
        "self_attn.in_proj_": ours.query_key_value,
        "self_attn.out_proj.": ours.attention_output,
        "linear1.": ours.feedforward_input,
        "linear2.": ours.feedforward_output,
        "norm1.": ours.attention_norm,
        "norm2.": ours.feedforward_norm,
    }
    state = {
        prefix + name: parameter.detach().clone().normal_(std=0.05)
        for prefix, module in copies.items()
        for name, parameter in module.named_parameters()
    }
    theirs.load_state_dict(state)
    for prefix, module in copies.items():
        module.load_state_dict({name: state[prefix + name] for name in ("weight", "bias")})
    ours.train(training)
    theirs.train(training)
    x = torch.randn(2, 100, 256, generator=torch.Generator().manual_seed(2), requires_grad=True)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(100)
    expected = theirs(x, src_mask=mask, is_causal=True)
    got = ours(x)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    gradients = [torch.autograd.grad(y.square().sum(), x)[0] for y in (got, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


def test_dropout_acts_in_training_only(tiny_model_config):
    model = Transformer(tiny_model_config).initialize(seed=0).train()
    ids = tokens(1, 32)
    assert not torch.equal(model(ids), model(ids))
    model.eval()
    assert torch.equal(model(ids), model(ids))


def test_initial_weights_depend_on_the_seed_alone(tiny_model_config):
    torch.manual_seed(1)
    first = Transformer(tiny_model_config).initialize(seed=5).state_dict()
    torch.manual_seed(2)
    second = Transformer(tiny_model_config).initialize(seed=5).state_dict()
    other = Transformer(tiny_model_config).initialize(seed=6).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["output.weight"], other["output.weight"])


def test_untrained_model_is_near_chance(model):
    """A loss of about ln 256 nats: no byte is preferred before training."""
    ids = tokens(4, 64)
    loss = torch.nn.functional.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert loss.item() == pytest.approx(5.545, abs=0.05)
