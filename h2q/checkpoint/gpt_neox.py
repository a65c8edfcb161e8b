"""Our model as a GPT-NeoX model: configuration, names and order of the weights, tokenizer.

Our layers are those of GPT-NeoX with sequential residuals (arXiv 2204.06745). So the weights are
only renamed, with two adjustments: GPT-NeoX keeps query, key and value of each head together, and
its output layer has no bias. Writes no files.
"""

from typing import Any

import torch
from torch import Tensor

from h2q.checkpoint.container import Tensors
from h2q.config import ModelConfig
from h2q.model.tokenizer import END_OF_DOCUMENT, PAD, VOCAB_SIZE

_LAYER_NORM_EPS = 1e-5  # PyTorch's, in the model
_LAYER_NAMES = {
    "attention_norm": "input_layernorm",
    "query_key_value": "attention.query_key_value",
    "attention_output": "attention.dense",
    "feedforward_norm": "post_attention_layernorm",
    "feedforward_input": "mlp.dense_h_to_4h",
    "feedforward_output": "mlp.dense_4h_to_h",
}


def gpt_neox_config(config: ModelConfig) -> dict[str, Any]:
    """What ``GPTNeoXConfig`` of ``transformers`` reads, by its older and by its newer names."""
    return {
        "architectures": ["GPTNeoXForCausalLM"],
        "model_type": "gpt_neox",
        "vocab_size": config.vocab_size,
        "hidden_size": config.embed_dim,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "intermediate_size": config.feedforward_dim,
        "hidden_act": "relu",
        "hidden_dropout": config.dropout,
        "attention_dropout": 0.0,
        "max_position_embeddings": config.context_length,
        "layer_norm_eps": _LAYER_NORM_EPS,
        "use_parallel_residual": False,
        "attention_bias": True,
        "tie_word_embeddings": False,
        "rotary_pct": 1.0,
        "rotary_emb_base": config.rotary_base,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": config.rotary_base,
            "partial_rotary_factor": 1.0,
        },
        "bos_token_id": END_OF_DOCUMENT,  # the mark between two documents
        "eos_token_id": END_OF_DOCUMENT,
        "pad_token_id": PAD,
        "torch_dtype": "float32",
    }


def gpt_neox_tensors(tensors: Tensors, config: ModelConfig) -> Tensors:
    """The weights by the names, and in the order of rows, that ``GPTNeoXForCausalLM`` has."""
    result = {"gpt_neox.embed_in.weight": tensors["embedding.weight"]}
    for index in range(config.n_layers):
        for ours, theirs in _LAYER_NAMES.items():
            for kind in ("weight", "bias"):
                tensor = tensors[f"layers.{index}.{ours}.{kind}"]
                if ours == "query_key_value":
                    tensor = _by_head(tensor, config.n_heads)
                result[f"gpt_neox.layers.{index}.{theirs}.{kind}"] = tensor
    weight, bias = _without_output_bias(tensors)
    result["gpt_neox.final_layer_norm.weight"] = torch.ones_like(bias)
    result["gpt_neox.final_layer_norm.bias"] = bias
    result["embed_out.weight"] = weight
    return result


def _by_head(tensor: Tensor, n_heads: int) -> Tensor:
    """Rows (3, H, D, ...) of all queries, keys, values as (H, 3, D, ...), those of each head."""
    rest = tensor.shape[1:]
    return tensor.reshape(3, n_heads, -1, *rest).transpose(0, 1).reshape(-1, *rest)


def _without_output_bias(tensors: Tensors) -> tuple[Tensor, Tensor]:
    """The output matrix (V, C) and the final norm's bias (C,) of a model that computes the same
    logits without an output bias. The scale of its final norm is 1.

    Before scale and bias, the output of the norm sums to 0 over the width C. A column u that is
    added to all columns of the matrix is therefore multiplied by the norm's bias alone. The new
    bias is 1 everywhere, so u adds C·u to the logits.
    """
    weight, bias = tensors["output.weight"].double(), tensors["output.bias"].double()
    scaled = weight * tensors["final_norm.weight"].double()  # the scale moves into the matrix
    wanted = weight @ tensors["final_norm.bias"].double() + bias
    column = (wanted - scaled.sum(dim=1)) / scaled.shape[1]
    ones = torch.ones_like(tensors["final_norm.bias"])
    return (scaled + column[:, None]).float(), ones


def byte_tokenizer() -> dict[str, Any]:
    """A ``tokenizer.json`` in which a token is a byte of UTF-8: byte-level BPE without merges."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {**level, "use_regex": False},
        "post_processor": None,
        "decoder": {**level, "use_regex": False},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {character: byte for byte, character in enumerate(_byte_characters())},
            "merges": [],
        },
    }


def _byte_characters() -> list[str]:
    """The character that stands for each byte in byte-level BPE (GPT-2's ``bytes_to_unicode``)."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in visible else next(others)) for byte in range(VOCAB_SIZE)]
