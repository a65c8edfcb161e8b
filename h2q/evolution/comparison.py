"""Phase 3 of a cycle: champion and challenger are compared on gate and vault.

Measures both, lets ``gate`` decide, and describes the outcome to the person and for the history.
Promotes nothing: what is to be remembered after a promotion is part of what it returns.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from h2q.checkpoint.model_file import load_model
from h2q.datasets.templates import Fact
from h2q.evaluation import significance
from h2q.evaluation.held_out import Evaluation
from h2q.evaluation.significance import Difference
from h2q.evaluation.text_quality import Quality
from h2q.evolution import gate
from h2q.evolution.challenger import primary_on_dev
from h2q.evolution.context import Cycle
from h2q.evolution.examiner import EXAMPLES
from h2q.evolution.records import Example, Plan, Training, Verdict
from h2q.evolution.statistics import Bounds, Entry, Measures
from h2q.model.transformer import Transformer
from h2q.system.console import Console
from h2q.system.errors import TrainingDiverged
from h2q.system.messages.catalogue import message

_MEASURES = {"facts": "measure.facts", "prose": "measure.prose"}
_SAME_LOSS = 1e-4  # largest difference in cost between a model in memory and its file

Measured = TypeVar("Measured")


def compare(cycle: Cycle, plan: Plan, training: Training) -> Verdict:
    """Compares the challenger, loaded from its file, with the champion. Raises ``TrainingDiverged``
    when the file does not hold the model that was trained."""
    challenger = load_model(cycle.paths.challenger)[0].to(cycle.setup.device)
    trained_cost, _ = training.dev_costs[training.choice]
    if abs(primary_on_dev(cycle.setup, plan, challenger) - trained_cost) > _SAME_LOSS:
        raise TrainingDiverged("evolve.not_reproduced")
    return Comparison(cycle, challenger).judge(plan, training)


@dataclass(frozen=True)
class _Prose:
    """Losses on the gate's prose, and the lowest ones so far by window, in nats."""

    before: Evaluation
    after: Evaluation
    best: NDArray[np.float64]
    difference: Difference  # of the challenger from the best


@dataclass(frozen=True)
class _Primary:
    """The primary measure: how it differs on the gate, and what it gains on the vault."""

    difference: Difference
    vault_gain: float
    right: NDArray[np.bool_]  # for each new fact, whether it is answered on the gate
    matches: Measures  # of facts, for the history; none where prose is measured


@dataclass(frozen=True)
class _Retained:
    """Facts learnt before, and whether the best champion and the challenger answer them."""

    ids: list[str]
    before: NDArray[np.bool_]
    after: NDArray[np.bool_]

    @property
    def counts(self) -> tuple[int, int, int]:
        return int(self.before.sum()), int(self.after.sum()), len(self.ids)


@dataclass(frozen=True)
class Comparison:
    """The champion of a cycle and its challenger."""

    cycle: Cycle
    challenger: Transformer

    def judge(self, plan: Plan, training: Training) -> Verdict:
        """Measures, decides and shows the verdict on the challenger that was taught by ``plan``."""
        examiner, console = self.cycle.setup.examiner, self.cycle.setup.console
        facts = examiner.facts_named(plan.facts)
        prose = self._prose()
        level = gate.level_of_attempt(self.cycle.number)
        primary = self._facts(facts, level) if facts else self._prose_as_primary(prose, level)
        retained = self._retained()
        canaries = self._canaries()
        decision = gate.judge(primary.difference, prose.difference, retained.counts, canaries)
        written = examiner.quality(self.challenger, facts)
        entry: Entry = {
            "promoted": decision.promoted,
            "improvement": primary.vault_gain if decision.promoted else 0.0,
            "reason": decision.reason,
            "primary": plan.primary,
            **_primary_measures(primary),
            **_prose_measures(prose),
            "facts": len(facts),
            "exposures": plan.exposures,
            "chance": plan.chance,
            **primary.matches,
            **_retained_measures(retained),
            **_canary_measures(canaries),
            "quality": asdict(written),
            "choice": training.choice,
            "trained_cost": training.dev_costs["last"][0],
            "trained_bytes": training.trained_bytes,
            "splits": examiner.splits.digest,
        }
        examples = examiner.answers(self.challenger, facts[:EXAMPLES]) if facts else []
        _show_examples(console, plan.examples or [], examples)
        _show_verdict(console, entry, primary.difference, written)
        return Verdict(
            entry=entry,
            known=self._learnt(facts, primary.right),
            retained=dict(zip(retained.ids, map(bool, retained.after))),
            prose=min(prose.best, prose.after.sums, key=np.sum).tolist(),
        )

    def _both(self, measure: Callable[[Transformer], Measured]) -> tuple[Measured, Measured]:
        """``measure`` of the champion and of the challenger."""
        return measure(self.cycle.champion), measure(self.challenger)

    def _prose(self) -> _Prose:
        before, after = self._both(lambda model: self.cycle.setup.examiner.prose(model, "gate"))
        remembered = np.array(self.cycle.memory.prose or before.sums)
        best = min(remembered, before.sums, key=np.sum)
        return _Prose(before, after, best, _prose_difference(after, best, gate.SAFE_LEVEL))

    def _prose_as_primary(self, prose: _Prose, level: float) -> _Primary:
        difference = _prose_difference(prose.after, prose.before.sums, level)
        examiner = self.cycle.setup.examiner
        before, after = self._both(lambda model: examiner.prose(model, "vault").bits_per_byte)
        return _Primary(difference, before - after, np.array([], dtype=bool), {})

    def _facts(self, facts: list[Fact], level: float) -> _Primary:
        """The primary measure of ``facts``. The matches are those of all facts, and also those of
        entities that were asked about in training and of those that were not."""
        cycle, examiner = self.cycle, self.cycle.setup.examiner
        before, after = self._both(lambda model: examiner.facts(model, facts, "gate"))
        difference = _difference_of_shares(after.correct, before.correct, before.clusters, level)
        vault = self._both(lambda model: examiner.facts(model, facts, "vault"))
        asked = np.array([cycle.may_ask(fact) for fact in facts])
        matches: Measures = {
            "fact_bits_before": before.bits_per_byte,
            "fact_bits_after": after.bits_per_byte,
            "match_before": before.exact_match,
            "match_after": after.exact_match,
            "vault_match_before": vault[0].exact_match,
            "vault_match_after": vault[1].exact_match,
            "asked_match": _share(vault[1].correct[asked]),
            "never_asked_match": _share(vault[1].correct[~asked]),
        }
        gain = vault[1].exact_match - vault[0].exact_match
        return _Primary(difference, gain, after.correct, matches)

    def _retained(self) -> _Retained:
        facts = self.cycle.setup.examiner.facts_named(self.cycle.retained)
        before = np.array([self.cycle.memory.known[fact.id] for fact in facts], dtype=bool)
        after = self.cycle.setup.examiner.facts(self.challenger, facts, "gate").correct
        return _Retained([fact.id for fact in facts], before, after)

    def _canaries(self) -> tuple[int, int, float]:
        """Right answers on canaries, how many there are, and the highest chance of one."""
        examiner = self.cycle.setup.examiner
        canaries = examiner.splits.canaries
        right = examiner.facts(self.challenger, canaries, "gate").correct
        chances = [examiner.chance(fact) for fact in canaries]
        return int(right.sum()), len(canaries), max(chances, default=0.0)

    def _learnt(self, facts: list[Fact], right: NDArray[np.bool_]) -> dict[str, bool]:
        """The new facts that are answered on dev, and whether each is also answered on the gate.
        The others are taught again."""
        learnt = self.cycle.setup.examiner.facts(self.challenger, facts, "dev").correct
        return {
            fact.id: bool(on_gate) for fact, known, on_gate in zip(facts, learnt, right) if known
        }


def _primary_measures(primary: _Primary) -> Measures:
    return {
        "difference": _bounds(primary.difference),
        "level": primary.difference.level,
        "confidence": primary.difference.confidence,
        "clusters": primary.difference.clusters,
        "vault_gain": primary.vault_gain,
    }


def _prose_measures(prose: _Prose) -> Measures:
    return {
        "prose_difference": _bounds(prose.difference),
        "eval_loss_before": prose.before.loss,
        "eval_loss_after": prose.after.loss,
    }


def _retained_measures(retained: _Retained) -> Measures:
    return {
        "retained": len(retained.ids),
        "retained_match_before": _share(retained.before),
        "retained_match_after": _share(retained.after),
    }


def _canary_measures(canaries: tuple[int, int, float]) -> Measures:
    return {
        "canaries_right": canaries[0],
        "canaries": canaries[1],
        "canary_chance": canaries[2],
    }


def _show_examples(console: Console, before: list[Example], after: list[Example]) -> None:
    for old, new in zip(before, after):
        console.say(
            "evolve.example",
            question=old["question"],
            before=old["answer"],
            after=new["answer"],
            mark="✓" if new["answer"] == new["right"] else f"✗ ({new['right']})",
        )


def _show_verdict(console: Console, entry: Entry, primary: Difference, written: Quality) -> None:
    console.say("evolve.quality", **asdict(written))
    if entry["facts"]:
        console.say("evolve.matches", **entry)
    console.say(
        "evolve.verdict" if math.isfinite(primary.high) else "evolve.verdict_few",
        verdict=message("evolve.promoted" if entry["promoted"] else "evolve.rejected"),
        measure=message(_MEASURES[entry["primary"]]),
        reason=message(entry["reason"]),
        **significance.interval_line(primary),
    )


def _prose_difference(after: Evaluation, before: NDArray[np.float64], level: float) -> Difference:
    """The difference in bits per byte, paired by window; ``before`` is in nats."""
    windows = range(len(before))
    return significance.paired_difference(
        after.sums / math.log(2), before / math.log(2), after.counts, windows, level
    )


def _difference_of_shares(
    after: NDArray[np.bool_], before: NDArray[np.bool_], clusters: Sequence[str], level: float
) -> Difference:
    """The difference between the shares of wrong answers: less is better, as with bits. Finite
    bounds are cut to the range from -1 to 1."""
    found = significance.paired_difference(~after, ~before, np.ones(len(after)), clusters, level)
    if not math.isfinite(found.high):
        return found
    return replace(found, low=max(-1.0, found.low), high=min(1.0, found.high))


def _bounds(difference: Difference) -> Bounds:
    """The numbers of ``difference`` as JSON can hold them: None where one is not finite."""
    mean, low, high = (
        value if math.isfinite(value) else None
        for value in (difference.mean, difference.low, difference.high)
    )
    return Bounds(mean=mean, low=low, high=high)


def _share(correct: NDArray[np.bool_]) -> float | None:
    return float(correct.mean()) if len(correct) else None
