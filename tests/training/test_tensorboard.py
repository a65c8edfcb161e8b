"""Curves for TensorBoard, read with TensorBoard's own reader."""

import os
import sys

import pytest

from h2q.checkpoint.saved_run import load_saved_run
from h2q.config import TrainingConfig
from h2q.datasets.corpus import open_corpus
from h2q.system.console import Console
from h2q.system.errors import SettingError
from h2q.system.paths import CHECKPOINT_DIR
from h2q.training.tensorboard import TensorBoardCurves, require_tensorboard
from h2q.training.trainer import LocalModelTrainer
from tests.cli.test_main import fails, files_below
from tests.conftest import make_text, small_settings, train

pytest.importorskip("tensorboard")


def curve(directory, name):
    """(step, value) of each point that TensorBoard shows."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory), size_guidance={"scalars": 0})
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


@pytest.fixture
def run(text_dir, tmp_path, tiny_model_config):
    corpus = open_corpus(text_dir, tmp_path / "cache", context_length=64)

    def make(epochs, resume=False):
        saved = load_saved_run(tmp_path / "out", Console(silent=True)) if resume else None
        curves = TensorBoardCurves(tmp_path / "out", saved.position.step if saved else 0)
        config = TrainingConfig(epochs=epochs, lr=1e-3)
        trainer = LocalModelTrainer(
            *(corpus, tmp_path / "out", tiny_model_config, config),
            resume_from=saved,
            curves=curves,
        )
        trainer.train()
        curves.close()
        return trainer

    return make


def test_a_resumed_run_leaves_no_overlap(run, tmp_path):
    """As if killed before its last checkpoint was written: each step is shown once."""
    newest = run(2).checkpoints.steps().popitem()[1]
    newest.unlink()
    trainer = run(3, resume=True)
    steps = trainer.position.step
    losses = curve(tmp_path / "out" / "tensorboard", "loss/train")
    assert [step for step, _ in losses] == list(range(1, steps + 1))
    assert losses[0][1] == pytest.approx(trainer.position.first_loss)
    heldout = curve(tmp_path / "out" / "tensorboard", "loss/heldout")
    log = trainer.position.log
    assert heldout == [(entry["step"], pytest.approx(entry["eval_loss"])) for entry in log]
    assert curve(tmp_path / "out" / "tensorboard", "learning_rate")[-1] == (steps, 0.0)


def test_a_new_run_moves_the_former_aside(run, tmp_path):
    for _ in range(3):
        steps = run(1).position.step
    for name in ("tensorboard", "tensorboard.previous"):
        shown = curve(tmp_path / "out" / name, "loss/train")
        assert [step for step, _ in shown] == list(range(1, steps + 1))


def test_from_the_command_line(tmp_path):
    """With all extras, as the flag and the report find them."""
    (tmp_path / "我的 文本.txt").write_text(make_text(3000), encoding="utf-8")
    result = train(
        *("--tensorboard", "--epochs", 1, "--data_dir", "我的 文本.txt", "--output_dir", "新 模型"),
        *small_settings(tmp_path),
        cwd=tmp_path,
        env=dict(os.environ),
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    output = tmp_path / "新 模型"
    assert len(curve(output / "tensorboard", "loss/heldout")) == 1
    assert (output / CHECKPOINT_DIR).is_dir()
    if "matplotlib" not in result.stdout:
        assert "📈 训练报告: 新 模型/training_report.png" in result.stdout
        assert (output / "training_report.png").read_bytes().startswith(b"\x89PNG")


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(SettingError, match="pip install tensorboard"):
        require_tensorboard()


def test_without_the_extra_it_is_one_line(tmp_path):
    (tmp_path / "t.txt").write_text(make_text(3000), encoding="utf-8")
    without = tmp_path / "without"
    without.mkdir()
    (without / "tensorboard.py").write_text("raise ModuleNotFoundError('x', name='tensorboard')")
    environment = {**os.environ, "PYTHONPATH": str(without), "PYTHONDONTWRITEBYTECODE": "1"}
    before = files_below(tmp_path)
    result = train("--tensorboard", "--data_dir", "t.txt", cwd=tmp_path, env=environment)
    fails(result, "pip install tensorboard")
    assert files_below(tmp_path) == before
