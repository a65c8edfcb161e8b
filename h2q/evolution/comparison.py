"""The verdict of a cycle: champion and challenger compared on gate and vault, and what is said.

Measures, asks ``gate`` and describes the outcome. Promotes nothing and remembers nothing: what is
to be remembered is part of what it returns.
"""

import math
from dataclasses import asdict, dataclass, replace

import numpy as np

from h2q.config import EvolutionConfig
from h2q.datasets.templates import Fact
from h2q.evaluation import significance
from h2q.evaluation.exact_match import Scores
from h2q.evaluation.held_out import Evaluation
from h2q.evaluation.text_quality import Quality
from h2q.evolution import gate
from h2q.evolution.examiner import EXAMPLES, Examiner
from h2q.evolution.records import Memory
from h2q.evolution.splits import is_asked
from h2q.model.transformer import Transformer
from h2q.system.console import Console
from h2q.system.messages.catalogue import message

_MEASURES = {"facts": "measure.facts", "prose": "measure.prose"}


@dataclass
class Comparison:
    """Two models, and all that they are compared by."""

    number: int  # of the cycle, which is the attempt
    champion: Transformer
    challenger: Transformer
    examiner: Examiner
    memory: Memory  # of the champions before
    config: EvolutionConfig
    seed: int

    def judge(self, plan: dict, facts: list[Fact], made: dict, console: Console) -> dict:
        """Judges the challenger, which was taught ``facts``, and shows the verdict.

        ``plan`` and ``made`` are what the phases before left. Returns the ``entry`` of the
        history and, if it is promoted, what is to be remembered: facts ``known``, whether those
        ``retained`` still are, and the lowest losses on ``prose``.
        """
        level = gate.level_of_attempt(self.number)
        before, after = self._both(lambda model: self.examiner.prose(model, "gate"))
        best = np.array(self.memory.prose or before.sums)
        if best.sum() > before.sums.sum():
            best = before.sums
        prose = _prose_difference(after, best, gate.SAFE_LEVEL)
        if facts:
            primary, vault_gain, right, measured = self._compare_facts(facts, level)
        else:
            primary = _prose_difference(after, before.sums, level)
            vault = self._both(lambda model: self.examiner.prose(model, "vault").bits_per_byte)
            vault_gain, right, measured = vault[0] - vault[1], [], {}
        retained = self.examiner.facts_named(self.memory.some_known(self.seed))
        kept = self.examiner.facts(self.challenger, retained, "gate").correct
        known = np.array([self.memory.known[fact.id] for fact in retained])
        canary = self._ask_canaries()
        counts = (int(known.sum()), int(kept.sum()), len(retained))
        judged = gate.judge(primary, prose, counts, canary)
        written = self.examiner.quality(self.challenger, facts)
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
            "eval_loss_before": before.loss,
            "eval_loss_after": after.loss,
            "facts": len(facts),
            "exposures": plan["exposures"],
            "chance": plan.get("chance"),
            **measured,
            "retained": len(retained),
            "retained_match_before": _share(known),
            "retained_match_after": _share(kept),
            "canaries_right": canary[0],
            "canaries": canary[1],
            "canary_chance": canary[2],
            "quality": asdict(written),
            "choice": made["choice"],
            "trained_cost": made["dev_costs"]["last"][0],
            "trained_bytes": made["trained_bytes"],
            "splits": self.examiner.splits.digest,
        }
        examples = self.examiner.answers(self.challenger, facts[:EXAMPLES]) if facts else []
        _show_examples(console, plan.get("examples", []), examples)
        _show_verdict(console, entry, judged, primary, written)
        learnt = self.examiner.facts(self.challenger, facts, "dev").correct
        return {
            "entry": entry,
            # What dev shows as not learnt is taken on again.
            "known": {f.id: bool(r) for f, known, r in zip(facts, learnt, right) if known},
            "retained": {fact.id: bool(answered) for fact, answered in zip(retained, kept)},
            "prose": (after.sums if after.sums.sum() < best.sum() else best).tolist(),
        }

    def _both(self, measure) -> tuple:
        """``measure`` of the champion and of the challenger."""
        return measure(self.champion), measure(self.challenger)

    def _compare_facts(self, facts: list[Fact], level: float):
        """The primary measure on the gate's wordings; what it gains on those of the vault; which
        facts are right on the gate's; and matches, together and for entities that were and were
        never asked about."""
        before, after = self._both(lambda model: self.examiner.facts(model, facts, "gate"))
        primary = _difference_of_shares(after.correct, before.correct, before.clusters, level)
        vault: tuple[Scores, Scores] = self._both(
            lambda model: self.examiner.facts(model, facts, "vault")
        )
        asked = np.array([is_asked(f, self.config.unasked_share, self.seed) for f in facts])
        measured = {
            "fact_bits_before": before.bits_per_byte,
            "fact_bits_after": after.bits_per_byte,
            "match_before": before.exact_match,
            "match_after": after.exact_match,
            "vault_match_before": vault[0].exact_match,
            "vault_match_after": vault[1].exact_match,
            "asked_match": _share(vault[1].correct[asked]),
            "never_asked_match": _share(vault[1].correct[~asked]),
        }
        return primary, vault[1].exact_match - vault[0].exact_match, after.correct, measured

    def _ask_canaries(self) -> tuple[int, int, float]:
        """Right answers on facts that nobody can know, questions, and the chance of one."""
        canaries = self.examiner.splits.canaries
        right = self.examiner.facts(self.challenger, canaries, "gate").correct
        chances = [self.examiner.chance(fact) for fact in canaries]
        return int(right.sum()), len(canaries), max(chances, default=0.0)


def _show_examples(console: Console, before: list[dict], after: list[dict]) -> None:
    for old, new in zip(before, after):
        console.say(
            "evolve.example",
            question=old["question"],
            before=old["answer"],
            after=new["answer"],
            mark="✓" if new["answer"] == new["right"] else f"✗ ({new['right']})",
        )


def _show_verdict(
    console: Console,
    entry: dict,
    judged: gate.Verdict,
    primary: significance.Difference,
    written: Quality,
) -> None:
    console.say("evolve.quality", **asdict(written))
    if entry["facts"]:
        console.say("evolve.matches", **entry)
    console.say(
        "evolve.verdict" if math.isfinite(primary.high) else "evolve.verdict_few",
        verdict=message("evolve.promoted" if judged.promoted else "evolve.rejected"),
        measure=message(_MEASURES[entry["primary"]]),
        reason=message(judged.reason),
        **significance.interval_line(primary),
    )


def _prose_difference(
    after: Evaluation, before: np.ndarray, level: float
) -> significance.Difference:
    """In bits a byte, by window."""
    blocks = range(len(before))
    return significance.paired_difference(
        after.sums / math.log(2), before / math.log(2), after.counts, blocks, level
    )


def _difference_of_shares(
    after: np.ndarray, before: np.ndarray, clusters, level: float
) -> significance.Difference:
    """Of what is wrong, so that less is better, as with bits; no bound that is known is beyond 1."""
    found = significance.paired_difference(~after, ~before, np.ones(len(after)), clusters, level)
    if not math.isfinite(found.high):
        return found
    return replace(found, low=max(-1.0, found.low), high=min(1.0, found.high))


def _plain(difference: significance.Difference) -> dict:
    """Numbers that JSON can hold; a bound that is not known is None."""
    values = {name: getattr(difference, name) for name in ("mean", "low", "high")}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _share(correct: np.ndarray) -> float | None:
    return float(correct.mean()) if len(correct) else None
