"""What the experiments on evolution share: invented people, a small base model, plain arms.

Nothing here is the engine: an arm trains a copy of the base with the engine's own recipe on text
that is written beforehand, so that what differs between arms is the text and the choice alone.
"""

import json
import random
import sys
from pathlib import Path

import torch

from h2q.challenger import Recipe, challenger_config
from h2q.config import EvolutionConfig, ModelConfig, TrainingConfig
from h2q.console import Console
from h2q.corpus import Corpus, open_corpus
from h2q.evolution import SelfEvolutionEngine
from h2q.files import write_bytes, write_json
from h2q.knowledge import KnowledgeBase, load_knowledge_base
from h2q.lessons import own_text
from h2q.model import Transformer
from h2q.model_file import load_model
from h2q.trainer import LocalModelTrainer

SYLLABLES = [
    "ba",
    "ke",
    "lo",
    "mi",
    "ru",
    "sa",
    "te",
    "vo",
    "dan",
    "fel",
    "gor",
    "hin",
    "jas",
    "kur",
    "len",
    "mar",
    "nol",
    "par",
    "rin",
    "sol",
    "tam",
    "ul",
    "ves",
    "wen",
]
TOWNS = [
    "Arlen",
    "Boxford",
    "Corvin",
    "Dunmere",
    "Elstow",
    "Farnby",
    "Gildon",
    "Hexley",
    "Irvane",
    "Jarrow",
    "Kelmar",
    "Lorwick",
    "Medby",
    "Norvale",
    "Ostrey",
    "Penrith",
]
TRADES = [
    "baker",
    "carpenter",
    "doctor",
    "engineer",
    "farmer",
    "gardener",
    "hunter",
    "joiner",
    "lawyer",
    "mason",
    "nurse",
    "painter",
    "sailor",
    "tailor",
    "teacher",
    "weaver",
]
INSTRUMENTS = [
    "banjo",
    "bugle",
    "cello",
    "clarinet",
    "drums",
    "fiddle",
    "flute",
    "guitar",
    "harp",
    "horn",
    "lute",
    "oboe",
    "organ",
    "piano",
    "viola",
    "zither",
]
RELATIONS = {"home town": TOWNS, "trade": TRADES, "instrument": INSTRUMENTS}
YEARS = [str(year) for year in range(1900, 1964)]
ATTRIBUTES = {**RELATIONS, "birth year": YEARS}


def _wordings(noun: str, verb: str) -> dict:
    """Nine statements and twelve questions on one attribute."""
    return {
        "statements": [
            f"The {noun} of {{subject}} is {{object}}.",
            f"{{object}} is the {noun} of {{subject}}.",
            f"{{subject}} {verb} {{object}}.",
            f"As for {{subject}}, the {noun} is {{object}}.",
            f"{{subject}} has the {noun} {{object}}.",
            f"They say that {{subject}} {verb} {{object}}.",
            f"{{object}}: that is the {noun} of {{subject}}.",
            f"It is known that {{subject}} {verb} {{object}}.",
            f"The records of {{subject}} give {{object}} as the {noun}.",
        ],
        "questions": [
            f"What is the {noun} of {{subject}}?",
            f"Which is the {noun} of {{subject}}?",
            f"Do you know the {noun} of {{subject}}?",
            f"Can you tell me the {noun} of {{subject}}?",
            f"Could anyone say the {noun} of {{subject}}?",
            f"Will you tell me the {noun} of {{subject}}?",
            f"May I know the {noun} of {{subject}}?",
            f"Would you name the {noun} of {{subject}}?",
            f"Who knows the {noun} of {{subject}}?",
            f"A question: the {noun} of {{subject}}?",
            f"So what is the {noun} of {{subject}}?",
            f"And the {noun} of {{subject}}?",
        ],
    }


WORDINGS = {
    "home town": {"en": _wordings("home town", "comes from")},
    "trade": {"en": _wordings("trade", "works as")},
    "instrument": {"en": _wordings("instrument", "plays the")},
    "birth year": {"en": _wordings("birth year", "was born in")},
}


def write_people(directory: Path, count: int, seed: int, relations: int = 4) -> None:
    """A knowledge base of ``count`` people with up to four attributes each."""
    generator = random.Random(f"people {seed}")
    names: dict[str, None] = {}
    while len(names) < count:
        first, last = ("".join(generator.choices(SYLLABLES, k=2)).title() for _ in range(2))
        names[f"{first} {last}"] = None
    lines = [
        json.dumps(
            {
                "id": f"{index}-{relation}",
                "subject": name,
                "relation": relation,
                "object": generator.choice(objects),
                "aliases": [],
                "lang": "en",
            }
        )
        for index, name in enumerate(names)
        for relation, objects in list(ATTRIBUTES.items())[:relations]
    ]
    write_bytes(directory / "people.jsonl", "\n".join(lines).encode())
    write_json(directory / "wordings.json", WORDINGS)


def base_model(
    directory: Path, text: Path, model: ModelConfig, epochs: int, seed: int, batch_size: int
) -> tuple[Corpus, TrainingConfig]:
    """Trains the base below ``directory`` unless it is there; returns its text and settings."""
    corpus = open_corpus(text, directory / "cache", context_length=model.context_length)
    config = TrainingConfig(
        epochs=epochs,
        lr=5e-3,
        muon_lr=3e-3,
        optimizer="muon",
        adam_beta2=0.95,
        batch_size=batch_size,
        seed=seed,
        schedule="linear",
        warmup_steps=20,
        decay_fraction=0.7,
    )
    if not (directory / "h2q_project" / "h2q_trained_model.pt").exists():
        LocalModelTrainer(corpus, directory, model, config).train()
    return corpus, config


def train_arm(
    engine: SelfEvolutionEngine, champion: Transformer, texts: list[str], directory: Path, seed: int
) -> Transformer:
    """A copy of ``champion`` after training on ``texts``, shuffled, once, with the recipe of a
    challenger and the weights that dev would choose left to the last."""
    random.Random(f"arm {seed}").shuffle(texts)
    write_bytes(directory / "text" / "arm.txt", "\n\n".join(texts).encode() + b"\n")
    corpus = open_corpus(
        directory / "text",
        directory / "cache",
        context_length=engine.context_length,
        heldout=engine.splits.prose["dev"],
    )
    recipe = Recipe(engine.training_config, engine.config.lr, seed, "cpu", torch.float32)
    config = challenger_config(recipe, len(corpus.train), engine.context_length)
    return LocalModelTrainer(corpus, directory, champion.config, config, initial=champion).train()


def replay(corpus: Corpus, size_bytes: float, seed: int) -> list[str]:
    return own_text(corpus.train, size_bytes, random.Random(f"replay {seed}"))


def engine_for(
    directory: Path,
    corpus: Corpus,
    knowledge: KnowledgeBase | None,
    config: EvolutionConfig,
    training: TrainingConfig,
    *,
    console: Console | None = None,
    resume: bool = False,
) -> SelfEvolutionEngine:
    return SelfEvolutionEngine(
        corpus, knowledge, directory, config, training, console=console, resume=resume
    )


def open_people(directory: Path, context_length: int) -> KnowledgeBase:
    return load_knowledge_base(directory, directory / "index.sqlite", context_length=context_length)


def champion_of(directory: Path) -> Transformer:
    return load_model(directory / "h2q_project" / "h2q_trained_model.pt")[0]


def one_thread() -> None:
    torch.set_num_threads(1)


def note(*what) -> None:
    print(*what, file=sys.stderr, flush=True)
