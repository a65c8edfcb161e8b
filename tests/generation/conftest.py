"""What the tests of conversations and answers share."""

import pytest
import torch

from h2q.checkpoint.model_file import save_model
from h2q.generation.inference import LocalInferenceModel
from h2q.model.tokenizer import END_OF_DOCUMENT
from h2q.model.transformer import Transformer


@pytest.fixture
def model(tiny_model_config, tmp_path):
    """A model that writes letters and does not end by itself, loaded from its file."""
    network = Transformer(tiny_model_config).initialize(seed=0)
    with torch.no_grad():
        network.output.bias[END_OF_DOCUMENT] = -1e4
        network.output.bias[list(b"abcdef ")] = 6.0
    save_model(tmp_path / "model.pt", network, {})
    return LocalInferenceModel(tmp_path / "model.pt")
