import numpy as np
import pytest
import torch
import torch.nn.functional as F

from h2q.evaluation.byte_losses import (
    byte_logits,
    byte_losses,
    byte_losses_and_choices,
    byte_losses_of_both,
)
from h2q.model.tokenizer import PAD
from h2q.model.transformer import Transformer
from h2q.system.device import computing_in
from tests.conftest import make_text, memory_of

ROWS = [b"ab", b"a longer row of text", "中文".encode(), b"\xff\x00\x01 any bytes"]
LONGEST = max(map(len, ROWS))


@pytest.fixture
def model(tiny_model_config):
    model = Transformer(tiny_model_config).initialize(seed=0)
    with torch.no_grad():
        model.output.weight.normal_(std=1.0, generator=torch.Generator().manual_seed(3))
    return model


def test_each_loss_is_that_of_a_row_alone(model):
    losses = byte_losses(model, ROWS, torch.float32)
    assert losses.shape == (len(ROWS), LONGEST - 1) and losses.dtype == torch.float64
    model.eval()
    for row, data in zip(losses, ROWS):
        logits = model(torch.tensor([list(data)]))[0, :-1].double()
        wanted = -logits.log_softmax(-1)[range(len(data) - 1), list(data[1:])]
        torch.testing.assert_close(row[: len(data) - 1], wanted.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_bit_is_that_of_cross_entropy_in_float32(model, dtype):
    """The reference is the code that each measurement had before they shared this function."""
    tokens = torch.zeros(len(ROWS), LONGEST, dtype=torch.long)
    for row, data in enumerate(ROWS):
        tokens[row, : len(data)] = torch.tensor(list(data))
    model.eval()
    with torch.inference_mode(), computing_in(dtype, torch.device("cpu")):
        logits = model(tokens[:, :-1])
    wanted = F.cross_entropy(logits.float().transpose(1, 2), tokens[:, 1:], reduction="none")
    assert torch.equal(byte_losses(model, ROWS, dtype), wanted.double())
    assert torch.equal(byte_losses_and_choices(model, ROWS, dtype)[0], wanted.double())


def test_first_choices_are_the_most_likely_bytes_but_padding(model):
    with torch.no_grad():
        model.output.bias[PAD] = 1e4  # padding is never written, so it must never be chosen
    _, choices = byte_losses_and_choices(model, ROWS, torch.float32)
    model.eval()
    logits = model(torch.tensor([list(ROWS[1])]))[0, :-1].detach()
    logits[:, PAD] = -torch.inf
    best = logits.argmax(-1)
    wanted = torch.tensor(list(ROWS[1][1:]))
    assert torch.equal(choices[1], best == wanted)
    right = ROWS[1][:1] + bytes([int(best[0])])
    assert byte_losses_and_choices(model, [right], torch.float32)[1].tolist() == [[True]]


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_is_left(model, training):
    model.train(training)
    first, second = (byte_losses(model, ROWS, torch.float32) for _ in range(2))
    assert torch.equal(first, second)
    assert model.training is training


def test_the_mode_is_left_when_the_pass_fails(model):
    model.train()
    with pytest.raises(ValueError, match="positions"):
        byte_losses(model, [bytes(66)], torch.float32)
    assert model.training


def test_later_bytes_and_padding_do_not_change_a_loss(model):
    alone = byte_losses(model, [b"abc"], torch.float32)
    together = byte_losses(model, [b"abcdefgh", b"abc"], torch.float32)
    assert np.allclose(alone[0], together[0, :2], rtol=1e-6)
    assert torch.equal(together[0, :2], together[1, :2])


def test_with_a_memory_the_losses_are_those_of_the_mixture(tiny_model_config):
    """Alone, with the memory, and both in one pass; with rows of different lengths."""
    model = Transformer(tiny_model_config).initialize(seed=0).eval()
    text = make_text(4_000).encode()
    memory = memory_of(text)
    rows = [text[:40], text[100:165], text[7:9], text[50:51]]
    alone, together = byte_losses_of_both(model, rows, torch.float32, memory)
    assert torch.equal(alone, byte_losses(model, rows, torch.float32))
    assert torch.equal(together, byte_losses(model, rows, torch.float32, memory))
    logits = byte_logits(model, rows, torch.float32)
    for number, row in enumerate(rows[:3]):
        count = len(row) - 1
        mixed = memory.mix(logits[number, :count].numpy(), memory.recall([row]))
        wanted = F.cross_entropy(
            torch.from_numpy(mixed), torch.tensor([*row[1:]]), reduction="none"
        )
        assert together[number, :count] == pytest.approx(wanted.double(), abs=1e-5)
    assert together[0, :39].mean() < alone[0, :39].mean()
