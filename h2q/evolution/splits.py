"""What is held out before the first cycle, and the filter that keeps it out of training text.

There are three splits. *dev* steers: it decides what is taught and which weights are chosen. *gate*
decides on promotion. *vault* decides nothing: its numbers are the ones that are reported. Of
held-out prose each split gets windows of its own. Of facts each split gets wordings of questions of
its own (see ``templates``), because a fact itself must be trained on to be learnt.

Questions about some of the entities are never trained on. Canaries are facts about entities that do
not exist: a model that answers them has seen held-out data.
"""

import hashlib
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass

from h2q.datasets.corpus import ByteStream
from h2q.datasets.knowledge_base import KnowledgeBase
from h2q.datasets.templates import HELD_OUT, Fact, Wordings, fill, questions

SHINGLE_BYTES = 40
CANARIES = 24
_SHARES = {"dev": 1, "gate": 2, "vault": 1}  # of the windows of prose


@dataclass(frozen=True)
class Splits:
    """Held-out prose by split, the canaries, and a hash that changes when any of them changes."""

    prose: dict[str, ByteStream]
    canaries: list[Fact]
    digest: str


def seal(
    heldout: ByteStream,
    knowledge: KnowledgeBase | None,
    *,
    context_length: int,
    limit_bytes: int,
    unasked_share: float,
    seed: int,
) -> Splits:
    """The splits of this text and knowledge base: always the same ones for the same input.

    At most about ``limit_bytes`` of prose are cut into windows of ``context_length`` bytes. The
    windows are dealt out in the order of their hashes. A split that gets no window uses all.
    """
    windows = heldout.windows(context_length, limit_bytes)
    hashes = {
        window: hashlib.sha256(heldout.read(window[0], window[1] + 1)).digest()
        for window in windows
    }
    dealt: dict[str, list[tuple[int, int]]] = {name: [] for name in _SHARES}
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
        [unasked_share, seed],
    ]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return Splits(prose, canaries, digest)


def is_asked(fact: Fact, unasked_share: float, seed: int) -> bool:
    """Whether questions about the subject of ``fact`` may be trained on. For the share
    ``unasked_share`` of all subjects they may not. A question that a person wrote always is."""
    if fact.is_question:
        return True
    digest = hashlib.sha256(f"{seed}\n{fact.lang}\n{fact.subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >= unasked_share * 2**64


def invent_canaries(knowledge: KnowledgeBase, seed: int) -> list[Fact]:
    """Facts in the form of the known ones that nobody can know. Each subject is made of halves of
    two known names. Its object is one of the same relation, but of neither of the two."""
    generator = random.Random(f"{seed} canaries")
    canaries: dict[str, Fact] = {}
    for _ in range(20 * CANARIES):
        if len(canaries) == CANARIES or knowledge.fact_count < 3:
            break
        numbers = generator.sample(range(knowledge.fact_count), 2)
        first, other = (knowledge.fact(number + 1) for number in numbers)
        subject = (
            first.subject[: (len(first.subject) + 1) // 2]
            + other.subject[len(other.subject) // 2 :]
        )
        objects = [
            name
            for name, _ in knowledge.objects(first.relation, first.lang)
            if name not in (*first.answers, *other.answers)
        ]
        unlike = first.lang != other.lang or first.is_question != other.is_question
        if unlike or not objects or knowledge.knows_subject(subject):
            continue
        right = generator.choice(objects)
        canaries[subject] = Fact(
            f"canary-{len(canaries)}", subject, first.relation, right, (), first.lang
        )
    return list(canaries.values())


class Decontamination:
    """Rejects text that shares ``SHINGLE_BYTES`` consecutive bytes with held-out prose, or that has
    a held-out question as one of its lines, in whatever case and punctuation."""

    def __init__(
        self, prose: dict[str, ByteStream], facts: Iterable[Fact], wordings: Wordings
    ) -> None:
        """``prose`` is held out; so are the questions about ``facts`` in held-out wordings."""
        self._shingles: set[bytes] = set()
        for stream in prose.values():
            self._shingles |= _shingles(stream.read(0, len(stream)))
        self._questions = {
            _letters(fill(template, fact))
            for fact in facts
            for split in HELD_OUT
            for template in questions(wordings, fact, split)
        }

    def rejects(self, text: str) -> str:
        """``prose`` or ``question`` for text that must not be trained on, else an empty string."""
        if not self._shingles.isdisjoint(_shingles(text.encode("utf-8"))):
            return "prose"
        if any(_letters(line) in self._questions for line in text.split("\n")):
            return "question"
        return ""


def _letters(line: str) -> str:
    """The letters and digits of ``line``: equal for two lines that differ in nothing else."""
    return "".join(filter(str.isalnum, line.casefold()))


def _shingles(data: bytes) -> set[bytes]:
    return {data[i : i + SHINGLE_BYTES] for i in range(len(data) - SHINGLE_BYTES + 1)}
