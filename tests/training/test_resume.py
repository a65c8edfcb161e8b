"""Which runs may be resumed, and that a resumed run ends bit for bit like one that never stopped."""

import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from h2q.checkpoint import container
from h2q.checkpoint.directory import CheckpointDirectory
from h2q.checkpoint.saved_run import load_saved_run
from h2q.config import ModelConfig
from h2q.datasets.corpus import open_corpus
from h2q.system.console import Console
from h2q.system.errors import ModelFileError, SettingError
from h2q.system.paths import CHECKPOINT_DIR, MODEL_PATH, TRAINING_LOG
from tests.conftest import REPOSITORY, make_text, run_file, small_settings, train
from tests.training.conftest import CONFIG, DEEP, GROWING, resume

DRIVER = Path(__file__).with_name("resume_driver.py")
WALL_CLOCK = {"seconds", "tokens_per_second"}  # the only fields of the log that may differ


def drive(preset, text, output, *options):
    return run_file(DRIVER, preset, text, output, *options, cwd=REPOSITORY)


def final_state(output: Path):
    """Weights, optimizer state, log and delivered model of a finished run."""
    directory = CheckpointDirectory(output / CHECKPOINT_DIR)
    tensors, metadata = container.load(list(directory.steps().values())[-1])
    log = json.loads((output / TRAINING_LOG).read_text(encoding="utf-8"))
    for entry in [*log, metadata["position"]]:
        for name in WALL_CLOCK & entry.keys():
            del entry[name]
    for point in (point for entry in log for point in entry["curve"]):
        for name in WALL_CLOCK:
            del point[name]
    position = {k: v for k, v in metadata["position"].items() if k != "log"}
    return tensors, position, log, container.load(output / MODEL_PATH)[0]


def assert_same(first: Path, second: Path) -> None:
    for one, other in zip(final_state(first), final_state(second)):
        if isinstance(one, dict) and any(isinstance(v, torch.Tensor) for v in one.values()):
            assert one.keys() == other.keys()
            assert all(torch.equal(one[name], other[name]) for name in one)
        else:
            assert one == other


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(make_text(9600), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=["readme", "fast"])
def preset(request):
    return request.param


@pytest.fixture(scope="module")
def uninterrupted(preset, text, tmp_path_factory):
    """17 batches an epoch, 3 epochs, never stopped; with a validation part."""
    output = tmp_path_factory.mktemp("straight")
    assert drive(preset, text, output).returncode == 0
    return output


@pytest.mark.parametrize("step", [1, 9, 17, 18, 30, 51])
def test_killed_between_saves(preset, text, uninterrupted, tmp_path, step):
    """Only the saves at the ends of epochs are there; before the first, training starts anew."""
    assert drive(preset, text, tmp_path, "--kill-after", step).returncode == -signal.SIGKILL
    assert drive(preset, text, tmp_path, "--resume").returncode == 0
    assert_same(tmp_path, uninterrupted)


@pytest.mark.parametrize("steps", [(5,), (17, 18), (3, 20, 40)])
def test_killed_again_and_again_with_saves_within_epochs(
    preset, text, uninterrupted, tmp_path, steps
):
    options = ["--save-every-step"]
    for step in steps:
        killed = drive(preset, text, tmp_path, *options, "--kill-after", step)
        assert killed.returncode == -signal.SIGKILL
        options = ["--save-every-step", "--resume"]
    assert drive(preset, text, tmp_path, *options).returncode == 0
    assert_same(tmp_path, uninterrupted)


def test_command_line_killed_and_resumed(tmp_path):
    """The same through the command, killed from outside when its first line of loss is seen: a
    process of its own, compared with one that was forked."""
    text = tmp_path / "text.txt"
    text.write_text(make_text(60_000), encoding="utf-8")  # a second or so for the kill to come in
    outputs = [tmp_path / "straight", tmp_path / "killed"]
    common = [*small_settings(tmp_path), "--epochs", 2, "--data_dir", text]
    assert train(*common, "--output_dir", outputs[0], cwd=tmp_path).returncode == 0

    command = [sys.executable, str(REPOSITORY / "local_training_system.py"), *map(str, common)]
    with subprocess.Popen(
        [*command, "--output_dir", str(outputs[1])],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        epochs = 0
        for line in process.stdout:
            epochs += "Epoch" in line
            if epochs == 2 and re.match(r"  批次", line):
                process.kill()
                break
    resumed = train(*common, "--output_dir", outputs[1], "--resume", cwd=tmp_path)
    assert resumed.returncode == 0
    assert "从第 2 轮第 0 批继续" in resumed.stdout
    assert_same(*outputs)


# What a resumed run must have in common with the saved one


@pytest.mark.parametrize(
    "change",
    [
        *({"lr": 2e-3}, {"seed": 7}, {"batch_size": 4}, {"weight_decay": 0.5}),
        {"validation_fraction": 0.1},
    ],
)
def test_resuming_with_other_settings_is_refused(make_trainer, tmp_path, interrupted, change):
    name, value = next(iter(change.items()))
    with pytest.raises(SettingError, match=f"{name}=.*{value}"):
        resume(make_trainer, tmp_path, replace(CONFIG, **change))


def test_resuming_with_other_dimensions_is_refused(make_trainer, tmp_path, interrupted):
    with pytest.raises(SettingError, match="embed_dim=32"):
        resume(make_trainer, tmp_path, model_config=ModelConfig())


def test_resuming_on_changed_text_is_refused(make_trainer, tmp_path, text_dir, interrupted):
    (text_dir / "2.txt").write_text(make_text(2000, 5))
    changed = open_corpus(text_dir, tmp_path / "cache", context_length=64)
    with pytest.raises(SettingError, match="文本"):
        resume(make_trainer, tmp_path, corpus=changed)


def test_another_number_of_threads_is_warned_about(make_trainer, tmp_path, interrupted, capsys):
    torch.set_num_threads(2)
    try:
        resume(make_trainer, tmp_path)
    finally:
        torch.set_num_threads(1)
    assert "threads" in capsys.readouterr().err


def test_growth_does_not_excuse_a_damaged_state(make_trainer, tmp_path):
    """Only layers that have not joined yet may be without a state."""
    make_trainer(GROWING, model_config=DEEP).train()
    saved = load_saved_run(tmp_path / "out", Console(silent=True))
    whole = saved.tensors.optimizer
    for damaged in ("layers.0.", "layers.4.feedforward", "layers."):
        state = {name: value for name, value in whole.items() if not name.startswith(damaged)}
        assert len(state) < len(whole)
        resume_from = replace(saved, tensors=replace(saved.tensors, optimizer=state))
        with pytest.raises(ModelFileError):
            make_trainer(replace(GROWING, epochs=3), model_config=DEEP, resume_from=resume_from)


def test_a_batch_behind_the_end_of_an_epoch_is_refused(make_trainer, tmp_path, interrupted):
    saved = load_saved_run(interrupted, Console(silent=True))
    saved.position.batch = make_trainer().batches_per_epoch + 1
    with pytest.raises(ModelFileError, match=r"position\.batch"):
        make_trainer(resume_from=saved)
