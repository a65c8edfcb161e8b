"""What is shown to a person: it arrives, harms no terminal, and stops no work."""

import contextlib
import errno
import io
import json
import os
import re
import struct
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h2q.system.console import Console, columns, duration, prepare_streams, printable
from h2q.system.errors import SaveFailed

MARKS = "\u061c\u200e\u200f\ufeff"  # invisible, and two of them turn the direction of text
BIDIRECTIONAL = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def acts_on_a_terminal(character: str) -> bool:
    return character not in "\t\n" and (
        unicodedata.category(character) in ("Cc", "Zl", "Zp")
        or unicodedata.bidirectional(character) in BIDIRECTIONAL
        or character in MARKS
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Broken(io.StringIO):
    """A stream whose reader is gone, or whose disk is full."""

    def __init__(self, error: OSError):
        super().__init__()
        self.error = error

    def flush(self):
        raise self.error


def narrow_stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


def test_exactly_what_acts_on_a_terminal_is_made_visible():
    for code in range(0x110000):
        character = chr(code)
        assert (printable(character) != character) == acts_on_a_terminal(character), hex(code)


@given(st.text(st.characters() | st.sampled_from("\x1b\x9b\r\n\t\x07\u202e\u2067" + MARKS)))
def test_printable_leaves_no_control_character(text):
    shown = printable(text)
    assert not any(map(acts_on_a_terminal, shown))
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b2J", "\\x9b2J"),
        ("a\rb", "a\\rb"),
        ("a\r\nb", "a\nb"),
        ("a\tb\n", "a\tb\n"),
        ("\u202eabc", "\\u202eabc"),
        ("学习 🚀 é", "学习 🚀 é"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown


def test_lines_go_to_stdout_and_warnings_to_stderr(capsys):
    console = Console()
    console.say("chat.bye")
    console.warn("error", error="x")
    console.write("streamed")
    assert capsys.readouterr() == ("👋 再见！\nstreamed", "❌ x\n")


def test_silent_console_still_warns(capsys):
    console = Console(silent=True)
    console.say("chat.bye")
    console.write("streamed")
    console.warn("error", error="x")
    with console.progress(10) as show:
        show(1)
    assert capsys.readouterr() == ("", "❌ x\n")


def test_values_of_a_message_are_made_harmless(capsys):
    console = Console()
    console.say("chat.prompt", prompt="\x1b[2J")
    console.write("\x9b2J")
    console.warn("error", error="\x1b]0;title\x07")
    assert capsys.readouterr() == ("\n💬 \\x1b[2J\n\\x9b2J", "❌ \\x1b]0;title\\x07\n")


def test_each_line_is_shown_at_once(monkeypatch):
    stream = narrow_stream("utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    Console().write("学")
    assert stream.buffer.getvalue() == "学".encode()


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(errno.ENOSPC, "full")], ids=repr)
def test_a_broken_stream_never_stops_the_work(monkeypatch, error):
    monkeypatch.setattr(sys, "stdout", Broken(error))
    monkeypatch.setattr(sys, "stderr", Broken(error))
    console = Console()
    for _ in range(2):
        console.say("chat.bye")
        console.warn("error", error="x")
        console.write("streamed")
        with console.progress(10) as show:
            show(1)


@pytest.mark.parametrize("act", ["say", "warn", "write", "progress", "prepare"])
def test_a_process_without_streams_works_on(monkeypatch, act):
    """Python sets ``sys.stdout`` to None in a process started with it closed."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    console = Console()
    if act == "say":
        console.say("chat.bye")
    elif act == "warn":
        console.warn("error", error="x")
    elif act == "write":
        console.write("streamed")
    elif act == "progress":
        with console.progress(10) as show:
            show(1)
    else:
        prepare_streams()


@pytest.mark.parametrize("encoding", ["ascii", "gbk"])
def test_a_character_the_terminal_lacks_does_not_silence_it(monkeypatch, encoding):
    """Without ``prepare_streams``, as in a program that uses the classes as a library."""
    stream = narrow_stream(encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    Console().write("🚀 first\n")
    Console().write("second\n")
    assert not stream.closed
    assert stream.buffer.getvalue().endswith(b"second\n")


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", b"? ??"), ("gbk", b"? \xd1\xa7\xcf\xb0")]
)
def test_prepared_streams_show_what_they_can(monkeypatch, encoding, shown):
    streams = narrow_stream(encoding), narrow_stream(encoding)
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    prepare_streams()
    for stream in streams:
        print("🚀 学习", end="", file=stream, flush=True)
        assert stream.buffer.getvalue() == shown


def test_streams_that_cannot_be_prepared_are_left(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    prepare_streams()
    Console().write("🚀")
    assert sys.stdout.getvalue() == "🚀"


def test_no_bar_where_stderr_is_no_terminal(capsys):
    with Console().progress(10) as show:
        show(5)
    assert capsys.readouterr() == ("", "")


def test_no_bar_from_a_silent_console(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Console(silent=True).progress(10) as show:
        show(5)
    assert terminal.getvalue() == ""


def test_bar_on_a_terminal_begins_where_the_work_does_and_goes_when_it_ends(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    console = Console()
    with console.progress(10, done=2) as show:
        assert "2/10" in terminal.getvalue()
        show(5)
        assert console._bar.n == 5
        show(10)
    assert terminal.getvalue().endswith("\r")
    assert capsys.readouterr().out == ""


def test_bar_fits_the_terminal_and_shows_the_time_left(monkeypatch):
    """A Chinese character is two columns wide; there is room for the terminal's own ``^C``."""
    termios = pytest.importorskip("termios")
    master, slave = os.openpty()
    fcntl = pytest.importorskip("fcntl")
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 70, 0, 0))
    with os.fdopen(slave, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        console = Console()
        with console.progress(10) as show:
            show(5, "1,300 字节/秒")
            console._bar.refresh()
            drawn = b""
            while "秒".encode() not in drawn:  # what was drawn may come in parts
                drawn += os.read(master, 65536)
    os.close(master)
    for shown in filter(None, map(str.rstrip, drawn.decode("utf-8").split("\r"))):
        wide = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in shown)
        assert 60 <= wide <= 70 - len("^C")
    assert re.search(r"50% .* 5/10 \| 已用 [\d:]+ · 剩余 [\d:?]+, 1,300 字节/秒", shown)


def test_a_passing_notice_leaves_nothing(monkeypatch, capsys):
    console = Console()
    with console.passing("start.loading"):
        pass
    assert capsys.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with console.passing("start.loading"):
        assert "PyTorch" in terminal.getvalue()
    _, blanks, rest = terminal.getvalue().split("\r")
    assert blanks.isspace() and rest == ""
    assert len(blanks) >= 2 * len("⏳ 正在加载 PyTorch …")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 秒"),
        (89, "89 秒"),
        (95, "2 分钟"),
        (5300, "88 分钟"),
        (9000, "2.5 小时"),
        (450_000, "5 天"),
    ],
)
def test_duration(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize("act", ["say", "warn"])
def test_lines_are_written_above_the_bar(monkeypatch, act):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", terminal)
    console = Console()
    with console.progress(10):
        getattr(console, act)("error", error="line")
        assert re.search(r"\r❌ line\n.*0/10", terminal.getvalue(), re.DOTALL)


def test_bar_goes_when_the_work_fails(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    console = Console()
    with contextlib.suppress(KeyError), console.progress(10):
        raise KeyError
    console.warn("error", error="after")
    assert terminal.getvalue().endswith("\r❌ after\n")


def test_a_chinese_character_takes_two_columns():
    assert [columns(text) for text in ("", "ab", "学习", "a，é")] == [0, 2, 4, 4]


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "gbk", "ascii", None])
def test_data_is_the_same_in_every_encoding(monkeypatch, encoding):
    """A line of JSON without what could act on a terminal, even from a silent console."""
    value = {"text": "学习 🚀 \u202e\x9b é"}
    stream = narrow_stream(encoding or "utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    if encoding is None:  # a stream that does not tell
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stdout", stream)
    Console(silent=True).data(json.dumps(value, ensure_ascii=False))
    written = stream.getvalue() if encoding is None else stream.buffer.getvalue().decode(encoding)
    assert json.loads(written) == value
    assert not any(map(acts_on_a_terminal, written))


def test_data_that_cannot_be_written_is_an_error(monkeypatch):
    """Unlike a sentence, which may be lost."""
    stream = Broken(OSError(errno.ENOSPC, "full"))
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SaveFailed, match="full"):
        Console().data("{}")
    assert stream.closed
    with pytest.raises(SaveFailed):
        Console().data("{}")
