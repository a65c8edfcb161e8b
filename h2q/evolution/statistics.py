"""The person's file of an evolution, ``evolution_stats.json``: four counters and a history.

The counters are those of the README (进化统计). The history has one entry for each cycle; older
versions wrote fewer keys. A cycle counts from the moment this file is written. The records that a
killed evolution needs are in ``records``.
"""

from pathlib import Path
from typing import Any, TypedDict

from h2q.system.errors import UnusableInput
from h2q.system.files import read_json, write_json
from h2q.system.paths import OutputPaths


class Bounds(TypedDict):
    """A difference between challenger and champion; a bound that is not known is None."""

    mean: float | None
    low: float | None
    high: float | None


class Measures(TypedDict, total=False):
    """What an entry of the history may hold. An older version, a cycle that failed, and one without
    facts leave keys out."""

    cycle: int  # counted from 1; the history always has it
    primary: str  # the primary measure: facts or prose
    difference: Bounds  # of the primary measure, on the gate
    level: float
    confidence: float
    clusters: int
    vault_gain: float
    prose_difference: Bounds  # bits per byte against the best champion so far
    eval_loss_before: float  # nats per byte
    eval_loss_after: float
    facts: int
    exposures: int
    chance: float | None
    fact_bits_before: float  # bits per byte of the right answers
    fact_bits_after: float
    match_before: float  # shares of right answers, on the gate
    match_after: float
    vault_match_before: float
    vault_match_after: float
    asked_match: float | None  # shares on the vault; None where there is no such fact
    never_asked_match: float | None
    retained: int  # facts learnt before that were asked again
    retained_match_before: float | None
    retained_match_after: float | None
    canaries_right: int
    canaries: int
    canary_chance: float
    quality: dict[str, float]
    choice: str  # the weights that were chosen
    trained_cost: float  # on dev, of the last weights
    trained_bytes: int
    splits: str  # hash of what is held out
    generated: dict[str, Any]  # what the lesson was made of


class Entry(Measures):
    """One cycle of the history: what every entry holds besides the measures."""

    promoted: bool
    improvement: float  # on the vault; 0 where the champion stayed
    reason: str  # key of a message, or the sentence of an error


class Statistics(TypedDict):
    """The content of ``evolution_stats.json``."""

    total_evolutions: int
    successful_evolutions: int
    failed_evolutions: int
    average_improvement: float
    history: list[Entry]


def read_stats(output_dir: Path) -> Statistics:
    """The statistics of the evolutions in ``output_dir``, all zero where there are none yet.

    Raises ``UnusableInput`` when the file is damaged.
    """
    path = OutputPaths(Path(output_dir)).evolution_stats
    empty = Statistics(
        total_evolutions=0,
        successful_evolutions=0,
        failed_evolutions=0,
        average_improvement=0.0,
        history=[],
    )
    if not path.exists():
        return empty
    stats = read_json(path)
    if not isinstance(stats, dict) or any(
        isinstance(stats.get(name), bool) or not isinstance(stats.get(name), type(zero))
        for name, zero in empty.items()
    ):
        raise UnusableInput("file.json", path=path, reason="not the statistics of an evolution")
    found: Statistics = stats  # type: ignore[assignment]  # checked above; other keys are kept
    return found


def record(stats: Statistics, entry: Entry, output_dir: Path) -> None:
    """Adds one cycle to ``stats`` and saves them. A cycle that was not kept improved nothing."""
    numbered: Any = {"cycle": stats["total_evolutions"] + 1, **entry}  # its number comes first
    stats["history"].append(numbered)
    stats["total_evolutions"] += 1
    stats["successful_evolutions" if entry["promoted"] else "failed_evolutions"] += 1
    realised = sum(item.get("improvement", 0.0) for item in stats["history"])
    stats["average_improvement"] = realised / stats["total_evolutions"]
    write_json(OutputPaths(Path(output_dir)).evolution_stats, stats)


def rejections_in_a_row(history: list[Entry], first_cycle: int) -> int:
    """How many of the latest cycles since ``first_cycle`` were not kept."""
    count = 0
    for entry in reversed(history):
        if entry["promoted"] or entry["cycle"] < first_cycle:
            break
        count += 1
    return count
