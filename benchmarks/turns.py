"""Lets contestants take turns: each turn in a process of its own, one at a time.

So a machine whose speed drifts slows all contestants alike, and each has its own allocator
settings and its own peak memory. Compare medians over the turns, and their ratios.
"""

import json
import multiprocessing
import platform
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path


def take_turns(
    contestants: dict[str, Callable[[], Callable[[], float]]], turns: int
) -> dict[str, dict]:
    """Runs each contestant ``turns`` times, one after the other.

    A contestant is a function that prepares everything and returns a second function. The second
    one does the work of a turn and returns its amount (tokens, for instance); its first call is a
    warm-up and is not counted. A contestant must be importable, because it runs in another
    process. Returns for each contestant its amounts a second and its peak memory in MB. Raises
    ``RuntimeError`` when a process dies.
    """
    results = {name: {"rates": [], "peak_mb": 0.0} for name in contestants}
    context = multiprocessing.get_context("spawn")
    for _ in range(turns):
        for name, prepare in contestants.items():
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(sender, prepare), daemon=True)
            process.start()
            sender.close()
            try:
                rate, peak_mb = receiver.recv()
            except EOFError:
                raise RuntimeError(f"{name}: its process ended without a result") from None
            process.join()
            results[name]["rates"].append(rate)
            results[name]["peak_mb"] = max(peak_mb, results[name]["peak_mb"])
    return results


def _work(pipe, prepare) -> None:
    turn = prepare()
    turn()
    started = time.perf_counter()
    rate = turn() / (time.perf_counter() - started)
    pipe.send((rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def print_table(results: dict[str, dict], baseline: str, unit: str) -> None:
    """Median, least and most of each contestant, and the ratio of its median to the baseline's."""
    reference = statistics.median(results[baseline]["rates"])
    width = max(map(len, results)) + 2
    print(f"{unit:{width}}{'median':>10}{'least':>10}{'most':>10}{'ratio':>8}{'peak MB':>10}")
    for name, result in results.items():
        rates = result["rates"]
        median = statistics.median(rates)
        print(
            f"{name:{width}}{median:10,.0f}{min(rates):10,.0f}{max(rates):10,.0f}"
            f"{median / reference:8.2f}{result['peak_mb']:10,.0f}"
        )


def machine() -> dict:
    """What the figures depend on."""
    import torch

    model = platform.processor()
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        model = next((line.split(":")[1].strip() for line in lines if "model name" in line), model)
    return {
        "processor": model,
        "bfloat16": torch.cpu._is_avx512_bf16_supported(),
        "amx": torch.cpu._is_amx_tile_supported(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def write_report(path: Path | None, **content) -> None:
    """Writes all figures as JSON if ``path`` names a file."""
    if path is not None:
        report = {"machine": machine(), "date": time.strftime("%Y-%m-%d"), **content}
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
