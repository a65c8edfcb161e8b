"""Rows 18 to 22, 27 and 33: files that were made to harm."""

import os
import subprocess
import sys

import pytest

from h2q.checkpoint import container
from h2q.checkpoint.directory import CheckpointDirectory
from h2q.system.errors import ModelFileError
from h2q.system.paths import CHECKPOINT_DIR

from . import hostile
from .trials import arguments, snapshot

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def good(tmp_path):
    return hostile.good_file(tmp_path / "good.pt")


def test_rows_18_to_22_every_hostile_file_is_refused(good, tmp_path):
    """Nothing ran, memory stayed below 1 GB, nothing took 10 s, and the file is as it was."""
    marker = tmp_path / "it_ran"
    files = list(hostile.hostile_files(good, str(marker)))
    assert len(files) >= 300
    chosen = files[::4]  # all of them in the campaign
    assert [trial for trial in hostile.judge(chosen, tmp_path / "w") if trial[1]] == []
    assert not marker.exists()


def test_mutations_of_a_good_file_are_refused_or_loaded_finite(good, tmp_path):
    files = hostile.mutations(good, 150)
    assert [trial for trial in hostile.judge(files, tmp_path / "w") if trial[1]] == []


def test_the_guard_sees_code_that_runs(tmp_path):
    """Shows that the tests above can fail: the same file, loaded without care."""
    marker = tmp_path / "it_ran"
    (tmp_path / "gadget.pt").write_bytes(hostile._saved(hostile._gadgets(str(marker))["mkdir"]))
    code = (
        "import sys, torch; seen = []; sys.addaudithook(lambda e, a: seen.append(e));"
        f"torch.load({str(tmp_path / 'gadget.pt')!r}, weights_only=False);"
        "print('pickle.find_class' in seen, 'os.mkdir' in seen)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout == "True True\n"
    assert marker.is_dir()


def test_row_18_no_process_is_started_by_a_gadget(nursery, strace, tmp_path):
    """The audit hook misses calls from C; strace does not."""
    marker = tmp_path / "it_ran"
    trace = tmp_path / "trace"
    for name in ("system", "popen", "exec"):
        gadget = hostile._gadgets(str(marker))[name]
        (tmp_path / "bad.pt").write_bytes(hostile._saved(hostile._content(tensors={"x": gadget})))
        options = ("-e", "trace=execve,fork,vfork,clone,clone3")
        ending = nursery.chat(
            *("--model", tmp_path / "bad.pt"), cwd=tmp_path, trace=trace, trace_options=options
        )
        assert ending.code == 2, ending.stderr
        assert "exec" not in trace.read_text() and "clone" not in trace.read_text()
    assert not marker.exists()


def test_row_27_links_are_not_followed_out_of_the_directory(runs, tmp_path):
    """A new training clears ``previous/`` and removes old checkpoints, but not behind links."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "step_000000001.pt").write_bytes(b"a person's file")
    (outside / "letter.txt").write_bytes(b"a letter")
    before = snapshot(outside)
    output = runs.fresh()
    assert runs.train(output).code == 0
    directory = output / CHECKPOINT_DIR
    (directory / "previous").symlink_to(outside)
    (directory / "step_000000001.pt").symlink_to(outside / "step_000000001.pt")
    (output / "training_log.json").unlink()
    (output / "training_log.json").symlink_to(outside / "letter.txt")
    assert runs.train(output).code == 0
    assert snapshot(outside) == before


def test_row_27_paths_in_names_lead_nowhere(runs, nursery, tmp_path):
    """``--encoding`` becomes part of a file name in the cache: a path in it is refused or has no
    effect."""
    text = tmp_path / "text.txt"
    text.write_bytes(runs.text.read_bytes())
    for name, code in (("utf/8", 0), ("../../utf-8", 2)):
        output = tmp_path / "out"
        ending = nursery.train(*arguments(text, output, epochs=1), "--encoding", name, cwd=tmp_path)
        assert ending.code == code, ending.stderr
    cache = [path.name for path in (output / CHECKPOINT_DIR / "transcoded").iterdir()]
    assert len(cache) == 1 and cache[0].endswith(".utf-8.utf8")


WRONG_POSITIONS = {
    "epoch": ["1", -1, 1, True, 10**400, None],
    "batch": [1.5, -1, 3],
    "step": ["x", []],
    "seconds": [None, -1.0],
    "step_seconds": [1, ["x"], [None]],
    "log": [{}, [1], [{}], [{"epoch": 1}]],
}


@pytest.mark.parametrize("name", WRONG_POSITIONS)
def test_row_20_positions_that_cannot_be_are_refused(runs, name):
    """By the command line: one line, exit code 2, nothing changed."""
    for value in WRONG_POSITIONS[name]:
        output = runs.fresh()
        ending = runs.train(output, inject=None, first=_KILL_AFTER_TWO_SAVES)
        assert ending.code == -9
        newest = list(CheckpointDirectory(output / CHECKPOINT_DIR).steps().values())[-1]
        tensors, metadata = container.load(newest)
        metadata["position"][name] = value
        container.save(newest, tensors, metadata)
        before = snapshot(output)
        resumed = runs.train(output, resume=True)
        assert resumed.code == 2, (value, resumed.stderr)
        assert str(newest) in resumed.stderr
        assert len(resumed.stderr.strip().splitlines()) == 1
        assert snapshot(output) == before


_KILL_AFTER_TWO_SAVES = """
import os
from h2q.checkpoint.directory import CheckpointDirectory as D
save = D.save
def save_and_die(self, step, *arguments, **options):
    save(self, step, *arguments, **options)
    if step == 2: os.kill(os.getpid(), 9)
D.save = save_and_die
"""


def test_row_33_a_pipe_is_no_model(nursery, tmp_path):
    """Reading it would never end."""
    os.mkfifo(tmp_path / "pipe.pt")
    for path in (tmp_path / "pipe.pt", "/dev/zero"):
        ending = nursery.chat("--model", path, cwd=tmp_path)
        assert ending.code == 2
        assert str(path) in ending.stderr
    with pytest.raises(ModelFileError):
        container.load(tmp_path / "pipe.pt")
