"""Rows 1, 2, 4, 6, 16 and 25: a run is killed, a system call fails, or a file is damaged, anywhere.

The campaign has the full forms. Here each kind of call is tested at positions spread over the run.
"""

from unittest.mock import ANY

import pytest

from h2q.checkpoint import container

from . import loops


@pytest.fixture(scope="module")
def evolutions(nursery, tmp_path_factory):
    return loops.Evolutions(nursery, tmp_path_factory.mktemp("evolutions"))


def lost(trials) -> list:
    """The trials in which something was lost. At least five trials must have been made."""
    trials = list(trials)
    assert len(trials) >= 5
    return [(name, problem) for name, problem in trials if problem]


def test_row_1_kill_at_a_random_moment(runs):
    assert lost(loops.killed_at_random_moments(runs, seeds=5)) == []


def test_row_2_kill_inside_a_save(runs, strace):
    assert lost(loops.killed_in_every_call(runs, share=0.007)) == []


def test_row_4_kill_while_recovering(runs, strace):
    assert lost(loops.killed_in_every_call(runs, 0.017, loops.half_recovered(runs))) == []


def test_row_6_an_error_of_the_system_is_told_and_never_passed_over(runs, strace):
    assert lost(loops.failed_in_every_call(runs, share=0.007)) == []


def test_row_16_newest_checkpoint_damaged(runs):
    assert lost(loops.damaged_at_every_place(runs, share=0.004)) == []


def test_row_25_kill_inside_a_promotion(evolutions, strace):
    assert lost(loops.killed_in_a_promotion(evolutions, 0.2, ("rename", "link"))) == []


# The loops must notice a broken product: here the disturbed runs have an intended defect.

_REMOVES_FIRST = """
from h2q.checkpoint.directory import CheckpointDirectory
save = CheckpointDirectory.save
def removing_first(self, *arguments, **options):
    for old in self.steps().values():
        old.unlink()
    return save(self, *arguments, **options)
CheckpointDirectory.save = removing_first
"""
_IGNORES_ERRORS = """
import contextlib, os
fsync = os.fsync
def ignoring(descriptor):
    with contextlib.suppress(OSError):
        fsync(descriptor)
os.fsync = ignoring
"""
_PROMOTES_IN_TWO_STEPS = """
import h2q.evolution.engine
def promote(source, target):
    target.unlink(missing_ok=True)
    source.rename(target)
h2q.evolution.engine.promote = promote
"""


def noticed(trials, problem: str) -> bool:
    return any(problem in found for _, found in trials)


def test_rows_2_and_4_notice_a_save_that_removes_the_old_one_first(runs, strace, monkeypatch):
    base = loops.half_recovered(runs)
    monkeypatch.setattr(runs, "first", _REMOVES_FIRST)
    for start in (None, base):
        trials = loops.killed_in_every_call(runs, 1.0, start, ("rename",))
        assert noticed(trials, "is gone")


def test_row_6_notices_an_error_that_is_passed_over(runs, strace, monkeypatch):
    monkeypatch.setattr(runs, "first", _IGNORES_ERRORS)
    assert noticed(loops.failed_in_every_call(runs, 1.0, ("fsync",)), "passed over")


def test_row_16_notices_a_loader_that_takes_a_damaged_checkpoint(runs, monkeypatch):
    monkeypatch.setattr(container, "_digest", lambda *_: ANY)
    assert noticed(loops.damaged_at_every_place(runs, share=0.004), "other contents")


def test_row_25_notices_a_promotion_in_two_steps(evolutions, strace, monkeypatch):
    monkeypatch.setattr(evolutions, "first", _PROMOTES_IN_TWO_STEPS)
    trials = loops.killed_in_a_promotion(evolutions, 1.0, ("rename",))
    assert noticed(trials, "no champion")
