"""What is put away before the first cycle, and the wall that keeps it out of training text.

*dev* steers generation and the choice of weights, *gate* decides on promotion, *vault* is only
reported. Of held-out prose each gets windows of its own; of facts each gets wordings of its own
(``wordings``). A share of the entities is never asked about in training, and canaries are facts of
entities that do not exist: nobody can know them but by a leak.
"""

import hashlib
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass

from h2q.config import EvolutionConfig
from h2q.datasets.corpus import ByteStream
from h2q.datasets.knowledge_base import KnowledgeBase
from h2q.datasets.templates import HELD_OUT, Fact, fill, questions

SHINGLE_BYTES = 40
CANARIES = 24
_SHARES = {"dev": 1, "gate": 2, "vault": 1}  # of the windows of prose


@dataclass(frozen=True)
class Splits:
    """Held-out prose by split, the canaries, and a hash that tells whether anything changed."""

    prose: dict[str, ByteStream]
    canaries: list[Fact]
    digest: str


def seal(
    heldout: ByteStream,
    knowledge: KnowledgeBase | None,
    context_length: int,
    limit_bytes: int,
    config: EvolutionConfig,
    seed: int,
) -> Splits:
    """The splits of this text and knowledge base: the same whenever they are made.

    Prose is at most about ``limit_bytes``, cut into windows that are dealt out in the order of
    their hashes; a text of a single window serves all three.
    """
    windows = heldout.windows(context_length, limit_bytes)
    dealt = {name: [] for name in _SHARES}
    hashes = {
        window: hashlib.sha256(heldout.read(window[0], window[1] + 1)).digest()
        for window in windows
    }
    names = [name for name, share in _SHARES.items() for _ in range(share)]
    for index, window in enumerate(sorted(windows, key=lambda item: (hashes[item], item))):
        dealt[names[index % len(names)]].append(window)
    prose = {
        name: heldout.part([(start, count + 1) for start, count in sorted(found or windows)])
        for name, found in dealt.items()
    }
    canaries = invent_canaries(knowledge, seed) if knowledge else []
    described = [
        [hashes[window].hex() for window in sorted(windows)],
        [vars(fact) for fact in canaries],
        knowledge.wordings if knowledge else None,
        [config.unasked_share, seed],
    ]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return Splits(prose, canaries, digest)


def is_asked(fact: Fact, share: float, seed: int) -> bool:
    """Whether questions about the subject may be trained on; never for a ``share`` of them."""
    digest = hashlib.sha256(f"{seed}\n{fact.lang}\n{fact.subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >= share * 2**64


def invent_canaries(knowledge: KnowledgeBase, seed: int) -> list[Fact]:
    """Facts in the form of those known, about names made of halves of two known ones, with an
    object of the same relation that neither of the two has."""
    generator = random.Random(f"{seed} canaries")
    canaries = {}
    for _ in range(20 * CANARIES):
        if len(canaries) == CANARIES or knowledge.fact_count < 3:
            break
        first, other = (knowledge.fact(n) for n in _two(knowledge.fact_count, generator))
        names = (
            first.subject[: (len(first.subject) + 1) // 2],
            other.subject[len(other.subject) // 2 :],
        )
        subject = "".join(names)
        objects = [
            name
            for name, _ in knowledge.objects(first.relation, first.lang)
            if name not in (*first.answers, *other.answers)
        ]
        if first.lang != other.lang or not objects or knowledge.knows_subject(subject):
            continue
        right = generator.choice(objects)
        canaries[subject] = Fact(
            f"canary-{len(canaries)}", subject, first.relation, right, (), first.lang
        )
    return list(canaries.values())


def _two(count: int, generator: random.Random) -> list[int]:
    return [number + 1 for number in generator.sample(range(count), 2)]


class Firewall:
    """Rejects text that shares ``SHINGLE_BYTES`` bytes in a row with held-out prose, or holds a
    held-out question as a line."""

    def __init__(self, prose: dict[str, ByteStream], facts: Iterable[Fact], wordings: dict):
        self._shingles = set()
        for stream in prose.values():
            data = stream.read(0, len(stream))
            self._shingles |= _shingles(data)
        self._questions = {
            fill(template, fact)
            for fact in facts
            for split in HELD_OUT
            for template in questions(wordings, fact, split)
        }

    def rejects(self, text: str) -> str:
        """``prose`` or ``question`` for text that must not be trained on, else nothing."""
        if not self._shingles.isdisjoint(_shingles(text.encode("utf-8"))):
            return "prose"
        if any(line.strip() in self._questions for line in text.split("\n")):
            return "question"
        return ""


def _shingles(data: bytes) -> set[bytes]:
    return {data[i : i + SHINGLE_BYTES] for i in range(len(data) - SHINGLE_BYTES + 1)}
