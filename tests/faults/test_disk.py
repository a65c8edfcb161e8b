"""Rows 5, 7 and 8: a full disk, a read-only directory, an output that nobody reads."""

from h2q.checkpoint.directory import CheckpointDirectory
from h2q.system.paths import CHECKPOINT_DIR

from .trials import arguments, final_state, snapshot


def mounting(command: str, at_the_end: str = "true") -> str:
    """Code that gives a child a mount namespace of its own and runs ``command`` there."""
    return (
        "import ctypes, os, h2q.cli.main as c\n"
        "assert ctypes.CDLL(None).unshare(0x20000) == 0  # CLONE_NEWNS\n"
        f"assert os.system('mount --make-rprivate / && ' + {command!r}) == 0\n"
        "main = c.train_main\n"
        f"def ending(a): code = main(a); os.system({at_the_end!r}); return code\n"
        "c.train_main = ending\n"
    )


def test_row_5_full_disk(runs, mounts, tmp_path):
    """On a disk of 1 MB saved files stay, one line tells why it ends, and the exit code is 1; with
    more room the run resumes."""
    disk, out = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    first = mounting(f"mount -t tmpfs -o size=1m none {disk}", f"cp -r {disk}/run {out}")
    ending = runs.train(disk / "run", first=first)
    lines = ending.stderr.strip().splitlines()
    assert ending.code == 1, ending.stderr
    assert len(lines) == 1 and "step_" in lines[0] and "No space left" in lines[0]
    files = snapshot(out)
    assert not [name for name in files if name.endswith(".tmp")]
    assert CheckpointDirectory(out / CHECKPOINT_DIR).steps(), "there was room for one"
    assert runs.finish(out, ending.acknowledged) == ""


def test_row_5_a_disk_that_is_full_from_the_first(runs, mounts, tmp_path):
    """Not even the lock can be written: one line names it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    fill = f"mkdir {disk}/run; : > {disk}/run/.h2q.lock; cat /dev/zero > {disk}/x 2>/dev/null; true"
    first = mounting(f"mount -t tmpfs -o size=64k none {disk}; {fill}")
    ending = runs.train(disk / "run", first=first)
    assert ending.code == 1, ending.stderr
    assert len(ending.stderr.strip().splitlines()) == 1
    assert str(disk / "run") in ending.stderr and "Traceback" not in ending.stderr


def test_row_7_read_only_directory_is_refused_before_training(runs, mounts, tmp_path):
    """The whole output directory, or only that of the checkpoints or of the model. It is mounted
    read-only, because root ignores permissions."""
    for place in (
        tmp_path / "out",
        tmp_path / "out" / CHECKPOINT_DIR,
        tmp_path / "out/h2q_project",
    ):
        place.mkdir(parents=True, exist_ok=True)
        before = snapshot(tmp_path)
        first = mounting(f"mount --bind {place} {place} && mount -o remount,ro,bind {place}")
        ending = runs.nursery.train(*arguments(runs.text, tmp_path / "out"), first=first)
        assert ending.code == 1, ending.stderr
        assert len(ending.stderr.strip().splitlines()) == 1 and str(place) in ending.stderr
        assert "Epoch" not in ending.stdout
        assert snapshot(tmp_path) == before


_OUTPUTS = {
    "full": "os.dup2(os.open('/dev/full', os.O_WRONLY), {number})",
    "a pipe that nobody reads": "ends = os.pipe(); os.close(ends[0]); os.dup2(ends[1], {number})",
    "closed": "os.close({number})",
}


def test_row_8_nobody_reads(runs):
    """Stdout or stderr is full, a closed pipe, or closed: training goes on and saves all."""
    for act in _OUTPUTS.values():
        for numbers in ((1,), (2,), (1, 2)):
            output = runs.fresh()
            first = "import os\n" + "\n".join(act.format(number=number) for number in numbers)
            assert runs.train(output, first=first).code == 0, (act, numbers)
            assert final_state(output) == runs.expected
