"""Writes a knowledge base of invented people with a few attributes each, and its wordings."""

import json
import random
from pathlib import Path

from h2q.datasets.knowledge_base import KnowledgeBase, load_knowledge_base
from h2q.system.files import write_bytes, write_json

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


def open_people(directory: Path, context_length: int) -> KnowledgeBase:
    return load_knowledge_base(directory, directory / "index.sqlite", context_length=context_length)
