"""A conversation in a terminal: turns that build on each other, and commands that begin with ``/``.

The model continues everything that was said, as far as its context reaches. What a person types is
kept in a history file beside the model; where that file cannot be written, the conversation goes on
without it. Writing an answer is for ``answer``.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from h2q.config import SamplingConfig, derived_seed, from_dict, nearest
from h2q.generation.answer import answer
from h2q.generation.inference import LocalInferenceModel
from h2q.model.tokenizer import decode, encode
from h2q.system.console import Console
from h2q.system.errors import H2QError, SettingError, UnusableInput
from h2q.system.files import read_json, write_json
from h2q.system.line_editing import LEAVE, line_editing
from h2q.system.messages.catalogue import message
from h2q.system.paths import chat_history

_MULTILINE = '"""'


class Conversation:
    """What was said, turn by turn, and the settings for the next turn."""

    def __init__(
        self,
        model: LocalInferenceModel,
        sampling: SamplingConfig,
        console: Console,
        ask: Callable[[str], None],
    ):
        """``ask`` answers the question of ``/ask`` on the console."""
        self.model = model
        self._ask = ask
        self.sampling = sampling
        self.console = console
        self.turns: list[tuple[str, str]] = []  # what was typed, what was answered
        # How many so far, with those that were taken back: each answer has its own seed.
        self._answers = 0

    def run(self, first: str | None) -> None:
        """Talks until a word of ``LEAVE`` or Ctrl-D; ``first`` is said before anything is typed."""
        with line_editing(chat_history(self.model.path)):
            self.console.say("chat.help")
            if first:
                self.say(first)
            while True:
                try:
                    line = self._read()
                except EOFError:
                    self.console.write("\n")
                    break
                except KeyboardInterrupt:
                    self.console.write("\n")
                    self.console.say("chat.help")
                    continue
                if line.strip().lower() in LEAVE:
                    break
                if line.startswith("/"):
                    self.command(line)
                elif line.strip():
                    self.say(line)
        self.console.say("chat.bye")

    def say(self, text: str) -> None:
        """One turn: the model continues what was said before and ``text``."""
        text = decode(encode(text))
        sampling = replace(self.sampling, seed=derived_seed(self.sampling.seed, self._answers))
        self._answers += 1
        answered = answer(self.model, text, sampling, self.console, before=self._said())
        self.turns.append((text, answered))

    def _said(self) -> str:
        """The end of the conversation so far, as much as the model can see."""
        said = "".join(f"{typed}{answered}\n" for typed, answered in self.turns[-100:])
        return said[-self.model.model.config.context_length :]

    def _read(self) -> str:
        line = input(message("chat.input"))
        if not line.startswith(_MULTILINE):
            return line
        lines = [line[len(_MULTILINE) :]]
        while not lines[-1].rstrip().endswith(_MULTILINE):
            lines.append(input(message("chat.more")))
        lines[-1] = lines[-1].rstrip()[: -len(_MULTILINE)]
        return "\n".join(lines).strip("\n")

    def command(self, line: str) -> None:
        """Does what a line that begins with ``/`` asks for. An error is written to the console."""
        name, _, rest = line[1:].strip().partition(" ")
        name = name.lower() or "help"
        known: dict[str, Callable[[str], None]] = {
            "help": lambda rest: self.console.say("chat.commands"),
            "ask": self._ask,
            "set": self._set,
            "show": lambda rest: self._show(),
            "regen": lambda rest: self._regenerate(),
            "undo": lambda rest: self._undo(),
            "clear": lambda rest: self._clear(),
            "save": self._save,
            "load": self._load,
        }
        try:
            if name not in known:
                near = nearest(name, [*known, "bye"])
                raise SettingError("chat.unknown", name=name, nearest=near or "help")
            known[name](rest.strip())
        except H2QError as error:
            self.console.warn("error", error=error)

    def _set(self, rest: str) -> None:
        if not rest:
            self._show()
            return
        name, _, value = rest.partition(" ")
        settings = asdict(self.sampling)
        if name not in settings:
            near = nearest(name, settings) or "temperature"
            raise SettingError("setting.unknown", name=name, nearest=near)
        settings[name] = _parsed(name, value.strip())
        self.sampling = from_dict(SamplingConfig, settings)
        self._show()

    def _show(self) -> None:
        settings = " | ".join(f"{name}={value}" for name, value in asdict(self.sampling).items())
        said = sum(len(encode(typed + answered)) for typed, answered in self.turns)
        self.console.say("chat.settings", settings=settings, turns=len(self.turns), size=said)

    def _regenerate(self) -> None:
        self.say(self._take_back()[0])

    def _undo(self) -> None:
        typed, _ = self._take_back()
        self.console.say("chat.undone", text=typed[:40])

    def _take_back(self) -> tuple[str, str]:
        if not self.turns:
            raise SettingError("chat.nothing")
        return self.turns.pop()

    def _clear(self) -> None:
        self.turns.clear()
        self.console.say("chat.cleared")

    def _save(self, rest: str) -> None:
        path = _path(rest)
        write_json(path, {"turns": self.turns, "sampling": asdict(self.sampling)})
        self.console.say("chat.saved", path=path, turns=len(self.turns))

    def _load(self, rest: str) -> None:
        path = _path(rest)
        saved = read_json(path)
        try:
            turns = [(typed, answered) for typed, answered in saved["turns"]]
            if not all(isinstance(text, str) for turn in turns for text in turn):
                raise TypeError("turns are pairs of strings")
            settings = dict(saved["sampling"])
            settings["stop"] = tuple(settings.get("stop", ()))
            sampling = from_dict(SamplingConfig, settings)
        except (TypeError, KeyError, ValueError, SettingError) as error:
            raise UnusableInput("file.json", path=path, reason=error) from error
        self.turns, self.sampling = turns, sampling
        self.console.say("chat.restored", path=path, turns=len(turns))


def _parsed(name: str, value: str) -> float | tuple[str, ...]:
    """The value of a setting as a person typed it; ``SettingError`` where it is of another type."""
    kind = type(getattr(SamplingConfig(), name))
    if kind is tuple:
        return (value.replace("\\n", "\n"),) if value else ()
    try:
        number: float = kind(value)
    except ValueError as error:
        raise SettingError("setting.type", name=name, value=value, type=kind.__name__) from error
    return number


def _path(rest: str) -> Path:
    """The file that a person named, also as ``~/name``."""
    if not rest:
        raise SettingError("chat.no_file")
    try:
        if "\0" in rest:
            raise ValueError("embedded null byte")
        return Path(rest).expanduser()
    except (RuntimeError, ValueError) as error:  # RuntimeError: there is no such home directory
        raise UnusableInput("file.system", path=rest, reason=error) from error
