import io
import json
import sys
from dataclasses import replace

import pytest
import torch

from h2q.checkpoint.model_file import save_model
from h2q.config import SamplingConfig
from h2q.generation import batch as module
from h2q.generation.batch import answer_all, answers
from h2q.generation.inference import LocalInferenceModel
from h2q.generation.prompts import PromptsFile
from h2q.model.tokenizer import END_OF_DOCUMENT
from h2q.model.transformer import Transformer
from h2q.system.console import Console
from h2q.system.errors import PromptsError, SaveFailed
from tests.conftest import chat

SAMPLING = SamplingConfig(max_length=20, seed=100)


@pytest.fixture
def model(tiny_model_config, tmp_path):
    network = Transformer(tiny_model_config).initialize(seed=0)
    with torch.no_grad():
        network.output.bias[END_OF_DOCUMENT] = -1e4
    save_model(tmp_path / "model.pt", network, {})
    return LocalInferenceModel(tmp_path / "model.pt")


def written(tmp_path, data: bytes, name="prompts.txt"):
    (tmp_path / name).write_bytes(data)
    return PromptsFile(tmp_path / name, SAMPLING, Console())


BROKEN = [b"\xff", b"{", b"3", b"[]", b'{"prompt": 3}', b'{"prompt": "x", "top_p": 2}',
          b'{"prompt": "x", "colour": 1}', b"[" * 100_000, b'{"prompt": "x", "seed": NaN}',
          b'{"prompt": "x", "stop": "y"}', b'"' + b"x" * 2**24 + b'"']  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN, ids=lambda data: repr(data[:30]))
def test_a_broken_line_is_named_and_the_others_are_answered(model, tmp_path, broken, capsys):
    prompts = written(tmp_path, b'"one"\n' + broken + b'\n"two"', "p.jsonl")
    with pytest.raises(PromptsError, match="1"):
        answer_all(model, prompts, as_json=True, console=Console(silent=True))
    out, err = capsys.readouterr()
    assert sorted(json.loads(line)["prompt"] for line in out.splitlines()) == ["one", "two"]
    [line] = err.splitlines()
    assert "p.jsonl" in line and "第 2 行" in line and len(line) < 600


def test_answers_are_those_that_each_prompt_gets_alone(model, tmp_path):
    prompts = list(written(tmp_path, b"\n".join(b"prompt %d" % i for i in range(80))))
    found = {answer.prompt.line: answer for answer in answers(model, prompts)}
    assert sorted(found) == list(range(1, 81))
    for line in (1, 40, 80):
        alone = model.generate(prompts[line - 1].text, prompts[line - 1].sampling)
        assert found[line].generated.text.decode() == alone
        assert found[line].generated.reason == "length"


def test_prompts_are_read_as_they_are_needed(model, tmp_path):
    """A file may have any length: only the prompts being worked on are read."""
    taken = []

    def endless():
        for prompt in written(tmp_path, b"x\n" * 1000):
            taken.append(prompt)
            yield prompt

    working = answers(model, endless(), at_once=4)
    next(working)
    assert len(taken) <= 8
    working.close()


def test_json_has_what_a_program_wants_and_no_control_character(model, tmp_path, capsys):
    answer_all(model, written(tmp_path, "a\u009b\u202e\n".encode()), True, Console(silent=True))
    out = capsys.readouterr().out
    assert "\u009b" not in out and "\u202e" not in out
    [line] = out.splitlines()
    value = json.loads(line)
    assert list(value) == [
        *("line", "prompt", "text", "bits_per_byte", "reason", "seconds", "seed")
    ]
    assert value["prompt"] == "a\u009b\u202e" and value["line"] == 1 and value["reason"] == "length"
    assert value["bits_per_byte"] > 0 and value["seconds"] > 0


def test_json_survives_a_terminal_that_cannot_show_it(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="gbk")
    monkeypatch.setattr(sys, "stdout", stream)
    Console().data(json.dumps("学😀é", ensure_ascii=False))
    assert json.loads(stream.buffer.getvalue().decode("ascii")) == "学😀é"


def test_output_that_cannot_be_written_is_said(model, tmp_path, monkeypatch):
    class Full(io.StringIO):
        def flush(self):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(SaveFailed, match="No space left"):
        answer_all(model, written(tmp_path, b"a"), True, Console(silent=True))


def test_ctrl_c_loses_nothing_that_was_written(model, tmp_path, monkeypatch):
    writing = module.write

    def interrupted(decoder, requests):
        for number, piece in enumerate(writing(decoder, requests)):
            yield piece
            if number == 25:
                raise KeyboardInterrupt

    monkeypatch.setattr(module, "write", interrupted)
    found = []
    with pytest.raises(KeyboardInterrupt):
        for answer in answers(model, list(written(tmp_path, b"a\nb\nc"))):
            found.append(answer)
    assert {answer.generated.reason for answer in found} == {"interrupted"}
    assert sum(len(answer.generated.text) for answer in found) >= 26
    for answer in found:
        whole = model.generate(answer.prompt.text, answer.prompt.sampling).encode()
        assert whole.startswith(answer.generated.text) and answer.generated.text


def test_from_the_command_line(model, tmp_path):
    """Prompts by a pipe, and 10 MB of one: only data on stdout, one clear line on stderr."""
    options = ("--model", model.path, "--json", "--max_length", 10)
    run = chat(*options, "--prompts_file", "-", cwd=tmp_path, input="a\n你好\n")
    assert (run.returncode, run.stderr) == (0, "")
    assert {json.loads(line)["prompt"] for line in run.stdout.splitlines()} == {"a", "你好"}
    run = chat(
        *options[:2], "--max_length", 10, "--prompt", "-", cwd=tmp_path, input="长" * 3_500_000
    )
    assert run.returncode == 0
    assert "10500000" in run.stderr and len(run.stderr.splitlines()) == 1
    assert len(run.stdout) < 20_000
    run = chat("--mode", "demo", "--prompts_file", "x", "--prompt", "y", cwd=tmp_path)
    assert run.returncode == 2 and run.stderr.startswith("❌ ")


def test_as_text_each_answer_follows_its_prompt(model, tmp_path, capsys):
    answer_all(model, written(tmp_path, b"one\n\ntwo"), False, Console())
    out = capsys.readouterr().out
    for line, prompt in ((1, "one"), (3, "two")):
        sampling = replace(SAMPLING, seed=SAMPLING.seed + line - 1)
        assert f"\n{prompt}{model.generate(prompt, sampling)}\n" in out
