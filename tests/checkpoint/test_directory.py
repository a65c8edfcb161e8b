"""The checkpoints of one run in their directory."""

import errno
import os
import stat

import pytest

from h2q.checkpoint import container
from h2q.checkpoint.container import load, save
from h2q.checkpoint.directory import KEEP, CheckpointDirectory
from h2q.system.errors import ModelFileError, SaveFailed
from tests.checkpoint.conftest import assert_same, fail_with_eio, some_tensors


@pytest.fixture
def run(tmp_path) -> CheckpointDirectory:
    return CheckpointDirectory(tmp_path / "checkpoints")


def save_steps(run, *steps, best=()):
    for step in steps:
        run.save(step, some_tensors(step), {"step": step}, best=step in best)


def names(run) -> set:
    return set(os.listdir(run.directory))


def damage(path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)


def contents(run) -> dict:
    return {path.name: path.read_bytes() for path in run.directory.iterdir() if path.is_file()}


def never(path, error):
    pytest.fail(f"{path} is not damaged: {error}")


def test_a_directory_without_checkpoints_has_none(run):
    assert run.steps() == {}
    assert run.load_newest(never) is None
    run.directory.mkdir()
    assert run.load_newest(never) is None
    with pytest.raises(ModelFileError) as caught:
        run.load_best()
    assert caught.value.key == "model.missing"


def test_other_files_are_no_checkpoints(run):
    run.directory.mkdir()
    for name in ("step_1.pt", "step_000000001.pt.damaged", ".step_000000001.pt.x", "best.pt"):
        (run.directory / name).write_bytes(b"x")
    assert run.steps() == {}


def test_the_newest_and_the_best_are_loaded(run):
    save_steps(run, 5, 10, 15, best=[10])
    newest, best = run.load_newest(never), run.load_best()
    assert newest.path == run.directory / "step_000000015.pt"
    assert newest.metadata == {"step": 15}
    assert_same(newest.tensors, some_tensors(15))
    assert best.metadata == {"step": 10}
    assert_same(best.tensors, some_tensors(10))


def test_the_newest_three_and_the_best_stay(run):
    assert KEEP == 3
    save_steps(run, *range(1, 10), best=[2, 4])
    assert list(run.steps()) == [7, 8, 9]
    assert len(names(run)) == 4
    assert run.load_best().metadata == {"step": 4}


def test_saving_one_step_again_replaces_it_but_not_the_best(run):
    save_steps(run, 1, best=[1])
    run.save(1, some_tensors(2), {"again": True})
    assert run.load_newest(never).metadata == {"again": True}
    assert run.load_best().metadata == {"step": 1}


def test_order_is_by_step_and_never_by_time(run):
    save_steps(run, 9, 10, 100)
    for year, path in enumerate(run.steps().values()):
        os.utime(path, (2e9 - year * 3e7, 2e9 - year * 3e7))  # the newest step is the oldest file
    assert list(run.steps()) == [9, 10, 100]
    assert run.load_newest(never).metadata == {"step": 100}
    run.save(101, {}, {})
    assert list(run.steps()) == [10, 100, 101]


@pytest.mark.parametrize("stale", [1, 2, 3, 5])
def test_a_new_save_and_the_best_survive_stale_higher_steps(run, stale):
    run.directory.mkdir()
    for step in range(900, 900 + stale):
        save(run.directory / f"step_{step:09d}.pt", {}, {"stale": True})
    path = run.save(10, some_tensors(10), {"step": 10}, best=True)
    assert load(path)[1] == {"step": 10}
    assert run.load_best().metadata == {"step": 10}


def test_old_files_go_only_when_the_new_one_is_safe(run, monkeypatch):
    """In this order: file synced, file renamed, directory synced, old files removed."""
    save_steps(run, 1, 2, 3)
    done = []

    def record(name, function, event):
        def recorded(*arguments, **options):
            done.append(event(*arguments))
            return function(*arguments, **options)

        monkeypatch.setattr(os, name, recorded)

    record("fsync", os.fsync, lambda fd: f"sync {stat.S_ISDIR(os.fstat(fd).st_mode)}")
    record("replace", os.replace, lambda source, target: f"rename {os.path.basename(target)}")
    record("unlink", os.unlink, lambda path, **_: f"remove {os.path.basename(path)}")
    save_steps(run, 4)
    done = [event for event in done if not event.startswith("remove .")]  # temporary names
    saved = ["sync False", "rename step_000000004.pt", "sync True"]
    assert done == [*saved, "remove step_000000001.pt"]


def test_a_failed_save_removes_nothing(run, monkeypatch):
    save_steps(run, 1, 2, 3, best=[1])
    before = contents(run)
    monkeypatch.setattr(os, "fsync", fail_with_eio)
    with pytest.raises(SaveFailed):
        run.save(4, some_tensors(4), {}, best=True)
    assert contents(run) == before


@pytest.mark.parametrize("broken", [1, 2])
def test_damaged_newest_falls_back_loudly_and_is_kept_aside(run, broken):
    save_steps(run, 1, 2, 3, best=[3])
    bad = list(run.steps().values())[-broken:]
    for path in bad:
        damage(path)
    kept = {path.name + ".damaged": path.read_bytes() for path in bad}
    heard = []
    found = run.load_newest(lambda path, error: heard.append((path, error)))
    assert found.metadata == {"step": 3 - broken}
    assert [path for path, _ in heard] == bad[::-1]
    assert all(isinstance(error, ModelFileError) for _, error in heard)
    after = contents(run)
    assert kept.items() <= after.items()
    assert not after.keys() & {path.name for path in bad}
    assert run.load_newest(never).metadata == {"step": 3 - broken}


def test_a_damaged_older_one_is_not_touched(run):
    save_steps(run, 1, 2)
    damage(run.directory / "step_000000001.pt")
    before = contents(run)
    assert run.load_newest(never).metadata == {"step": 2}
    assert contents(run) == before


def test_all_damaged_is_an_error_and_moves_nothing(run):
    save_steps(run, 1, 2, 3)
    for path in run.steps().values():
        damage(path)
    before = contents(run)
    heard = []
    with pytest.raises(ModelFileError) as caught:
        run.load_newest(lambda path, error: heard.append(path))
    assert caught.value.key == "checkpoint.all_damaged"
    assert str(run.directory) in str(caught.value)
    assert heard == list(run.steps().values())[::-1]
    assert contents(run) == before


@pytest.mark.parametrize("kind", ["permission", "version"])
def test_a_newest_that_may_be_healthy_is_not_passed_over(tmp_path, monkeypatch, kind):
    run = CheckpointDirectory(tmp_path)
    run.save(1, some_tensors(), {})
    if kind == "version":
        monkeypatch.setattr(container, "FORMAT_VERSION", 2)
    run.save(2, some_tensors(), {})
    monkeypatch.undo()
    if kind == "permission":

        def refuse(path):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(container, "_check_archive", refuse)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ModelFileError, match=r"step_000000002\.pt"):
        run.load_newest(lambda path, error: None)
    assert sorted(tmp_path.iterdir()) == before


def test_a_newest_that_is_a_directory_is_passed_over(run):
    save_steps(run, 1)
    (run.directory / "step_000000002.pt").mkdir()
    heard = []
    assert run.load_newest(lambda path, error: heard.append(path)).metadata == {"step": 1}
    assert len(heard) == 1


def test_setting_aside_moves_one_run_and_forgets_the_one_before(run, tmp_path):
    log = tmp_path / "log.json"
    for turn in (1, 2):
        save_steps(run, turn, best=[turn])
        log.write_text(f"{turn}")
        previous = run.set_aside(log, tmp_path / "missing")
        assert run.steps() == {}
        assert names(run) == {"previous"}
        assert not log.exists()
        assert set(os.listdir(previous)) == {f"step_{turn:09d}.pt", "best.pt", "log.json"}
        assert load(previous / "best.pt")[1] == {"step": turn}
        assert (previous / "log.json").read_text() == f"{turn}"


def test_nothing_is_removed_behind_a_link(run, tmp_path):
    """A link ``previous`` is replaced by a directory; a directory within ``previous`` stays."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious.txt").write_text("precious")
    save_steps(run, 1)
    (run.directory / "previous").symlink_to(other)
    previous = run.set_aside()
    assert os.listdir(other) == ["precious.txt"]
    assert not previous.is_symlink() and os.listdir(previous) == ["step_000000001.pt"]
    (previous / "directory").mkdir()
    save_steps(run, 2)
    assert set(os.listdir(run.set_aside())) == {"directory", "step_000000002.pt"}


def test_setting_aside_that_fails_is_reported(run, monkeypatch):
    save_steps(run, 1)
    before = contents(run)
    monkeypatch.setattr(os, "replace", fail_with_eio)
    with pytest.raises(SaveFailed):
        run.set_aside()
    assert contents(run) == before
