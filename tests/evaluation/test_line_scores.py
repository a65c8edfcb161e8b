import json
import tracemalloc

import numpy as np
import pytest
import torch

from h2q.checkpoint.model_file import save_model
from h2q.evaluation.byte_losses import byte_losses
from h2q.evaluation.line_scores import Score, byte_nats, score_lines
from h2q.model.tokenizer import END_OF_DOCUMENT
from h2q.model.transformer import Transformer
from tests.conftest import chat, make_text, memory_of


@pytest.fixture
def model(tiny_model_config):
    model = Transformer(tiny_model_config).initialize(seed=0).eval().requires_grad_(False)
    model.output.weight.normal_(std=1.0, generator=torch.Generator().manual_seed(3))
    return model


def random_bytes(size: int) -> bytes:
    return bytes(np.random.default_rng(0).integers(1, 255, size, dtype=np.uint8))


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 66, 121, 904, 905, 3000])
def test_each_byte_is_predicted_once_with_enough_before_it(model, size):
    """Compared with a separate pass for each byte over exactly the bytes that it may see. Of a
    context of 64 bytes, neighbouring windows share 8."""
    text = random_bytes(size)
    chunks = iter([text[start : start + 777] for start in range(0, size, 777)])
    pieces = list(byte_nats(model, chunks))
    assert b"".join(data for data, _ in pieces) == text
    nats = np.concatenate([values for _, values in pieces])
    whole = bytes([END_OF_DOCUMENT]) + text
    for index in {1, size, size // 2 + 1, min(size, 65), min(size, 66), min(size, 900)}:
        start = 0 if index <= 64 else -(-(index - 64) // 56) * 56
        assert start == 0 or index - start > 8
        logits = model(torch.tensor([list(whole[start:index])]))[0, -1].double()
        wanted = -logits.log_softmax(-1)[whole[index]].item()
        assert nats[index - 1] == pytest.approx(wanted, abs=1e-4)


def test_a_memory_counts(model):
    """A model is measured as a person uses it."""
    text = make_text(60).encode()
    model.memory = memory_of(make_text(3000).encode())
    [(_, nats)] = byte_nats(model, iter([text]))
    row = bytes([END_OF_DOCUMENT]) + text
    [wanted] = byte_losses(model, [row], torch.float32, model.memory)
    [alone] = byte_losses(model, [row], torch.float32)
    assert (nats == wanted.numpy()).all() and nats.sum() < alone.sum()


def test_lines_add_up_to_the_file(model):
    text = make_text(3000).encode() + b"no end"
    total = Score()
    lines = list(score_lines(byte_nats(model, iter([text])), total))
    assert [bytes(line.shown) for line in lines] == text.splitlines(keepends=True)
    assert sum(line.nats for line in lines) == pytest.approx(total.nats)
    assert total.size == len(text)


def test_nothing_has_no_score(model):
    total = Score()
    assert list(score_lines(byte_nats(model, iter([b""])), total)) == []
    assert total.bits_per_byte is None and total.perplexity is None


def test_shown_is_the_beginning_of_a_long_line(model):
    [line] = score_lines(byte_nats(model, iter([b"abc" * 200])), Score())
    assert line.size == 600 and line.shown == b"abc" * 80


def test_memory_does_not_grow_with_the_text(model):
    """A single line of 300 kB costs less memory than it has bytes."""
    tracemalloc.start()
    for _ in score_lines(byte_nats(model, (b"word " * 2000 for _ in range(30))), Score()):
        pass
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 250_000


def test_the_odd_line_of_a_log_stands_out(tmp_path, tiny_model_config):
    """``--mode score --lines``: a model that knows one letter, and a line of another."""
    model = Transformer(tiny_model_config).initialize(seed=0)
    with torch.no_grad():
        model.output.bias[list(b"ab \n")] = 8.0
    save_model(tmp_path / "m.pt", model, {})
    lines = ["ab ba ab"] * 40
    lines[17] = "ab \x1b[2J 错"
    (tmp_path / "log.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = ("--mode", "score", "log.txt", "--model", "m.pt", "--lines")
    run = chat(*options, cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    *scores, last = run.stdout.splitlines()
    assert "每字节比特" in last and "\x1b" not in run.stdout
    worst = max(scores, key=lambda line: float(line.split("\t")[0]))
    assert worst.split("\t")[1] == "18" and len(scores) == 40
    values = [
        json.loads(line) for line in chat(*options, "--json", cwd=tmp_path).stdout.splitlines()
    ]
    assert len(values) == 41 and values[-1]["file"] == "log.txt" and "line" not in values[-1]
    assert max(values[:-1], key=lambda value: value["bits_per_byte"])["line"] == 18
    assert sum(value["bytes"] for value in values[:-1]) == values[-1]["bytes"]
