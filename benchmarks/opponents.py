"""What a model is held against on held-out text: compressors, and the memory without a Transformer.

A compressor is *primed*: held-out text costs what it adds to the compressed training text. PPMd
(extra ``bench``) is variant I of 7-Zip and WinZip. It is measured with each of ``PPMD_ORDERS``, and
the best is chosen on the held-out text itself: a favour that our own models are not done. Both
compressors go on learning from the held-out text, while our models begin every window anew;
``ppmd_in_windows`` takes that difference away. Does not split text.
"""

import functools
import lzma
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from h2q.config import ModelConfig, TrainingConfig
from h2q.datasets.corpus import open_corpus
from h2q.evaluation.held_out import evaluate
from h2q.model.transformer import Transformer
from h2q.training.memory import MemoryFitting

OPPONENTS = ("memory", "ppmd", "xz")
PPMD_ORDERS = range(4, 8)
ALL_BYTES = 2**40  # more than any held-out text
PPMD_BYTES = 2**30  # for its model of about 50 MB of text; a fuller model would begin anew


def primed_nats(compressed_bytes: Callable[[bytes], int], train: bytes, heldout: bytes) -> float:
    """Nats that ``heldout`` costs after ``train``, where ``compressed_bytes`` gives a size."""
    added = compressed_bytes(train + heldout) - compressed_bytes(train)
    return added * 8 * math.log(2)


def primed_window_nats(
    compressed_bytes: Callable[[bytes], int], train: bytes, windows: Sequence[bytes]
) -> float:
    """Nats that every byte of ``windows`` but the first costs after ``train`` and what precedes it in
    its window."""
    begun = functools.cache(lambda first: compressed_bytes(train + first))
    added = sum(compressed_bytes(train + row) - begun(row[:1]) for row in windows)
    return added * 8 * math.log(2)


def ppmd(train: bytes, heldout: bytes) -> tuple[float, int]:
    """Nats of ``heldout``, from which PPMd goes on learning, and the order with which they are
    fewest."""
    return min((primed_nats(_ppmd_bytes(order), train, heldout), order) for order in PPMD_ORDERS)


def ppmd_in_windows(train: bytes, windows: Sequence[bytes]) -> tuple[float, int]:
    """The same for every byte of ``windows`` but the first, where PPMd begins each window anew, as a
    Transformer does."""

    return min(
        (primed_window_nats(_ppmd_bytes(order), train, windows), order) for order in PPMD_ORDERS
    )


def _ppmd_bytes(order: int) -> Callable[[bytes], int]:
    import pyppmd

    return lambda data: len(pyppmd.compress(data, max_order=order, mem_size=PPMD_BYTES))


def xz(train: bytes, heldout: bytes) -> float:
    """Nats of ``heldout``; of ``train``, the last 64 MB are seen."""
    strongest = 9 | lzma.PRESET_EXTREME
    return primed_nats(lambda data: len(lzma.compress(data, preset=strongest)), train, heldout)


def silent(context_length: int) -> Transformer:
    """A Transformer without weights: to it, all bytes are equally likely."""
    config = ModelConfig(
        embed_dim=2, n_heads=1, n_layers=1, feedforward_dim=1, context_length=context_length
    )
    model = Transformer(config)
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
    return model.eval()


def memory_alone(train: Path, heldout: Path, cache: Path) -> float:
    """Nats of the text in ``heldout`` to the memory that a run on ``train`` would make, in windows of
    the usual length. Its order and gate are chosen on the validation part, as in a run."""
    settings, model = TrainingConfig(), silent(ModelConfig().context_length)
    corpus = open_corpus(
        train,
        cache,
        context_length=model.config.context_length,
        eval_path=heldout,
        validation_fraction=settings.validation_fraction,
    )
    fitting = MemoryFitting(
        corpus, model.config.context_length, settings.memory_bytes, torch.float32
    )
    memory = fitting.whole(model)
    measured = evaluate(model, corpus.heldout, limit_bytes=ALL_BYTES, memory=memory)
    return measured.loss * len(corpus.heldout)


def measure(name: str, directory: Path, characters: int) -> dict:
    """The loss, in nats a character, of an opponent on the split of texts in ``directory``."""
    train, heldout = directory / "train.txt", directory / "heldout.txt"
    began = time.perf_counter()
    found: dict = {"run": name}
    if name == "memory":
        nats = memory_alone(train, heldout, directory)
    elif name == "ppmd":
        nats, order = ppmd(train.read_bytes(), heldout.read_bytes())
        found["order"] = order
    else:
        nats = xz(train.read_bytes(), heldout.read_bytes())
    return {**found, "loss": nats / characters, "command_seconds": time.perf_counter() - began}
