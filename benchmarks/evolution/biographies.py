"""Experiment A: invented people; who answers questions about those never asked about in training?

    python benchmarks/evolution/biographies.py OUT [--people 500] [--megabytes 14] [--cycles 3]
        [--seeds 3] [--arms P0 P1 P2 E] [--relations 4] [--model prototype] [--text PATH]

Half of the people are never asked about in training. Every arm starts from the same base model and
trains on the same number of bytes, with the same recipe and share of replay: P0 on raw biographies
in one wording a fact; P1 on those and questions; P2 on everybody restated in all wordings, with
questions, in one run without a gate; E is the engine. E pays for its measurements: it trains on
``MEASURED_SHARE`` fewer bytes, and what it really measured is metered. The results are the exact
match of greedy answers, in wordings that no arm trains on, and bits per byte of held-out prose, of
the base and of the arm. Each arm's result is written to OUT when the arm is done, and is not made
again: the same command continues an interrupted run (E continues within its cycle).
"""

import argparse
import json
import random
import shutil
import time
from pathlib import Path

from arms import (
    DTYPE,
    MODELS,
    base_model,
    champion_of,
    copy_base,
    measure_prose,
    metered,
    note,
    one_thread,
    replay,
    train_on,
)
from people import open_people, write_people

from h2q.config import EvolutionConfig
from h2q.datasets.sample_text import create_sample_text
from h2q.datasets.templates import TRAIN, fill, questions, statements
from h2q.evaluation.exact_match import score
from h2q.evolution.documents import write_about
from h2q.evolution.engine import SelfEvolutionEngine
from h2q.evolution.examiner import ask
from h2q.evolution.splits import is_asked
from h2q.system.console import Console
from h2q.system.files import read_json, write_json

MEASURED_SHARE = 0.16  # of E's bytes, charged for its forward passes, the teacher's among them


def raw_texts(knowledge, size_bytes: float, config, seed: int, with_questions: bool) -> list[str]:
    """Each fact of each person in one wording, repeated, and questions as in P2."""
    generator = random.Random(f"raw {seed}")
    people: dict[str, list] = {}
    for fact in knowledge.facts():
        people.setdefault(fact.subject, []).append(fact)
    texts, used = [], 0
    while used < size_bytes:
        for facts in people.values():
            told = " ".join(fill(statements(knowledge.wordings, f)[0], f) for f in facts)
            made = [told]
            if with_questions and is_asked(facts[0], config.unasked_share, seed):
                for fact in facts:
                    template = generator.choice(questions(knowledge.wordings, fact, TRAIN))
                    made.append(f"{fill(template, fact)}\n{fact.object}")
            texts += made
            used += sum(len(text) + 2 for text in made)
    return texts


def restated_texts(knowledge, size_bytes: float, config, seed: int) -> list[str]:
    """Documents about each person in all wordings, with the same number for everybody."""
    facts = list(knowledge.facts())

    def may_ask(fact):
        return is_asked(fact, config.unasked_share, seed)

    trial = write_about([(f, 7) for f in facts], knowledge, may_ask, random.Random(0))
    each = 7 * size_bytes / sum(len(item.text) + 2 for item in trial)
    made = write_about(
        [(fact, max(1, round(each))) for fact in facts],
        knowledge,
        may_ask,
        random.Random(f"restated {seed}"),
    )
    return [item.text for item in made]


def measure(model, knowledge, splits, config, seed: int) -> dict:
    """Exact match in the vault's wordings, by who was asked about, and on canaries."""
    facts = list(knowledge.facts())
    asked = [fact for fact in facts if is_asked(fact, config.unasked_share, seed)]
    never = [fact for fact in facts if not is_asked(fact, config.unasked_share, seed)]
    matches = {
        name: score(model, ask(group, knowledge.wordings, "vault")).exact_match
        for name, group in (("never_asked", never), ("asked", asked), ("all", facts))
    }
    canaries = score(model, ask(splits.canaries, knowledge.wordings, "vault"))
    return {**matches, "canaries": canaries.exact_match}


def run_arm(arm: str, directory: Path, base: Path, knowledge, setup: dict, seed: int) -> dict:
    """Trains and measures one arm below ``directory``."""
    began = time.monotonic()
    corpus, training, config, size = (setup[n] for n in ("corpus", "training", "config", "bytes"))
    copy_base(base, directory)
    engine = SelfEvolutionEngine(
        corpus,
        knowledge,
        directory,
        config,
        training,
        dtype=DTYPE,
        console=setup["console"],
        resume=(directory / "training_checkpoints" / "evolution" / "run.json").exists(),
    )
    result = {}
    if arm == "E":
        with metered() as counted:
            stats = engine.evolve()
        model = champion_of(directory)
        result["cycles"] = [
            {k: e.get(k) for k in ("promoted", "facts", "exposures", "match_after", "reason")}
            for e in stats["history"]
        ]
        result["trained_bytes"] = sum(e.get("trained_bytes", 0) for e in stats["history"])
        result["measured_bytes"] = counted["bytes"]  # after an interruption, of this process only
    else:
        kept = size * (1 - config.replay_fraction)
        if arm == "P2":
            texts = restated_texts(knowledge, kept, config, seed)
        else:
            texts = raw_texts(knowledge, kept, config, seed, arm == "P1")
        texts += replay(corpus, size - kept, seed)
        result["trained_bytes"] = sum(len(text.encode()) + 2 for text in texts)
        shutil.rmtree(directory / "training_checkpoints", ignore_errors=True)
        model = train_on(
            champion_of(base),
            texts,
            directory,
            engine.setup.splits.prose["dev"],
            training,
            config.lr,
            seed,
        )
    measured = measure(model, knowledge, engine.setup.splits, config, seed)
    prose = [
        measure_prose(made, engine.setup.splits.prose["gate"])["bits_per_byte"]
        for made in (champion_of(base), model)
    ]
    seconds = time.monotonic() - began
    return {"arm": arm, "seed": seed, **measured, "prose": prose, **result, "seconds": seconds}


def prepare(out: Path, arguments: argparse.Namespace, seed: int):
    """Text, base model, people and settings of one seed."""
    sample = out / "text"
    if arguments.text is None and not sample.exists():
        create_sample_text(sample)
        (sample / "sample_zh.txt").unlink()
    base = out / f"base-{seed}"
    people = out / f"people-{seed}"
    if not people.exists():
        write_people(people, arguments.people, seed, arguments.relations)
    model = MODELS[arguments.model]
    corpus, training = base_model(
        base, arguments.text or sample, model, arguments.base_epochs, seed, 8
    )
    size = int(arguments.megabytes * 1e6)
    config = EvolutionConfig(
        cycles=arguments.cycles,
        cycle_bytes=int((1 - MEASURED_SHARE) * size / arguments.cycles),
        rounds=1,  # so that all arms train on the same bytes
        exposures=arguments.exposures,
        unasked_share=0.5,
        lr=arguments.lr,
        replay_fraction=arguments.replay,
    )
    console = Console(silent=not arguments.verbose)
    setup = {"corpus": corpus, "training": training, "config": config, "bytes": size}
    return base, open_people(people, model.context_length), {**setup, "console": console}


def arguments_of(line: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--text", type=Path, help="of the base; else the English sample text")
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--megabytes", type=float, default=14)
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--exposures", type=int, default=65)
    parser.add_argument("--relations", type=int, default=4)
    parser.add_argument("--base_epochs", type=int, default=3)
    parser.add_argument("--replay", type=float, default=0.2)
    parser.add_argument("--lr", type=float, default=EvolutionConfig.lr)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=["P0", "P1", "P2", "E"])
    parser.add_argument("--model", choices=MODELS, default="prototype")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args(line)


def run(arguments: argparse.Namespace) -> list[dict]:
    one_thread()
    results = []
    for seed in range(arguments.seeds):
        base, knowledge, setup = prepare(arguments.out, arguments, seed)
        for arm in arguments.arms:
            path = arguments.out / f"{arm}-{seed}.json"
            if not path.exists():
                directory = arguments.out / f"arm-{arm}-{seed}"
                write_json(path, run_arm(arm, directory, base, knowledge, setup, seed))
            results.append(read_json(path))
            note(json.dumps(results[-1]))
    return results


if __name__ == "__main__":
    parsed = arguments_of()
    print(
        "| seed | arm | never asked | asked | all | canaries | bytes | prose |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for row in run(parsed):
        shares = " | ".join(f"{row[n]:.1%}" for n in ("never_asked", "asked", "all", "canaries"))
        prose = " to ".join(f"{bits:.3f}" for bits in row["prose"])
        print(f"| {row['seed']} | {row['arm']} | {shares} | {row['trained_bytes']:,} | {prose} |")
