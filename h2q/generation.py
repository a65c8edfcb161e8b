"""From logits to bytes: sampling, and the loop that writes text without end.

What comes out is always valid UTF-8: bytes that would break it are masked and the rest
renormalised. Does not know of files or terminals.
"""

import functools
from collections.abc import Iterator

import torch
from torch import Tensor

from h2q.config import SamplingConfig
from h2q.model import KeyValueCache, Transformer
from h2q.tokenizer import END_OF_DOCUMENT, START, TRANSITIONS, VOCAB_SIZE, allowed_bytes

_CONTROLS = {*range(0x20), 0x7F} - set(b"\t\n\r")
_CHARACTER_BYTES = 4  # the longest character of UTF-8


@functools.cache
def _mask(state: int, budget: int) -> Tensor:
    """0 for tokens that may come next, -inf for the others; float32, shape (V,).

    The text may end between two characters only. Control characters but tab and line ends are
    left out: they are no text, and a terminal would obey them.
    """
    mask = torch.full((VOCAB_SIZE,), -torch.inf)
    mask[[byte for byte in allowed_bytes(state, budget) if byte not in _CONTROLS]] = 0.0
    if state == START:
        mask[END_OF_DOCUMENT] = 0.0
    return mask


def next_token_mask(state: int, budget: int) -> Tensor:
    """The mask for a UTF-8 ``state`` with ``budget`` bytes left to write."""
    return _mask(state, min(budget, _CHARACTER_BYTES))


def sample(logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    """A token drawn from softmax(logits / temperature), shape (V,); the best one at 0."""
    if temperature == 0:
        return int(logits.argmax())
    # The best logit becomes 0 first: divided by a tiny temperature it must not overflow.
    probabilities = torch.softmax((logits - logits.max()).double() / temperature, dim=-1)
    return int(torch.multinomial(probabilities, 1, generator=generator))


@torch.inference_mode()
def generate(model: Transformer, prompt: bytes, sampling: SamplingConfig) -> Iterator[int]:
    """Bytes that continue ``prompt``, at most ``sampling.max_length``, until the model ends it.

    The prompt must end between two characters. The model sees the last ``context_length`` bytes:
    when they are full, the older half is dropped and the newer half read again, so a byte costs
    the same however much was written, and memory stays as it is.
    """
    device = next(model.parameters()).device
    context_length = model.config.context_length
    # The seed draws from a generator of its own: training's random state is left alone.
    generator = torch.Generator().manual_seed(sampling.seed)
    # A text begins behind the mark that ended the one before.
    context = bytearray(prompt[-context_length:] or [END_OF_DOCUMENT])
    cache = KeyValueCache(model.config, device=device)
    unread = context
    state = START
    for written in range(sampling.max_length):
        if len(unread) > cache.free:
            context = context[-max(1, context_length // 2) :]
            cache.length = 0
            unread = context
        tokens = torch.tensor([list(unread)], device=device)
        logits = model(tokens, cache)[0, -1].cpu()
        token = sample(
            logits + next_token_mask(state, sampling.max_length - written),
            sampling.temperature,
            generator,
        )
        if token == END_OF_DOCUMENT:
            return
        yield token
        state = TRANSITIONS[state][token]
        context.append(token)
        unread = bytes([token])
