"""The two programs as a person runs them: exit codes, languages, and one line for wrong use."""

import os

import pytest

from tests.cli.conftest import fails, files_below
from tests.conftest import chat, make_text, run_script, train


@pytest.mark.parametrize("script", ["local_training_system.py", "local_inference_demo.py"])
def test_help_names_every_flag(script, tmp_path):
    result = run_script(script, "--help", cwd=tmp_path)
    assert result.returncode == 0
    wanted = {
        "local_training_system.py": "mode epochs data_dir output_dir resume preset lr batch_size "
        "seed device dtype eval_dir encoding cycles",
        "local_inference_demo.py": "mode model prompt temperature max_length seed",
    }
    assert all(f"--{flag}" in result.stdout for flag in wanted[script].split())


def test_english(workplace, tmp_path):
    directory, _ = workplace
    english = {**os.environ, "H2Q_LANG": "en"}
    for result in (
        chat("--lang", "en", "--max_length", 5, cwd=directory),
        chat("--max_length", 5, cwd=directory, env=english),
    ):
        assert "Latest training: epoch 2" in result.stdout
    assert "usage" in train("--help", "--lang=en", cwd=directory).stdout


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--data_dir", "nowhere"], ["nowhere", "--data_dir"]),
        (["--data_dir", "empty"], ["empty", ".txt"]),
        (["--data_dir", "binary.txt"], ["binary.txt", "--encoding"]),
        (["--data_dir", "zero.txt"], ["zero.txt", "空文件"]),
        (["--data_dir", "short.txt"], ["short.txt", "300", "1024"]),
        (["--data_dir", "good.txt", "--eval_dir", "nowhere"], ["nowhere"]),
        (["--data_dir", "good.txt", "--eval_dir", "byte.txt"], ["byte.txt", "1", "2"]),
        (["--data_dir", "good.txt", "--encoding", "klingon"], ["klingon"]),
        (["--data_dir", "good.txt", "--encoding", "zip"], ["zip"]),
        (["--data_dir", "good.txt", "--encoding", "ascii"], ["good.txt", "ascii"]),
        (["--epoch", "3"], ["--epoch", "--epochs"]),
        (["--no_such_flag"], ["--no_such_flag", "--help"]),
        (["stray"], ["stray"]),
        (["--preset", "huge"], ["huge", "readme", "tiny"]),
        (["--mode", "fly"], ["fly", "train", "evolve"]),
        (["--epochs", "0"], ["epochs", "0"]),
        (["--epochs", "many"], ["--epochs", "many"]),
        (["--max_minutes", "-1"], ["max_minutes", "-1"]),
        (["--max_minutes", "5", "--epochs", "2"], ["--max_minutes", "--epochs"]),
        (["--lr", "-1"], ["lr", "-1"]),
        (["--lr", "nan"], ["lr", "nan"]),
        (["--batch_size", "0"], ["batch_size"]),
        (["--seed", "-5"], ["seed", "-5"]),
        (["--patience", "-1"], ["patience", "-1"]),
        (["--dry_run", "--resume"], ["--dry_run", "--resume"]),
        (["--dry_run", "--data_dir", "short.txt"], ["short.txt", "300"]),
        (["--device", "tpu"], ["tpu"]),
        (["--dtype", "int8"], ["int8"]),
        (["--lang", "fr"], ["fr", "zh"]),
        (["--mode", "evolve", "--cycles", "0"], ["cycles"]),
        (["--mode", "evolve", "--knowledge_dir", "nowhere"], ["nowhere", "--knowledge_dir"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_of_training_is_one_line_and_writes_nothing(tmp_path, arguments, parts):
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "zero.txt").touch()
    (tmp_path / "short.txt").write_text("a" * 300)
    (tmp_path / "byte.txt").write_text("a")
    (tmp_path / "good.txt").write_text(make_text(3000), encoding="utf-8")
    before = files_below(tmp_path)
    fails(train(*arguments, cwd=tmp_path), *parts)
    assert files_below(tmp_path) == before


def test_a_missing_dependency_is_one_line(tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('none', name='torch')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = run_script("local_training_system.py", cwd=tmp_path, env=environment)
    fails(result, "torch", "pip install", code=1)


def test_what_the_system_refuses_is_one_line(workplace):
    """A knowledge base that cannot be read (root may read all, so: a directory named like a file)."""
    directory, _ = workplace
    (directory / "kb" / "facts.jsonl").mkdir(parents=True, exist_ok=True)
    command = ["--mode", "evolve", "--knowledge_dir", "kb", "--eval_dir", "eval.txt"]
    fails(train(*command, cwd=directory), "facts.jsonl", code=1)


def test_a_terminal_of_another_encoding_is_served(workplace):
    directory, _ = workplace
    environment = {**os.environ, "PYTHONIOENCODING": "gbk"}
    result = chat("--max_length", 5, cwd=directory, env=environment, encoding="gbk")
    assert result.returncode == 0
    assert "人工智能是" in result.stdout
