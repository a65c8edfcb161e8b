import io
import sys
from pathlib import Path

import pytest

from h2q.config import SamplingConfig
from h2q.generation import prompts as module
from h2q.generation.prompts import PromptsFile, read_prompt
from h2q.system.console import Console
from h2q.system.errors import PromptsError

SAMPLING = SamplingConfig(max_length=20, seed=100)


def written(tmp_path, data: bytes, name="prompts.txt"):
    (tmp_path / name).write_bytes(data)
    return PromptsFile(tmp_path / name, SAMPLING, Console())


def test_a_prompt_a_line(tmp_path):
    found = list(written(tmp_path, "\ufeff你好\r\n\n  \nb\x00c\n".encode()))
    assert [(prompt.line, prompt.text) for prompt in found] == [(1, "你好"), (4, "b\0c")]
    assert [prompt.sampling.seed for prompt in found] == [100, 103]


def test_json_lines_with_settings_of_their_own(tmp_path):
    lines = ['"a"', '{"prompt": "b", "temperature": 0, "seed": 7, "stop": ["x"]}', '{"prompt": ""}']
    found = list(written(tmp_path, "\n".join(lines).encode(), "p.jsonl"))
    assert [prompt.text for prompt in found] == ["a", "b", ""]
    assert found[1].sampling == SamplingConfig(temperature=0, seed=7, stop=("x",), max_length=20)
    assert found[0].sampling.seed == 100


def test_a_prompt_from_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("长".encode() * 3 + b"\xff")))
    assert read_prompt("-") == "长长长\ufffd"
    assert read_prompt("x") == "x"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PromptsError, match=r"none\.txt"):
        list(PromptsFile(tmp_path / "none.txt", SAMPLING, Console()))


def test_prompts_from_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("你好\nb".encode())))
    prompts = PromptsFile(Path("-"), SAMPLING, Console())
    assert [prompt.text for prompt in prompts] == ["你好", "b"]


def test_of_a_line_that_is_too_long_nothing_becomes_a_prompt(tmp_path, monkeypatch, capsys):
    """The rest of the line does not count as another line."""
    monkeypatch.setattr(module, "_LINE_LIMIT_BYTES", 10)
    prompts = written(tmp_path, b"a" * 35 + b"\nb\n" + b"c" * 22)
    assert [(prompt.line, prompt.text) for prompt in prompts] == [(2, "b")]
    assert prompts.broken == len(capsys.readouterr().err.splitlines()) == 2
