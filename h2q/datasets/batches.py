"""Batches of windows from a stream of bytes, in an order that the seed decides.

Does not know where the bytes come from.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from h2q.datasets.corpus import ByteStream
from h2q.model.tokenizer import PAD


def batches_per_epoch(stream: ByteStream, context_length: int, batch_size: int) -> int:
    """How many batches ``epoch_batches`` makes of ``stream``."""
    windows = -(-len(stream) // context_length)
    return -(-windows // batch_size)


def epoch_batches(
    stream: ByteStream, context_length: int, batch_size: int, seed: int, epoch: int, first: int = 0
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Batches ``first``, ``first`` + 1, … of an epoch: inputs and targets, int64, each (B, T), and
    where in ``stream`` each row begins (B,).

    The stream is taken as a circle. It is cut into windows of ``context_length``, beginning at a
    random offset. Each window comes once, in random order, so every byte is a target once an epoch
    (README: 随机序列截取). Only the last window is padded (README: 固定长度512, 使用token 0进行
    填充). What an epoch holds depends only on ``stream``, ``seed`` and ``epoch``.
    """
    generator = np.random.Generator(np.random.PCG64([seed, epoch]))
    size = len(stream)
    offset = int(generator.integers(min(size, context_length)))
    order = np.arange(-(-size // context_length), dtype=np.int32)
    generator.shuffle(order)
    for begin in range(first * batch_size, len(order), batch_size):
        chosen = order[begin : begin + batch_size].tolist()
        tokens = np.full((len(chosen), context_length + 1), PAD, dtype=np.int64)
        starts = [(offset + index * context_length) % size for index in chosen]
        for row, index in enumerate(chosen):
            count = min(context_length, size - index * context_length) + 1
            data = stream.read(starts[row], count)
            tokens[row, :count] = np.frombuffer(data, dtype=np.uint8)
        inputs, targets = torch.from_numpy(tokens[:, :-1]), torch.from_numpy(tokens[:, 1:])
        yield inputs, targets, torch.tensor(starts)
