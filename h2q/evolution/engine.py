"""``SelfEvolutionEngine``: runs cycles (README: 进化周期) and keeps what is measurably better.

A cycle measures what the champion does not know, writes a lesson about as much of it as its budget
can teach, trains a copy on the lesson and on the person's own text, and compares the two. The copy
takes the champion's place only if the gate agrees, and by one rename. Whatever else happens leaves
the champion's file as it was. An evolution that was killed and resumed ends like one that was not.
"""

import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from h2q.checkpoint.model_file import load_model
from h2q.config import EvolutionConfig, TrainingConfig
from h2q.datasets.corpus import Corpus
from h2q.datasets.knowledge_base import KnowledgeBase
from h2q.evolution import cycle, fact_list, records, statistics
from h2q.evolution.adaptation import adapted
from h2q.evolution.context import Course, Cycle, Setup
from h2q.evolution.examiner import Examiner
from h2q.evolution.junk import without_junk
from h2q.evolution.pace import affordable_bytes
from h2q.evolution.planning import UNFINISHED
from h2q.evolution.records import Memory, Run, Verdict
from h2q.evolution.splits import Splits, seal
from h2q.evolution.statistics import Entry, Statistics, read_stats
from h2q.system.console import Console
from h2q.system.errors import H2QError, Interrupted, SettingError
from h2q.system.files import link_or_copy, promote
from h2q.system.paths import OutputPaths

_STOP_AFTER = 6  # rejections in a row
_CYCLE_SHARE = 0.9  # of a cycle's mean time: so much must be left to begin another


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
    ) -> None:
        """``training_config`` is that of the base model. Without ``knowledge`` the training text
        itself is taught. Raises ``UnusableInput`` when what was written so far cannot be read, and
        ``SettingError`` when an evolution to ``resume`` had other settings or texts."""
        self.paths = OutputPaths(Path(output_dir))
        self.config, self.stats = config, read_stats(self.paths.root)
        champion, provenance = load_model(self.paths.model)
        console = console or Console(silent=True)
        corpus = without_junk(corpus, champion.to(device), provenance, self.paths, dtype, console)
        context_length = champion.config.context_length
        splits = _sealed(corpus, knowledge, context_length, config, training_config)
        self.setup = Setup(
            paths=self.paths,
            corpus=corpus,
            knowledge=knowledge,
            splits=splits,
            examiner=Examiner(splits, knowledge, dtype),
            training=training_config,
            device=device,
            dtype=dtype,
            console=console,
        )
        self.memory = records.load(Memory, self.paths.champions) or Memory()
        self.run = self._begin_or_resume(resume)

    @property
    def _next_cycle(self) -> int:
        return self.stats["total_evolutions"] + 1

    def _begin_or_resume(self, resume: bool) -> Run:
        setup, done = self.setup, self.stats["total_evolutions"]
        settings = {**asdict(self.config), "seed": setup.seed}
        facts = setup.knowledge is not None and setup.knowledge.fact_count > 0
        rounds = self.config.rounds if facts else 1
        for name in ("cycles", "max_minutes"):  # may differ when it goes on
            del settings[name]
        wanted = Run(
            last_cycle=done + self.config.cycles,
            first_cycle=done + 1,
            settings=settings,
            splits=setup.splits.digest,
            knowledge=setup.knowledge.digest if setup.knowledge else setup.corpus.fingerprint,
            cycle_bytes=self.config.cycle_bytes * rounds,
            rounds=rounds,
        )
        saved = records.load(Run, self.paths.evolution_run) if resume else None
        if saved is not None and saved.last_cycle > done:
            # An older version had fewer settings.
            same = {name: wanted.settings.get(name) for name in saved.settings}
            for name in ("settings", "splits", "knowledge"):
                asked = same if name == "settings" else getattr(wanted, name)
                if getattr(saved, name) != asked:
                    raise SettingError("evolve.changed", name=name)
            return saved
        if resume:
            setup.console.say("evolve.nothing_to_resume")
        return wanted

    def _rounds_in(self, size_bytes: int) -> int:
        """How many rounds a cycle of ``size_bytes`` is cut into."""
        return min(self.run.rounds, max(1, round(size_bytes / self.config.cycle_bytes)))

    def evolve(self) -> Statistics:
        """Runs the cycles; returns the statistics, which are saved after each.

        A cycle that fails for whatever reason counts as failed and changes nothing. Raises
        ``ModelFileError`` without a usable champion, and ``Interrupted`` when asked to stop.
        """
        console = self.setup.console
        self._prepare()
        stopped = ""
        while self._next_cycle <= self.run.last_cycle and not stopped:
            began = time.monotonic()
            first, last = self.run.first_cycle, self.run.last_cycle
            console.say("evolve.cycle", cycle=self._next_cycle - first + 1, cycles=last - first + 1)
            stopped = self._run_cycle(self._next_cycle)
            self.run = replace(self.run, seconds=self.run.seconds + time.monotonic() - began)
            records.save(self.run, self.paths.evolution_run)
            stopped = stopped or self._reason_to_stop()
        if stopped:
            console.say(stopped)
        self._show_table()
        after = self._cycle(self._next_cycle)
        fact_list.write(self.setup, after.champion, after.tested)
        console.say("evolve.stats", **self.stats)
        return self.stats

    def _prepare(self) -> None:
        """Completes what a kill left undone, and sets aside what does not count any more."""
        champion, provenance = load_model(self.paths.model)
        if provenance.get("corpus") != self.setup.corpus.fingerprint:
            self.setup.console.warn("evolve.other_text")
        self._finish_promoted()
        if records.load(Run, self.paths.evolution_run) != self.run:  # a run that is not resumed
            shutil.rmtree(self.paths.cycle(self._next_cycle).root, ignore_errors=True)
            if self.config.max_minutes:
                size = affordable_bytes(self.setup, champion.to(self.setup.device), self.config)
                self.run = replace(self.run, cycle_bytes=size, rounds=self._rounds_in(size))
            records.save(self.run, self.paths.evolution_run)
        self._forget_what_is_over(trained_anew="evolution_cycle" not in provenance)

    def _finish_promoted(self) -> None:
        """Completes a cycle that was killed after its challenger had become the champion."""
        number = self._next_cycle
        paths = self.paths.cycle(number)
        if not paths.verdict.exists() or paths.challenger.exists():
            return
        verdict = cycle.finished(paths)
        _, provenance = load_model(self.paths.model)
        of_this_cycle = provenance.get("evolution_cycle") == number
        if verdict is not None and verdict.entry["promoted"] and of_this_cycle:
            self._conclude(number, verdict)

    def _forget_what_is_over(self, trained_anew: bool) -> None:
        """Begins a new memory where the champion is a new base, or what is held out has changed."""
        memory, done = self.memory, self.stats["total_evolutions"]
        digest = self.setup.splits.digest
        if trained_anew and (memory.known or memory.prose):
            self.setup.console.say("evolve.new_base")
            for path in (self.paths.ancestor, self.paths.trunk):
                path.unlink(missing_ok=True)
            self.memory = Memory(splits=digest, cycle=done, first_cycle=done + 1)
        elif memory.splits != digest:
            if memory.splits:
                self.setup.console.warn("evolve.sealed_anew")
            self.memory = Memory(splits=digest, cycle=done, first_cycle=memory.first_cycle)
        else:
            return
        records.save(self.memory, self.paths.champions)

    def _run_cycle(self, number: int) -> str:
        """Runs one cycle and records it in the statistics. Returns an empty string, or the key of
        the message that says why there is nothing left to do."""
        console = self.setup.console
        this = self._cycle(number)
        try:
            verdict = cycle.run(this)
            if verdict is None:
                return "evolve.stop_known"
            self._conclude(number, verdict)
            of_prose, promoted = verdict.entry["primary"] == "prose", verdict.entry["promoted"]
            unfinished = of_prose or verdict.entry["reason"] in UNFINISHED
            if unfinished and this.course.goes_on and not promoted:
                console.say("evolve.goes_on")
        except Interrupted:
            raise
        except (H2QError, OSError, RuntimeError, MemoryError) as error:
            console.warn("evolve.failed", reason=error)
            failed: Entry = {"promoted": False, "improvement": 0.0, "reason": str(error)}
            statistics.record(self.stats, failed, self.paths.root)
        cycle.remove_bulk(this.paths)
        return ""

    def _cycle(self, number: int) -> Cycle:
        champion, provenance = load_model(self.paths.model)
        first = self.memory.first_cycle
        history = [entry for entry in self.stats["history"] if entry["cycle"] >= first]
        return Cycle(
            setup=self.setup,
            number=number,
            champion=champion.to(self.setup.device),
            provenance=provenance,
            memory=self.memory,
            config=adapted(self.config, history, self.run.first_cycle),
            size_bytes=self.run.cycle_bytes // self.run.rounds,
            rounds=self.run.rounds,
            course=Course.of_cycle(number, self.run.first_cycle, self.run.last_cycle),
        )

    def _conclude(self, number: int, verdict: Verdict) -> None:
        """Keeps the trunk, promotes, remembers and records, in this order. After a kill, each step
        can be repeated without harm."""
        paths = self.paths.cycle(number)
        if paths.trunk.exists():
            promote(paths.trunk, self.paths.trunk)
        if verdict.entry["promoted"]:
            if paths.challenger.exists():
                link_or_copy(self.paths.model, self.paths.ancestor)
                promote(paths.challenger, self.paths.model)
            if self.memory.cycle < number:
                self.memory = self.memory.after(number, verdict)
                records.save(self.memory, self.paths.champions)
        statistics.record(self.stats, verdict.entry, self.paths.root)

    def _reason_to_stop(self) -> str:
        """The key of the message that says why to stop before the last cycle; empty to go on."""
        done = self.stats["total_evolutions"]
        if done >= self.run.last_cycle:
            return ""
        history, first = self.stats["history"], self.run.first_cycle
        if statistics.rejections_in_a_row(history, first) >= _STOP_AFTER:
            return "evolve.stop_rejected"
        limit, spent = 60 * self.config.max_minutes, self.run.seconds
        if limit and spent + _CYCLE_SHARE * spent / max(1, done - first + 1) > limit:
            return "evolve.stop_time"
        return ""

    def _show_table(self) -> None:
        """The cycles of this call, one line each."""
        cycles = [e for e in self.stats["history"] if e["cycle"] >= self.run.first_cycle]
        if cycles:
            self.setup.console.say("evolve.table")
        for entry in cycles:
            prose = entry["prose_difference"]["mean"] if "prose_difference" in entry else None
            self.setup.console.say(
                "evolve.row",
                cycle=entry["cycle"],
                mark="✅" if entry["promoted"] else "❌",
                facts=entry.get("facts", 0),
                before=_shown(entry.get("vault_match_before"), ".1%"),
                after=_shown(entry.get("vault_match_after"), ".1%"),
                retained=_shown(entry.get("retained_match_after"), ".1%"),
                prose=_shown(prose, "+.4f"),
                improvement=entry["improvement"],
            )


def _sealed(
    corpus: Corpus,
    knowledge: KnowledgeBase | None,
    context_length: int,
    config: EvolutionConfig,
    training: TrainingConfig,
) -> Splits:
    """What is held out of ``corpus`` and ``knowledge`` under these settings."""
    return seal(
        corpus.heldout,
        knowledge,
        context_length=context_length,
        limit_bytes=training.eval_bytes,
        unasked_share=config.unasked_share,
        seed=training.seed,
    )


def _shown(value: float | None, form: str) -> str:
    """A figure of the table; a dash where it was not measured."""
    return "–" if value is None else format(value, form)
