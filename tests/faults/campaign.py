"""Runs the full forms of the rows that are loops; prints a table: row, trials, survived, lost.

    python -m tests.faults.campaign [--rows 1,2,16] [--share 1.0] [--count 10000] [--json FILE]

Row 2, for instance, has a trial for every write, fsync, rename, unlink and link of a run. Needs
Linux; rows 2, 3, 4, 6 and 25 need strace. Takes an hour or two on one core. The exit code is 1 when
anything was lost.
"""

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from . import hostile, hostile_text, loops, power_loss
from .nursery import Nursery, strace_works
from .trials import Runs

_SEEDS = 100
_NEED_STRACE = {"2", "3", "4", "6", "25"}


class Campaign:
    """What the rows need; the runs are made when a row first asks for them."""

    def __init__(self, nursery: Nursery, directory: Path, share: float, count: int):
        self.nursery = nursery
        self.directory = directory
        self.share = share
        self.count = count
        self._runs = None

    @property
    def runs(self) -> Runs:
        if self._runs is None:
            self._runs = Runs(self.nursery, self.directory / "runs")
        return self._runs

    @property
    def good(self) -> bytes:
        return hostile.good_file(self.directory / "good.pt")

    def hostile_files(self):
        marker = self.directory / "it_ran"
        yield from hostile.judge(
            hostile.hostile_files(self.good, str(marker)), self.directory / "files"
        )
        yield "no code ran", f"{marker} is there" if marker.exists() else ""

    def mutations(self):
        return hostile.judge(hostile.mutations(self.good, self.count), self.directory / "mutations")

    def texts(self):
        return hostile_text.judge(hostile_text.hostile_texts(self.count), self.directory / "texts")

    def rows(self) -> dict[str, tuple[str, Callable]]:
        return {
            "1": ("kill -9 at a random moment", lambda: loops.killed_at_random_moments(
                self.runs, max(5, round(_SEEDS * self.share)))),
            "2": ("kill -9 inside a save", lambda: loops.killed_in_every_call(
                self.runs, self.share)),
            "3": ("power loss", lambda: power_loss.lost_at_every_moment(self.runs)),
            "4": ("kill -9 while recovering", lambda: loops.killed_in_every_call(
                self.runs, self.share, loops.half_recovered(self.runs))),
            "6": ("an error of the system", lambda: loops.failed_in_every_call(
                self.runs, self.share)),
            "16": ("newest checkpoint damaged", lambda: loops.damaged_at_every_place(
                self.runs, self.share)),
            "18-22": ("hostile files", self.hostile_files),
            "fuzz": ("mutations of a good file", self.mutations),
            "25": ("kill -9 inside a promotion", lambda: loops.killed_in_a_promotion(
                loops.Evolutions(self.nursery, self.directory / "evolutions"), self.share)),
            "29": ("hostile text", self.texts),
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", help="some rows only, by their numbers (18-22, fuzz)")
    parser.add_argument("--share", type=float, default=1.0, help="of the loops, evenly thinned out")
    parser.add_argument("--count", type=int, default=10_000, help="mutations, and hostile texts")
    parser.add_argument("--json", type=Path, help="write the table to this file")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # PyTorch's, about the strange tensors of hostile files
    print(f"{'row':6} {'fault':28} {'trials':>7} {'survived':>9} {'lost':>6} {'seconds':>8}")
    table = {}
    with tempfile.TemporaryDirectory() as directory:
        nursery = Nursery(Path(directory) / "n")
        campaign = Campaign(nursery, Path(directory), options.share, options.count)
        rows = campaign.rows()
        for row in options.rows.split(",") if options.rows else rows:
            title, trials = rows[row]
            if row in _NEED_STRACE and not strace_works():
                print(f"{row:6} {title:28} skipped: needs strace", flush=True)
                continue
            count = lost = 0
            started = time.monotonic()
            for name, problem in trials():
                count += 1
                if problem:
                    lost += 1
                    print(f"       row {row}, {name}: {problem[:500]}", file=sys.stderr, flush=True)
            seconds = time.monotonic() - started
            print(
                f"{row:6} {title:28} {count:7} {count - lost:9} {lost:6} {seconds:8.0f}", flush=True
            )
            table[row] = {"fault": title, "trials": count, "lost": lost}
            if options.json:
                options.json.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    sys.exit(any(row["lost"] for row in table.values()))


if __name__ == "__main__":
    main()
