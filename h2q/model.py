"""The Transformer of the README, and the key/value cache that lets it write byte after byte.

Pre-norm layers under a causal mask with rotary positions, as in GPT-NeoX with sequential
residuals (arXiv 2204.06745): token embedding, layers, final norm, untied output layer. Dropout
falls on the embedding and on the two residual branches, not on attention weights, which would
keep the fused attention kernel away. With the rotation off a layer computes what
``torch.nn.TransformerEncoderLayer(norm_first=True)`` computes.

Shapes: B batch, T positions, C ``embed_dim``, H heads, D ``head_dim``, V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from h2q.attention import causal_attention, rotary_table, rotate, split_heads
from h2q.config import ModelConfig
from h2q.fused import dropout, feed_forward

_INIT_STD = 0.02  # GPT-2; branches that add to the residual are scaled down with depth


class KeyValueCache:
    """Keys and values of the positions a model has already seen, for one batch of streams.

    Holds at most ``context_length`` positions; ``length`` of them are filled. Its size never
    changes: 2 × layers × B × H × context_length × D elements.
    """

    def __init__(self, config: ModelConfig, batch_size: int = 1, *, device=None, dtype=None):
        shape = (
            config.n_layers,
            batch_size,
            config.n_heads,
            config.context_length,
            config.head_dim,
        )
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.length = 0

    @property
    def capacity(self) -> int:
        return self.keys.shape[3]

    @property
    def free(self) -> int:
        """Positions that can still be added."""
        return self.capacity - self.length

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Stores (B, H, T, D) new ones after those known; returns all (B, H, length + T, D)."""
        end = self.length + keys.shape[2]
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]


class TransformerLayer(nn.Module):
    """Self-attention and feed-forward, each behind a LayerNorm and added to its input."""

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

    def forward(self, x: Tensor, cache: KeyValueCache | None = None, index: int = 0) -> Tensor:
        """(B, T, C) to (B, T, C). With a ``cache`` the positions follow those it holds for
        layer ``index``."""
        qkv = self.query_key_value(self.attention_norm(x))
        if cache is None:
            mixed = causal_attention(qkv, self.n_heads, self.rotary_base)
        else:
            mixed = self._cached_attention(qkv, cache, index)
        x = dropout(self.attention_output(mixed), self.dropout, self.training, residual=x)
        normal = self.feedforward_norm(x).to(qkv.dtype)
        branch = feed_forward(normal, self.feedforward_input, self.feedforward_output)
        return dropout(branch, self.dropout, self.training, residual=x)

    def _cached_attention(self, qkv: Tensor, cache: KeyValueCache, index: int) -> Tensor:
        """As ``causal_attention``, for positions after those in the ``cache``."""
        query, key, value = split_heads(qkv, self.n_heads)
        length, known = qkv.shape[1], cache.length
        table = rotary_table(cache.capacity, query.shape[-1], self.rotary_base, qkv.device)
        table = table[:, known : known + length]
        key, value = cache.extend(index, rotate(key, table), value)
        mask = None
        if known and length > 1:  # row i sees the known positions and new ones up to i
            mask = torch.ones(length, known + length, dtype=torch.bool, device=qkv.device)
            mask = mask.tril(diagonal=known)
        mixed = F.scaled_dot_product_attention(
            rotate(query, table), key, value, mask, is_causal=known == 0
        )
        return mixed.transpose(1, 2).flatten(2)


class Transformer(nn.Module):
    """The language model: byte ids in, logits of the next byte out."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.embed_dim)
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.n_layers))
        self.final_norm = nn.LayerNorm(config.embed_dim)
        self.output = nn.Linear(config.embed_dim, config.vocab_size)
        self.drafts: Tensor | None = None  # ``drafts.draft_table`` of its training text

    def initialize(self, seed: int) -> "Transformer":
        """Draws all weights anew: normal matrices, zero biases (GPT-2's scheme). Returns self."""
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
        return self

    def forward(self, tokens: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Logits (B, T, V) for byte ids (B, T), T at most ``context_length``.

        With a ``cache`` the tokens follow the ones it holds; their keys and values are added to
        it. Raises ``ValueError`` when they do not fit.
        """
        start = cache.length if cache is not None else 0
        end = start + tokens.shape[1]
        if end > self.config.context_length:
            raise ValueError(f"{end} positions, but the context holds {self.config.context_length}")
        x = dropout(self.embedding(tokens), self.config.dropout, self.training)
        for index, layer in enumerate(self.layers):
            x = layer(x, cache, index)
        if cache is not None:
            cache.length = end
        return self.output(self.final_norm(x))

    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())
