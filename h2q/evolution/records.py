"""The records of an evolution, and the one place where they become JSON and are read again.

``Plan``, ``Lesson``, ``Training`` and ``Verdict`` are the results of the phases of a cycle, and
``Round`` is one of a part of its training.
``Run`` and ``Memory`` last over several cycles. Each record is one file below the checkpoints, so
that a killed evolution can go on where it was. A file is always replaced as a whole. The file for
the person is the work of ``statistics``.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, TypedDict, TypeVar, get_args, get_origin, get_type_hints, is_typeddict

from h2q.evolution.statistics import Entry
from h2q.system.errors import UnusableInput
from h2q.system.files import read_json, write_json

_MOST_RETAINED = 400  # facts learnt before that are asked again
_SECONDS = "seconds"  # that a phase took: in the file, for the person, but not in the record


class Example(TypedDict):
    """A question, what a model answered, and the right answer."""

    question: str
    answer: str
    right: str


@dataclass(frozen=True)
class Record:
    """What one JSON file holds: a key for each field, in this order, but none for a field that is
    None."""


@dataclass(frozen=True, kw_only=True)
class Plan(Record):
    """What a cycle teaches (``plan.json``). The four fields on dev are None without facts. A plan of
    an older version has one round."""

    champion: str  # hash of the champion's file
    dev_bits_per_byte: float  # of the champion
    facts: list[str]  # ids of the new facts
    exposures: int  # documents about each of them, in all rounds together
    review: list[tuple[str, int]]  # ids of facts learnt before, and documents about each
    teaches_prose: bool
    primary: str  # the primary measure: facts or prose
    asked_on_dev: int | None = None
    known_on_dev: int | None = None
    chance: float | None = None  # of a right answer by guessing
    examples: list[Example] | None = None  # what the champion answers
    rounds: int = 1  # at most so many are taught
    goes_on: bool = False  # training begins with the weights that the cycle before left


@dataclass(frozen=True, kw_only=True)
class Lesson(Record):
    """What the text of a round holds, and how much (``lesson.json``)."""

    documents: int
    kinds: dict[str, int]  # documents by kind
    bytes: int
    replay_bytes: int
    rejected: dict[str, int]  # documents by the reason for which they were left out

    def __add__(self, other: "Lesson") -> "Lesson":
        """What both lessons hold together."""
        return Lesson(
            documents=self.documents + other.documents,
            kinds=_added(self.kinds, other.kinds),
            bytes=self.bytes + other.bytes,
            replay_bytes=self.replay_bytes + other.replay_bytes,
            rejected=_added(self.rejected, other.rejected),
        )


def _added(first: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {
        name: first.get(name, 0) + other.get(name, 0) for name in dict.fromkeys([*first, *other])
    }


@dataclass(frozen=True)
class Round(Record):
    """What a round of a challenger's training brought (``round.json``)."""

    known: list[str]  # ids of the new facts that are answered on dev
    harm: float  # bits per byte of prose above the champion's, both without memory
    trained_bytes: int


@dataclass(frozen=True, kw_only=True)
class Training(Record):
    """How a challenger was trained (``challenger.json``)."""

    choice: str  # the name of the weights that were chosen
    dev_costs: dict[str, tuple[float, float]]  # by name: primary measure, and harm (1 is tolerated)
    trained_bytes: int  # of all rounds
    sha256: str  # of the challenger's file


@dataclass(frozen=True, kw_only=True)
class Verdict(Record):
    """What the comparison found (``verdict.json``): the ``entry`` of the history, and what is to be
    remembered if the challenger is promoted."""

    entry: Entry
    known: dict[str, bool]  # new facts that were learnt: whether the gate's question was answered
    retained: dict[str, bool]  # facts learnt before: whether they still are answered
    prose: list[float]  # lowest losses so far on the gate's windows, in nats


@dataclass(frozen=True)
class Run(Record):
    """One call for a number of cycles (``run.json``). ``settings``, ``splits`` and ``knowledge``
    must be the same when it is resumed."""

    last_cycle: int  # its number in the statistics
    first_cycle: int
    settings: dict[str, Any]
    splits: str  # hash of what is held out
    knowledge: str  # hash of facts, passages and wordings
    cycle_bytes: int  # of text in a cycle, at most
    rounds: int = 1  # of a cycle, at most
    seconds: float = 0.0  # all sessions together


@dataclass(frozen=True)
class Memory(Record):
    """The best results of the champions of one base model so far, and what they learnt
    (``champions.json``)."""

    splits: str = ""
    cycle: int = 0  # after which it was written
    first_cycle: int = 1  # of this base model
    known: dict[str, bool] = field(default_factory=dict)  # fact id: answered by the best champion
    prose: list[float] = field(default_factory=list)  # its losses on the gate's windows, in nats

    def some_known(self, seed: int) -> list[str]:
        """Ids of facts that were learnt: all, or as many as there is time to ask again. The choice
        is always the same."""
        names = sorted(self.known)
        if len(names) > _MOST_RETAINED:
            names = random.Random(f"{seed} retained").sample(names, _MOST_RETAINED)
        return names

    def after(self, cycle: int, verdict: Verdict) -> "Memory":
        """The memory once the challenger of ``cycle`` is the champion. For the facts learnt before,
        it takes the new answers only if at least as many of them are right."""
        known = {**self.known, **verdict.known}
        if sum(verdict.retained.values()) >= sum(self.known[name] for name in verdict.retained):
            known.update(verdict.retained)
        return replace(self, cycle=cycle, known=known, prose=verdict.prose)


AnyRecord = TypeVar("AnyRecord", bound=Record)


def load(kind: type[AnyRecord], path: Path) -> AnyRecord | None:
    """The record in ``path``; None where there is no such file. Raises ``UnusableInput`` when the
    file is damaged."""
    if not path.exists():
        return None
    values = read_json(path)
    hints = get_type_hints(kind)
    try:
        if not isinstance(values, dict):
            raise TypeError("not an object")
        if _SECONDS not in hints:
            values.pop(_SECONDS, None)
        return kind(**{name: _decoded(value, hints.get(name)) for name, value in values.items()})
    except TypeError as error:
        raise UnusableInput("file.json", path=path, reason=error) from error


def save(record: Record, path: Path) -> None:
    """Writes ``record`` to ``path``."""
    write_json(path, as_json(record))


def as_json(record: Record) -> dict[str, Any]:
    """The values of ``record`` by name, as they stand in its file."""
    values = {item.name: getattr(record, item.name) for item in fields(record)}
    return {name: value for name, value in values.items() if value is not None}


def run_phase(kind: type[AnyRecord], path: Path, work: Callable[[], AnyRecord]) -> AnyRecord:
    """The result of a phase: from ``path`` if ``work`` was done before a kill, else it is done now
    and written there."""
    found = load(kind, path)
    if found is not None:
        return found
    began = time.monotonic()
    result = work()
    write_json(path, {**as_json(result), _SECONDS: time.monotonic() - began})
    return result


def _decoded(value: Any, hint: Any) -> Any:
    """A value of JSON as a value of the type ``hint``. Raises ``TypeError`` for another type."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is UnionType:  # with None, which is never written
        return _decoded(value, inner[0])
    if origin is list and isinstance(value, list):
        return [_decoded(item, inner[0]) for item in value]
    if origin is tuple and isinstance(value, list) and len(value) == len(inner):
        return tuple(_decoded(item, each) for item, each in zip(value, inner))
    if origin is dict and isinstance(value, dict):
        return {name: _decoded(item, inner[1]) for name, item in value.items()}
    if hint is None or hint is Any:  # an unknown name, which the record itself refuses
        return value
    allowed = dict if is_typeddict(hint) else (int, float) if hint is float else hint
    if origin is not None or not isinstance(value, allowed):
        raise TypeError(f"{value!r:.40} is not {hint}")
    return value
