"""One cycle of evolution: its four phases, each a function of what the one before left on disk.

``plan`` finds what the champion does not know, ``write`` makes the lesson, ``train`` the
challenger, ``judge`` measures it. None of them touches the champion's file; ``evolution`` runs
them and decides what becomes of it.
"""

import random
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from h2q.checkpoint.model_file import load_model, save_model
from h2q.config import EvolutionConfig, TrainingConfig, derived_seed
from h2q.datasets.corpus import Corpus
from h2q.datasets.knowledge_base import KnowledgeBase
from h2q.datasets.templates import TRAIN, Fact, fill, questions
from h2q.evaluation.exact_match import Question, answer, score
from h2q.evaluation.significance import FEWEST_CLUSTERS
from h2q.evolution.challenger import Recipe, train_challenger
from h2q.evolution.comparison import Comparison
from h2q.evolution.examiner import EXAMPLES, Examiner
from h2q.evolution.gate import PROSE_TOLERANCE, most_forgotten
from h2q.evolution.lesson import (
    SEPARATOR,
    Document,
    behind_the_wall,
    choose_passages,
    own_answers,
    own_text,
    write_about,
    write_lesson,
)
from h2q.evolution.planning import by_turns, choose_weakest, plan_cycle, share_out
from h2q.evolution.records import Memory
from h2q.evolution.splits import Firewall, Splits, is_asked
from h2q.model.transformer import Transformer
from h2q.system.console import Console
from h2q.system.errors import TrainingDiverged
from h2q.system.files import read_json, sha256_of_file
from h2q.system.messages.catalogue import message

CHALLENGER = "challenger.pt"
TRUNK = "trunk.pt"  # the weights as training left them, from which the next cycle may go on
CHALLENGER_RECORD = "challenger.json"
_FACTS_A_RELATION = 16  # about as many facts a cycle of each relation
_POOL_FACTOR, _LEAST_POOL, _MOST_POOL = 4, 64, 2048  # facts measured on dev before choosing
_POOL_PASSAGES = 400
_PASSAGE_HEAD = 256  # bytes of a passage that are measured
_KINDS = {
    "statement": "kind.statement",
    "question": "kind.question",
    "cloze": "kind.cloze",
    "passage": "kind.passage",
    "own": "kind.own",
}
_TIE_BREAK = 0.01  # of a bit a byte against the share of right answers
_SAME_LOSS = 1e-4  # bits a byte between a model in memory and its file


@dataclass
class Cycle:
    """All that the phases of one cycle need."""

    number: int  # of all cycles of this model's life, from 1 on
    champion: Transformer
    provenance: dict  # of the champion
    corpus: Corpus
    knowledge: KnowledgeBase | None
    splits: Splits
    memory: Memory
    config: EvolutionConfig
    cycle_bytes: int
    training_config: TrainingConfig  # of the base model
    directory: Path
    ancestor: Path  # file of the champion before this one, if there was one
    course: tuple[int, int]  # number of the cycle in its course, from 0, and how many that has
    trunk: Path  # what the cycle before of the same course left, if it left something
    device: str
    dtype: torch.dtype
    console: Console

    def __post_init__(self):
        self.examiner = Examiner(self.splits, self.knowledge, self.dtype)

    @property
    def seed(self) -> int:
        return self.training_config.seed

    @property
    def context_length(self) -> int:
        return self.champion.config.context_length

    # Phase 1: what is not known, and how much of it this cycle takes on

    def plan(self, model_path: Path) -> dict:
        """What this cycle teaches, decided from what the champion does not know on dev."""
        dev = self.examiner.prose(self.champion, "dev")
        result = {
            "champion": sha256_of_file(model_path),
            "dev_bits_per_byte": dev.bits_per_byte,
            "facts": [],
            "exposures": 0,
            "review": [],
            "teaches_prose": self.knowledge is None or self.knowledge.passage_count > 0,
            "primary": "prose",
        }
        self.console.say(
            "evolve.baseline", loss=dev.loss, perplexity=dev.perplexity, bits=dev.bits_per_byte
        )
        if self.knowledge is None or not self.knowledge.fact_count:
            return result
        config, knowledge = self.config, self.knowledge
        generator = random.Random(f"{self.seed} {self.number} plan")
        known = knowledge.facts_by_id(self.memory.known)
        plan = plan_cycle(
            knowledge, len(known), self.cycle_bytes, config, derived_seed(self.seed, self.number)
        )
        left = knowledge.fact_count - len(known)
        if known and 0 < left < FEWEST_CLUSTERS:
            self.console.say("evolve.too_few_left", facts=left)
            plan = replace(plan, new_facts=0)
        pool = self._pool(plan.new_facts, generator)
        scores = self.examiner.facts(self.champion, pool, "dev")
        cost = scores.bits / np.maximum(1, scores.sizes)
        taken = choose_weakest(pool, cost, scores.correct, plan.new_facts, generator)
        taken = by_turns(taken)  # the first few are shown as examples
        review = self.examiner.facts(self.champion, known, "dev")
        review_cost = review.bits / np.maximum(1, review.sizes)
        examples = taken[:EXAMPLES]
        chance = float(np.mean([self.examiner.chance(fact) for fact in pool])) if pool else 0.0
        weak = [fact for fact, right in zip(pool, scores.correct) if not right]
        relations = Counter(fact.relation for fact in weak).most_common(3)
        self.console.say(
            "evolve.weak",
            unknown=len(weak),
            asked=len(pool),
            share=scores.exact_match if pool else 0.0,
            chance=chance,
            relations=" · ".join(f"{name.replace('_', ' ')} {count}" for name, count in relations),
        )
        self.console.say(
            "evolve.plan", facts=len(taken), exposures=plan.exposures, review=len(known)
        )
        if len(taken) < FEWEST_CLUSTERS <= left:
            self.console.warn("evolve.few", facts=len(taken), needed=FEWEST_CLUSTERS)
        return {
            **result,
            "primary": "facts" if taken else "prose",
            "facts": [fact.id for fact in taken],
            "exposures": plan.exposures,
            "review": [
                [fact.id, count]
                for fact, count in share_out(known, review_cost, plan.review_documents)
            ],
            "asked_on_dev": len(pool),
            "known_on_dev": int(scores.correct.sum()),
            "chance": chance,
            "examples": self.examiner.answers(self.champion, examples),
        }

    def _pool(self, wanted: int, generator: random.Random) -> list[Fact]:
        """Facts not learnt yet from which the weakest are chosen: of a few relations, as each has
        wordings of its own to be learnt, but of as many as it takes."""
        if not wanted:
            return []
        count, known = self.knowledge.fact_count, self.memory.known
        size = min(_MOST_POOL + wanted, max(_LEAST_POOL, _POOL_FACTOR * wanted))
        relations = min(self.knowledge.relation_count, max(1, wanted // _FACTS_A_RELATION))
        each = max(_FACTS_A_RELATION, -(-size // relations))
        pool: dict[str, Fact] = {}
        seen = set()
        for number in generator.sample(range(1, count + 1), count):
            first = self.knowledge.fact(number)
            if len(pool) >= size:
                break
            if (first.relation, first.lang) not in seen:
                seen.add((first.relation, first.lang))
                alike = [f for f in self.knowledge.facts_like(first) if f.id not in known]
                chosen = generator.sample(alike, min(each, len(alike), size - len(pool)))
                pool |= {fact.id: fact for fact in chosen}
        return list(pool.values())

    # Phase 2: the lesson

    def write(self, plan: dict) -> dict:
        """Writes the text to train on; returns how much of what."""
        generator = random.Random(f"{self.seed} {self.number} lesson")
        share = self.config.replay_fraction if self.knowledge is not None else 0.0
        budget = self.cycle_bytes * (1 - share)
        documents: list[Document] = []
        facts: list[Fact] = []
        if self.knowledge is not None and (plan["facts"] or plan["review"]):
            counts = dict.fromkeys(plan["facts"], plan["exposures"]) | dict(plan["review"])
            facts = self.knowledge.facts_by_id(counts)
            documents = write_about(
                [(fact, counts[fact.id]) for fact in facts],
                self.knowledge,
                self.config,
                self.seed,
                generator,
            )
            reviewed = [fact for fact in facts if fact.id not in set(plan["facts"])]
            documents += self._own_documents(reviewed, budget, generator)
        room = budget - sum(len(item.text.encode()) + len(SEPARATOR) for item in documents)
        if plan["teaches_prose"] and room > 0:
            documents += self._passages(room, generator)
        firewall = Firewall(
            self.splits.prose,
            [*facts, *self.splits.canaries],
            self.knowledge.wordings if self.knowledge else {},
        )
        # Not the replay: the champion was trained on it, and it is not generated.
        documents, rejected = behind_the_wall(documents, firewall)
        size = sum(len(item.text.encode()) + len(SEPARATOR) for item in documents)
        replayed = size * share / (1 - share)
        texts = own_text(self.corpus.train, replayed, self.seed, self.number - 1)
        write_lesson(documents, texts, self.directory, self.number, generator)
        kinds = Counter(document.kind for document in documents)
        replay = sum(len(text.encode()) for text in texts)
        excluded = sum(rejected.values())
        self.console.say(
            "evolve.generated",
            documents=len(documents),
            size=size,
            kinds=" · ".join(f"{message(_KINDS[k])} {n:,}" for k, n in kinds.most_common()),
            replay=replay,
            excluded=excluded,
        )
        return {
            "documents": len(documents),
            "kinds": dict(kinds),
            "bytes": size,
            "replay_bytes": replay,
            "rejected": dict(rejected),
        }

    def _own_documents(self, facts, size_bytes, generator) -> list[Document]:
        asked = [
            (fill(generator.choice(questions(self.knowledge.wordings, fact, TRAIN)), fact), fact)
            for fact in facts
            if is_asked(fact, self.config.unasked_share, self.seed)
        ]
        answers = answer(self.champion, [question for question, _ in asked])
        return own_answers(asked, answers, size_bytes)

    def _passages(self, size_bytes, generator) -> list[Document]:
        """Passages of the knowledge base by how much cheaper they became since the champion before;
        where there is none, the next part of the training text: to choose there costs more than
        it brings."""
        if self.knowledge is None:
            texts = own_text(self.corpus.train, size_bytes, self.seed, self.number - 1)
            return [Document(text, "passage", "training text") for text in texts]
        count = self.knowledge.passage_count
        wanted = min(count, max(_POOL_PASSAGES, int(4 * size_bytes / 400)))
        numbers = generator.sample(range(1, count + 1), wanted)
        pool = [self.knowledge.passage(number) for number in numbers]
        gains, ancestor = None, self.ancestor
        if ancestor.exists():
            before = self._passage_cost(load_model(ancestor)[0].to(self.device), pool)
            gains = before - self._passage_cost(self.champion, pool)
        return choose_passages(pool, gains, size_bytes, generator)

    def _passage_cost(self, model: Transformer, passages: list[tuple[str, str]]) -> np.ndarray:
        """Bits a byte of the beginning of each passage."""
        size = min(_PASSAGE_HEAD, model.config.context_length - 1)
        heads = [text.encode()[:size].decode("utf-8", "ignore") for text, _ in passages]
        scores = score(model, [Question("", (head,), "") for head in heads], self.dtype)
        return scores.bits / np.maximum(1, scores.sizes)

    # Phase 3: the challenger

    def train(self, plan: dict) -> dict:
        """Trains the challenger and saves it.

        Prose is learnt in courses of several cycles, as if they were one run: the rate falls once
        over all of them, and each goes on from where the one before stopped, kept or not. Facts are
        learnt within a cycle.
        """
        base, lr = self.training_config, self.config.lr
        start = self.champion
        recipe = Recipe(base, lr, derived_seed(self.seed, self.number), self.device, self.dtype)
        if plan["primary"] == "prose":
            index, count = self.course
            recipe = replace(
                recipe,
                lr=lr * (1 - index / count),
                min_lr_ratio=(count - index - 1) / (count - index),
                weight_decay=base.weight_decay,
            )
            start = self._trunk() or start

        known = self.examiner.facts_named(self.memory.some_known(self.seed))
        remembered = self._remembered(self.champion, known)

        def cost(model: Transformer) -> tuple[float, float]:
            """Harm as a share of what the gate tolerates; of prose half, which is to be proven."""
            prose = self.examiner.prose(model, "dev").bits_per_byte - plan["dev_bits_per_byte"]
            forgotten = remembered - self._remembered(model, known)
            harms = prose / (PROSE_TOLERANCE / 2), forgotten / most_forgotten(len(known))
            return self._dev_cost(model, plan), max(harms)

        challenger, trained, made = train_challenger(
            self.champion,
            start,
            self.directory,
            self.splits.prose["dev"],
            recipe,
            cost,
            self.console,
        )
        path = self.directory / CHALLENGER
        provenance = {**self.provenance, "evolution_cycle": self.number}
        save_model(path, challenger, provenance)
        if plan["primary"] == "prose":
            save_model(self.directory / TRUNK, trained, provenance)
        return {**made, "sha256": sha256_of_file(path)}

    def _trunk(self) -> Transformer | None:
        """What the cycle before left, if it is of the same course."""
        if not self.course[0] or not self.trunk.exists():
            return None
        model, provenance = load_model(self.trunk)
        found = provenance.get("evolution_cycle") == self.number - 1
        return model.to(self.device) if found else None

    def _dev_cost(self, model: Transformer, plan: dict) -> float:
        """The primary measure on dev: bits a byte of prose, or the share of questions that are
        not answered; equal shares are told apart by the cost of the right answers."""
        if plan["primary"] == "prose":
            return self.examiner.prose(model, "dev").bits_per_byte
        facts = self.examiner.facts_named(plan["facts"])
        scores = self.examiner.facts(model, facts, "dev")
        return 1 - scores.exact_match + _TIE_BREAK * scores.bits_per_byte

    def _remembered(self, model: Transformer, facts: list[Fact]) -> int:
        """How many of ``facts``, learnt before, are answered on dev."""
        return int(self.examiner.facts(model, facts, "dev").correct.sum())

    # Phase 4: the gate

    def judge(self, plan: dict) -> dict:
        """Compares the challenger's file with the champion; see ``Comparison.judge``. Raises
        ``TrainingDiverged`` when the file is not the model that was trained."""
        made = read_json(self.directory / CHALLENGER_RECORD)
        challenger, _ = load_model(self.directory / CHALLENGER)
        challenger.to(self.device)
        trained_cost, _ = made["dev_costs"][made["choice"]]
        if abs(self._dev_cost(challenger, plan) - trained_cost) > _SAME_LOSS:
            raise TrainingDiverged("evolve.not_reproduced")
        facts = self.examiner.facts_named(plan["facts"])
        comparison = Comparison(
            self.number,
            self.champion,
            challenger,
            self.examiner,
            self.memory,
            self.config,
            self.seed,
        )
        return comparison.judge(plan, facts, made, self.console)
