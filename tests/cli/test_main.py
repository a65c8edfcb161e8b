"""The two programs as a person runs them: exit codes, languages, and one line for wrong use."""

import errno
import os
import signal
import sys

import pytest

from h2q.cli import main
from h2q.cli.main import chat_main, train_main
from h2q.system.errors import Interrupted, SaveFailed, SettingError
from tests.cli.conftest import fails, files_below, save_small_model
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


def test_what_the_system_refuses_is_one_line(capsys):
    def refused(arguments, console):
        raise PermissionError(errno.EACCES, "Permission denied", "facts.jsonl")

    assert main._run(refused, []) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("❌ ") and "facts.jsonl" in line and "Permission denied" in line


def test_a_terminal_of_another_encoding_is_served(workplace):
    directory, _ = workplace
    environment = {**os.environ, "PYTHONIOENCODING": "gbk"}
    result = chat("--max_length", 5, cwd=directory, env=environment, encoding="gbk")
    assert result.returncode == 0
    assert "人工智能是" in result.stdout


# In this process.


@pytest.fixture
def inside(tmp_path, monkeypatch):
    """An empty directory, in which a program can be called in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["local_training_system.py"])
    return tmp_path


ENDINGS = [
    (SettingError("dry.resume"), 2, "--dry_run"),
    (SaveFailed("save.failed", path="x.pt", reason="full"), 1, "x.pt"),
    (OSError(5, "broken", "disk"), 1, "disk"),
    (OSError("odd"), 1, "odd"),
    (ModuleNotFoundError("no", name="numpy"), 1, "numpy"),
    (MemoryError(), 1, "内存"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 1, "内存"),
]


@pytest.mark.parametrize(("error", "code", "part"), ENDINGS, ids=lambda value: repr(value)[:20])
def test_what_goes_wrong_is_one_line_and_an_exit_code(
    inside, monkeypatch, capsys, error, code, part
):
    def fail(call, console):
        raise error

    monkeypatch.setattr("h2q.cli.train.train_or_evolve", fail)
    assert train_main([]) == code
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    assert line.startswith("❌ ") and part in line


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), ModuleNotFoundError("no", name="left_pad"), ValueError("odd")]
)
def test_a_bug_keeps_its_traceback(inside, monkeypatch, error):
    def fail(call, console):
        raise error

    monkeypatch.setattr("h2q.cli.train.train_or_evolve", fail)
    with pytest.raises(type(error)):
        train_main([])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--data-dir", "my text"], "--data_dir 'my text' --resume"),
        (["--resume", "--seed", "3"], "--resume --seed 3"),
    ],
)
def test_an_interrupted_run_says_how_to_go_on(inside, monkeypatch, capsys, given, told):
    def stop(call, console):
        raise Interrupted("train.interrupted", step=3, path="x")

    monkeypatch.setattr("h2q.cli.train.train_or_evolve", stop)
    assert train_main(given) == 130
    said = capsys.readouterr().err
    assert f"local_training_system.py {told}\n" in said
    assert said.count("--resume") == 1


def test_ctrl_c_is_130_and_said_where_work_is_lost(inside, monkeypatch, capsys):
    def stop(call, console):
        raise KeyboardInterrupt

    monkeypatch.setattr("h2q.cli.train.train_or_evolve", stop)
    monkeypatch.setattr("h2q.cli.infer.infer", stop)
    assert train_main([]) == 130
    assert capsys.readouterr().err
    save_small_model(inside)
    assert chat_main([]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(not hasattr(signal, "SIGTERM"), reason="no such signal")
def test_termination_is_an_interrupt_wherever_it_comes(inside, monkeypatch):
    monkeypatch.setattr(
        "h2q.cli.train.train_or_evolve", lambda *_: os.kill(os.getpid(), signal.SIGTERM)
    )
    assert train_main([]) == 130


def test_the_commands_get_the_checked_call(inside, monkeypatch, capsys):
    """Arguments and file make the call; a trial runs its own command; --quiet hides messages."""
    seen = {}

    def note(name):
        return lambda call, console: seen.update({name: call}) or console.say("chat.bye")

    for place in ("train.train_or_evolve", "dry_run.dry_run", "infer.infer"):
        monkeypatch.setattr(f"h2q.cli.{place}", note(place.split(".")[0]))
    (inside / "x.toml").write_text("seed = 7\nlang = 'en'\n[evolution]\nexposures = 9\n")
    assert train_main(["--config", "x.toml", "--mode", "evolve"]) == 0
    assert "Goodbye" in capsys.readouterr().out
    assert seen["train"].training.seed == 7
    assert seen["train"].evolution.exposures == 9
    assert train_main(["--dry_run", "--quiet"]) == 0
    assert seen["dry_run"].dry_run
    save_small_model(inside)
    assert chat_main(["--json", "--seed", "3"]) == 0
    assert seen["infer"].sampling.seed == 3
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(sys, "argv", ["local_inference_demo.py", "--prompt", "x"])
    assert chat_main() == 0
    assert seen["infer"].prompt == "x"


@pytest.mark.parametrize("program", [train_main, chat_main])
def test_the_network_is_forbidden_before_arguments_are_read(inside, monkeypatch, program):
    done = []
    monkeypatch.setattr("h2q.cli.main.forbid_network", lambda: done.append("forbidden"))
    assert program(["--no_such_flag"]) == 2
    assert done == ["forbidden"]
