import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from h2q.config import ModelConfig
from h2q.model.decoder import Decoder
from h2q.model.transformer import Transformer

CONFIGS = {
    "tiny": ModelConfig(
        embed_dim=32, n_heads=2, n_layers=2, context_length=160, feedforward_dim=64
    ),
    "wide": ModelConfig(
        embed_dim=256, n_heads=8, n_layers=1, context_length=192, feedforward_dim=2048
    ),
    "odd": ModelConfig(embed_dim=24, n_heads=3, n_layers=1, context_length=70, feedforward_dim=37),
}


@pytest.fixture(params=CONFIGS)
def model(request):
    """An untrained model whose weights are so large that every part has an effect."""
    model = Transformer(CONFIGS[request.param]).initialize(seed=0).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        generator = torch.Generator().manual_seed(len(name))
        if parameter.dim() > 1:
            parameter.normal_(std=parameter.shape[1] ** -0.5, generator=generator)
        else:
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return model


def random_bytes(size: int, seed: int = 0) -> bytes:
    return bytes(np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8))


def read_in_pieces(decoder: Decoder, slot: int, text: bytes, sizes) -> np.ndarray:
    parts, start = [], 0
    while start < len(text):
        size = next(sizes)
        parts += decoder.read([(slot, text[start : start + size])])
        start += size
    return np.concatenate(parts)


def random_sizes(seed: int, most: int = 9):
    generator = np.random.default_rng(seed)
    while True:
        yield int(generator.integers(1, most + 1))


def test_logits_are_those_of_the_model(model, unrounded):
    text = random_bytes(model.config.context_length)
    wanted = model(torch.tensor([list(text)]))[0].numpy()
    [got] = Decoder(model).read([(0, text)])
    assert np.abs(got - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_every_bit_is_the_same_however_the_text_is_read(model, each_kernel):
    """Text is read at once, byte by byte, and in pieces of random sizes."""
    text = random_bytes(model.config.context_length)
    decoder = Decoder(model)
    [at_once] = decoder.read([(0, text)])
    for sizes in (iter([1] * len(text)), random_sizes(1), random_sizes(2, most=70)):
        decoder.keep(0, 0)
        assert np.array_equal(read_in_pieces(decoder, 0, text, sizes), at_once)


def test_every_bit_is_the_same_whoever_else_is_read(model, each_kernel):
    """One stream is read alone and among 64, which are at different places and read different
    amounts."""
    length = model.config.context_length
    texts = [random_bytes(length, seed) for seed in range(64)]
    crowd, parts = Decoder(model, 64), [[] for _ in texts]
    generator = np.random.default_rng(3)
    for step in range(60):
        new = []
        for slot, text in enumerate(texts):
            known = crowd.lengths[slot]
            size = int(generator.integers(0, 4)) if step else int(generator.integers(1, 90))
            if data := text[known : known + min(size, crowd.free(slot))]:
                new.append((slot, data))
        for (slot, _), logits in zip(new, crowd.read(new)):
            parts[slot].append(logits)
    alone = Decoder(model)
    for slot in (0, 1, 31, 63):
        alone.keep(0, 0)
        [wanted] = alone.read([(0, texts[slot][: crowd.lengths[slot]])])
        assert np.array_equal(np.concatenate(parts[slot]), wanted)


def test_what_was_forgotten_leaves_no_trace(model):
    text = random_bytes(40)
    decoder = Decoder(model)
    [wanted] = decoder.read([(0, text)])
    decoder.keep(0, 5)
    decoder.read([(0, b"something else instead")])
    decoder.keep(0, 5)
    [got] = decoder.read([(0, text[5:])])
    assert np.array_equal(got, wanted[5:])


def test_after_a_slide_the_newer_half_stands_at_the_beginning():
    """The keys and values of the first layer depend on nothing before them: as if read anew."""
    model = Transformer(CONFIGS["odd"]).initialize(seed=0).eval()
    length = model.config.context_length
    text = random_bytes(length)
    decoder = Decoder(model)
    decoder.read([(0, text)])
    decoder.slide(0)
    assert decoder.free(0) == length - length // 2
    [got] = decoder.read([(0, b"what follows")])
    decoder.keep(0, 0)
    [wanted] = decoder.read([(0, text[-(length // 2) :] + b"what follows")])
    assert np.abs(got - wanted[-12:]).max() < 1e-5 * np.abs(wanted).max()


def test_every_bit_is_the_same_after_a_slide(model, each_kernel):
    """The text is read in pieces, and other streams are read beside it."""
    length = model.config.context_length
    text = random_bytes(length + 30)
    parts = []
    for decoder, slot, sizes in (
        (Decoder(model), 0, iter([length, 30])),
        (Decoder(model, 3), 1, random_sizes(1)),
    ):
        for other in set(range(len(decoder.lengths))) - {slot}:
            decoder.read([(other, random_bytes(50, seed=other))])
        read_in_pieces(decoder, slot, text[:length], sizes)
        decoder.slide(slot)
        parts.append(read_in_pieces(decoder, slot, text[length:], sizes))
    assert np.array_equal(*parts)


def test_what_does_not_fit_is_refused(model):
    decoder = Decoder(model)
    decoder.read([(0, bytes(decoder.free(0)))])
    assert decoder.free(0) == 0
    with pytest.raises(ValueError, match="room for 0"):
        decoder.read([(0, b"x")])


def test_rounding_changes_the_logits_a_little(model, each_kernel):
    """Of random weights; what it costs trained models is in ``benchmarks/RESULTS.md``."""
    text = random_bytes(60)
    wanted = model(torch.tensor([list(text)]))[0].numpy()
    [got] = Decoder(model).read([(0, text)])
    error = np.sqrt(((got - wanted) ** 2).mean() / (wanted**2).mean())
    assert 0 < error < 0.04


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_every_new_length():
    """Some libraries keep a kernel for each number of rows: with oneDNN it was 3 MB a length."""
    decoder = Decoder(Transformer(CONFIGS["tiny"]).initialize(seed=0))
    before = resident_bytes()
    for length in range(60, 160):
        decoder.keep(0, 0)
        decoder.read([(0, bytes(length))])
    assert resident_bytes() - before < 120e6


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
