"""The Transformer of the README, which is trained and measured. ``decoder`` writes text with it.

Pre-norm layers under a causal mask with rotary positions, as in GPT-NeoX with sequential
residuals (arXiv 2204.06745): token embedding, layers, final norm, untied output layer. Dropout
acts on the embedding and on the two residual branches. It does not act on attention weights: that
would rule out the fused attention kernel. Without the rotation a layer computes what
``torch.nn.TransformerEncoderLayer(norm_first=True)`` computes.

Shapes: B batch, T positions, C ``embed_dim``, H heads, D ``head_dim``, V vocabulary.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from h2q.config import ModelConfig
from h2q.memory.mixture import Memory
from h2q.model.attention import causal_attention
from h2q.model.feed_forward import dropout, feed_forward

_INIT_STD = 0.02  # as in GPT-2; smaller for the matrices that add to the residual


class TransformerLayer(nn.Module):
    """Self-attention and feed-forward, each after a LayerNorm. Their outputs are added to their
    inputs."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.n_heads = config.n_heads
        self.attention_norm = nn.LayerNorm(config.embed_dim)
        self.query_key_value = nn.Linear(config.embed_dim, 3 * config.embed_dim)
        self.attention_output = nn.Linear(config.embed_dim, config.embed_dim)
        self.feedforward_norm = nn.LayerNorm(config.embed_dim)
        self.feedforward_input = nn.Linear(config.embed_dim, config.feedforward_dim)
        self.feedforward_output = nn.Linear(config.feedforward_dim, config.embed_dim)
        self.dropout = config.dropout
        self.rotary_base = config.rotary_base

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        qkv = self.query_key_value(self.attention_norm(x))
        mixed = causal_attention(qkv, self.n_heads, self.rotary_base)
        x = dropout(self.attention_output(mixed), self.dropout, self.training, residual=x)
        normal = self.feedforward_norm(x).to(qkv.dtype)
        branch = feed_forward(normal, self.feedforward_input, self.feedforward_output)
        return dropout(branch, self.dropout, self.training, residual=x)


class Transformer(nn.Module):
    """The language model: byte ids in, logits of the next byte out."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.embed_dim)
        layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.n_layers))
        self.layers = cast(Sequence[TransformerLayer], layers)  # PyTorch does not type its elements
        self.final_norm = nn.LayerNorm(config.embed_dim)
        self.output = nn.Linear(config.embed_dim, config.vocab_size)
        self.memory: Memory | None = None  # of its training text; not part of the weights

    def initialize(self, seed: int, depth: int | None = None) -> "Transformer":
        """Draws all weights anew: normal matrices, zero biases (GPT-2's scheme). Returns self.

        Layers after the first ``depth`` do nothing yet: the last matrices of their branches are
        zero.
        """
        generator = torch.Generator().manual_seed(seed)
        residual_std = _INIT_STD / (2 * self.config.n_layers) ** 0.5
        for name, parameter in self.named_parameters():
            if "norm" in name:
                nn.init.constant_(parameter, 1.0 if name.endswith("weight") else 0.0)
            elif parameter.dim() == 1:
                nn.init.zeros_(parameter)
            else:
                branch_end = name.endswith(("attention_output.weight", "feedforward_output.weight"))
                std = residual_std if branch_end else _INIT_STD
                nn.init.normal_(parameter, std=std, generator=generator)
        for layer in self.layers[len(self.layers) if depth is None else depth :]:
            nn.init.zeros_(layer.attention_output.weight)
            nn.init.zeros_(layer.feedforward_output.weight)
        return self

    def forward(self, tokens: Tensor, depth: int | None = None) -> Tensor:
        """Logits (B, T, V) for byte ids (B, T), computed by the first ``depth`` layers or by all.
        Raises ``ValueError`` for more than ``context_length`` positions."""
        length, most = tokens.shape[1], self.config.context_length
        if length > most:
            raise ValueError(f"{length} positions, but the context holds {most}")
        x = dropout(self.embedding(tokens), self.config.dropout, self.training)
        for layer in self.layers[:depth]:
            x = layer(x)
        logits: Tensor = self.output(self.final_norm(x))
        return logits

    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())
