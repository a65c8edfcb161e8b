"""What the tests of files share."""

import errno
import os

import pytest
import torch

from h2q.config import ModelConfig
from h2q.model.transformer import Transformer

PROVENANCE = {"epoch": 3, "step": 12, "eval_loss": 2.5, "training": {"lr": 0.1}}
SHAPES = [
    ModelConfig(embed_dim=32, n_heads=2, n_layers=2, context_length=64, feedforward_dim=64),
    ModelConfig(  # wider than the vocabulary, another rotation
        embed_dim=264, n_heads=6, n_layers=1, context_length=32, feedforward_dim=40, rotary_base=500
    ),
]


def trained(config: ModelConfig) -> Transformer:
    """A model in which every weight has changed from its first value, norms and biases too."""
    model = Transformer(config).initialize(0).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers")


def some_tensors(seed: int = 0) -> dict:
    """Every kind of tensor that a run saves, and others: 0-dim, empty, integers, half precision."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "weight": torch.randn(3, 5, generator=generator),
        "step": torch.tensor(7.0),
        "count": torch.tensor(2**40 + seed),
        "half": torch.randn(4, generator=generator).bfloat16(),
        "bytes": torch.arange(256).to(torch.uint8),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
    }


def assert_same(loaded: dict, expected: dict) -> None:
    assert list(loaded) == list(expected)
    for name, tensor in expected.items():
        assert loaded[name].dtype == tensor.dtype
        assert loaded[name].shape == tensor.shape
        assert torch.equal(loaded[name], tensor)


def fail_with_eio(*arguments):
    raise OSError(errno.EIO, os.strerror(errno.EIO))
