"""Experiment C, first part: simulated lifetimes without any true gain, judged by the real gate.

    python benchmarks/evolution/never_worse.py [--lifetimes 1000] [--attempts 20] [--json FILE]

Each lifetime makes 20 attempts. In each, the challenger is as good as the champion: the outcome of
each item changes only by noise with a mean of zero. So every promotion is false, and at most 5 % of
lifetimes, plus two standard errors, may have one. The outcomes are right and wrong answers of few
or many entities, and bits per byte of blocks with normal, long-tailed and skewed noise. The other
parts of C (shuffled objects, a rate far too high, NaN, kill -9) are tested with whole cycles in
``tests/evolution/test_engine.py``.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np

from h2q.evaluation import significance
from h2q.evolution import gate


def answers(generator, entities: int, flipped: float):
    """Wrong answers (0 or 1) of champion and challenger; some flip, as often one way as the other."""
    before = generator.random(entities) < 0.5
    flips = generator.random(entities) < flipped
    after = np.where(flips, ~before, before)
    return after.astype(float), before.astype(float), np.ones(entities), np.arange(entities)


def related_answers(generator, entities: int, each: int = 4):
    """The same with several questions an entity, which flip together."""
    after, before, _, clusters = answers(generator, entities, 0.3)
    return [np.repeat(values, each) for values in (after, before, np.ones(entities), clusters)]


def blocks(generator, count: int, shape: str):
    noise = {
        "normal": lambda: generator.normal(0, 1, count),
        "long tails": lambda: generator.standard_t(3, count),
        "lopsided": lambda: 1 - generator.exponential(1, count),
        "lopsided the other way": lambda: generator.exponential(1, count) - 1,
    }[shape]()
    before = generator.normal(200, 40, count)
    return before + 2 * noise, before, np.full(count, 64.0), np.arange(count)


SHAPES = {
    "answers, 20 entities": lambda g: answers(g, 20, 0.3),
    "answers, 64 entities": lambda g: answers(g, 64, 0.3),
    "answers, 64 entities, few flips": lambda g: answers(g, 64, 0.06),
    "answers, 300 entities": lambda g: answers(g, 300, 0.2),
    "4 questions an entity": lambda g: related_answers(g, 60),
    "blocks, normal": lambda g: blocks(g, 30, "normal"),
    "blocks, long tails": lambda g: blocks(g, 30, "long tails"),
    "blocks, lopsided": lambda g: blocks(g, 60, "lopsided"),
    "blocks, lopsided the other way": lambda g: blocks(g, 60, "lopsided the other way"),
}


def false_promotions(shape: str, lifetimes: int, attempts: int, seed: int, *, gated=True) -> int:
    """The number of lifetimes with a promotion; without the gate whatever looks better counts."""
    generator = np.random.default_rng([seed, *shape.encode()])
    count = 0
    for _ in range(lifetimes):
        for attempt in range(1, attempts + 1):
            found = SHAPES[shape](generator)
            difference = significance.paired_difference(*found, gate.level_of_attempt(attempt))
            same = significance.Difference(0.0, 0.0, 0.0, gate.SAFE_LEVEL, len(found[0]))
            judged = gate.judge(difference, same, (0, 0, 0), (0, 0, 0.0))
            if judged.promoted if gated else difference.mean < 0:
                count += 1
                break
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lifetimes", type=int, default=1000)
    parser.add_argument("--attempts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    n = arguments.lifetimes
    allowed = gate.LIFETIME_LEVEL + 2 * math.sqrt(
        gate.LIFETIME_LEVEL * (1 - gate.LIFETIME_LEVEL) / n
    )
    results = []
    for shape in SHAPES:
        began = time.monotonic()
        found = false_promotions(shape, n, arguments.attempts, arguments.seed)
        results.append({"shape": shape, "lifetimes": n, "false": found, "allowed": allowed * n})
        verdict = "ok" if found <= allowed * n else "TOO MANY"
        print(
            f"{shape:34} {found:5d} of {n} (at most {allowed * n:.0f}) {verdict} "
            f"{time.monotonic() - began:.0f} s",
            flush=True,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
