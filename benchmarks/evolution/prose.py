"""Experiment B: does evolving on a person's own text beat training longer on it?

    python benchmarks/evolution/prose.py OUT TEXT [--megabytes 3] [--cycles 3] [--seeds 3]
        [--cases clean scarce noisy]

The last tenth of TEXT is put away; nothing but the report sees it. From the rest: ``clean`` is 1 MB,
``scarce`` 150 KB, ``noisy`` 400 KB among 600 KB of random hexadecimal digits, in turns of 4 KB. Both arms start
from the same base, which has seen about a megabyte. B1 goes on training, with the recipe of a
challenger, for as many passes as fit into the megabytes. Its rate decays to 0, and the epoch with
the lowest loss on dev is kept (early stopping), or the average of the last quarter if dev prefers
that. It is trained on the digits too; E leaves them out, and dev is without them. E evolves with
the text as its only knowledge base. It pays for its measurements: it trains on ``MEASURED_SHARE``
fewer bytes, and what it really measured is metered. The figure is E's bits per byte less B1's on
the text that was put away, paired by window, with 95 % intervals. Each arm's result is written to
OUT when it is done, and is not made again.
"""

import argparse
import json
import random
import time
from dataclasses import replace
from pathlib import Path

from arms import (
    DTYPE,
    FORWARD_COST,
    MODELS,
    base_model,
    champion_of,
    copy_base,
    measure_prose,
    metered,
    note,
    one_thread,
    prose_difference,
    put_away,
)

from h2q.config import EvolutionConfig
from h2q.datasets.corpus import Corpus
from h2q.evaluation.held_out import evaluate
from h2q.evolution.engine import SelfEvolutionEngine
from h2q.evolution.recipe import Recipe, challenger_config
from h2q.system.files import read_json, write_bytes, write_json
from h2q.training.fine_tuning import FineTuning
from h2q.training.trainer import LocalModelTrainer

CASES = ("clean", "scarce", "noisy")
BASE_BYTES = 1_000_000
MEASURED_SHARE = 0.08  # of E's bytes, charged for its forward passes


def write_case(directory: Path, case: str, text: str, seed: int) -> None:
    """The text of a person in this ``case``, made of ``text``."""
    if case == "noisy":
        generator = random.Random(f"junk {seed}")
        pieces = [text[i : i + 4000] for i in range(0, 400_000, 4000)]
        pieces += ["".join(generator.choices("0123456789abcdef", k=4000)) for _ in range(150)]
        generator.shuffle(pieces)
        text = "\n\n".join(pieces)
    else:
        text = text[: 1_000_000 if case == "clean" else 150_000]
    write_bytes(directory / "text.txt", text.encode("utf-8"))


def train_longer(
    engine: SelfEvolutionEngine, corpus: Corpus, directory: Path, base: Path, passes: int, seed: int
):
    """B1: trains the base for ``passes`` more passes over its text, junk included."""
    dev = engine.setup.splits.prose["dev"]
    corpus = replace(corpus, heldout=dev)
    base_config = engine.setup.training
    decay = base_config.weight_decay
    recipe = Recipe(base_config, engine.config.lr, seed, weight_decay=decay)
    size = passes * len(corpus.train)
    start = champion_of(base)
    config = challenger_config(recipe, size, start.config.context_length)
    config = replace(config, epochs=passes)
    trainer = LocalModelTrainer(
        corpus,
        directory,
        start.config,
        config,
        dtype=DTYPE,
        fine_tuning=FineTuning(start, average_from=0.75),
    )
    trainer.train()
    model = champion_of(directory)  # of the epoch with the lowest loss on dev
    kept = evaluate(model, dev, limit_bytes=2**40).loss
    best = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(trainer.averaged_weights() or best)
    if evaluate(model, dev, limit_bytes=2**40).loss > kept:
        model.load_state_dict(best)
    return model


def run_arm(arm: str, directory: Path, base: Path, setup: dict, seed: int) -> dict:
    """Trains and measures one arm below ``directory``; losses are by window of the report."""
    began = time.monotonic()
    corpus, training, passes = setup["corpus"], setup["training"], setup["passes"]
    size = passes * len(corpus.train)
    config = EvolutionConfig(
        cycles=setup["cycles"], cycle_bytes=int((1 - MEASURED_SHARE) * size / setup["cycles"])
    )
    copy_base(base, directory)
    resume = (directory / "training_checkpoints" / "evolution" / "run.json").exists()
    engine = SelfEvolutionEngine(
        corpus, None, directory, config, training, dtype=DTYPE, resume=resume
    )
    result = {"trained_bytes": size}
    if arm == "E":
        with metered() as counted:
            stats = engine.evolve()
        model = champion_of(directory)
        result = {
            "trained_bytes": sum(e.get("trained_bytes", 0) for e in stats["history"]),
            "measured_bytes": counted["bytes"],  # after an interruption, of this process only
            "reasons": [e["reason"] for e in stats["history"]],
        }
        result["charged_bytes"] = result["trained_bytes"] + FORWARD_COST * counted["bytes"]
    else:
        model = train_longer(engine, corpus, directory / "longer", base, passes, seed)
    measured = measure_prose(model, setup["report"])
    return {**measured, **result, "seconds": time.monotonic() - began}


def run(arguments: argparse.Namespace):
    """Yields case, seed and the results of both arms."""
    one_thread()
    model = MODELS["short"]
    text, report = put_away(arguments.text, arguments.out, model.context_length)
    for case in arguments.cases:
        for seed in range(arguments.seeds):
            home = arguments.out / f"{case}-{seed}"
            if not (home / "text").exists():
                write_case(home / "text", case, text, seed)
            size = (home / "text" / "text.txt").stat().st_size
            epochs = max(1, round(BASE_BYTES / size))
            corpus, training = base_model(home / "base", home / "text", model, epochs, seed, 8)
            passes = max(1, round(arguments.megabytes * 1e6 / len(corpus.train)))
            setup = {"corpus": corpus, "training": training, "passes": passes}
            setup |= {"cycles": arguments.cycles, "report": report}
            results = {}
            for arm in ("B1", "E"):
                path = home / f"{arm}.json"
                if not path.exists():
                    write_json(path, run_arm(arm, home / arm, home / "base", setup, seed))
                results[arm] = read_json(path)
                shown = {k: v for k, v in results[arm].items() if k not in ("sums", "counts")}
                note(case, seed, arm, json.dumps(shown))
            yield case, seed, results


def arguments_of(line: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--megabytes", type=float, default=3.0)
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    return parser.parse_args(line)


if __name__ == "__main__":
    print("| case | seed | B1 | E | E - B1 (95 %) | kept |\n|---|---|---|---|---|---|")
    rows: dict[str, list] = {}
    for case, seed, results in run(arguments_of()):
        rows.setdefault(case, []).append(results)
        found = prose_difference([results["E"]], [results["B1"]])
        bits = " | ".join(f"{results[arm]['bits_per_byte']:.4f}" for arm in ("B1", "E"))
        kept = results["E"]["reasons"].count("gate.better")
        print(
            f"| {case} | {seed} | {bits} | "
            f"{found.mean:+.4f} ({found.low:+.4f} to {found.high:+.4f}) | {kept} |"
        )
    for case, found in rows.items():
        pooled = prose_difference([row["E"] for row in found], [row["B1"] for row in found])
        print(
            f"| {case} | all | | | "
            f"**{pooled.mean:+.4f}** ({pooled.low:+.4f} to {pooled.high:+.4f}) | |"
        )
