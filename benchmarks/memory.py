"""What the memory costs and what it does: counting, speed, and how much of the text is copied.

    python benchmarks/memory.py count [--megabytes 1 10 100] [--text FILE] [--json FILE]
    python benchmarks/memory.py speed --model FILE --text FILE [--repeats 3] [--json FILE]
    python benchmarks/memory.py copies --model FILE --train FILE [--bytes 100000] [--json FILE]

- ``count``: seconds to count a text, to sum up all orders and to pack the table; MB in the file; peak
  memory. Each size in a process of its own, whose peak before counting is in the table, too. Without
  ``--text``, the text is made: words drawn by Zipf's law, independent of each other. So it has more
  different passages than prose of the same size.
- ``speed``: bytes a second of scoring, of one stream and of 64 streams (the cases ``one`` and ``many`` of
  ``generate_speed``), with the memory and without it, in turns. ``--text`` gives the text to score, and
  prompts.
- ``copies``: the share of what a model writes at temperature 0.8 that stands in its training text in
  runs of 64 bytes or more: with its memory and by the Transformer alone, from one line end on, each
  stream with a seed of its own.
"""

import argparse
import functools
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import generate_speed
import turns
from h2q.checkpoint.model_file import load_model
from h2q.config import SamplingConfig, TrainingConfig
from h2q.evaluation.line_scores import byte_nats
from h2q.generation.generate import MOST_STREAMS, generate_batch
from h2q.memory.counts import MAX_ORDER, Counts
from h2q.memory.table import packed
from h2q.model.decoder import Decoder
from h2q.system.device import choose_dtype

MB = 10**6
WORDS = 200_000  # different ones
WORDS_AT_ONCE = 10**6
RUN_BYTES = 64  # of a passage that counts as copied
TEMPERATURE = 0.8


# Counting


def synthetic(size: int) -> Iterator[bytes]:
    """A text of ``size`` bytes in pieces: words in lines, drawn by Zipf's law, always the same."""
    generator = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlcumwfgypbvk"))
    lengths = 1 + generator.poisson(np.linspace(2, 9, WORDS))  # frequent words are short
    words = np.array(
        ["".join(generator.choice(letters[: 6 + n], n)) for n in lengths.tolist()], dtype=object
    )
    shares = (1 / (np.arange(WORDS) + 2.7)).cumsum()
    while size > 0:
        ranks = np.searchsorted(shares, generator.random(WORDS_AT_ONCE) * shares[-1])
        ends = generator.choice([" ", ", ", ". ", "\n"], WORDS_AT_ONCE, p=[0.8, 0.08, 0.08, 0.04])
        piece = "".join((words[ranks] + ends).tolist()).encode()[:size]
        size -= len(piece)
        yield piece


def write_text(path: Path, source: Path | None, size: int) -> None:
    """The first ``size`` bytes of ``source``, or of the synthetic text."""
    with path.open("wb") as file:
        if source is None:
            file.writelines(synthetic(size))
        else:
            with source.open("rb") as given:
                while size > 0 and (piece := given.read(min(size, MB))):
                    size -= file.write(piece)


def count(path: Path) -> dict:
    """Counts the text in ``path`` and packs the table, as a run does."""
    peak_before = _peak_mb()
    times = [time.perf_counter()]
    with path.open("rb") as file:

        def read(start: int, length: int) -> bytes:
            file.seek(start)
            return file.read(length)

        size = path.stat().st_size
        counts = Counts().add(read, size)
    times.append(time.perf_counter())
    orders = counts.orders()
    times.append(time.perf_counter())
    arrays = packed(orders, MAX_ORDER, TrainingConfig().memory_bytes)
    times.append(time.perf_counter())
    phases = dict(zip(("count", "orders", "pack"), np.diff(times).tolist()))
    return {
        "megabytes": size / MB,
        "seconds": phases,
        "file_mb": sum(array.nbytes for array in arrays.values()) / MB,
        "peak_before_mb": peak_before,
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _in_new_process(function: Callable[..., Any], *given: object) -> Any:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *given).result()


def run_count(arguments: argparse.Namespace) -> None:
    print("      MB   count s  orders s    pack s  MB in file  peak MB before  peak MB")
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        path = Path(directory) / "text.txt"
        for megabytes in arguments.megabytes:
            # A new process inherits the peak of the one that starts it, so this one makes no text.
            _in_new_process(write_text, path, arguments.text, round(megabytes * MB))
            row = _in_new_process(count, path)
            rows.append(row)
            turns.write_report(arguments.json, counting=rows)
            seconds = "".join(f"{value:10.2f}" for value in row["seconds"].values())
            print(
                f"{row['megabytes']:8g}{seconds}{row['file_mb']:12.2f}"
                f"{row['peak_before_mb']:16,.0f}{row['peak_mb']:9,.0f}",
                flush=True,
            )


# Speed


def scoring(model_path: Path, text: Path, size: int, memory: bool):
    """Turns that score the first ``size`` bytes of ``text``."""
    model, _ = load_model(model_path)
    if not memory:
        model.memory = None
    data = text.read_bytes()[:size]
    dtype = choose_dtype("auto", "cpu")
    return lambda: sum(len(piece) for piece, _ in byte_nats(model, [data], dtype))


def run_speed(arguments: argparse.Namespace) -> None:
    figures = {}
    for case in ("score", "one", "many"):
        found = {}
        for memory in (False, True):
            if case == "score":
                parts = (scoring, arguments.model, arguments.text, arguments.score_bytes)
            else:
                parts = (generate_speed.ours, case, arguments.model, arguments.text, True)
            found["with memory" if memory else "Transformer"] = functools.partial(*parts, memory)
        figures[case] = turns.take_turns(found, arguments.repeats)
        turns.write_report(arguments.json, bytes_per_second=figures)
        print(f"\n{case}")
        turns.print_table(figures[case], "Transformer", "bytes/s")


# Copies


def copied_share(written: Sequence[bytes], train: bytes, run_bytes: int = RUN_BYTES) -> float:
    """The share of the bytes of ``written`` that lie in a passage of at least ``run_bytes`` that also
    stands in ``train``."""

    def windows(text: bytes) -> Iterator[bytes]:
        return (text[at : at + run_bytes] for at in range(len(text) - run_bytes + 1))

    known = {window for text in written for window in windows(text)}.intersection(windows(train))
    copied = 0
    for text in written:
        end = 0  # of what was found to be copied
        for at, window in enumerate(windows(text)):
            if window in known:
                copied += at + run_bytes - max(at, end)
                end = at + run_bytes
    return copied / sum(map(len, written))


def write(model_path: Path, memory: bool, size: int, stream_bytes: int) -> list[bytes]:
    """At least ``size`` bytes in texts of at most ``stream_bytes``, many streams at once."""
    model, _ = load_model(model_path)
    if not memory:
        model.memory = None
    streams = max(1, min(MOST_STREAMS, size // stream_bytes))
    decoder = Decoder(model, streams)
    settings = SamplingConfig(temperature=TEMPERATURE, max_length=stream_bytes)
    written: list[bytes] = []
    while sum(map(len, written)) < size:
        sampling = [replace(settings, seed=len(written) + number) for number in range(streams)]
        found = generate_batch(decoder, [b"\n"] * streams, sampling)
        written += [generated.text for generated in found]
    return written


def run_copies(arguments: argparse.Namespace) -> None:
    train = arguments.train.read_bytes()
    found = {}
    for name, memory in (("Transformer", False), ("with memory", True)):
        written = write(arguments.model, memory, arguments.bytes, arguments.stream_bytes)
        share = copied_share(written, train)
        found[name] = {"bytes": sum(map(len, written)), "streams": len(written), "share": share}
        turns.write_report(arguments.json, copies=found)
        print(f"{name:12}{json.dumps(found[name])}", flush=True)
    if alone := found["Transformer"]["share"]:
        print(f"ratio {found['with memory']['share'] / alone:.2f}")


def arguments_of(line: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="{count,speed,copies}")
    counting = commands.add_parser("count", help="seconds and MB of counting")
    counting.set_defaults(run=run_count)
    counting.add_argument("--megabytes", type=float, nargs="+", default=[1, 10, 100])
    counting.add_argument("--text", type=Path, help="cut to each size; without it, text is made")
    counting.add_argument("--directory", type=Path, help="where the texts are written meanwhile")
    speed = commands.add_parser("speed", help="bytes a second with and without the memory")
    speed.set_defaults(run=run_speed)
    speed.add_argument("--text", type=Path, required=True, help="to score, and for prompts")
    speed.add_argument("--score_bytes", type=int, default=65_536)
    speed.add_argument("--repeats", type=int, default=3)
    copies = commands.add_parser("copies", help="the share of written text that is copied")
    copies.set_defaults(run=run_copies)
    copies.add_argument("--train", type=Path, required=True, help="the text it was trained on")
    copies.add_argument("--bytes", type=int, default=100_000)
    copies.add_argument("--stream_bytes", type=int, default=2000)
    for command in (speed, copies):
        command.add_argument("--model", type=Path, required=True, help="a trained model file")
    for command in (counting, speed, copies):
        command.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args(line)


if __name__ == "__main__":
    chosen = arguments_of()
    chosen.run(chosen)
