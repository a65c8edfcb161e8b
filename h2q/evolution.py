"""``SelfEvolutionEngine``: the README's cycle (进化周期), each kept only if measurably better.

A cycle measures what the champion does not know, writes lessons about as much of it as its budget
can teach, trains a copy on them and on a replay of the person's own text, and lets the gate
compare the two. Only then, and by one rename, the copy takes the champion's place; whatever else
happens leaves the champion's file as it was. Each phase leaves its result on disk, and everything
random is a function of seed and cycle, so that a killed evolution ends like one that was not.
"""

import math
import random
import shutil
import time
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from h2q import gate, lineage
from h2q.capability import Quality, answer, continue_prompts, quality, score
from h2q.config import (
    CHECKPOINT_DIR,
    MODEL_PATH,
    EvolutionConfig,
    TrainingConfig,
    derived_seed,
)
from h2q.console import Console
from h2q.corpus import Corpus, open_corpus
from h2q.errors import H2QError, Interrupted, SettingError, TrainingDiverged
from h2q.evaluation import Evaluation, evaluate
from h2q.files import link_or_copy, promote, read_json, sha256_of_file, write_json
from h2q.knowledge import KnowledgeBase
from h2q.lessons import (
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
from h2q.lineage import Memory, Run, read_stats
from h2q.messages import message
from h2q.model import Transformer
from h2q.model_file import load_model, save_model
from h2q.saved_run import load_saved_run
from h2q.splits import Firewall, ask, is_asked, seal
from h2q.tokenizer import decode
from h2q.trainer import LocalModelTrainer
from h2q.wordings import TRAIN, Fact, fill, questions, statements

_MUON_SHARE = 0.6  # of the rate of AdamW
_SHORT_WINDOWS = 1.0  # documents are short: so are windows, and updates come more often
_WARMUP_SHARE = 0.05  # of the steps
_AVERAGED_SHARE = 0.25  # of the run, its last part
_HALVE_AFTER, _STOP_AFTER = 3, 6  # rejections in a row
_POOL_FACTOR, _LEAST_POOL, _MOST_POOL = 4, 64, 2048  # facts measured on dev before choosing
_MOST_RETAINED = 400  # facts learnt before that the gate asks again
_POOL_PASSAGES = 400
_EXAMPLES, _QUALITY_FACTS = 3, 24
_PACE_STEPS = 6


class SelfEvolutionEngine:
    """Improves the trained model of ``output_dir`` cycle by cycle (README: 自我进化引擎)."""

    def __init__(
        self,
        corpus: Corpus,
        knowledge: KnowledgeBase | None,
        output_dir: Path,
        config: EvolutionConfig = EvolutionConfig(),
        training_config: TrainingConfig = TrainingConfig(),
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        console: Console | None = None,
        resume: bool = False,
    ):
        """``training_config`` is that of the base model. Without ``knowledge`` the training text
        itself is taught. Raises ``UnusableInput`` when what was written so far cannot be read,
        ``SettingError`` when an evolution to ``resume`` was of other settings or texts."""
        self.corpus = corpus
        self.knowledge = knowledge
        self.output_dir = Path(output_dir)
        self.model_path = self.output_dir / MODEL_PATH
        self.directory = self.output_dir / CHECKPOINT_DIR / "evolution"
        self.config = config
        self.training_config = training_config
        self.seed = training_config.seed
        self.device = device
        self.dtype = dtype
        self.console = console or Console(silent=True)
        self.stats = read_stats(output_dir)
        champion, _ = load_model(self.model_path)
        self.context_length = champion.config.context_length
        self.splits = seal(
            corpus.heldout,
            knowledge,
            self.context_length,
            training_config.eval_bytes,
            config,
            self.seed,
        )
        self.memory = lineage.load(Memory, self.directory / "memory.json") or Memory()
        self.run = self._begin_or_resume(resume)

    def _begin_or_resume(self, resume: bool) -> Run:
        done = self.stats["total_evolutions"]
        settings = {**asdict(self.config), "seed": self.seed}
        for name in ("cycles", "max_minutes"):  # may differ when it goes on
            del settings[name]
        wanted = Run(
            done + self.config.cycles,
            done + 1,
            settings,
            self.splits.digest,
            self.knowledge.digest if self.knowledge else self.corpus.fingerprint,
            self.config.cycle_bytes,
        )
        saved = lineage.load(Run, self.directory / "run.json") if resume else None
        if saved is not None and saved.last_cycle > done:
            for name in ("settings", "splits", "knowledge"):
                if getattr(saved, name) != getattr(wanted, name):
                    raise SettingError("evolve.changed", name=name)
            return saved
        if resume:
            self.console.say("evolve.nothing_to_resume")
        return wanted

    def evolve(self) -> dict:
        """Runs the cycles; returns the statistics, which are saved after each.

        A cycle that fails for whatever reason counts as failed and changes nothing. Raises
        ``ModelFileError`` without a usable champion, ``Interrupted`` when asked to stop.
        """
        _, provenance = load_model(self.model_path)
        if provenance.get("corpus") != self.corpus.fingerprint:
            self.console.warn("evolve.other_text")
        run_path = self.directory / "run.json"
        self._finish_promoted()
        if not run_path.exists() or lineage.load(Run, run_path) != self.run:
            shutil.rmtree(self._cycle_directory(), ignore_errors=True)  # of a run not resumed
            if self.config.max_minutes:
                self.run.cycle_bytes = self._affordable_bytes()
            lineage.save(self.run, run_path)
        if self.memory.splits != self.splits.digest:
            if self.memory.splits:
                self.console.warn("evolve.sealed_anew")
            self.memory = Memory(self.splits.digest, self.stats["total_evolutions"])
            lineage.save(self.memory, self.directory / "memory.json")
        stopped = ""
        while self.stats["total_evolutions"] < self.run.last_cycle and not stopped:
            began = time.monotonic()
            number = self.stats["total_evolutions"] + 1
            first, last = self.run.first_cycle, self.run.last_cycle
            self.console.say("evolve.cycle", cycle=number - first + 1, cycles=last - first + 1)
            stopped = self._cycle(number)
            self.run.seconds += time.monotonic() - began
            lineage.save(self.run, run_path)
            stopped = stopped or self._reason_to_stop()
        if stopped:
            self.console.say(stopped)
        self._show_table()
        self.console.say("evolve.stats", **self.stats)
        return self.stats

    def _reason_to_stop(self) -> str:
        """The key of the message that says why to stop before the last cycle, or nothing."""
        stats, run = self.stats, self.run
        if stats["total_evolutions"] >= run.last_cycle:
            return ""
        if lineage.rejections_in_a_row(stats, run.first_cycle) >= _STOP_AFTER:
            return "evolve.stop_rejected"
        done = stats["total_evolutions"] - run.first_cycle + 1
        limit = 60 * self.config.max_minutes
        if limit and run.seconds + 0.9 * run.seconds / max(1, done) > limit:
            return "evolve.stop_time"
        return ""

    def _cycle_directory(self, number: int | None = None) -> Path:
        number = number or self.stats["total_evolutions"] + 1
        return self.directory / f"cycle_{number:04d}"

    def _cycle(self, number: int) -> str:
        """Runs one cycle to its end in the statistics; returns why there is nothing left to do,
        if so."""
        directory = self._cycle_directory(number)
        champion, provenance = load_model(self.model_path)
        champion.to(self.device)
        try:
            plan = self._phase(directory, "plan", lambda: self._plan(number, champion))
            if plan["champion"] != sha256_of_file(self.model_path):  # trained anew in between
                shutil.rmtree(directory)
                plan = self._phase(directory, "plan", lambda: self._plan(number, champion))
            if not plan["facts"] and not plan["teaches_prose"]:
                return "evolve.stop_known"
            lesson = self._phase(
                directory, "lesson", lambda: self._write_lesson(number, champion, plan)
            )
            self._phase(
                directory,
                "challenger",
                lambda: self._train_challenger(number, champion, provenance),
            )
            verdict = self._phase(
                directory, "verdict", lambda: self._verdict(number, champion, plan)
            )
            verdict["entry"]["generated"] = lesson
            self._conclude(number, verdict)
        except Interrupted:
            raise
        except (H2QError, OSError, RuntimeError, MemoryError) as error:
            self.console.warn("evolve.failed", reason=error)
            entry = {"promoted": False, "improvement": 0.0, "reason": str(error)}
            lineage.record(self.stats, entry, self.output_dir)
        for leftover in ("text", CHECKPOINT_DIR, Path(MODEL_PATH).parent, "challenger.pt"):
            path = directory / leftover
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(True)
        return ""

    def _phase(self, directory: Path, name: str, work) -> dict:
        """The result of a phase, from disk where it was done before a kill."""
        path = directory / f"{name}.json"
        if path.exists():
            return read_json(path)
        began = time.monotonic()
        result = work()
        result["seconds"] = time.monotonic() - began
        write_json(path, result)
        return result

    # Phase 1: what is not known, and how much of it this cycle takes on

    def _plan(self, number: int, champion: Transformer) -> dict:
        dev = self._prose(champion, "dev")
        result = {
            "champion": sha256_of_file(self.model_path),
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
        config, knowledge = self._adapted_config(), self.knowledge
        generator = random.Random(f"{self.seed} {number} plan")
        known = knowledge.facts_by_id(self.memory.known)
        plan = plan_cycle(
            knowledge, len(known), self.run.cycle_bytes, config, derived_seed(self.seed, number)
        )
        pool = self._pool(plan.new_facts, generator)
        scores = self._score(champion, pool, "dev")
        cost = scores.bits / np.maximum(1, scores.sizes)
        taken = choose_weakest(pool, cost, scores.correct, plan.new_facts, generator)
        review = self._score(champion, known, "dev")
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
            "examples": self._answers_to(champion, examples),
        }

    def _adapted_config(self) -> EvolutionConfig:
        """After three rejections in a row fewer facts, seen more often, and more of the old."""
        rejections = lineage.rejections_in_a_row(self.stats, self.run.first_cycle)
        if rejections < _HALVE_AFTER:
            return self.config
        return replace(
            self.config,
            exposures=round(1.5 * self.config.exposures),
            review_fraction=min(0.5, 2 * self.config.review_fraction),
            lr_factor=self.config.lr_factor / 2,
        )

    def _pool(self, wanted: int, generator: random.Random) -> list[Fact]:
        """Facts not learnt yet from which the weakest are chosen."""
        count = self.knowledge.fact_count
        if not wanted:
            return []
        size = min(count, _MOST_POOL + wanted, max(_LEAST_POOL, _POOL_FACTOR * wanted))
        known = self.memory.known
        pool: list[Fact] = []
        for number in generator.sample(range(1, count + 1), count):
            fact = self.knowledge.fact(number)
            if fact.id not in known:
                pool.append(fact)
                if len(pool) == size:
                    break
        return pool

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

    def _write_lesson(self, number: int, champion: Transformer, plan: dict) -> dict:
        generator = random.Random(f"{self.seed} {number} lesson")
        budget = self.run.cycle_bytes * (1 - self.config.replay_fraction)
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
            documents += self._own_documents(champion, reviewed, budget, generator)
        room = budget - sum(len(item.text.encode()) + 2 for item in documents)
        if plan["teaches_prose"] and room > 0:
            documents += self._passages(champion, room, generator)
        firewall = Firewall(
            self.splits.prose,
            [*facts, *self.splits.canaries],
            self.knowledge.wordings if self.knowledge else {},
        )
        documents, rejected = behind_the_wall(documents, firewall)
        size = sum(len(item.text.encode()) + 2 for item in documents)
        share = self.config.replay_fraction
        texts = own_text(self.corpus.train, size * share / (1 - share), generator)
        texts, rejected_replay = behind_the_wall(texts, firewall)
        write_lesson(documents, texts, self._cycle_directory(number), number, generator)
        kinds = Counter(document.kind for document in documents)
        replay = sum(len(text.encode()) for text in texts)
        excluded = sum((rejected + rejected_replay).values())
        self.console.say(
            "evolve.generated",
            documents=len(documents),
            size=size,
            kinds=" · ".join(f"{message('kind.' + k)} {n:,}" for k, n in kinds.most_common()),
            replay=replay,
            excluded=excluded,
        )
        return {
            "documents": len(documents),
            "kinds": dict(kinds),
            "bytes": size,
            "replay_bytes": replay,
            "rejected": dict(rejected + rejected_replay),
        }

    def _own_documents(self, champion, facts, size_bytes, generator) -> list[Document]:
        asked = [
            (fill(generator.choice(questions(self.knowledge.wordings, fact, TRAIN)), fact), fact)
            for fact in facts
            if is_asked(fact, self.config.unasked_share, self.seed)
        ]
        answers = answer(champion, [question for question, _ in asked])
        return own_answers(asked, answers, size_bytes)

    def _passages(self, champion, size_bytes, generator) -> list[Document]:
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
        gains, ancestor = None, self.directory / "ancestor.pt"
        if ancestor.exists():
            before = self._passage_cost(load_model(ancestor)[0].to(self.device), pool)
            gains = before - self._passage_cost(champion, pool)
        return choose_passages(pool, gains, size_bytes, generator)

    def _passage_cost(self, model: Transformer, passages: list[tuple[str, str]]) -> np.ndarray:
        """Bits a byte of the beginning of each passage."""
        from h2q.capability import Question

        heads = [text.encode()[:256].decode("utf-8", "ignore") for text, _ in passages]
        scores = score(model, [Question("", (head,), "") for head in heads], self.dtype)
        return scores.bits / np.maximum(1, scores.sizes)

    # Phase 3: the challenger

    def _challenger_config(self, number: int, corpus: Corpus) -> TrainingConfig:
        rejections = lineage.rejections_in_a_row(self.stats, self.run.first_cycle)
        lr = self.config.lr * self.config.lr_factor / (2 if rejections >= _HALVE_AFTER else 1)
        steps = len(corpus.train) / (self.context_length * self.training_config.batch_size)
        return replace(
            self.training_config,
            epochs=1,
            max_minutes=0.0,
            optimizer="muon",
            lr=lr,
            muon_lr=_MUON_SHARE * lr,
            adam_beta2=0.95,
            schedule="linear",
            decay_fraction=1.0,
            short_fraction=_SHORT_WINDOWS if self.context_length >= 256 else 0.0,
            warmup_steps=int(_WARMUP_SHARE * steps),
            seed=derived_seed(self.seed, number),
        )

    def _train_challenger(self, number: int, champion: Transformer, provenance: dict) -> dict:
        """Trains a copy, chooses among its last, averaged and mixed weights on dev, and saves it."""
        directory = self._cycle_directory(number)
        corpus = open_corpus(
            directory / "text",
            directory / CHECKPOINT_DIR,
            context_length=min(self.context_length, self._lesson_bytes(directory)),
            heldout=self.splits.prose["dev"],
        )
        trainer = LocalModelTrainer(
            corpus,
            directory,
            champion.config,
            self._challenger_config(number, corpus),
            device=self.device,
            dtype=self.dtype,
            console=self.console,
            initial=champion,
            average_from=1 - _AVERAGED_SHARE,
            resume_from=load_saved_run(directory, self.console),
        )
        challenger = trainer.train()
        plan = read_json(directory / "plan.json")
        last = {name: value.clone() for name, value in challenger.state_dict().items()}
        averaged = trainer.averaged_weights() or last
        mixed = {name: (last[name] + averaged[name]) / 2 for name in last}
        costs = {}
        for name, weights in (("last", last), ("averaged", averaged), ("mixed", mixed)):
            challenger.load_state_dict(weights)
            costs[name] = self._dev_cost(challenger, plan)
        if not all(map(math.isfinite, costs.values())):
            raise TrainingDiverged("evolve.not_finite")
        choice = min(costs, key=costs.get)
        challenger.load_state_dict({"last": last, "averaged": averaged, "mixed": mixed}[choice])
        path = directory / "challenger.pt"
        save_model(path, challenger, {**provenance, "evolution_cycle": number})
        return {
            "choice": choice,
            "dev_costs": costs,
            "sha256": sha256_of_file(path),
            "trained_bytes": len(corpus.train),
        }

    def _lesson_bytes(self, directory: Path) -> int:
        return max(2, sum(path.stat().st_size for path in (directory / "text").iterdir()))

    def _dev_cost(self, model: Transformer, plan: dict) -> float:
        """The primary measure on dev, in bits a byte."""
        if plan["primary"] == "prose":
            return self._prose(model, "dev").bits_per_byte
        return self._score(model, self.knowledge.facts_by_id(plan["facts"]), "dev").bits_per_byte

    # Phase 4: the gate

    def _verdict(self, number: int, champion: Transformer, plan: dict) -> dict:
        directory = self._cycle_directory(number)
        made = read_json(directory / "challenger.json")
        challenger, _ = load_model(directory / "challenger.pt")
        challenger.to(self.device)
        if abs(self._dev_cost(challenger, plan) - made["dev_costs"][made["choice"]]) > 1e-4:
            raise TrainingDiverged("evolve.not_reproduced")
        facts = self.knowledge.facts_by_id(plan["facts"]) if self.knowledge else []
        level = gate.level_of_attempt(number)
        before_prose, after_prose = self._prose(champion, "gate"), self._prose(challenger, "gate")
        best = np.array(self.memory.prose or before_prose.sums)
        if best.sum() > before_prose.sums.sum():
            best = before_prose.sums
        prose = _prose_difference(after_prose, best, gate.SAFE_LEVEL)
        measured = self._measure_facts(champion, challenger, facts, level) if facts else {}
        primary = measured.pop("primary", None)
        vault_gain = measured.pop("vault_gain", None)
        if primary is None:
            primary = _prose_difference(after_prose, before_prose.sums, level)
            vault = [self._prose(model, "vault").bits_per_byte for model in (champion, challenger)]
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
        matches = self._score(challenger, facts, "gate").correct.tolist() if facts else []
        return {
            "entry": entry,
            "known": {fact.id: bool(right) for fact, right in zip(facts, matches)},
            "retained": (
                {fact.id: bool(right) for fact, right in zip(retained, kept)} if retained else {}
            ),
            "prose": (after_prose.sums if after_prose.sums.sum() < best.sum() else best).tolist(),
        }

    def _measure_facts(self, champion, challenger, facts: list[Fact], level: float) -> dict:
        """The primary measure on the gate's wordings, and matches on those of gate and vault,
        together and for entities that were and were never asked about."""
        before, after = (self._score(model, facts, "gate") for model in (champion, challenger))
        primary = gate.paired_difference(
            after.bits, before.bits, before.sizes, before.clusters, level
        )
        vault_before = self._score(champion, facts, "vault")
        vault_after = self._score(challenger, facts, "vault")
        asked = np.array([is_asked(f, self.config.unasked_share, self.seed) for f in facts])
        return {
            "primary": primary,
            "vault_gain": vault_before.bits_per_byte - vault_after.bits_per_byte,
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
        length = min(96, self.context_length // 2, len(stream) // 2)
        starts = [start for start, _ in stream.windows(self.context_length, 2**40)]
        texts = [stream.read(start, 2 * length) for start in starts[:_QUALITY_FACTS]]
        written = continue_prompts(
            model, [text[:length] for text in texts], min(48, length), stop=None
        )
        real = [decode(text) for text in texts]
        return quality(
            [[text] for text in written], real, [decode(text[length:]) for text in texts]
        )

    def _conclude(self, number: int, verdict: dict) -> None:
        """Promotes, remembers, records, in this order; each step may be done again."""
        entry = verdict["entry"]
        if entry["promoted"]:
            challenger = self._cycle_directory(number) / "challenger.pt"
            if challenger.exists():
                link_or_copy(self.model_path, self.directory / "ancestor.pt")
                promote(challenger, self.model_path)
            if self.memory.cycle < number:
                memory = self.memory
                known = {**memory.known, **verdict["known"]}
                retained = verdict["retained"]
                if sum(retained.values()) >= sum(memory.known[name] for name in retained):
                    known.update(retained)
                self.memory = Memory(memory.splits, number, known, verdict["prose"])
                lineage.save(self.memory, self.directory / "memory.json")
        lineage.record(self.stats, entry, self.output_dir)

    def _finish_promoted(self) -> None:
        """Completes a cycle that was killed after its challenger had become the champion."""
        number = self.stats["total_evolutions"] + 1
        directory = self._cycle_directory(number)
        path = directory / "verdict.json"
        if not path.exists() or (directory / "challenger.pt").exists():
            return
        verdict = read_json(path)
        _, provenance = load_model(self.model_path)
        if verdict["entry"]["promoted"] and provenance.get("evolution_cycle") == number:
            verdict["entry"]["generated"] = read_json(directory / "lesson.json")
            self._conclude(number, verdict)

    # What a person sees, and the clock

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
            self.console.say("evolve.matches", **{k: _or_nan(v) for k, v in entry.items()})
        verdict = message("evolve.promoted" if judged.promoted else "evolve.rejected")
        measure = message(f"measure.{entry['primary']}")
        numbers = gate.interval_line(primary)
        reason = message(judged.reason)
        self.console.say(
            "evolve.verdict", verdict=verdict, measure=measure, reason=reason, **numbers
        )

    def _show_table(self) -> None:
        cycles = [e for e in self.stats["history"] if e["cycle"] >= self.run.first_cycle]
        if not cycles:
            return
        self.console.say("evolve.table")
        for entry in cycles:
            self.console.say(
                "evolve.row",
                cycle=entry["cycle"],
                mark="✅" if entry["promoted"] else "❌",
                facts=entry.get("facts", 0),
                before=_or_nan(entry.get("vault_match_before")),
                after=_or_nan(entry.get("vault_match_after")),
                retained=_or_nan(entry.get("retained_match_after")),
                prose=_or_nan(entry.get("prose_difference", {}).get("mean")),
                improvement=entry["improvement"],
            )

    def _affordable_bytes(self) -> int:
        """Bytes a cycle may train on so that all of them end in ``max_minutes``: by the pace of a
        few steps on a copy of the champion, with a quarter kept for measuring."""
        champion, _ = load_model(self.model_path)
        trainer = LocalModelTrainer(
            self.corpus,
            self.directory / "pace",
            champion.config,
            replace(self._challenger_config(0, self.corpus), epochs=1000),
            device=self.device,
            dtype=self.dtype,
            initial=champion,
        )
        shape = (self.training_config.batch_size, self.context_length)
        tokens = torch.randint(1, 256, shape, generator=torch.Generator().manual_seed(0))
        trainer.train_step(tokens, tokens)
        began = time.monotonic()
        for _ in range(_PACE_STEPS):
            trainer.train_step(tokens, tokens)
        pace = _PACE_STEPS * tokens.numel() / (time.monotonic() - began)
        seconds = 0.75 * 60 * self.config.max_minutes / self.config.cycles
        return max(2 * self.context_length, int(pace * seconds))


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


def _or_nan(value):
    return math.nan if value is None else value
