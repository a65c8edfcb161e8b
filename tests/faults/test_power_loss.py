"""Row 3: power loss."""

import pytest

from . import power_loss


@pytest.fixture(scope="module")
def events(runs, strace):
    return power_loss.trace_of(runs, runs.fresh())


def test_row_3_order_on_disk(events):
    """The file is synced and renamed, the directory is synced; only then old files are removed."""
    words = power_loss.order_of(events)
    for step in (1, 2, 3, 4):
        at = words.index(f"rename step_{step:09d}.pt")
        assert words[at - 1] == "sync file"
        assert words[at + 1] == "sync directory"
    assert words.index("remove step_000000001.pt") > words.index("rename step_000000004.pt") + 1


def test_row_3_at_every_moment(runs, strace):
    trials = list(power_loss.lost_at_every_moment(runs))
    assert len(trials) > 50
    assert [trial for trial in trials if trial[1]] == []


def test_the_replay_sees_a_sync_that_is_missing(runs, strace, monkeypatch):
    """Shows that the test above can fail: the same trace, but no file was ever synced."""
    trace_of = power_loss.trace_of

    def without_sync(runs, output):
        return [event for event in trace_of(runs, output) if event.call != "fsync"]

    monkeypatch.setattr(power_loss, "trace_of", without_sync)
    assert any(problem for _, problem in power_loss.lost_at_every_moment(runs))
