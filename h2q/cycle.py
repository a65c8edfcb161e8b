"""One cycle of evolution: its four phases, each a function of what the one before left on disk.

``plan`` finds what the champion does not know, ``write`` makes the lesson, ``train`` the
challenger, ``judge`` measures it. None of them touches the champion's file; ``evolution`` runs
them and decides what becomes of it.
"""

import math
import random
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from h2q import gate
from h2q.capability import Quality, Question, answer, continue_prompts, quality, score
from h2q.challenger import Recipe, train_challenger
from h2q.config import EvolutionConfig, TrainingConfig, derived_seed
from h2q.console import Console
from h2q.corpus import Corpus
from h2q.errors import TrainingDiverged
from h2q.evaluation import Evaluation, evaluate
from h2q.files import read_json, sha256_of_file
from h2q.knowledge import KnowledgeBase
from h2q.lessons import (
    SEPARATOR,
    Document,
    behind_the_wall,
    choose_passages,
    choose_weakest,
    own_answers,
    own_text,
    plan_cycle,
    share_out,
    write_about,
    write_lesson,
)
from h2q.lineage import Memory
from h2q.messages import message
from h2q.model import Transformer
from h2q.model_file import load_model, save_model
from h2q.splits import Firewall, Splits, ask, is_asked
from h2q.tokenizer import decode
from h2q.wordings import TRAIN, Fact, fill, questions, statements

CHALLENGER = "challenger.pt"
CHALLENGER_RECORD = "challenger.json"
_FACTS_A_RELATION = 16  # about as many facts a cycle of each relation
_POOL_FACTOR, _LEAST_POOL, _MOST_POOL = 4, 64, 2048  # facts measured on dev before choosing
_MOST_RETAINED = 400  # facts learnt before that the gate asks again
_POOL_PASSAGES = 400
_PASSAGE_HEAD = 256  # bytes of a passage that are measured
_EXAMPLES, _QUALITY_FACTS = 3, 8
_KINDS = {
    "statement": "kind.statement",
    "question": "kind.question",
    "cloze": "kind.cloze",
    "passage": "kind.passage",
    "own": "kind.own",
}
_MEASURES = {"facts": "measure.facts", "prose": "measure.prose"}
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
    device: str
    dtype: torch.dtype
    console: Console

    @property
    def seed(self) -> int:
        return self.training_config.seed

    @property
    def context_length(self) -> int:
        return self.champion.config.context_length

    # Phase 1: what is not known, and how much of it this cycle takes on

    def plan(self, model_path: Path) -> dict:
        """What this cycle teaches, decided from what the champion does not know on dev."""
        dev = self._prose(self.champion, "dev")
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
        pool = self._pool(plan.new_facts, generator)
        scores = self._score(self.champion, pool, "dev")
        cost = scores.bits / np.maximum(1, scores.sizes)
        taken = choose_weakest(pool, cost, scores.correct, plan.new_facts, generator)
        review = self._score(self.champion, known, "dev")
        review_cost = review.bits / np.maximum(1, review.sizes)
        examples = taken[:_EXAMPLES]
        chance = float(np.mean([self._chance(fact) for fact in pool])) if pool else 0.0
        weak = [fact for fact, right in zip(pool, scores.correct) if not right]
        relations = Counter(fact.relation for fact in weak).most_common(3)
        self.console.say(
            "evolve.weak",
            unknown=len(weak),
            asked=len(pool),
            share=scores.exact_match if pool else 0.0,
            chance=chance,
            relations=" · ".join(f"{name} {count}" for name, count in relations),
        )
        self.console.say(
            "evolve.plan", facts=len(taken), exposures=plan.exposures, review=len(known)
        )
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
            "examples": self._answers_to(self.champion, examples),
        }

    def _pool(self, wanted: int, generator: random.Random) -> list[Fact]:
        """Facts not learnt yet from which the weakest are chosen: of a few relations, as each has
        wordings of its own to be learnt."""
        if not wanted:
            return []
        count, known = self.knowledge.fact_count, self.memory.known
        size = min(_MOST_POOL + wanted, max(_LEAST_POOL, _POOL_FACTOR * wanted))
        each = max(_FACTS_A_RELATION, size // max(1, wanted // _FACTS_A_RELATION))
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

    def _chance(self, fact: Fact) -> float:
        return gate.chance_of(self.knowledge.objects(fact.relation, fact.lang))

    def _score(self, model: Transformer, facts: list[Fact], split: str):
        wordings = self.knowledge.wordings if self.knowledge else {}
        return score(model, ask(facts, wordings, split), self.dtype)

    def _prose(self, model: Transformer, split: str) -> Evaluation:
        stream = self.splits.prose[split]
        return evaluate(model, stream, limit_bytes=len(stream) + 1, dtype=self.dtype)

    def _answers_to(self, model: Transformer, facts: list[Fact]) -> list[dict]:
        """Questions of the vault's wordings with the greedy answers."""
        asked = ask(facts, self.knowledge.wordings, "vault")
        answers = answer(model, [question.prompt for question in asked])
        return [
            {"question": question.prompt, "answer": decode(text), "right": question.answers[0]}
            for question, text in zip(asked, answers)
        ]

    # Phase 2: the lesson

    def write(self, plan: dict) -> dict:
        """Writes the text to train on; returns how much of what."""
        generator = random.Random(f"{self.seed} {self.number} lesson")
        share = self.config.replay_fraction
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
        texts = own_text(self.corpus.train, size * share / (1 - share), generator)
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
        """Passages of the knowledge base, or of the training text where there is none, by how much
        cheaper they became since the champion before."""
        if self.knowledge is None:
            texts = own_text(self.corpus.train, 4 * size_bytes, generator)
            pool = [(text, "training text") for text in dict.fromkeys(texts)]
        else:
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
        """Trains the challenger and saves it."""
        recipe = Recipe(
            self.training_config,
            self.config.lr,
            derived_seed(self.seed, self.number),
            self.device,
            self.dtype,
        )

        def cost(model: Transformer) -> tuple[float, float]:
            worse = self._prose(model, "dev").bits_per_byte - plan["dev_bits_per_byte"]
            return self._dev_cost(model, plan), worse

        challenger, made = train_challenger(
            self.champion, self.directory, self.splits.prose["dev"], recipe, cost, self.console
        )
        path = self.directory / CHALLENGER
        save_model(path, challenger, {**self.provenance, "evolution_cycle": self.number})
        return {**made, "sha256": sha256_of_file(path)}

    def _dev_cost(self, model: Transformer, plan: dict) -> float:
        """The primary measure on dev: bits a byte of prose, or the share of questions that are
        not answered; equal shares are told apart by the cost of the right answers."""
        if plan["primary"] == "prose":
            return self._prose(model, "dev").bits_per_byte
        scores = self._score(model, self.knowledge.facts_by_id(plan["facts"]), "dev")
        return 1 - scores.exact_match + _TIE_BREAK * scores.bits_per_byte

    # Phase 4: the gate

    def judge(self, plan: dict) -> dict:
        """Measures the challenger's file on gate and vault; returns the entry of the history and
        what is to be remembered if it is promoted."""
        made = read_json(self.directory / CHALLENGER_RECORD)
        challenger, _ = load_model(self.directory / CHALLENGER)
        challenger.to(self.device)
        if (
            abs(self._dev_cost(challenger, plan) - made["dev_costs"][made["choice"]][0])
            > _SAME_LOSS
        ):
            raise TrainingDiverged("evolve.not_reproduced")
        facts = self.knowledge.facts_by_id(plan["facts"]) if self.knowledge else []
        level = gate.level_of_attempt(self.number)
        before_prose, after_prose = (
            self._prose(self.champion, "gate"),
            self._prose(challenger, "gate"),
        )
        best = np.array(self.memory.prose or before_prose.sums)
        if best.sum() > before_prose.sums.sum():
            best = before_prose.sums
        prose = _prose_difference(after_prose, best, gate.SAFE_LEVEL)
        measured = self._measure_facts(challenger, facts, level) if facts else {}
        primary = measured.pop("primary", None)
        vault_gain = measured.pop("vault_gain", None)
        right = measured.pop("right", [])
        if primary is None:
            primary = _prose_difference(after_prose, before_prose.sums, level)
            vault = [
                self._prose(model, "vault").bits_per_byte for model in (self.champion, challenger)
            ]
            vault_gain = vault[0] - vault[1]
        retained = self._retained()
        match_before = match_after = None
        if retained:
            match_before = float(np.mean([self.memory.known[fact.id] for fact in retained]))
            kept = self._score(challenger, retained, "gate").correct
            match_after = float(kept.mean())
        canaries = self._score(challenger, self.splits.canaries, "gate")
        chances = [self._chance(fact) for fact in self.splits.canaries]
        canary = (int(canaries.correct.sum()), len(chances), max(chances, default=0.0))
        judged = gate.judge(primary, prose, match_before, match_after, canary)
        written = self._quality(challenger, facts)
        examples = self._answers_to(challenger, facts[:_EXAMPLES]) if facts else []
        entry = {
            "promoted": judged.promoted,
            "improvement": vault_gain if judged.promoted else 0.0,
            "reason": judged.reason,
            "primary": plan["primary"],
            "difference": _plain(primary),
            "level": level,
            "confidence": primary.confidence,
            "clusters": primary.clusters,
            "vault_gain": vault_gain,
            "prose_difference": _plain(prose),
            "eval_loss_before": before_prose.loss,
            "eval_loss_after": after_prose.loss,
            "facts": len(facts),
            "exposures": plan["exposures"],
            "chance": plan.get("chance"),
            **measured,
            "retained": len(retained),
            "retained_match_before": match_before,
            "retained_match_after": match_after,
            "canaries_right": canary[0],
            "canaries": canary[1],
            "canary_chance": canary[2],
            "quality": asdict(written),
            "choice": made["choice"],
            "trained_bytes": made["trained_bytes"],
            "splits": self.splits.digest,
        }
        self._show_verdict(entry, judged, primary, plan.get("examples", []), examples, written)
        learnt = self._score(challenger, facts, "dev").correct if facts else []
        return {
            "entry": entry,
            # What dev shows as not learnt is taken on again.
            "known": {f.id: bool(r) for f, known, r in zip(facts, learnt, right) if known},
            "retained": (
                {fact.id: bool(right) for fact, right in zip(retained, kept)} if retained else {}
            ),
            "prose": (after_prose.sums if after_prose.sums.sum() < best.sum() else best).tolist(),
        }

    def _measure_facts(self, challenger: Transformer, facts: list[Fact], level: float) -> dict:
        """The primary measure on the gate's wordings, and matches on those of gate and vault,
        together and for entities that were and were never asked about."""
        before, after = (self._score(model, facts, "gate") for model in (self.champion, challenger))
        # What is wrong, so that less is better, as with bits.
        primary = gate.paired_difference(
            ~after.correct, ~before.correct, np.ones(len(facts)), before.clusters, level
        )
        vault_before = self._score(self.champion, facts, "vault")
        vault_after = self._score(challenger, facts, "vault")
        asked = np.array([is_asked(f, self.config.unasked_share, self.seed) for f in facts])
        return {
            "primary": primary,
            "right": after.correct,
            "vault_gain": vault_after.exact_match - vault_before.exact_match,
            "fact_bits_before": before.bits_per_byte,
            "fact_bits_after": after.bits_per_byte,
            "match_before": before.exact_match,
            "match_after": after.exact_match,
            "vault_match_before": vault_before.exact_match,
            "vault_match_after": vault_after.exact_match,
            "asked_match": _share(vault_after.correct[asked]),
            "never_asked_match": _share(vault_after.correct[~asked]),
        }

    def _retained(self) -> list[Fact]:
        """Facts learnt before that the gate asks again: all, or as many as are affordable."""
        if self.knowledge is None:
            return []
        names = sorted(self.memory.known)
        if len(names) > _MOST_RETAINED:
            names = random.Random(f"{self.seed} retained").sample(names, _MOST_RETAINED)
        return self.knowledge.facts_by_id(names)

    def _quality(self, model: Transformer, facts: list[Fact]) -> Quality:
        if facts:
            chosen = facts[:_QUALITY_FACTS]
            wordings = self.knowledge.wordings
            by_split = [
                answer(model, [question.prompt for question in ask(chosen, wordings, split)])
                for split in ("dev", "gate", "vault")
            ]
            known = [fill(statements(wordings, fact)[0], fact) for fact in chosen]
            return quality(list(zip(*by_split)), known, [fact.object for fact in chosen])
        stream = self.splits.prose["vault"]
        length = min(96, model.config.context_length // 2, len(stream) // 2)
        starts = [start for start, _ in stream.windows(model.config.context_length, 2**40)]
        texts = [stream.read(start, 2 * length) for start in starts[:_QUALITY_FACTS]]
        written = continue_prompts(
            model, [text[:length] for text in texts], min(48, length), stop=None
        )
        real = [decode(text) for text in texts]
        return quality(
            [[text] for text in written], real, [decode(text[length:]) for text in texts]
        )

    def _show_verdict(self, entry, judged, primary, before, after, written: Quality) -> None:
        for old, new in zip(before, after):
            self.console.say(
                "evolve.example",
                question=old["question"],
                before=old["answer"],
                after=new["answer"],
                mark="✓" if new["answer"] == new["right"] else f"✗ ({new['right']})",
            )
        self.console.say("evolve.quality", **asdict(written))
        if entry["facts"]:
            self.console.say("evolve.matches", **entry)
        verdict = message("evolve.promoted" if judged.promoted else "evolve.rejected")
        measure = message(_MEASURES[entry["primary"]])
        known = math.isfinite(primary.high)
        self.console.say(
            "evolve.verdict" if known else "evolve.verdict_few",
            verdict=verdict,
            measure=measure,
            reason=message(judged.reason),
            **gate.interval_line(primary),
        )


def _prose_difference(after: Evaluation, before: np.ndarray, level: float) -> gate.Difference:
    """In bits a byte, by window."""
    blocks = range(len(before))
    return gate.paired_difference(
        after.sums / math.log(2), before / math.log(2), after.counts, blocks, level
    )


def _plain(difference: gate.Difference) -> dict:
    """Numbers that JSON can hold; a bound that is not known is None."""
    values = {name: getattr(difference, name) for name in ("mean", "low", "high")}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _share(correct: np.ndarray) -> float | None:
    return float(correct.mean()) if len(correct) else None
