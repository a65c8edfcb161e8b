"""A run from its first step to the delivered model."""

import json
import math
import os
import signal
from dataclasses import replace

import pytest
import torch

from h2q.checkpoint.model_file import load_model
from h2q.checkpoint.saved_run import load_saved_run
from h2q.config import PRESETS, TrainingConfig
from h2q.datasets.corpus import open_corpus
from h2q.evaluation import held_out
from h2q.system.console import Console
from h2q.system.device import choose_dtype
from h2q.system.errors import (
    Interrupted,
    ModelFileError,
    SaveFailed,
    TrainingDiverged,
)
from h2q.system.paths import CHECKPOINT_DIR, MODEL_PATH, TRAINING_LOG
from h2q.training.schedule import Schedule
from h2q.training.trainer import LocalModelTrainer
from tests.conftest import corpus_file
from tests.training.conftest import (
    CONFIG,
    recorded_losses,
    resume,
)

GOLDEN_LOSSES = {  # by dropout
    0.0: [5.5585, 4.4425, 3.5562, 2.9030, 2.4025, 2.0879, 1.9155, 1.8026, 1.7367, 1.7915],
    0.1: [5.5579, 4.4631, 3.5918, 2.9655, 2.4677, 2.1693, 2.0045, 1.8906, 1.8299, 1.8970],
}


def test_training_learns_and_reports_held_out_numbers(make_trainer, tmp_path):
    make_trainer(replace(CONFIG, epochs=6, lr=5e-3)).train()
    log = json.loads((tmp_path / "out" / TRAINING_LOG).read_text())
    assert [entry["epoch"] for entry in log] == [1, 2, 3, 4, 5, 6]
    losses = [entry["eval_loss"] for entry in log]
    assert losses[-1] < losses[0] - 0.5
    assert losses[-1] < 2.5  # chance is 5.5
    for entry in log:
        assert entry["eval_perplexity"] == pytest.approx(math.exp(entry["eval_loss"]))
        assert entry["eval_bits_per_byte"] == pytest.approx(entry["eval_loss"] / math.log(2))
        assert entry["train_perplexity"] == pytest.approx(math.exp(entry["train_loss"]))
    assert log[-1]["learning_rate"] == 0.0


@pytest.mark.parametrize("dropout", GOLDEN_LOSSES)
def test_golden_losses(make_trainer, tiny_model_config, dropout):
    """Float32 losses of every fifth step; a refactoring must not move them."""
    model_config = replace(tiny_model_config, dropout=dropout)
    losses = recorded_losses(make_trainer(replace(CONFIG, lr=5e-3), model_config=model_config))
    assert losses[::5] == pytest.approx(GOLDEN_LOSSES[dropout], abs=1e-3)


@pytest.mark.skipif(
    choose_dtype("auto", "cpu") != torch.bfloat16,
    reason="this processor has no instructions for bfloat16: 200 steps would take minutes",
)
@pytest.mark.parametrize("preset", ["readme", "fast"])
def test_bfloat16_follows_float32(make_trainer, preset):
    """200 steps in bfloat16 end within 1 % of where float32 ends."""
    config = replace(PRESETS[preset].training, epochs=9, lr=1e-3, muon_lr=1e-3, warmup_steps=10)
    ends = []
    for dtype in (torch.float32, torch.bfloat16):
        trainer = make_trainer(config, output=str(dtype), dtype=dtype)
        assert trainer.total_steps >= 200
        trainer.train()
        ends.append(trainer.position.log[-1])
    for key in ("train_loss", "eval_loss"):
        assert ends[1][key] == pytest.approx(ends[0][key], rel=0.01)


def test_same_seed_same_weights(make_trainer):
    models = [make_trainer(output=name).train().state_dict() for name in "ab"]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    other = make_trainer(replace(CONFIG, seed=1), output="c").train().state_dict()
    assert not torch.equal(models[0]["output.weight"], other["output.weight"])


def test_epochs_without_dropout(make_trainer, monkeypatch, tmp_path):
    """The first two of three, also where a run is resumed in the second."""
    seen = set()

    def record(x, p, training, residual=None):
        seen.add((trainer.position.epoch, training and torch.is_grad_enabled()))
        return x if residual is None else residual + x

    monkeypatch.setattr("h2q.model.transformer.dropout", record)
    config = replace(CONFIG, epochs=1, dropout_after_epochs=2)
    trainer = make_trainer(config)
    trainer.train()
    trainer = resume(make_trainer, tmp_path, replace(config, epochs=3))
    trainer.train()
    assert {epoch for epoch, dropping in seen if dropping} == {2}
    assert {epoch for epoch, _ in seen} >= {0, 1, 2}


def test_log_is_there_after_every_epoch(make_trainer, tmp_path):
    trainer = make_trainer()
    lengths = []
    finish = trainer._finish_epoch

    def finish_and_look(stop):
        finish(stop)
        lengths.append(len(json.loads((tmp_path / "out" / TRAINING_LOG).read_text())))

    trainer._finish_epoch = finish_and_look
    trainer.train()
    assert lengths == [1, 2]


def test_checkpoints_are_the_last_three_and_the_best(make_trainer, tmp_path):
    trainer = make_trainer(replace(CONFIG, save_interval_seconds=0.0))
    trainer.train()
    names = sorted(path.name for path in (tmp_path / "out" / CHECKPOINT_DIR).glob("*.pt"))
    last = trainer.position.step
    assert names == ["best.pt", *(f"step_{step:09d}.pt" for step in (last - 2, last - 1, last))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_the_run_can_go_on(make_trainer, tmp_path, number):
    straight = make_trainer(output="straight").train().state_dict()
    trainer = make_trainer()
    step = trainer.train_step

    def step_with_signal(*batch):
        if trainer.position.step == 5:
            os.kill(os.getpid(), number)
        return step(*batch)

    trainer.train_step = step_with_signal
    with pytest.raises(Interrupted, match="第 6 步"):
        trainer.train()
    resumed = resume(make_trainer, tmp_path)
    assert resumed.position.step == 6
    model = resumed.train().state_dict()
    assert all(torch.equal(model[name], straight[name]) for name in model)


@pytest.mark.parametrize("settings", [{}, {"max_minutes": 1.0}], ids=["epochs", "time"])
def test_a_signal_ends_an_evaluation_that_is_begun_anew(
    make_trainer, tmp_path, monkeypatch, settings
):
    """This holds for the last evaluation of a planned time too: the resumed run evaluates first."""
    monkeypatch.setattr(held_out, "EVALUATION_BATCH", 1)
    config = replace(CONFIG, epochs=1, **settings)
    if settings:  # the time is up after ten steps, whatever the machine
        monkeypatch.setattr(
            Schedule,
            "advance_by_time",
            lambda self, position, seconds: setattr(position, "progress", position.step / 10),
        )
    straight = make_trainer(config, output="straight").train().state_dict()
    trainer, evaluated = make_trainer(config), []

    def interrupt_the_third(model, _):
        if not model.training:
            evaluated.append(1)
            if len(evaluated) == 3:
                os.kill(os.getpid(), signal.SIGTERM)

    trainer.model.register_forward_pre_hook(interrupt_the_third)
    with pytest.raises(Interrupted):
        trainer.train()
    assert len(evaluated) == 3
    resumed = resume(make_trainer, tmp_path, config)
    assert not resumed.finished and resumed.position.log == []
    model = resumed.train().state_dict()
    assert resumed.position.step == trainer.position.step
    assert all(torch.equal(model[name], straight[name]) for name in model)
    assert len(resumed.position.log) == 1


def test_a_signal_at_the_end_of_an_epoch_leaves_before_the_next(make_trainer, tmp_path):
    """The epoch is saved, and its checkpoint is named."""
    trainer = make_trainer()
    finish = trainer._finish_epoch

    def finish_with_signal(stop):
        path = finish(stop)
        os.kill(os.getpid(), signal.SIGTERM)
        return path

    trainer._finish_epoch = finish_with_signal
    with pytest.raises(Interrupted) as caught:
        trainer.train()
    newest = list(trainer.checkpoints.steps().values())[-1]
    assert caught.value.values == {"step": trainer.batches_per_epoch, "path": newest}
    assert len(resume(make_trainer, tmp_path).position.log) == 1


def test_an_evaluation_that_is_not_finite_is_not_logged(make_trainer, monkeypatch):
    trainer = make_trainer()
    monkeypatch.setattr(held_out.Evaluation, "loss", math.nan)
    with pytest.raises(TrainingDiverged):
        trainer.train()
    assert not trainer.paths.training_log.exists()
    assert trainer.checkpoints.steps() == {}


def test_second_ctrl_c_leaves_at_once(make_trainer):
    trainer = make_trainer()
    trainer.train_step = lambda *_: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2)]
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_never_reaches_the_weights(make_trainer, tmp_path, poison):
    trainer = make_trainer(replace(CONFIG, save_interval_seconds=0.0))
    step = trainer.train_step

    def step_with_poison(*batch):
        if trainer.position.step == 4:
            before = trainer.model.output.weight.detach().clone()
            trainer.model.final_norm.bias.data[0] = poison
            with pytest.raises(TrainingDiverged, match="第 5 步"):
                step(*batch)
            assert torch.equal(trainer.model.output.weight, before)
        return step(*batch)

    trainer.train_step = step_with_poison
    with pytest.raises(TrainingDiverged):
        trainer.train()
    assert resume(make_trainer, tmp_path).position.step == 4


def test_a_longer_run_goes_on_from_a_finished_one(make_trainer, tmp_path):
    make_trainer().train()
    longer = resume(make_trainer, tmp_path, replace(CONFIG, epochs=3))
    longer.train()
    assert [entry["epoch"] for entry in longer.position.log] == [1, 2, 3]


def test_an_earlier_run_is_set_aside_not_lost(make_trainer, tmp_path):
    make_trainer().train()
    directory = tmp_path / "out" / CHECKPOINT_DIR
    old = {path.name: path.read_bytes() for path in directory.glob("*.pt")}
    old_model = (tmp_path / "out" / MODEL_PATH).read_bytes()
    make_trainer(replace(CONFIG, seed=1)).train()
    kept = {path.name: path.read_bytes() for path in (directory / "previous").glob("*.pt")}
    assert kept == old
    assert (directory / "previous" / TRAINING_LOG).exists()
    assert (tmp_path / "out/h2q_project/h2q_trained_model.previous.pt").read_bytes() == old_model


def test_a_failed_save_leaves_older_checkpoints(make_trainer, tmp_path, interrupted, monkeypatch):
    before = {p: p.read_bytes() for p in interrupted.rglob("*.pt")}
    trainer = resume(make_trainer, tmp_path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaveFailed, match="No space left"):
        trainer.train()
    assert {p: p.read_bytes() for p in interrupted.rglob("*.pt")} == before


def test_a_checkpoint_is_no_trained_model(make_trainer, tmp_path, interrupted):
    with pytest.raises(ModelFileError):
        load_model(next((interrupted / CHECKPOINT_DIR).glob("step_*.pt")))


def test_shakespeare_is_learnt(tmp_path, tiny_model_config):
    """Real text: 60 kB of it, a few seconds, well below the entropy of single letters."""
    text = tmp_path / "part.txt"
    text.write_bytes(corpus_file("tinyshakespeare.txt").read_bytes()[:60_000])
    corpus = open_corpus(text, tmp_path / "cache", context_length=64)
    trainer = LocalModelTrainer(
        corpus, tmp_path / "out", tiny_model_config, TrainingConfig(epochs=3, lr=5e-3)
    )
    trainer.train()
    assert trainer.position.log[-1]["eval_loss"] < 2.6  # letters by themselves: about 3.3


def test_a_run_that_is_stopped_while_the_text_is_counted_begins_anew(make_trainer, tmp_path):
    """There is nothing to save yet, so there is no checkpoint that could not be resumed."""
    trainer = make_trainer()
    trainer._remember(lambda: False)
    with pytest.raises(Interrupted):
        trainer._remember(lambda: True)
    assert load_saved_run(tmp_path / "out", Console()) is None
