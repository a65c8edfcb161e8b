"""What a comparison measures, and how it says it (whole evolutions: ``test_engine``)."""

import copy
import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from h2q.checkpoint.model_file import save_model
from h2q.evaluation import significance
from h2q.evolution import comparison, gate
from h2q.evolution.comparison import Comparison, compare
from h2q.evolution.examiner import Examiner
from h2q.evolution.records import Memory, Training, as_json
from h2q.system.console import Console
from h2q.system.errors import TrainingDiverged
from tests.evolution import evolution_driver as driver
from tests.evolution.conftest import cycle_of, plan_of

BEFORE = np.zeros(20, dtype=bool)
AFTER = np.array([True] * 19 + [False])
TRAINING = Training(choice="last", dev_costs={"last": (0.5, 0.0)}, trained_bytes=7, sha256="ab")


def test_shares_differ_by_one_at_the_most():
    clusters = [f"entity {n}" for n in range(20)]
    plain = significance.paired_difference(~AFTER, ~BEFORE, np.ones(20), clusters, 0.001)
    shown = comparison._difference_of_shares(AFTER, BEFORE, clusters, 0.001)
    assert plain.low < -1 and shown.low == -1
    assert shown.mean == plain.mean == pytest.approx(-0.95)
    assert shown.high == plain.high


def test_an_unknown_bound_stays_unknown():
    shown = comparison._difference_of_shares(AFTER[:2], BEFORE[:2], ["a", "b"], 0.025)
    assert math.isinf(shown.high)
    assert comparison._bounds(shown) == {"mean": shown.mean, "low": None, "high": None}


def compared(cycle, plan, challenger=None):
    return Comparison(cycle, challenger or cycle.champion).judge(plan, TRAINING)


def test_a_challenger_that_is_the_champion_is_not_promoted(output):
    """Its entry has all keys of a cycle with facts, in their order."""
    cycle = cycle_of(driver.engine(output), memory=Memory(known={"f9": False}))
    plan = plan_of(facts=["f0", "f1", "f8", "f16"], exposures=9, primary="facts", chance=0.25)
    verdict = compared(cycle, plan)
    entry = verdict.entry
    assert list(entry) == [
        "promoted",
        "improvement",
        "reason",
        "primary",
        "difference",
        "level",
        "confidence",
        "clusters",
        "vault_gain",
        "prose_difference",
        "eval_loss_before",
        "eval_loss_after",
        "facts",
        "exposures",
        "chance",
        "fact_bits_before",
        "fact_bits_after",
        "match_before",
        "match_after",
        "vault_match_before",
        "vault_match_after",
        "asked_match",
        "never_asked_match",
        "retained",
        "retained_match_before",
        "retained_match_after",
        "canaries_right",
        "canaries",
        "canary_chance",
        "quality",
        "choice",
        "trained_cost",
        "trained_bytes",
        "splits",
    ]
    assert (entry["promoted"], entry["reason"]) == (False, "gate.not_better")
    assert entry["difference"]["mean"] == entry["vault_gain"] == entry["improvement"] == 0
    assert entry["prose_difference"] == {"mean": 0, "low": 0, "high": 0}
    assert (entry["level"], entry["confidence"]) == (0.025, pytest.approx(0.95))
    assert (entry["facts"], entry["retained"], entry["retained_match_before"]) == (4, 1, 0.0)
    assert verdict.retained.keys() == {"f9"}
    json.dumps(as_json(verdict), allow_nan=False)


def test_prose_is_compared_where_no_fact_is_taught(output):
    cycle = cycle_of(driver.engine(output, prose=True))
    worse = copy.deepcopy(cycle.champion)
    with torch.no_grad():
        worse.output.weight.zero_()
    verdict = compared(cycle, plan_of(), worse)
    assert verdict.entry["primary"] == "prose" and verdict.entry["chance"] is None
    assert verdict.entry["difference"] != verdict.entry["prose_difference"]  # another level
    assert verdict.entry["vault_gain"] < 0
    assert verdict.entry["eval_loss_after"] > verdict.entry["eval_loss_before"]
    assert "match_after" not in verdict.entry
    before = cycle.setup.examiner.prose(cycle.champion, "gate").sums
    assert verdict.prose == pytest.approx(before)  # the best stays


def test_prose_is_compared_with_the_best_champion_so_far(output):
    cycle = cycle_of(driver.engine(output))
    sums = cycle.setup.examiner.prose(cycle.champion, "gate").sums
    best = replace(cycle, memory=Memory(prose=(sums - 1).tolist()))
    found = compared(best, plan_of())
    assert found.entry["prose_difference"]["mean"] > 0
    assert found.prose == pytest.approx(sums - 1)
    surpassed = replace(cycle, memory=Memory(prose=(sums + 1).tolist()))
    assert compared(surpassed, plan_of()).entry["prose_difference"]["mean"] == 0


def test_only_what_dev_shows_as_learnt_is_known(output, monkeypatch):
    cycle = cycle_of(driver.engine(output))
    real = Examiner.facts

    def answers(self, model, facts, split):
        scores = real(self, model, facts, split)
        ids = [fact.id for fact in facts]
        right = {"dev": {"f0", "f1"}, "gate": {"f1", "f2"}}.get(split, set())
        scores.correct[:] = [name in right for name in ids]
        return scores

    monkeypatch.setattr(Examiner, "facts", answers)
    verdict = compared(cycle, plan_of(facts=["f0", "f1", "f2", "f3"], primary="facts", chance=0.25))
    assert verdict.known == {"f0": False, "f1": True}


def test_asked_and_never_asked_entities_are_told_apart(output):
    engine = driver.engine(output, unasked_share=1.0)
    entry = compared(
        cycle_of(engine), plan_of(facts=["f0", "f1"], primary="facts", chance=0.25)
    ).entry
    assert entry["asked_match"] is None
    assert entry["never_asked_match"] == entry["vault_match_after"]


def test_the_person_sees_examples_and_the_verdict(output, monkeypatch, capsys):
    engine = driver.engine(output, console=Console())
    cycle = cycle_of(engine)
    examples = [{"question": "Home Kab?", "answer": "x", "right": "Arlen"}] * 2
    plan = plan_of(facts=["f0", "f1"], primary="facts", chance=0.25, examples=examples)
    after = [{**examples[0], "answer": answer} for answer in ("Arlen", "y")]
    monkeypatch.setattr(Examiner, "answers", lambda *_: after)
    compared(cycle, plan)
    said = capsys.readouterr().out
    assert "之后: Arlen ✓" in said and "之后: y ✗ (Arlen)" in said
    assert "保留原模型" in said and "给不出区间" in said and "inf" not in said


def test_a_leak_would_be_noticed(output, training_only, monkeypatch):
    """A challenger that answers what nobody can know is not promoted."""
    monkeypatch.setattr(Examiner, "chance", lambda *_: 0.01)
    real = Examiner.facts

    def knows_all(self, model, facts, split):
        scores = real(self, model, facts, split)
        scores.correct[:] = True
        return scores

    monkeypatch.setattr(Examiner, "facts", knows_all)
    stats = driver.engine(output, cycles=1).evolve()
    assert stats["history"][0]["reason"] == "gate.canary"


def test_the_file_must_reproduce_what_was_measured(output, monkeypatch):
    cycle = cycle_of(driver.engine(output))
    plan = plan_of()
    cost = cycle.setup.examiner.prose(cycle.champion, "dev").bits_per_byte
    training = replace(TRAINING, dev_costs={"last": (cost, 0.0)})
    save_model(cycle.paths.challenger, cycle.champion, {})
    assert not compare(cycle, plan, training).entry["promoted"]
    other = replace(training, dev_costs={"last": (cost + 2e-4, 0.0)})
    with pytest.raises(TrainingDiverged, match="重新读入"):
        compare(cycle, plan, other)


def test_each_attempt_is_tested_at_a_stricter_level(output):
    cycle = cycle_of(driver.engine(output))
    levels = [compared(replace(cycle, number=n), plan_of()).entry["level"] for n in (1, 2, 3)]
    assert all(later < earlier for earlier, later in pairwise(levels))
    assert levels[2] == gate.level_of_attempt(3)
