import pytest
import torch

from h2q.checkpoint.model_file import save_model
from h2q.config import SamplingConfig
from h2q.generation.inference import LocalInferenceModel
from h2q.model.transformer import Transformer
from h2q.system.errors import ModelFileError


@pytest.fixture
def model(tiny_model_config, tmp_path):
    path = tmp_path / "model.pt"
    save_model(path, Transformer(tiny_model_config).initialize(seed=0), {"epoch": 1})
    return LocalInferenceModel(path)


@pytest.mark.parametrize(
    "prompt", ["", "x", "人工智能是", "\ud800 lone surrogate", "a\0b", "长" * 500]
)
def test_every_prompt_gets_valid_text(model, prompt):
    text = model.generate(prompt, SamplingConfig(max_length=40))
    assert 0 <= len(text.encode("utf-8")) <= 40


def test_stream_yields_whole_characters(model):
    """Characters of three bytes arrive as one piece, none of them broken."""
    with torch.no_grad():
        model.model.output.bias[0xE5] = 1e4
    sampling = SamplingConfig(max_length=30)
    pieces = list(model.stream("字", sampling))
    assert all(len(piece) == 1 and len(piece.encode("utf-8")) == 3 for piece in pieces)
    assert len(pieces) == 10
    assert "".join(pieces) == model.generate("字", sampling)


def test_provenance_is_told(model):
    assert model.provenance == {"epoch": 1}


def test_missing_model_says_how_to_train_one(tmp_path):
    with pytest.raises(ModelFileError, match=r"local_training_system\.py --mode train"):
        LocalInferenceModel(tmp_path / "none.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_batch_is_what_each_prompt_gets_alone(model):
    prompts = ["", "x", "人工智能是"]
    sampling = [SamplingConfig(max_length=30, seed=seed) for seed in range(3)]
    batch = model.generate_batch(prompts, sampling)
    alone = [model.generate(prompt, settings) for prompt, settings in zip(prompts, sampling)]
    assert [answer.text.decode() for answer in batch] == alone


def test_changed_weights_are_noticed(model):
    sampling = SamplingConfig(temperature=0, max_length=10)
    assert model.generate("x", sampling) != "eeeeeeeeee"
    assert model.decoder() is model.decoder()
    with torch.no_grad():
        model.model.output.bias[ord("e")] = 1e4
    assert model.generate("x", sampling) == "eeeeeeeeee"


def test_a_loop_that_ends_within_a_character_is_told_as_it_is(model):
    """The guard stops after 32 bytes, which is within a character of three bytes."""
    with torch.no_grad():
        model.model.output.bias[[0xE4, 0xB8]] = torch.tensor([2e4, 1e4])
    pieces = list(model.stream("x", SamplingConfig(temperature=0, loop_guard=4)))
    assert pieces == ["丸"] * 10 + ["\ufffd"]
