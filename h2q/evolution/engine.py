"""``SelfEvolutionEngine``: the README's cycle (进化周期), each kept only if measurably better.

A cycle measures what the champion does not know, writes lessons about as much of it as its budget
can teach, trains a copy on them and on a replay of the person's own text, and lets the gate
compare the two. Only then, and by one rename, the copy takes the champion's place; whatever else
happens leaves the champion's file as it was. Each phase leaves its result on disk, and everything
random is a function of seed and cycle, so that a killed evolution ends like one that was not.
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
from h2q.evolution import records
from h2q.evolution.challenger import Recipe, challenger_config
from h2q.evolution.cycle import CHALLENGER, TRUNK, Cycle
from h2q.evolution.planning import MOST_REVIEW
from h2q.evolution.records import Memory, Run, read_stats
from h2q.evolution.splits import seal
from h2q.system.console import Console
from h2q.system.errors import H2QError, Interrupted, SettingError
from h2q.system.files import link_or_copy, promote, read_json, sha256_of_file, write_json
from h2q.system.paths import CHECKPOINT_DIR, MODEL_PATH
from h2q.training.fine_tuning import FineTuning
from h2q.training.trainer import LocalModelTrainer

_HALVE_AFTER, _STOP_AFTER = 3, 6  # rejections in a row
_MOST_LEARNT = 0.75  # of a cycle's facts: with half of the exposures the next are learnt as well
_FEWEST_EXPOSURES = 20
_MORE_REPLAY, _MOST_REPLAY = 0.15, 0.7  # of the text, after a rejection for worse prose
_MOST_REVIEW_AGAIN = 0.9  # of the documents about facts, after rejections for what was forgotten
_COURSE_CYCLES = 3  # in which the rate falls once, where prose is learnt
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
        self.memory = records.load(Memory, self.directory / "champions.json") or Memory()
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
        saved = records.load(Run, self.directory / "run.json") if resume else None
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
        if not run_path.exists() or records.load(Run, run_path) != self.run:
            shutil.rmtree(self._cycle_directory(), ignore_errors=True)  # of a run not resumed
            if self.config.max_minutes:
                self.run.cycle_bytes = self._affordable_bytes()
            records.save(self.run, run_path)
        self._forget_what_is_over(trained_anew="evolution_cycle" not in provenance)
        stopped = ""
        while self.stats["total_evolutions"] < self.run.last_cycle and not stopped:
            began = time.monotonic()
            number = self.stats["total_evolutions"] + 1
            first, last = self.run.first_cycle, self.run.last_cycle
            self.console.say("evolve.cycle", cycle=number - first + 1, cycles=last - first + 1)
            stopped = self._cycle(number)
            self.run.seconds += time.monotonic() - began
            records.save(self.run, run_path)
            stopped = stopped or self._reason_to_stop()
        if stopped:
            self.console.say(stopped)
        self._show_table()
        self.console.say("evolve.stats", **self.stats)
        return self.stats

    def _forget_what_is_over(self, trained_anew: bool) -> None:
        """Starts another memory where the champion is a new base, or what is held out changed."""
        memory, done = self.memory, self.stats["total_evolutions"]
        if trained_anew and (memory.known or memory.prose):
            self.console.say("evolve.new_base")
            for name in ("ancestor.pt", TRUNK):
                (self.directory / name).unlink(missing_ok=True)
            self.memory = Memory(self.splits.digest, done, done + 1)
        elif memory.splits != self.splits.digest:
            if memory.splits:
                self.console.warn("evolve.sealed_anew")
            self.memory = Memory(self.splits.digest, done, memory.first_cycle)
        else:
            return
        records.save(self.memory, self.directory / "champions.json")

    def _reason_to_stop(self) -> str:
        """The key of the message that says why to stop before the last cycle, or nothing."""
        stats, run = self.stats, self.run
        if stats["total_evolutions"] >= run.last_cycle:
            return ""
        if records.rejections_in_a_row(stats, run.first_cycle) >= _STOP_AFTER:
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
        cycle = Cycle(
            number,
            champion.to(self.device),
            provenance,
            self.corpus,
            self.knowledge,
            self.splits,
            self.memory,
            self._adapted_config(),
            self.run.cycle_bytes,
            self.training_config,
            directory,
            self.directory / "ancestor.pt",
            self._course(number),
            self.directory / TRUNK,
            self.device,
            self.dtype,
            self.console,
        )
        try:
            plan = self._phase(directory, "plan", lambda: cycle.plan(self.model_path))
            if plan["champion"] != sha256_of_file(self.model_path):  # trained anew in between
                shutil.rmtree(directory)
                plan = self._phase(directory, "plan", lambda: cycle.plan(self.model_path))
            if not plan["facts"] and not plan["teaches_prose"]:
                return "evolve.stop_known"
            lesson = self._phase(directory, "lesson", lambda: cycle.write(plan))
            self._phase(directory, "challenger", lambda: cycle.train(plan))
            verdict = self._phase(directory, "verdict", lambda: cycle.judge(plan))
            verdict["entry"]["generated"] = _without_time(lesson)
            self._conclude(number, verdict)
            index, count = cycle.course
            goes_on = plan["primary"] == "prose" and index + 1 < count
            if goes_on and not verdict["entry"]["promoted"]:
                self.console.say("evolve.goes_on")
        except Interrupted:
            raise
        except (H2QError, OSError, RuntimeError, MemoryError) as error:
            self.console.warn("evolve.failed", reason=error)
            entry = {"promoted": False, "improvement": 0.0, "reason": str(error)}
            records.record(self.stats, entry, self.output_dir)
        for name in ("text", CHECKPOINT_DIR, Path(MODEL_PATH).parent):
            shutil.rmtree(directory / name, ignore_errors=True)
        for name in (CHALLENGER, TRUNK):
            (directory / name).unlink(missing_ok=True)
        return ""

    def _course(self, number: int) -> tuple[int, int]:
        """Number of a cycle in its course, from 0, and how many cycles that has."""
        index = (number - self.run.first_cycle) % _COURSE_CYCLES
        return index, min(_COURSE_CYCLES, self.run.last_cycle - number + index + 1)

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

    def _adapted_config(self) -> EvolutionConfig:
        """The settings, changed by how the cycles before went. Once the form of question and
        answer is learnt, facts need fewer exposures, and at half the rate they are learnt as well
        and far fewer forgotten: each cycle that learnt most of its facts halves the exposures,
        down to 20, and one that did not doubles them again. The latest cycles in a row that were
        not kept ask for more of the person's own text, more review, or fewer facts; three of them
        for half the rate."""
        first = self.memory.first_cycle
        history = [entry for entry in self.stats["history"] if entry["cycle"] >= first]
        config = self.config
        for entry in history:
            if entry["promoted"] and entry.get("facts"):
                # On dev, before a mixture with the champion took some of it back.
                learnt = 1 - entry.get("trained_cost", 1.0) >= _MOST_LEARNT
                fewer = max(_FEWEST_EXPOSURES, config.exposures // 2)
                exposures = min(self.config.exposures, fewer if learnt else 2 * config.exposures)
                lr = self.config.lr / 2 if learnt else self.config.lr
                config = replace(self.config, exposures=exposures, lr=lr)
        count = records.rejections_in_a_row(self.stats, max(first, self.run.first_cycle))
        for entry in history[len(history) - count :]:
            reason = entry.get("reason")
            if reason == "gate.prose_worse":
                share = min(_MOST_REPLAY, config.replay_fraction + _MORE_REPLAY)
                config = replace(config, replay_fraction=max(share, config.replay_fraction))
            elif reason == "gate.forgotten":
                share = (1 + max(config.review_fraction, MOST_REVIEW)) / 2  # halves the rest
                config = replace(config, review_fraction=min(_MOST_REVIEW_AGAIN, share))
            else:
                config = replace(config, exposures=round(1.5 * config.exposures))
        return replace(config, lr=config.lr / 2) if count >= _HALVE_AFTER else config

    def _conclude(self, number: int, verdict: dict) -> None:
        """Puts by the trunk, promotes, remembers, records, in this order; each step may be done
        again."""
        entry = verdict["entry"]
        trunk = self._cycle_directory(number) / TRUNK
        if trunk.exists():
            promote(trunk, self.directory / TRUNK)
        if entry["promoted"]:
            challenger = self._cycle_directory(number) / CHALLENGER
            if challenger.exists():
                link_or_copy(self.model_path, self.directory / "ancestor.pt")
                promote(challenger, self.model_path)
            if self.memory.cycle < number:
                memory = self.memory
                known = {**memory.known, **verdict["known"]}
                retained = verdict["retained"]
                if sum(retained.values()) >= sum(memory.known[name] for name in retained):
                    known.update(retained)
                self.memory = replace(memory, cycle=number, known=known, prose=verdict["prose"])
                records.save(self.memory, self.directory / "champions.json")
        records.record(self.stats, entry, self.output_dir)

    def _finish_promoted(self) -> None:
        """Completes a cycle that was killed after its challenger had become the champion."""
        number = self.stats["total_evolutions"] + 1
        directory = self._cycle_directory(number)
        path = directory / "verdict.json"
        if not path.exists() or (directory / CHALLENGER).exists():
            return
        verdict = read_json(path)
        _, provenance = load_model(self.model_path)
        if verdict["entry"]["promoted"] and provenance.get("evolution_cycle") == number:
            lesson = read_json(directory / "lesson.json")
            verdict["entry"]["generated"] = _without_time(lesson)
            self._conclude(number, verdict)

    # What a person sees, and the clock

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
                before=_shown(entry.get("vault_match_before"), ".1%"),
                after=_shown(entry.get("vault_match_after"), ".1%"),
                retained=_shown(entry.get("retained_match_after"), ".1%"),
                prose=_shown(entry.get("prose_difference", {}).get("mean"), "+.4f"),
                improvement=entry["improvement"],
            )

    def _affordable_bytes(self) -> int:
        """Bytes a cycle may train on so that all of them end in ``max_minutes``: by the pace of a
        few steps on a copy of the champion, with a quarter kept for measuring."""
        champion = load_model(self.model_path)[0].to(self.device)
        recipe = Recipe(self.training_config, self.config.lr, 0, self.device, self.dtype)
        size = len(self.corpus.train)
        shape = (self.training_config.batch_size, self.context_length)
        tokens = torch.randint(1, 256, shape, generator=torch.Generator().manual_seed(0))
        starts = self.context_length * torch.arange(len(tokens))  # of which a share is replayed
        trainer = LocalModelTrainer(
            self.corpus,
            self.directory / "pace",
            champion.config,
            replace(challenger_config(recipe, size, self.context_length), epochs=1000),
            device=self.device,
            dtype=self.dtype,
            fine_tuning=FineTuning(
                champion,
                champion if self.knowledge else None,
                round((1 - self.config.replay_fraction) * tokens.numel()),
            ),
        )
        trainer.train_step(tokens, tokens, starts)
        began = time.monotonic()
        for _ in range(_PACE_STEPS):
            trainer.train_step(tokens, tokens, starts)
        pace = _PACE_STEPS * tokens.numel() / (time.monotonic() - began)
        seconds = 0.75 * 60 * self.config.max_minutes / self.config.cycles
        return max(2 * self.context_length, int(pace * seconds))


def _shown(value: float | None, form: str) -> str:
    """A figure of the table; a dash where it was not measured."""
    return "–" if value is None else format(value, form)


def _without_time(lesson: dict) -> dict:
    """Only what is the same in every run: seconds are not."""
    return {name: value for name, value in lesson.items() if name != "seconds"}
