"""Evolves a tiny model for two cycles and, if asked to, kills its own process (kill -9).

    python evolution_driver.py OUTPUT [--prose] [--resume] [--kill POINT]

``--prose`` leaves the knowledge base out. POINT is ``step:N`` (training step of the run), the name of
a file below ``OUTPUT`` (just after it was written), or ``promoted:NAME`` (just after a file of that name,
or any file, was renamed). Run by
``test_engine.py``.
"""

import argparse
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

from h2q.config import EvolutionConfig, ModelConfig, TrainingConfig
from h2q.datasets.corpus import open_corpus
from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.evolution import engine as evolution
from h2q.evolution import records, statistics
from h2q.evolution.engine import SelfEvolutionEngine
from h2q.system.console import Console
from h2q.training.trainer import LocalModelTrainer
from tests.conftest import make_text

MODEL = ModelConfig(
    embed_dim=32, n_heads=2, n_layers=1, context_length=64, feedforward_dim=64, dropout=0.0
)
TRAINING = TrainingConfig(
    epochs=1, lr=3e-3, save_interval_seconds=1.0, eval_bytes=2048, validation_fraction=0.0
)
CONFIG = EvolutionConfig(
    cycles=2, cycle_bytes=50_000, rounds=1, exposures=100, lr=1.5e-2, replay_fraction=0.2
)
TOWNS = ["Arlen", "Boxford", "Corvin", "Dunmere", "Emsworth", "Farleigh"]
WORDINGS = {
    "town": {
        "en": {
            "statements": ["{subject} is of {object}.", "{object} has {subject}."],
            "questions": [
                f"{word} {{subject}}?" for word in ["Home", "Town", "Of", "City", "Where", "In"]
            ],
        }
    }
}


PEOPLE = [f"{a}{b}" for a in ("Ka", "Lo", "Mi", "Ru") for b in "bdfgklmn"]
STRANGERS = [f"{a}{b}" for a in ("Ve", "Zo") for b in "bdfgklmn"]  # each from another town


def prepare(output: Path) -> None:
    """Text, knowledge base and base model below ``output``."""
    (output / "text").mkdir(parents=True)
    (output / "text" / "t.txt").write_text(make_text(12_000), encoding="utf-8")
    (output / "kb").mkdir()
    write_people(output, PEOPLE)
    (output / "kb" / "wordings.json").write_text(json.dumps(WORDINGS))
    LocalModelTrainer(open_text(output), output, MODEL, TRAINING).train()


def write_people(output: Path, names: list[str]) -> None:
    """The knowledge base: the town of each person, which a model this small can learn from the
    beginning of the name."""
    lines = [
        {
            "id": f"f{index}",
            "subject": name,
            "relation": "town",
            "object": TOWNS[index // 8],
            "aliases": [],
            "lang": "en",
        }
        for index, name in enumerate(names)
    ]
    (output / "kb" / "f.jsonl").write_text("\n".join(map(json.dumps, lines)))


def open_text(output: Path):
    return open_corpus(output / "text", output / "cache", context_length=64)


def open_knowledge(output: Path):
    return load_knowledge_base(output / "kb", context_length=64)


def engine(
    output: Path,
    *,
    resume: bool = False,
    prose: bool = False,
    console: Console | None = None,
    **changes,
) -> SelfEvolutionEngine:
    config = replace(CONFIG, **changes)
    knowledge = None if prose else open_knowledge(output)
    return SelfEvolutionEngine(
        open_text(output), knowledge, output, config, TRAINING, console=console, resume=resume
    )


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, output: Path) -> None:
    """Makes the process end at ``point``."""
    kind, _, number = point.partition(":")
    if kind == "step":
        step, done = LocalModelTrainer.train_step, []

        def step_and_die(self, *batch):
            loss = step(self, *batch)
            done.append(loss)
            return die() if len(done) == int(number) else loss

        LocalModelTrainer.train_step = step_and_die
    elif kind == "promoted":
        rename = evolution.promote

        def promote_and_die(source, target):
            rename(source, target)
            if target.name == (number or target.name):
                die()

        evolution.promote = promote_and_die
    else:
        for module in (records, statistics):
            module.write_json = dying_at(output / point, module.write_json)


def dying_at(path: Path, write):
    def write_and_die(target, value):
        write(target, value)
        if target == path:
            die()

    return write_and_die


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("output", type=Path)
    parser.add_argument("--prose", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--kill")
    arguments = parser.parse_args()
    if arguments.kill:
        arm(arguments.kill, arguments.output)
    engine(arguments.output, resume=arguments.resume, prose=arguments.prose).evolve()
