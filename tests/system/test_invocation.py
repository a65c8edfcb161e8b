"""The commands that a person is told to type next."""

import os
import sys
from pathlib import Path

import pytest

from h2q.system import invocation


@pytest.fixture
def venv(tmp_path, monkeypatch):
    """A virtual environment below the current directory, not activated."""
    monkeypatch.chdir(tmp_path)
    for name in ("python3", "python", "h2q-train", "h2q-chat"):
        (tmp_path / ".venv/bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / ".venv/bin" / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setenv("PATH", os.defpath)
    return tmp_path / ".venv/bin"


def call(monkeypatch, path) -> tuple[str, str]:
    monkeypatch.setattr(sys, "argv", [str(path)])
    return invocation.programs()


def test_a_script_is_called_by_the_interpreter_that_has_pytorch(venv, monkeypatch):
    train, chat = call(monkeypatch, "local_training_system.py")
    python = Path(".venv/bin/python")
    assert train == f"{python} local_training_system.py"
    assert chat == f"{python} local_inference_demo.py"


def test_an_activated_environment_needs_no_path(venv, monkeypatch):
    monkeypatch.setenv("PATH", str(venv))
    train, _ = call(monkeypatch, Path("my models") / "local_training_system.py")
    assert train == "python3 'my models/local_training_system.py'"


def test_what_pip_installed_is_called_as_it_was(venv, monkeypatch):
    assert call(monkeypatch, ".venv/bin/h2q-chat") == (".venv/bin/h2q-train", ".venv/bin/h2q-chat")
    monkeypatch.setenv("PATH", str(venv))
    assert call(monkeypatch, venv / "h2q-train") == ("h2q-train", "h2q-chat")


def test_a_library_names_the_scripts(monkeypatch):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert call(monkeypatch, "")[0] == "python3 local_training_system.py"


def test_words_are_quoted_for_the_shell(monkeypatch):
    assert invocation.command_line(["--data_dir", "我的 书"]) == "--data_dir '我的 书'"
    words = ["--data_dir", "C:\\我的 书", "--output_dir=D:\\书"]
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        said = invocation.command_line(words)
    assert said == '--data_dir "C:\\我的 书" --output_dir=D:\\书'
