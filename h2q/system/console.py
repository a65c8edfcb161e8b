"""What a person sees: lines, warnings and a progress bar; nothing that harms a terminal.

Lines go to stdout; progress, warnings and errors go to stderr. Every sentence comes from
``messages``. A stdout that is full or closed never stops the work.
"""

import codecs
import contextlib
import io
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TextIO

from h2q.system.errors import SaveFailed
from h2q.system.messages.catalogue import message

# Control characters (C0 and C1) except tab and newline, and marks that reorder text on the screen.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)


def printable(text: str) -> str:
    """``text`` with each character that could act on a terminal shown as ``\\x1b`` or the like."""
    text = text.replace("\r\n", "\n")
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def columns(text: str) -> int:
    """The columns that ``text`` takes on a screen: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def prepare_streams() -> None:
    """Makes the standard streams replace what the terminal's encoding (GBK, for example) does not
    have, in what is shown and in what is typed. Python would raise an error instead."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors="replace")


# From a stream to the columns and rows of its terminal; None where they are not known.
_Measure = Callable[[TextIO], tuple[int | None, int | None]]


class Advance(Protocol):
    """Moves the bar to ``done`` units, with a ``note`` after the time left."""

    def __call__(self, done: int, note: str = "") -> None: ...


class Console:
    """Shows messages to the person; with ``silent`` only warnings, and lines of JSON."""

    def __init__(self, silent: bool = False):
        self.silent = silent
        self._bar: Any = None  # that of tqdm while it is shown; tqdm has no types

    def say(self, key: str, **values: object) -> None:
        """One message of the catalogue, as a line on stdout."""
        if not self.silent:
            self.write(message(key, **values) + "\n")

    def warn(self, key: str, **values: object) -> None:
        """One message of the catalogue, as a line on stderr."""
        with self._above_bar():
            _emit(sys.stderr, printable(message(key, **values)) + "\n")

    def write(self, text: str) -> None:
        """Text on stdout at once, its control characters escaped: a part of a streamed answer."""
        if not self.silent:
            with self._above_bar():
                _emit(sys.stdout, printable(text))

    def data(self, line: str) -> None:
        """A line of JSON on stdout, even from a silent console.

        A character that could act on a terminal becomes an escape of JSON. Raises ``SaveFailed``
        when the line cannot be written: unlike sentences, data must not get lost.
        """
        line = _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", line)
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        if codecs.lookup(encoding).name != "utf-8":
            line = re.sub(r"[^\x00-\x7f]+", lambda match: json.dumps(match[0])[1:-1], line)
        try:
            print(line, flush=True)
        except (OSError, ValueError) as error:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.close()
            raise SaveFailed("output.failed", reason=error) from error

    @contextlib.contextmanager
    def progress(self, total: int, done: int = 0) -> Iterator[Advance]:
        """Shows a bar for ``total`` units on stderr, if that is a terminal. Yields the function
        that moves the bar."""
        if self.silent or not _is_terminal(sys.stderr):
            yield lambda done, note="": None
            return
        from tqdm import tqdm

        def show(done: int, note: str = "") -> None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(done - self._bar.n)

        layout = message("progress.bar", elapsed="{elapsed}", remaining="{remaining}")
        layout = "{percentage:3.0f}% {bar} {n_fmt}/{total_fmt} | " + layout + "{postfix}"
        options: dict[str, Any] = {"leave": False, "dynamic_ncols": True, "bar_format": layout}
        options["delay"] = 1e-9  # nothing is drawn before its width is set below
        with tqdm(total=total, initial=done, **options) as self._bar:
            measure = self._bar.dynamic_ncols
            self._bar.dynamic_ncols = _with_room_for_interrupt(measure)
            self._bar.refresh()
            try:
                yield show
            finally:
                bar, self._bar = self._bar, None
                bar.close()
                # Also removes a ^C that the terminal wrote after the bar.
                if measure and (width := measure(sys.stderr)[0]):
                    _emit(sys.stderr, "\r" + " " * (width - 1) + "\r")

    @contextlib.contextmanager
    def passing(self, key: str, **values: object) -> Iterator[None]:
        """Shows one message on stderr while the work within lasts, on a terminal only."""
        text = printable(message(key, **values))
        shown = not self.silent and _is_terminal(sys.stderr)
        if shown:
            _emit(sys.stderr, text)
        try:
            yield
        finally:
            if shown:  # two blanks for each character, which may take two columns
                _emit(sys.stderr, "\r" + " " * (2 * len(text)) + "\r")

    @contextlib.contextmanager
    def _above_bar(self) -> Iterator[None]:
        """Takes the bar off the screen while something is written."""
        if self._bar is not None:
            self._bar.clear()
        yield
        if self._bar is not None:
            self._bar.refresh()


def _with_room_for_interrupt(measure: _Measure | None) -> _Measure:
    """``measure``, less the columns of the ``^C`` that a terminal writes at Ctrl-C. After a bar of
    the whole width, the ``^C`` would begin a new line, and the bar above it would stay."""

    def narrower(stream: TextIO) -> tuple[int | None, int | None]:
        columns, rows = measure(stream) if measure else (None, None)
        return columns and columns - len("^C"), rows

    return narrower


def duration(seconds: float) -> str:
    """A time in the unit that a person would use: seconds, minutes, hours or days."""
    if seconds < 90:
        return message("time.seconds", count=seconds)
    if seconds < 90 * 60:
        return message("time.minutes", count=seconds / 60)
    if seconds < 48 * 3600:
        return message("time.hours", count=seconds / 3600)
    return message("time.days", count=seconds / 86400)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def _emit(stream: TextIO | None, text: str) -> None:
    """Writes what the stream can show of ``text``; a stream that fails is closed."""
    if stream is None:
        return
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            stream.write(text.encode(stream.encoding, "replace").decode(stream.encoding))
        stream.flush()
    except (OSError, ValueError):  # a full disk, a closed pipe: nobody is reading, work goes on
        with contextlib.suppress(OSError, ValueError):
            stream.close()
