"""More is tested with the conversation that uses it."""

import sys

from h2q.system.line_editing import LEAVE, line_editing


def test_lines_of_earlier_runs_are_read(tmp_path, monkeypatch):
    read = []

    class Readline:
        set_auto_history = set_history_length = staticmethod(lambda value: None)
        read_history_file = staticmethod(read.append)

    monkeypatch.setitem(sys.modules, "readline", Readline)
    monkeypatch.setattr("os.isatty", lambda descriptor: False)
    with line_editing(tmp_path / "history"):
        pass
    assert read == [tmp_path / "history"]
    assert "quit" in LEAVE


def test_without_readline_lines_are_typed_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "readline", None)
    with line_editing(tmp_path / "history"):
        pass
    assert not (tmp_path / "history").exists()
