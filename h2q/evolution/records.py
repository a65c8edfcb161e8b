"""What an evolution remembers: its statistics, the run it is in, and the best that champions did.

``evolution_stats.json`` is the person's: the README's four counters and a history. ``run.json`` and
``champions.json``, below the checkpoints, let a killed evolution go on where it was. Every file is
replaced whole; a cycle counts from the moment its statistics are written.
"""

import random
from dataclasses import asdict, dataclass, field
from pathlib import Path

from h2q.system.errors import UnusableInput
from h2q.system.files import read_json, write_json
from h2q.system.paths import EVOLUTION_STATS

_MOST_RETAINED = 400  # facts learnt before that are asked again
_COUNTERS = {
    "total_evolutions": 0,
    "successful_evolutions": 0,
    "failed_evolutions": 0,
    "average_improvement": 0.0,
}


def read_stats(output_dir: Path) -> dict:
    """The evolution statistics below ``output_dir``, all zero where there are none yet.

    Raises ``UnusableInput`` when the file is damaged.
    """
    path = Path(output_dir) / EVOLUTION_STATS
    if not path.exists():
        return {**_COUNTERS, "history": []}
    stats = read_json(path)
    valid = isinstance(stats, dict) and isinstance(stats.get("history"), list)
    if not valid or any(
        isinstance(stats.get(name), bool) or not isinstance(stats.get(name), type(zero))
        for name, zero in _COUNTERS.items()
    ):
        raise UnusableInput("file.json", path=path, reason="not the statistics of an evolution")
    return stats


def record(stats: dict, entry: dict, output_dir: Path) -> None:
    """Adds one cycle to the statistics and saves them; what was not kept improved nothing."""
    stats["history"].append({"cycle": stats["total_evolutions"] + 1, **entry})
    stats["total_evolutions"] += 1
    stats["successful_evolutions" if entry["promoted"] else "failed_evolutions"] += 1
    realised = sum(item.get("improvement", 0.0) for item in stats["history"])
    stats["average_improvement"] = realised / stats["total_evolutions"]
    write_json(Path(output_dir) / EVOLUTION_STATS, stats)


@dataclass
class Run:
    """One call for so many cycles: what it needs to be the same when it goes on."""

    last_cycle: int  # number of its last cycle in the statistics
    first_cycle: int
    settings: dict
    splits: str  # hash of what was put away
    knowledge: str  # hash of facts, passages and wordings
    cycle_bytes: int
    seconds: float = 0.0  # all sessions together


@dataclass
class Memory:
    """The best that the champions of one base did so far, and what they learnt."""

    splits: str = ""
    cycle: int = 0  # after which it was written
    first_cycle: int = 1  # of this base
    known: dict[str, bool] = field(default_factory=dict)  # fact id: answered by the best champion
    prose: list[float] = field(default_factory=list)  # its losses on the gate's windows, in nats

    def some_known(self, seed: int) -> list[str]:
        """Ids of facts that were learnt: all, or as many as are affordable to ask again, always the
        same."""
        names = sorted(self.known)
        if len(names) > _MOST_RETAINED:
            names = random.Random(f"{seed} retained").sample(names, _MOST_RETAINED)
        return names


def load(kind: type, path: Path):
    """The ``Run`` or ``Memory`` in ``path``; None where there is none. Raises ``UnusableInput``
    for a damaged one."""
    if not path.exists():
        return None
    try:
        return kind(**read_json(path))
    except TypeError as error:
        raise UnusableInput("file.json", path=path, reason=error) from error


def save(value, path: Path) -> None:
    write_json(path, asdict(value))


def rejections_in_a_row(stats: dict, first_cycle: int) -> int:
    """How many of the latest cycles since ``first_cycle`` were not kept."""
    count = 0
    for entry in reversed(stats["history"]):
        if entry["promoted"] or entry["cycle"] < first_cycle:
            break
        count += 1
    return count
