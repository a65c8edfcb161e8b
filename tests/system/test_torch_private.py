"""The core works without any of the names that PyTorch may take away."""

import types
from pathlib import Path

import pytest
import torch

from h2q.checkpoint.model_file import save_model
from h2q.config import SamplingConfig
from h2q.generation.inference import LocalInferenceModel
from h2q.model.transformer import Transformer
from h2q.system import torch_private
from h2q.system.device import choose_dtype, computing_in
from h2q.system.torch_private import fbgemm_multiplies, weights_version, zero_where_inactive_

# Where each name is looked up, and the name.
NAMES = [
    ("cpu", "_is_avx512_bf16_supported"),
    ("ops.mkldnn", "_is_mkldnn_bf16_supported"),
    ("ops.mkldnn", "_linear_pointwise"),
    ("ops.aten.threshold_backward", "grad_input"),
    ("ops.aten", "threshold_backward"),
    ("ops.quantized", "linear_prepack"),
    ("ops.quantized", "linear_with_input_q_dq_qweight_dq_output_fp32"),
    ("ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32", "default"),
    ("ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32.default", "op"),
    ("", "quantize_per_channel"),
    ("", "qint8"),
    ("Tensor", "_version"),
]


class Without:
    """Stands for ``whole``, but has no attribute ``name``."""

    def __init__(self, whole, name):
        self._whole, self._name = whole, name

    def __getattr__(self, name):
        if name == self._name:
            raise AttributeError(name)
        return getattr(self._whole, name)

    def __call__(self, *arguments, **options):
        return self._whole(*arguments, **options)


def take_away(monkeypatch, where: str, name: str) -> None:
    """Makes ``torch.<where>.<name>`` raise ``AttributeError``."""
    if where == "Tensor":  # the attribute belongs to a base class that cannot be changed

        def missing(self):
            raise AttributeError(name)

        monkeypatch.setattr(torch.Tensor, name, property(missing), raising=False)
    elif where in ("", "cpu"):
        monkeypatch.delattr(torch.cpu if where else torch, name)
    else:  # PyTorch makes an operator at its first use, so another object replaces the owner
        *path, last = where.split(".")
        owner = torch
        for part in path:
            owner = getattr(owner, part)
        monkeypatch.setattr(owner, last, Without(getattr(owner, last), name))
    torch_private._onednn_computes_bfloat16.cache_clear()


@pytest.fixture(autouse=True)
def forget():
    """Clears the caches that were filled while a name was missing."""
    yield
    torch_private._onednn_computes_bfloat16.cache_clear()


def train(config) -> tuple[list[float], Transformer]:
    """Losses of three steps in bfloat16, and the model after them."""
    torch.manual_seed(0)
    model = Transformer(config).initialize(seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    tokens = torch.arange(2 * 40).view(2, 40) % 7 + 97
    losses = []
    for _ in range(3):
        with computing_in(torch.bfloat16, torch.device("cpu")):
            logits = model(tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.float().mT, tokens[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, model.eval()


def use(config, path) -> tuple[list[float], str]:
    """Trains, saves, loads and writes; then changes the weights and writes again. Returns the
    losses and the first text."""
    losses, model = train(config)
    save_model(path, model, {})
    loaded = LocalInferenceModel(path)
    sampling = SamplingConfig(temperature=0, max_length=12)
    text = loaded.generate("abc", sampling)
    assert loaded.decoder() is loaded.decoder(), "a decoder is kept while nothing changes"
    with torch.no_grad():
        loaded.model.output.bias[ord("e")] = 1e4
    assert loaded.generate("abc", sampling) == "e" * 12
    return losses, text


@pytest.mark.parametrize(("where", "name"), NAMES, ids=[name for _, name in NAMES])
def test_without_a_name_the_core_computes_the_same(
    monkeypatch, tiny_model_config, tmp_path, where, name
):
    wanted_losses, wanted_text = use(tiny_model_config, tmp_path / "before.pt")
    take_away(monkeypatch, where, name)
    losses, text = use(tiny_model_config, tmp_path / "after.pt")
    assert losses == pytest.approx(wanted_losses, rel=5e-3)
    assert losses[-1] < losses[0]
    assert text == wanted_text
    assert choose_dtype("auto", "cpu") in (torch.float32, torch.bfloat16)


def test_every_name_is_one_that_the_module_uses():
    source = Path(torch_private.__file__).read_text(encoding="utf-8")
    for _, name in NAMES:
        assert name in source


def test_without_its_question_the_processor_computes_in_float32(monkeypatch):
    take_away(monkeypatch, "cpu", "_is_avx512_bf16_supported")
    assert choose_dtype("auto", "cpu") == torch.float32


@pytest.mark.parametrize(("where", "name"), NAMES[5:7] + NAMES[9:11])
def test_without_its_names_fbgemm_is_not_used(monkeypatch, where, name):
    take_away(monkeypatch, where, name)
    assert not fbgemm_multiplies()


def test_without_the_engine_fbgemm_is_not_used(monkeypatch):
    monkeypatch.setattr(
        torch.backends, "quantized", types.SimpleNamespace(supported_engines=["none"])
    )
    assert not fbgemm_multiplies()


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_version_changes_with_any_weight(monkeypatch, dtype, counted):
    if not counted:
        take_away(monkeypatch, "Tensor", "_version")
    weights = [torch.randn(30, 7).to(dtype).t(), torch.zeros(3, dtype=dtype)]
    before = weights_version(weights)
    assert weights_version(weights) == before
    weights[0][2, 29] += 1
    after = weights_version(weights)
    assert after != before
    weights[1][0] = -0.0 if counted else 1e-5
    assert weights_version(weights) not in (before, after)


def test_a_swap_of_two_weights_is_a_change(monkeypatch):
    """A plain sum of the weights would not notice it."""
    take_away(monkeypatch, "Tensor", "_version")
    weights = torch.arange(6.0)
    before = weights_version([weights])
    weights[[0, 5]] = weights[[5, 0]]
    assert weights_version([weights]) != before


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_pass_where_a_relu_is_active(monkeypatch, kernel, dtype):
    if not kernel:
        take_away(monkeypatch, "ops.aten", "threshold_backward")
    gradient = torch.tensor([1.0, 2.0, torch.inf, 4.0]).to(dtype)
    activation = torch.tensor([0.0, 1e-30, 0.0, 5.0]).to(dtype)
    result = zero_where_inactive_(gradient, activation)
    assert result is gradient
    assert result.tolist() == [0.0, 2.0, 0.0, 4.0]
