"""What a cycle teaches: which facts, how many, how often."""

import random
from collections import Counter
from dataclasses import dataclass

import numpy as np

from h2q.config import EvolutionConfig
from h2q.datasets.knowledge_base import KnowledgeBase
from h2q.datasets.templates import Fact
from h2q.evolution.lesson import SEPARATOR, write_about

_PASSAGES = 0.2  # of the generated text, where there are facts too
_MOST_EXPOSURES = 1.5  # of those set, where all that is left to learn would get more
_REVIEW_SHARE = 0.6  # of a new fact's exposures, for each fact learnt before
MOST_REVIEW = 0.6  # of the documents about facts, unless more was forgotten than may be
_SIZED_FACTS = 64


@dataclass(frozen=True)
class Plan:
    """How many facts a cycle takes on, and how many documents each of them and of those reviewed
    gets."""

    new_facts: int
    exposures: int
    review_documents: int


def plan_cycle(
    knowledge: KnowledgeBase, known: int, budget_bytes: int, config: EvolutionConfig, seed: int
) -> Plan:
    """As many new facts as the budget exposes ``config.exposures`` times, at least one.

    Facts learnt before are reviewed three fifths as often as new ones are told, as far as three
    fifths of the documents allow, and have ``config.review_fraction`` of them at least. What a few
    last facts do not need is review too.
    """
    if not knowledge.fact_count:
        return Plan(0, 0, 0)
    share = 1 - _PASSAGES if knowledge.passage_count else 1.0
    size_bytes = budget_bytes * (1 - config.replay_fraction) * share
    generator = random.Random(f"{seed} size")
    count = min(_SIZED_FACTS, knowledge.fact_count)
    sample = [knowledge.fact(n + 1) for n in generator.sample(range(knowledge.fact_count), count)]
    trial = write_about([(fact, 7) for fact in sample], knowledge, config, seed, generator)
    mean_bytes = sum(len(item.text.encode()) + len(SEPARATOR) for item in trial) / (7 * count)
    documents = max(1, int(size_bytes / mean_bytes))
    review = 0
    if known:
        wanted = min(_REVIEW_SHARE * config.exposures * known, MOST_REVIEW * documents)
        review = int(max(wanted, config.review_fraction * documents))
    left = knowledge.fact_count - known
    new = min(left, max(1, (documents - review) // config.exposures))
    if not new:
        return Plan(0, 0, documents)
    exposures = min((documents - review) // new, _MOST_EXPOSURES * config.exposures)
    if known:  # what the new facts do not need makes the old ones last
        review = documents - new * exposures
    return Plan(new, int(exposures), review)


def choose_weakest(
    facts: list[Fact], bits: np.ndarray, correct: np.ndarray, count: int, generator: random.Random
) -> list[Fact]:
    """``count`` facts drawn without putting back, those not known first, in proportion to their
    cost on dev (bits a byte)."""
    weights = np.where(correct, 1e-6, 1.0) * np.maximum(bits, 1e-3)
    # The largest of log(u) / w are a draw in proportion to w (Efraimidis and Spirakis 2006).
    keys = [np.log(max(generator.random(), 1e-300)) / weight for weight in weights]
    order = sorted(range(len(facts)), key=lambda index: -keys[index])
    return [facts[index] for index in order[:count]]


def by_turns(facts: list[Fact]) -> list[Fact]:
    """One fact of each relation, then another of each, and so on."""
    turns = Counter()
    ranks = []
    for fact in facts:
        turns[fact.relation] += 1
        ranks.append(turns[fact.relation])
    return [facts[index] for index in sorted(range(len(facts)), key=ranks.__getitem__)]


def share_out(facts: list[Fact], bits: np.ndarray, documents: int) -> list[tuple[Fact, int]]:
    """``documents`` over ``facts``, half evenly and half by their cost on dev."""
    if not facts:
        return []
    weights = np.maximum(bits, 1e-3)
    shares = 0.5 / len(facts) + 0.5 * weights / weights.sum()
    return [(fact, max(1, round(documents * float(share)))) for fact, share in zip(facts, shares)]
