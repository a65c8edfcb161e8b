import json
import os
import pty
import re
import select
import signal
import subprocess
import sys

import pytest

from h2q.config import SamplingConfig
from h2q.generation.conversation import Conversation
from h2q.generation.inference import LocalInferenceModel
from h2q.system.console import Console
from h2q.system.paths import chat_history
from tests.conftest import REPOSITORY, chat


@pytest.fixture
def talk(model):
    return Conversation(model, SamplingConfig(max_length=15, seed=5), Console(), print)


def test_the_context_runs_over_the_turns(talk, monkeypatch):
    seen = []
    streaming = LocalInferenceModel.stream

    def watching(self, prompt, sampling):
        seen.append((prompt, sampling.seed))
        return streaming(self, prompt, sampling)

    monkeypatch.setattr(LocalInferenceModel, "stream", watching)
    talk.say("one")
    talk.say("two")
    [(_, first), _] = talk.turns
    assert seen == [("one", 5), (f"one{first}\ntwo", 6)]


def test_regen_writes_the_last_answer_anew(talk):
    talk.say("one")
    [(_, before)] = talk.turns
    talk.command("/regen")
    [(typed, after)] = talk.turns
    assert typed == "one" and after != before


def test_undo_and_clear(talk, capsys):
    for text in ("one", "two", "three"):
        talk.say(text)
    talk.command("/undo")
    assert [typed for typed, _ in talk.turns] == ["one", "two"]
    talk.command("/clear")
    assert talk.turns == []
    capsys.readouterr()
    talk.command("/undo")
    talk.command("/regen")
    assert capsys.readouterr().err.count("还没有说过话") == 2


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("/set temperature 0.25", "temperature", 0.25),
        ("/set top_k 7", "top_k", 7),
        ("/set stop \\n", "stop", ("\n",)),
        ("/set stop", "stop", ()),
    ],
)
def test_set(talk, line, name, value, capsys):
    talk.command(line)
    assert getattr(talk.sampling, name) == value
    assert f"{name}={value}" in capsys.readouterr().out.replace("\\\\n", "\\n")


def test_a_command_that_is_not_finished_shows_what_there_is(talk, capsys):
    talk.command("/set")
    assert "temperature=" in capsys.readouterr().out
    talk.command("/")
    assert "/regen" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    ["/set temperature 99", "/set temperature x", "/set colour 1", "/hlep", "/save", "/load",
     "/load none.json", "/save /proc/x/y", "/set seed 1.5", "/save ~no_such_person/x",
     "/load ~no_such_person/x", "/save a\0b", "/load a\0b", "/load /tmp"],
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_one_line(talk, line, capsys):
    before = talk.sampling
    talk.command(line)
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and err.startswith("❌ ")
    assert talk.sampling == before


def test_save_and_load(talk, model, tmp_path, capsys):
    talk.say("你好")
    talk.command("/set top_p 0.5")
    talk.command(f"/save {tmp_path / 'talk.json'}")
    other = Conversation(model, SamplingConfig(), Console(), print)
    other.command(f"/load {tmp_path / 'talk.json'}")
    assert other.turns == talk.turns and other.sampling == talk.sampling


@pytest.mark.parametrize(
    "content",
    ["[]", "{}", '{"turns": [["a"]], "sampling": {}}', '{"turns": [[1, 2]], "sampling": {}}',
     '{"turns": [], "sampling": {"top_p": 7}}', '{"turns": [], "sampling": {"x": 1}}', "{"],
)  # fmt: skip
def test_a_damaged_conversation_is_refused_and_the_present_one_stays(
    talk, tmp_path, content, capsys
):
    talk.say("one")
    turns = list(talk.turns)
    (tmp_path / "talk.json").write_text(content, encoding="utf-8")
    capsys.readouterr()
    talk.command(f"/load {tmp_path / 'talk.json'}")
    assert "talk.json" in capsys.readouterr().err
    assert talk.turns == turns


def typing(monkeypatch, *lines):
    """Makes ``input`` return these values, one after the other; an exception is raised."""
    typed = iter(lines)

    def read(prompt):
        line = next(typed)
        if isinstance(line, BaseException):
            raise line
        return line

    monkeypatch.setattr("builtins.input", read)


def test_lines_are_answered_until_a_word_ends_it(talk, monkeypatch, capsys):
    typing(monkeypatch, "one", "  ", "/set top_k 3", KeyboardInterrupt(), "two", " QUIT ", "never")
    talk.run("zero")
    assert [typed for typed, _ in talk.turns] == ["zero", "one", "two"]
    out = capsys.readouterr().out
    assert "top_k=3" in out and "再见" in out
    assert out.count("Ctrl-D") == 2, "help comes at the beginning and at Ctrl-C"


def test_the_end_of_the_input_ends_it(talk, monkeypatch, capsys):
    typing(monkeypatch, EOFError())
    talk.run(None)
    assert talk.turns == [] and "再见" in capsys.readouterr().out


def test_several_lines_are_one_turn(talk, monkeypatch):
    typing(monkeypatch, '"""one', "", 'two"""  ', '"""', "three", '"""', EOFError())
    talk.run(None)
    assert [typed for typed, _ in talk.turns] == ["one\n\ntwo", "three"]


class Readline:
    """Stands for the module: remembers which files were read and written."""

    def __init__(self, fails: bool):
        self.fails, self.read, self.written = fails, [], []

    def set_auto_history(self, on):
        assert on

    def set_history_length(self, lines):
        assert lines > 0

    def read_history_file(self, path):
        self.read.append(path)
        if self.fails:
            raise OSError("cannot be read")

    def write_history_file(self, path):
        self.written.append(path)
        if self.fails:
            raise OSError("cannot be written")
        path.write_text("typed")


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_what_is_typed_by_hand_is_kept(talk, model, monkeypatch, fails, by_hand):
    readline, history = Readline(fails), chat_history(model.path)
    monkeypatch.setitem(sys.modules, "readline", readline)
    monkeypatch.setattr(os, "isatty", lambda number: by_hand)
    typing(monkeypatch, EOFError())
    talk.run(None)
    assert readline.read == [history]
    assert readline.written == [history] * by_hand
    if by_hand and not fails:
        assert history.stat().st_mode & 0o077 == 0


def test_without_line_editing_the_conversation_works(talk, monkeypatch):
    """On Windows there is no such module."""
    monkeypatch.setitem(sys.modules, "readline", None)
    typing(monkeypatch, "one", EOFError())
    talk.run(None)
    assert len(talk.turns) == 1


class Person:
    """Types into a pseudo-terminal and reads the screen."""

    def __init__(self, directory, *options):
        self.master, slave = pty.openpty()
        script = str(REPOSITORY / "local_inference_demo.py")
        self.process = subprocess.Popen(
            [sys.executable, script, "--mode", "interactive", "--model", "model.pt", *options],
            cwd=directory,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8"},
        )
        os.close(slave)
        self.screen = b""

    def see(self, pattern: str) -> str:
        """Waits until the screen shows it; returns what came up to there."""
        while not (found := re.search(pattern, self.screen.decode("utf-8", "ignore"))):
            ready = select.select([self.master], [], [], 120)[0]
            assert ready, self.screen.decode("utf-8", "ignore")
            self.screen += os.read(self.master, 4096)
        text = self.screen.decode("utf-8", "ignore")
        self.screen = text[found.end() :].encode()
        return text[: found.end()]

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def interrupt_typing(self) -> None:
        """Types Ctrl-C, again if nothing answers: when it comes just between two keys, Python notices
        it only with the next key."""
        self.process.send_signal(signal.SIGINT)
        while not select.select([self.master], [], [], 2)[0]:
            self.process.send_signal(signal.SIGINT)


def test_as_a_person_types(model, tmp_path):
    """Commands, several lines, Ctrl-C during an answer and while typing, a corrected Chinese
    character, and the history of the first run in the second."""
    person = Person(tmp_path, "--max_length", "1000000")
    person.see("👤 > ")
    person.type("/help\n")
    person.see("/regen")
    person.see("👤 > ")
    person.type("学校\x7f习\n")  # the backspace takes 校 away
    person.see(r"\n学习.{20}")
    person.process.send_signal(signal.SIGINT)
    person.see("字节/秒")
    person.see("👤 > ")
    person.type("/set max_length 12\n")
    person.see("max_length=12")
    person.see("👤 > ")
    person.type('"""one\n')
    person.see(r"\.\.\. ")
    person.type('two"""\n')
    person.see(r"one\r\ntwo.{12}")
    person.see("👤 > ")
    person.type("half a thought")
    person.see("thought")
    person.interrupt_typing()
    person.see("👤 > ")
    person.type("/bye\n")
    person.see("再见")
    assert person.process.wait(60) == 0
    history = chat_history(tmp_path / "model.pt")
    assert "学习" in history.read_text(encoding="utf-8")
    assert history.stat().st_mode & 0o077 == 0

    person = Person(tmp_path)
    person.see("👤 > ")
    person.type("\x1b[A")  # up: what was typed last
    person.see("/bye")
    person.type("\n")
    person.see("再见")
    assert person.process.wait(60) == 0


def test_a_history_that_cannot_be_written_stops_nothing(model, tmp_path):
    (chat_history(tmp_path / "model.pt")).mkdir()
    person = Person(tmp_path)
    person.see("👤 > ")
    person.type("\x04")
    person.see("再见")
    assert person.process.wait(60) == 0


def test_by_a_pipe(model, tmp_path):
    """What comes by a pipe is answered line by line and leaves no history."""
    typed = "a\n/save talk.json\n/nonsense\nb\x00c\nq\nnever\n"
    run = chat(
        *("--mode", "interactive", "--model", "model.pt", "--max_length", 9),
        cwd=tmp_path,
        input=typed,
    )
    assert run.returncode == 0
    assert "再见" in run.stdout and "never" not in run.stdout and "\0" not in run.stdout
    assert len(json.loads((tmp_path / "talk.json").read_text())["turns"]) == 1
    assert not (chat_history(tmp_path / "model.pt")).exists()


def test_ask_answers_beside_the_conversation(talk, capsys):
    talk.command("/ask whose birthday is it?")
    assert capsys.readouterr().out == "whose birthday is it?\n"
    assert talk.turns == []
