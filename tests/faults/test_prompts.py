"""Rows 35 and 36: what a person types, and what reaches the terminal."""

import os
import subprocess
import sys

import pytest

from h2q.checkpoint import container
from h2q.checkpoint.model_file import save_model
from h2q.config import ModelConfig
from h2q.model.transformer import Transformer
from h2q.system.paths import MODEL_PATH
from tests.conftest import run_file

from .nursery import REPOSITORY
from .trials import arguments

_CHAT = REPOSITORY / "local_inference_demo.py"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a model whose context is 64 bytes."""
    directory = tmp_path_factory.mktemp("chat")
    config = ModelConfig(embed_dim=16, n_heads=2, n_layers=1, context_length=64, feedforward_dim=16)
    save_model(directory / MODEL_PATH, Transformer(config).initialize(0), {})
    return directory


def chat(place, *options):
    """Runs a new process, which can be given bytes that are not text."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [sys.executable, _CHAT, "--max_length", "5", *options],
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=300,
    )


def raw_controls(data: bytes) -> set:
    """Characters that would act on a terminal: C0 but tab and newline, C1, bidi controls."""
    text = data.decode("utf-8")  # fails if the output is not valid UTF-8
    controls = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))} - set("\t\n")
    return set(text) & (controls | set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))


def test_row_35_anything_on_the_command_line(nursery, place):
    """Lone surrogates (bytes that are not UTF-8), nothing, and more than the model can see."""
    for prompt in ("\udcff\udcfe", "", " ", "\ud83d", "x" * 100_000, "\x1b[2J\u202e\x9b31m"):
        ending = nursery.chat(
            *("--prompt", prompt.encode("utf-16", "surrogatepass").decode("utf-16", "replace")),
            *("--max_length", "5", "--model", place / MODEL_PATH),
            cwd=place,
        )
        assert ending.code == 0, ending.stderr
        assert "Traceback" not in ending.stderr
        assert not raw_controls((ending.stdout + ending.stderr).encode())
        assert ("64" in ending.stderr) == (len(prompt) > 64)
    ending = chat(place, b"--prompt", b"\xff\xfe\xc3")
    assert ending.returncode == 0 and b"Traceback" not in ending.stderr


@pytest.mark.parametrize("encoding", ["utf-8:strict", "utf-8:surrogateescape"])
def test_row_35_anything_typed(place, encoding):
    """NUL, bytes that are not UTF-8, escape sequences, and a line of 10 MB; it says what it cut."""
    lines = [b"a\0b", b"\xff\xfe\xc3", b"\x1b[2J\xc2\x9b31m", "\u202eabc".encode(), b"x" * 10**7]
    ending = run_file(
        *(_CHAT, "--mode", "interactive", "--max_length", "5"),
        cwd=place,
        env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": encoding},
        input=b"\n".join(lines) + b"\nquit\n",
        encoding=None,
    )
    assert ending.returncode == 0, ending.stderr[-500:]
    assert b"Traceback" not in ending.stderr
    assert b"10000000" in ending.stderr or b"10,000,000" in ending.stderr
    assert not raw_controls(ending.stdout) and not raw_controls(ending.stderr)


def test_row_36_names_and_metadata_are_made_harmless(runs, nursery, place, tmp_path):
    """A file name, a setting in a file and an unknown flag with escape sequences in them."""
    bad = "\x1b]0;owned\x07\u202e\x9b"
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "good.txt").write_bytes(runs.text.read_bytes())
    (folder / f"{bad}.txt").write_bytes(bytes(100))
    trained = nursery.train(*arguments(folder, tmp_path / "out", epochs=1))
    assert trained.code == 0 and "\\x1b]0;owned\\x07" in trained.stderr
    tensors, metadata = container.load(place / MODEL_PATH)
    metadata["model"][bad] = 1
    container.save(tmp_path / "bad.pt", tensors, metadata)
    loaded = nursery.chat("--model", tmp_path / "bad.pt")
    assert loaded.code == 2 and "owned" in loaded.stderr
    flagged = nursery.chat(f"--{bad}")
    assert flagged.code == 2 and "owned" in flagged.stderr
    for ending in (trained, loaded, flagged):
        assert not raw_controls((ending.stdout + ending.stderr).encode())
