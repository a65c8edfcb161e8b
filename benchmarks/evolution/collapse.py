"""Experiment D: what becomes of a model that learns from its own writing?

    python benchmarks/evolution/collapse.py OUT TEXT [--generations 5] [--kilobytes 100]
        [--seeds 3]

The base learns 300 KB of TEXT; the last tenth of TEXT only measures. In each generation the model
writes ``--kilobytes`` of text at temperature 1 after beginnings from TEXT. ``replaced``: the next
model is trained on that alone. ``accumulated``: the next model is trained on the base's text and on
everything written so far. ``gated``: everything written so far is the knowledge base of a cycle of
the engine. The figure is the last generation's bits per byte less the base's, paired by window,
with a 95 % interval. ``replaced`` must become worse, otherwise the test has no power; ``gated``
must not. Each generation's result is written to OUT when it is done, and is not made again.
"""

import argparse
import random
import shutil
from pathlib import Path

from arms import (
    DTYPE,
    MODELS,
    base_model,
    champion_of,
    copy_base,
    measure_prose,
    note,
    one_thread,
    prose_difference,
    put_away,
    train_on,
)

from h2q.config import EvolutionConfig, SamplingConfig, derived_seed
from h2q.datasets.corpus import Corpus
from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.evolution.engine import SelfEvolutionEngine
from h2q.generation.generate import generate_batch
from h2q.model.decoder import Decoder
from h2q.model.transformer import Transformer
from h2q.system.files import read_json, write_bytes, write_json

ARMS = ("replaced", "accumulated", "gated")
TEXT_BYTES = 300_000
_STREAMS, _PROMPT, _LENGTH = 64, 32, 512  # texts at a time, bytes of a beginning, of a text


def own_writing(model: Transformer, corpus: Corpus, size: int, seed: int) -> list[str]:
    """About ``size`` bytes that ``model`` writes at temperature 1, a text after each beginning."""
    generator = random.Random(seed)
    decoder = Decoder(model, _STREAMS)
    texts, written = [], 0
    while written < size:
        starts = [generator.randrange(len(corpus.train) - _PROMPT) for _ in range(_STREAMS)]
        prompts = [corpus.train.read(start, _PROMPT).decode(errors="ignore") for start in starts]
        settings = [
            SamplingConfig(temperature=1.0, max_length=_LENGTH, seed=derived_seed(seed, number))
            for number in range(len(texts), len(texts) + _STREAMS)
        ]
        answers = generate_batch(decoder, [prompt.encode() for prompt in prompts], settings)
        texts += [prompt + made.text.decode() for prompt, made in zip(prompts, answers)]
        written = sum(map(len, texts))
    return texts


def next_model(arm: str, home: Path, number: int, setup: dict, seed: int):
    """The model of generation ``number``, below ``home``, and what the gate said of it."""
    corpus, written = setup["corpus"], setup["written"]
    everything = [text for texts in written for text in texts]
    replayed = EvolutionConfig().replay_fraction
    config = EvolutionConfig(cycles=1, cycle_bytes=int(setup["size"] / (1 - replayed)), rounds=1)
    if arm == "gated":
        shutil.rmtree(home / "knowledge", ignore_errors=True)
        write_bytes(home / "knowledge" / "own.txt", "\n\n".join(everything).encode())
        knowledge = load_knowledge_base(home / "knowledge")
        engine = SelfEvolutionEngine(
            corpus, knowledge, home, config, setup["training"], dtype=DTYPE, resume=True
        )
        if engine.stats["total_evolutions"] < number:  # else this cycle is done already
            engine.evolve()
        return champion_of(home), engine.stats["history"][-1]["reason"]
    lesson = written[-1]
    if arm == "accumulated":
        text = corpus.train.read(0, len(corpus.train)).decode(errors="ignore")
        lesson = [*text.replace("\0", "\n").split("\n\n"), *everything]
    before, here = (home / f"model_{n}" for n in (number - 1, number))
    shutil.rmtree(here, ignore_errors=True)  # left by an interrupted run
    made = train_on(
        champion_of(before), lesson, here, corpus.heldout, setup["training"], config.lr, seed
    )
    return made, ""


def run_arm(arm: str, home: Path, base: Path, setup: dict, seed: int, generations: int):
    """Yields the report's losses for the base and each generation."""
    copy_base(base, home if arm == "gated" else home / "model_0")
    setup = {**setup, "written": []}
    for number in range(generations + 1):
        path = home / f"generation_{number}.json"
        own = derived_seed(seed, number)
        if not path.exists():
            made, reason = champion_of(base), ""
            if number:
                made, reason = next_model(arm, home, number, setup, own)
            write_json(
                path,
                {
                    **measure_prose(made, setup["report"]),
                    "reason": reason,
                    "written": own_writing(made, setup["corpus"], setup["size"], own),
                },
            )
        row = read_json(path)
        setup["written"].append(row["written"])
        note(home.name, number, f"{row['bits_per_byte']:.4f}", row["reason"])
        yield row


def run(arguments: argparse.Namespace):
    """Yields seed, arm and the losses of each generation."""
    one_thread()
    out, model = arguments.out, MODELS["short"]
    text, report = put_away(arguments.text, out, model.context_length)
    write_bytes(out / "text" / "text.txt", text[:TEXT_BYTES].encode("utf-8"))
    for seed in range(arguments.seeds):
        base = out / f"base-{seed}"
        corpus, training = base_model(base, out / "text", model, 4, seed, 8)
        setup = {"corpus": corpus, "training": training, "report": report}
        setup["size"] = int(1000 * arguments.kilobytes)
        for arm in ARMS:
            home = out / f"{arm}-{seed}"
            yield seed, arm, list(run_arm(arm, home, base, setup, seed, arguments.generations))


def arguments_of(line: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--generations", type=int, default=5)
    parser.add_argument("--kilobytes", type=float, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args(line)


if __name__ == "__main__":
    print("| seed | arm | bits per byte by generation | last - base (95 %) | kept |")
    print("|---|---|---|---|---|")
    for seed, arm, rows in run(arguments_of()):
        bits = " ".join(f"{row['bits_per_byte']:.3f}" for row in rows)
        found = prose_difference(rows[-1:], rows[:1])
        kept = sum(row["reason"] == "gate.better" for row in rows) if arm == "gated" else "all"
        print(
            f"| {seed} | {arm} | {bits} | "
            f"{found.mean:+.4f} ({found.low:+.4f} to {found.high:+.4f}) | {kept} |"
        )
