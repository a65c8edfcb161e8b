"""Rows 1, 2, 4, 6 and 25: a run that is killed or lied to by the system, anywhere.

The full forms are in the campaign; here every kind of call, and positions spread over the run.
"""

import pytest

from . import loops


@pytest.fixture(scope="module")
def evolutions(nursery, tmp_path_factory):
    return loops.Evolutions(nursery, tmp_path_factory.mktemp("evolutions"))


def lost(trials) -> list:
    """The trials in which something was; there must have been some."""
    trials = list(trials)
    assert len(trials) >= 5
    return [(name, problem) for name, problem in trials if problem]


def test_row_1_kill_at_a_random_moment(runs):
    assert lost(loops.killed_at_random_moments(runs, seeds=5)) == []


def test_row_2_kill_inside_a_save(runs, strace):
    assert lost(loops.killed_in_every_call(runs, share=0.02)) == []


def test_row_4_kill_while_recovering(runs, strace):
    assert lost(loops.killed_in_every_call(runs, 0.02, loops.half_recovered(runs))) == []


def test_row_6_an_error_of_the_system_is_told_and_never_passed_over(runs, strace):
    assert lost(loops.failed_in_every_call(runs, share=0.02)) == []


def test_row_16_newest_checkpoint_damaged(runs):
    assert lost(loops.damaged_at_every_place(runs, share=0.004)) == []


def test_row_25_kill_inside_a_promotion(evolutions, strace):
    assert lost(loops.killed_in_a_promotion(evolutions, 0.2, ("rename", "link"))) == []
