"""Our model as a GPT-NeoX model, by itself and as ``transformers`` reads it."""

import os

import pytest
import torch

from h2q.checkpoint.export import export_model
from h2q.checkpoint.gpt_neox import byte_tokenizer, gpt_neox_config, gpt_neox_tensors
from h2q.model.tokenizer import END_OF_DOCUMENT, PAD
from tests.checkpoint.conftest import PROVENANCE, SHAPES, trained

os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.mark.parametrize("config", SHAPES, ids=["narrow", "wide"])
def test_transformers_gives_the_same_logits(tmp_path, transformers, config):
    model = trained(config)
    export_model(model, PROVENANCE, tmp_path, "transformers")
    theirs, loading = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert type(theirs).__name__ == "GPTNeoXForCausalLM"
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    tokens = torch.randint(1, 256, (3, config.context_length))
    with torch.no_grad():
        wanted, found = model(tokens), theirs.eval()(tokens).logits
    assert wanted.std() > 0.5
    assert (wanted - found).abs().max() < 1e-4


@pytest.mark.parametrize("text", ["人工智能 is\tAI\n", "ÿ þ \xa0 é 🚀", "  two  spaces ", "a'll b"])
def test_the_tokenizer_is_bytes_of_utf8(tmp_path, transformers, text):
    export_model(trained(SHAPES[0]), {}, tmp_path, "transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    tokens = tokenizer(text).input_ids
    assert tokens == list(text.encode("utf-8"))
    assert tokenizer.decode(tokens) == text
    assert sorted(tokenizer.get_vocab().values()) == list(range(256))


@pytest.mark.parametrize("config", SHAPES, ids=["narrow", "wide"])
def test_every_weight_is_there_once_and_none_is_an_output_bias(config):
    model = trained(config)
    renamed = gpt_neox_tensors(model.state_dict(), config)
    assert len(renamed) == len(model.state_dict()) - 1
    assert not any("bias" in name and "embed_out" in name for name in renamed)
    assert all(tensor.dtype == torch.float32 for tensor in renamed.values())
    for index, layer in enumerate(model.layers):
        theirs = renamed[f"gpt_neox.layers.{index}.mlp.dense_4h_to_h.weight"]
        assert torch.equal(theirs, layer.feedforward_output.weight)


def test_query_key_and_value_of_each_head_are_together():
    config = SHAPES[0]  # 2 heads of 16
    model = trained(config)
    ours = model.layers[1].query_key_value.bias
    theirs = gpt_neox_tensors(model.state_dict(), config)[
        "gpt_neox.layers.1.attention.query_key_value.bias"
    ]
    query, key, value = ours.split(32)
    parts = [part[16 * head : 16 * head + 16] for head in (0, 1) for part in (query, key, value)]
    assert torch.equal(theirs, torch.cat(parts))


@pytest.mark.parametrize("config", SHAPES, ids=["narrow", "wide"])
def test_the_output_needs_no_bias(config):
    """The logits are the same for any output of the layers."""
    model = trained(config)
    renamed = gpt_neox_tensors(model.state_dict(), config)
    x = torch.randn(5, config.embed_dim)
    with torch.no_grad():
        wanted = model.output(model.final_norm(x))
    normal = torch.nn.functional.layer_norm(
        x,
        x.shape[1:],
        renamed["gpt_neox.final_layer_norm.weight"],
        renamed["gpt_neox.final_layer_norm.bias"],
    )
    assert (normal @ renamed["embed_out.weight"].T - wanted).abs().max() < 1e-4


def test_the_configuration_says_what_our_model_is():
    config = gpt_neox_config(SHAPES[1])
    assert (config["hidden_size"], config["num_attention_heads"]) == (264, 6)
    assert config["rotary_emb_base"] == config["rope_parameters"]["rope_theta"] == 500
    assert config["use_parallel_residual"] is False and config["rotary_pct"] == 1.0
    assert (config["eos_token_id"], config["pad_token_id"]) == (END_OF_DOCUMENT, PAD)


def test_the_vocabulary_is_every_byte_by_one_character():
    """Each visible character of Latin-1 means its own byte, as in GPT-2."""
    vocabulary = byte_tokenizer()["model"]["vocab"]
    assert list(vocabulary.values()) == list(range(256))
    assert all(len(character) == 1 and not character.isspace() for character in vocabulary)
    assert (vocabulary["A"], vocabulary["é"], vocabulary["Ġ"], vocabulary["Ċ"]) == (65, 233, 32, 10)
