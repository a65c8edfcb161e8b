import json

import pytest

from h2q.evolution import challenger, comparison, cycle, planning
from h2q.evolution.records import Lesson, Training, Verdict, as_json
from h2q.system.errors import Interrupted, UnusableInput
from h2q.system.files import sha256_of_file, write_json
from tests.evolution import evolution_driver as driver
from tests.evolution.conftest import cycle_of, interrupt, plan_of

LESSON = Lesson(documents=1, kinds={"own": 1}, bytes=2, replay_bytes=3, rejected={})
TRAINING = Training(choice="last", dev_costs={"last": (0.5, 0.0)}, trained_bytes=7, sha256="ab")
VERDICT = Verdict(
    entry={"promoted": False, "improvement": 0.0, "reason": "x"}, known={}, retained={}, prose=[]
)


@pytest.fixture
def phases(output, monkeypatch):
    """A cycle whose phases only note that they were called, and their calls."""
    this, called = cycle_of(driver.engine(output)), []

    def phase(name, result):
        def work(*_):
            called.append(name)
            return result

        return work

    def train(*_):
        write_json(this.paths.lesson, as_json(LESSON))
        return phase("train", TRAINING)()

    plan = plan_of(champion=sha256_of_file(this.setup.paths.model))
    monkeypatch.setattr(planning, "plan", phase("plan", plan))
    monkeypatch.setattr(challenger, "train", train)
    monkeypatch.setattr(comparison, "compare", phase("compare", VERDICT))
    return this, called


def test_the_phases_follow_each_other_and_the_verdict_tells_of_the_lesson(phases):
    this, called = phases
    verdict = cycle.run(this)
    assert called == ["plan", "train", "compare"]
    assert verdict.entry == {**VERDICT.entry, "generated": as_json(LESSON)}
    assert "generated" not in json.loads(this.paths.verdict.read_text())["entry"]


def test_a_phase_that_was_done_before_a_kill_is_not_done_again(phases, monkeypatch):
    this, called = phases
    train = challenger.train
    monkeypatch.setattr(challenger, "train", interrupt)
    with pytest.raises(Interrupted):
        cycle.run(this)
    monkeypatch.setattr(challenger, "train", train)
    cycle.run(this)
    assert called == ["plan", "train", "compare"]


def test_a_plan_for_another_champion_is_thrown_away(phases):
    this, called = phases
    this.paths.root.mkdir(parents=True)
    old = plan_of(champion="another", facts=["f0"], primary="facts")
    this.paths.plan.write_text(json.dumps(as_json(old)))
    this.paths.lesson.write_text(json.dumps(as_json(LESSON)))
    cycle.run(this)
    assert called == ["plan", "train", "compare"]


def test_with_nothing_to_teach_there_is_no_verdict(phases, monkeypatch):
    this, called = phases
    nothing = plan_of(champion=sha256_of_file(this.setup.paths.model), teaches_prose=False)
    monkeypatch.setattr(planning, "plan", lambda _: nothing)
    assert cycle.run(this) is None
    assert called == []


def test_a_damaged_record_is_named(phases):
    this, _ = phases
    this.paths.root.mkdir(parents=True)
    this.paths.plan.write_text('{"facts": []}')
    with pytest.raises(UnusableInput, match=r"plan\.json"):
        cycle.run(this)


def test_a_cycle_is_finished_when_verdict_and_lesson_are_there(phases):
    this, _ = phases
    assert cycle.finished(this.paths) is None
    cycle.run(this)
    assert cycle.finished(this.paths) is not None
    this.paths.lesson.unlink()
    assert cycle.finished(this.paths) is None


def test_what_is_large_is_removed_and_the_records_stay(phases):
    this, _ = phases
    cycle.run(this)
    large = [
        this.paths.text / "generated.txt",
        this.paths.output.checkpoints / "step_1.pt",
        this.paths.output.model,
        this.paths.challenger,
        this.paths.trunk,
    ]
    for path in large:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    cycle.remove_bulk(this.paths)
    assert sorted(path.name for path in this.paths.root.iterdir()) == [
        "challenger.json",
        "lesson.json",
        "plan.json",
        "verdict.json",
    ]
    cycle.remove_bulk(this.paths)  # where there is nothing
