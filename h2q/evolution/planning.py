"""Phase 1 of a cycle: what it teaches. Which facts, how many, how often, and which are reviewed.

Facts become answerable only with enough exposures (arXiv 2404.05405). So a cycle takes on as many
facts as its text exposes often enough, and reviews facts that were learnt before. ``lesson`` writes
the text.
"""

import random
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from h2q.config import EvolutionConfig, derived_seed
from h2q.datasets.knowledge_base import KnowledgeBase
from h2q.datasets.templates import Fact
from h2q.evaluation.exact_match import Scores
from h2q.evaluation.significance import FEWEST_CLUSTERS
from h2q.evolution.context import Cycle
from h2q.evolution.documents import size_of, write_about
from h2q.evolution.examiner import EXAMPLES, bits_per_byte_each
from h2q.evolution.records import Plan, Verdict, load
from h2q.system.files import sha256_of_file
from h2q.system.messages.catalogue import message

MOST_REVIEW = 0.6  # of the documents about facts, unless too much was forgotten
_PASSAGES = 0.2  # of the generated text, where there are facts too
_MOST_EXPOSURES = 1.5  # times the setting, where few facts are left to be learnt
_REVIEW_SHARE = 0.6  # of a new fact's exposures, for each fact learnt before
# Verdicts after which the same facts are taught on, from where training stopped.
UNFINISHED = ("gate.not_better", "gate.prose_worse")
_SIZED_FACTS = 64  # facts whose documents are written, to estimate the size of one document
_FACTS_A_RELATION = 16  # about so many facts of each relation in one cycle
_POOL_FACTOR, _LEAST_POOL, _MOST_POOL = 4, 64, 2048  # facts measured on dev before choosing


def plan(cycle: Cycle) -> Plan:
    """What this cycle teaches, decided from what the champion does not know on dev."""
    setup, knowledge = cycle.setup, cycle.setup.knowledge
    dev = setup.examiner.prose(cycle.champion, "dev")
    setup.console.say(
        "evolve.baseline", loss=dev.loss, perplexity=dev.perplexity, bits=dev.bits_per_byte
    )
    of_prose = Plan(
        champion=sha256_of_file(setup.paths.model),
        dev_bits_per_byte=dev.bits_per_byte,
        facts=[],
        exposures=0,
        review=[],
        teaches_prose=knowledge is None or knowledge.passage_count > 0,
        primary="prose",
    )
    if knowledge is None or not knowledge.fact_count:
        return of_prose
    return _with_facts(of_prose, cycle, knowledge)


def _with_facts(of_prose: Plan, cycle: Cycle, knowledge: KnowledgeBase) -> Plan:
    """The plan with the facts that this cycle teaches and reviews: those of the cycle before where
    it did not teach them yet."""
    if (unfinished := _unfinished(cycle)) is not None:
        return _again(of_prose, unfinished, cycle)
    examiner, console = cycle.setup.examiner, cycle.setup.console
    generator = random.Random(f"{cycle.setup.seed} {cycle.number} plan")
    known = knowledge.facts_by_id(cycle.memory.known)
    workload = _workload(cycle, knowledge, len(known))
    new = workload.new_facts
    pool = choose_pool(knowledge, cycle.memory.known, new, generator)
    scores = examiner.facts(cycle.champion, pool, "dev")
    bits = bits_per_byte_each(scores)
    # By turns, because the first few are shown as examples.
    taken = by_turns(choose_weakest(pool, bits, scores.correct, new, generator))
    review = bits_per_byte_each(examiner.facts(cycle.champion, known, "dev"))
    chance = float(np.mean([examiner.chance(fact) for fact in pool])) if pool else 0.0
    if taken or of_prose.teaches_prose:  # else the cycle ends here
        _say_weak(cycle, pool, scores, chance)
        console.say(
            "evolve.plan", facts=len(taken), exposures=workload.exposures, review=len(known)
        )
    if len(taken) < FEWEST_CLUSTERS <= knowledge.fact_count - len(known):
        console.warn("evolve.few", facts=len(taken), needed=FEWEST_CLUSTERS)
    shares = share_out(known, review, workload.review_documents)
    return replace(
        of_prose,
        facts=[fact.id for fact in taken],
        exposures=workload.exposures,
        review=[(fact.id, count) for fact, count in shares],
        primary="facts" if taken else "prose",
        asked_on_dev=len(pool),
        known_on_dev=int(scores.correct.sum()),
        chance=chance,
        examples=examiner.answers(cycle.champion, taken[:EXAMPLES]),
        rounds=cycle.rounds if taken else 1,
    )


def _unfinished(cycle: Cycle) -> Plan | None:
    """The plan of the cycle before, if it is of the same course and its facts were taught to a copy
    of the same champion without success so far."""
    if cycle.course.index == 0:
        return None
    paths = cycle.setup.paths.cycle(cycle.number - 1)
    if not (paths.plan.exists() and paths.verdict.exists()):
        return None
    before, verdict = load(Plan, paths.plan), load(Verdict, paths.verdict)
    if before is None or verdict is None or not before.facts:
        return None
    same = before.champion == sha256_of_file(cycle.setup.paths.model)
    facts = cycle.setup.examiner.facts_named(before.facts)
    whole = len(facts) == len(before.facts)  # the knowledge base may have been edited
    return before if same and whole and verdict.entry["reason"] in UNFINISHED else None


def _again(of_prose: Plan, before: Plan, cycle: Cycle) -> Plan:
    """The plan ``before`` once more, for a model that goes on from where that cycle stopped."""
    cycle.setup.console.say("evolve.again", facts=len(before.facts))
    return replace(
        before,
        champion=of_prose.champion,
        dev_bits_per_byte=of_prose.dev_bits_per_byte,
        rounds=cycle.rounds,
        goes_on=True,
    )


def _workload(cycle: Cycle, knowledge: KnowledgeBase, known: int) -> "Workload":
    """The workload of this cycle; no new facts where too few are left to prove anything."""
    seed = derived_seed(cycle.setup.seed, cycle.number)
    size_bytes = cycle.rounds * cycle.size_bytes
    workload = plan_cycle(knowledge, known, size_bytes, cycle.config, seed)
    left = knowledge.fact_count - known
    if known and 0 < left < FEWEST_CLUSTERS:
        cycle.setup.console.say("evolve.too_few_left", facts=left)
        return replace(workload, new_facts=0)
    return workload


def _say_weak(cycle: Cycle, pool: list[Fact], scores: Scores, chance: float) -> None:
    weak = [fact for fact, right in zip(pool, scores.correct) if not right]
    asked = message("evolve.questions")
    relations = Counter(asked if fact.is_question else fact.relation for fact in weak)
    cycle.setup.console.say(
        "evolve.weak",
        unknown=len(weak),
        asked=len(pool),
        share=scores.exact_match if pool else 0.0,
        chance=chance,
        relations=" · ".join(
            f"{name.replace('_', ' ')} {count}" for name, count in relations.most_common(3)
        ),
    )


@dataclass(frozen=True)
class Workload:
    """How many facts a cycle takes on, how many documents each of them gets, and how many documents
    review facts learnt before."""

    new_facts: int
    exposures: int
    review_documents: float  # rounded when they are shared out


def plan_cycle(
    knowledge: KnowledgeBase, known: int, budget_bytes: int, config: EvolutionConfig, seed: int
) -> Workload:
    """As many new facts as the budget exposes ``config.exposures`` times, at least one.

    Each fact learnt before gets three fifths of the documents of a new one. All of them together
    get at most three fifths of the documents, and at least ``config.review_fraction``. Documents
    that the last few new facts do not need are review too.
    """
    if not knowledge.fact_count:
        return Workload(0, 0, 0)
    documents = _affordable_documents(knowledge, budget_bytes, config, seed)
    review = 0
    if known:
        wanted = min(_REVIEW_SHARE * config.exposures * known, MOST_REVIEW * documents)
        review = int(max(wanted, config.review_fraction * documents))
    left = knowledge.fact_count - known
    new = min(left, max(1, (documents - review) // config.exposures))
    if not new:
        return Workload(0, 0, documents)
    exposures: float = (documents - review) // new
    if known:  # else the form of question and answer must be learnt first, however few the facts
        exposures = min(exposures, _MOST_EXPOSURES * config.exposures)
    # What the new facts do not need helps to remember the old ones.
    return Workload(new, int(exposures), documents - new * exposures if known else review)


def _affordable_documents(
    knowledge: KnowledgeBase, budget_bytes: int, config: EvolutionConfig, seed: int
) -> int:
    """How many documents about facts fit into the budget, judged by a sample of facts."""
    share = 1 - _PASSAGES if knowledge.passage_count else 1.0
    size_bytes = budget_bytes * (1 - config.replay_fraction) * share
    generator = random.Random(f"{seed} size")
    count = min(_SIZED_FACTS, knowledge.fact_count)
    sample = [knowledge.fact(n + 1) for n in generator.sample(range(knowledge.fact_count), count)]
    trial = write_about([(fact, 7) for fact in sample], knowledge, lambda _: True, generator)
    mean_bytes = size_of(trial) / (7 * count)
    return max(1, int(size_bytes / mean_bytes))


def choose_pool(
    knowledge: KnowledgeBase, known: Container[str], wanted: int, generator: random.Random
) -> list[Fact]:
    """Facts that are not ``known``, from which the ``wanted`` weakest are chosen. They are of only
    as many relations as are needed, because the wordings of each relation must be learnt too."""
    if not wanted:
        return []
    size = min(_MOST_POOL + wanted, max(_LEAST_POOL, _POOL_FACTOR * wanted))
    relations = min(knowledge.relation_count, max(1, wanted // _FACTS_A_RELATION))
    each = max(_FACTS_A_RELATION, -(-size // relations))
    pool: dict[str, Fact] = {}
    seen = set()
    for number in generator.sample(range(1, knowledge.fact_count + 1), knowledge.fact_count):
        first = knowledge.fact(number)
        if len(pool) >= size:
            break
        if (first.relation, first.lang) not in seen:
            seen.add((first.relation, first.lang))
            alike = [fact for fact in knowledge.facts_like(first) if fact.id not in known]
            chosen = generator.sample(alike, min(each, len(alike), size - len(pool)))
            pool |= {fact.id: fact for fact in chosen}
    return list(pool.values())


def choose_weakest(
    facts: list[Fact],
    bits: NDArray[np.float64],
    correct: NDArray[np.bool_],
    count: int,
    generator: random.Random,
) -> list[Fact]:
    """``count`` different facts, drawn in proportion to their cost on dev (``bits`` per byte).
    Facts that are answered (``correct``) are drawn after all others."""
    weights = np.where(correct, 1e-6, 1.0) * np.maximum(bits, 1e-3)
    # The largest of log(u) / w are a draw in proportion to w (Efraimidis and Spirakis 2006).
    keys = [np.log(max(generator.random(), 1e-300)) / weight for weight in weights]
    order = sorted(range(len(facts)), key=lambda index: -keys[index])
    return [facts[index] for index in order[:count]]


def by_turns(facts: list[Fact]) -> list[Fact]:
    """One fact of each relation, then another of each, and so on."""
    turns: Counter[str] = Counter()
    ranks = []
    for fact in facts:
        turns[fact.relation] += 1
        ranks.append(turns[fact.relation])
    return [facts[index] for index in sorted(range(len(facts)), key=ranks.__getitem__)]


def share_out(
    facts: list[Fact], bits: NDArray[np.float64], documents: float
) -> list[tuple[Fact, int]]:
    """Distributes ``documents`` over ``facts``: one half evenly, the other in proportion to their
    cost on dev (``bits`` per byte)."""
    if not facts:
        return []
    weights = np.maximum(bits, 1e-3)
    shares = 0.5 / len(facts) + 0.5 * weights / weights.sum()
    return [(fact, max(1, round(documents * float(share)))) for fact, share in zip(facts, shares)]
