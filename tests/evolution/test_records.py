import json
from dataclasses import replace

import pytest

from h2q.evolution.records import (
    Lesson,
    Memory,
    Plan,
    Run,
    Training,
    Verdict,
    as_json,
    load,
    run_phase,
    save,
)
from h2q.system.errors import UnusableInput
from tests.evolution.conftest import plan_of

PLAN = plan_of(
    facts=["f1"],
    exposures=3,
    review=[("f2", 4)],
    asked_on_dev=9,
    known_on_dev=0,
    chance=0.25,
    examples=[{"question": "q", "answer": "a", "right": "r"}],
)
RECORDS = [
    PLAN,
    Lesson(documents=1, kinds={"own": 1}, bytes=2, replay_bytes=3, rejected={"prose": 4}),
    Training(choice="last", dev_costs={"last": (0.5, 1.5)}, trained_bytes=7, sha256="ab"),
    Verdict(
        entry={"promoted": False, "improvement": 0.0, "reason": "x", "chance": None},
        known={"f1": True},
        retained={"f2": False},
        prose=[1.5, 2.5],
    ),
    Run(2, 1, {"lr": 0.1, "seed": 42}, "ab", "cd", 1000, 3, 1.5),
    Memory("ab", 2, 1, {"f1": True}, [1.5]),
]
each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda item: type(item).__name__)


@each_record
def test_a_record_comes_back_from_its_file(tmp_path, record):
    save(record, tmp_path / "x.json")
    assert load(type(record), tmp_path / "x.json") == record


def test_no_file_is_no_record(tmp_path):
    assert load(Memory, tmp_path / "x.json") is None


# Files of older versions have fewer names, in this order.
KEYS = {
    Plan: "champion dev_bits_per_byte facts exposures review teaches_prose primary asked_on_dev "
    "known_on_dev chance examples rounds goes_on",
    Lesson: "documents kinds bytes replay_bytes rejected",
    Training: "choice dev_costs trained_bytes sha256",
    Verdict: "entry known retained prose",
    Run: "last_cycle first_cycle settings splits knowledge cycle_bytes rounds seconds",
    Memory: "splits cycle first_cycle known prose",
}


@each_record
def test_keys_and_their_order_stay(record):
    assert list(as_json(record)) == KEYS[type(record)].split()


def test_a_plan_without_facts_leaves_out_what_is_said_of_them():
    left_out = {"asked_on_dev", "known_on_dev", "chance", "examples"}
    assert set(as_json(PLAN)) - set(as_json(plan_of())) == left_out


def test_a_phase_is_done_once_and_its_file_says_how_long_it_took(tmp_path):
    done = []

    def work():
        done.append(1)
        return PLAN

    path = tmp_path / "plan.json"
    assert run_phase(Plan, path, work) == run_phase(Plan, path, work) == PLAN
    assert done == [1]
    values = json.loads(path.read_text())
    assert list(values)[-1] == "seconds" and values["seconds"] >= 0
    assert values["review"] == [["f2", 4]]


def test_a_memory_of_an_older_version_may_lack_keys(tmp_path):
    (tmp_path / "x.json").write_text('{"splits": "ab"}')
    assert load(Memory, tmp_path / "x.json") == Memory("ab")


def damaged(record, **changes):
    return json.dumps({**as_json(record), **changes})


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (Plan, "{"),
        (Plan, "[]"),
        (Plan, "{}"),
        (Plan, damaged(PLAN, facts="f1")),
        (Plan, damaged(PLAN, facts=[1])),
        (Plan, damaged(PLAN, review=[["f2"]])),
        (Plan, damaged(PLAN, review=[["f2", "many"]])),
        (Plan, damaged(PLAN, examples=[1])),
        (Plan, damaged(PLAN, dev_bits_per_byte="8")),
        (Plan, damaged(PLAN, chance=[])),
        (Training, damaged(RECORDS[2], dev_costs={"last": [1]})),
        (Verdict, damaged(RECORDS[3], entry=[])),
        (Run, damaged(RECORDS[4], last_cycle=None)),
        (Memory, damaged(RECORDS[5], known=[])),
        (Memory, damaged(RECORDS[5], unknown=1)),
    ],
)
def test_a_damaged_file_is_named(tmp_path, kind, content):
    (tmp_path / "damaged.json").write_text(content)
    with pytest.raises(UnusableInput, match=r"damaged\.json"):
        load(kind, tmp_path / "damaged.json")


def test_facts_to_ask_again_are_all_or_always_the_same_ones():
    few = Memory(known={"b": True, "a": False})
    assert few.some_known(1) == ["a", "b"]
    many = Memory(known={f"f{n}": True for n in range(1000)})
    assert len(set(many.some_known(1))) == 400
    assert many.some_known(1) == many.some_known(1) != many.some_known(2)


@pytest.mark.parametrize(
    ("retained", "known"),
    [
        ({"a": True, "b": True}, {"a": True, "b": True, "new": True}),
        ({"a": False, "b": True}, {"a": False, "b": True, "new": True}),  # as many as before
        ({"a": False, "b": False}, {"a": True, "b": False, "new": True}),  # the best one counts
    ],
)
def test_a_promotion_is_remembered(retained, known):
    memory = Memory("ab", cycle=1, known={"a": True, "b": False}, prose=[9.0])
    verdict = replace(RECORDS[3], known={"new": True}, retained=retained, prose=[8.0])
    assert memory.after(2, verdict) == Memory("ab", cycle=2, known=known, prose=[8.0])
