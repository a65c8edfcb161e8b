"""What the tests of the commands share: a place where a model was trained, and calls as a person
types them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from h2q.checkpoint.model_file import save_model
from h2q.cli import main
from h2q.cli.arguments import chat_parser, parse, train_parser
from h2q.cli.settings import InferenceCall, TrainingCall, inference_call, training_call
from h2q.cli.settings_file import Settings
from h2q.config import ModelConfig
from h2q.model.transformer import Transformer
from h2q.system.messages import catalogue
from h2q.system.paths import MODEL_PATH
from tests.conftest import make_text, run_script, small_settings

SMALL = {
    **{"embed_dim": 32, "n_heads": 2, "n_layers": 2, "context_length": 64},
    "feedforward_dim": 64,
}


@pytest.fixture(autouse=True)
def nothing_for_good(monkeypatch):
    """A program that is called in this process must not forbid the network for later tests, nor
    change how messages name the programs."""
    monkeypatch.setattr(main, "forbid_network", lambda: None)
    monkeypatch.setattr(catalogue, "_programs", dict(catalogue._programs))


def fails(result, *parts, code=2):
    """One clear line on stderr, the exit code, no traceback."""
    assert result.returncode == code, (result.stdout, result.stderr)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("❌ ")
    for part in parts:
        assert part in lines[0]


def files_below(directory):
    """Every file but the lock, with its bytes."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name != ".h2q.lock")
    return {path: path.read_bytes() for path in files}


def training(*arguments: object, **tables) -> TrainingCall:
    """The settings that a command line and a settings file with these tables mean together."""
    parsed = parse(train_parser(), [str(argument) for argument in arguments])
    return training_call(parsed, Settings(**tables))


def inference(*arguments: object) -> InferenceCall:
    return inference_call(parse(chat_parser(), [str(argument) for argument in arguments]))


def save_small_model(output: Path, provenance: dict | None = None) -> Path:
    """Saves a model that has learnt nothing as the trained model of ``output``."""
    path = output / MODEL_PATH
    save_model(path, Transformer(ModelConfig(**SMALL)).initialize(0), provenance or {})
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """A directory where a tiny model was trained as the README says, and the run's output."""
    directory = tmp_path_factory.mktemp("first use")
    (directory / "data" / "training_data").mkdir(parents=True)
    text = directory / "data" / "training_data" / "mine.txt"
    text.write_bytes(make_text(16_000).encode("utf-8").ljust(16_000))
    (directory / "eval.txt").write_text(make_text(3000, 1), encoding="utf-8")
    result = run_script(
        *("local_training_system.py", "--mode", "train", "--epochs", 2, "--eval_dir", "eval.txt"),
        *("--lr", "1e-4", "--batch_size", 16),
        *small_settings(tmp_path_factory.mktemp("settings")),
        cwd=directory,
    )
    return directory, result


@pytest.fixture(scope="module")
def workplace(trained, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """A copy of that directory for the tests of one module, and the output of its run."""
    directory, result = trained
    copy = tmp_path_factory.mktemp("workplace") / "first use"
    shutil.copytree(directory, copy)
    return copy, result
