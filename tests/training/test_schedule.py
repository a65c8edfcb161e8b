"""The plan of a run: tested with numbers alone where possible, else with a tiny run."""

import json
import math
import os
import signal
from dataclasses import replace

import pytest
import torch

from h2q.checkpoint.model_file import load_model
from h2q.checkpoint.saved_run import Position
from h2q.config import TrainingConfig
from h2q.system.console import Console
from h2q.system.errors import Interrupted
from h2q.system.paths import MODEL_PATH
from h2q.training.schedule import Schedule, rate_share
from tests.training.conftest import CONFIG, DEEP, GROWING, Clock, resume, ruined_after

LINEAR = TrainingConfig(schedule="linear", warmup_steps=9, decay_fraction=0.25)


def test_cosine_falls_from_the_peak_to_zero():
    """README 学习率: 1e-4（带余弦退火)."""
    shares = [rate_share(TrainingConfig(), step, step / 100) for step in range(101)]
    assert shares[0] == 1.0
    assert shares[50] == pytest.approx(0.5)
    assert shares[100] == 0.0
    assert shares == sorted(shares, reverse=True)
    for step, share in enumerate(shares):
        assert share == pytest.approx((1 + math.cos(math.pi * step / 100)) / 2, abs=1e-12)


def test_linear_rises_stays_and_falls():
    shares = [rate_share(LINEAR, step, step / 100) for step in range(101)]
    assert shares[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert shares[9:76] == [1.0] * 67
    assert shares[75:] == pytest.approx([1 - 0.04 * step for step in range(26)])


def test_linear_falls_to_the_least_ratio():
    config = replace(LINEAR, warmup_steps=0, decay_fraction=1.0, min_lr_ratio=0.4)
    assert [rate_share(config, 1, p) for p in (0, 0.5, 1)] == pytest.approx([1.0, 0.7, 0.4])


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_later_layers_join_late(make_trainer, optimizer):
    """The first 2 of 5 layers are trained in the first half of the run, and then all. Until then
    the others do nothing: the model that is measured and saved is the one that was trained."""
    trainer = make_trainer(replace(GROWING, optimizer=optimizer), model_config=DEEP)
    step, layers = trainer.train_step, trainer.model.layers
    inputs = torch.randint(1, 256, (2, 64))
    changed = []

    def compare(*batch):
        before = [layer.feedforward_output.weight.clone() for layer in layers]
        loss = step(*batch)
        after = [layer.feedforward_output.weight for layer in layers]
        changed.append([not torch.equal(*pair) for pair in zip(before, after)])
        with torch.no_grad():
            equal = torch.equal(trainer.model(inputs), trainer.model(inputs, depth=2))
        assert equal != any(changed[-1][2:])
        return loss

    trainer.train_step = compare
    trainer.train()
    half = trainer.total_steps // 2
    assert changed == [[True] * 2 + [False] * 3] * half + [[True] * 5] * (len(changed) - half)


def test_runs_of_many_epochs_train_all_layers_from_the_start(make_trainer, tmp_path):
    """This holds too where the number grows only when the run is resumed."""
    config = replace(GROWING, growth_epochs=2)
    trainer = make_trainer(config, model_config=DEEP)
    step = trainer.train_step

    def step_with_signal(*batch):
        if trainer.position.step == 1:
            os.kill(os.getpid(), signal.SIGINT)
        assert trainer.schedule.depth(trainer.position.progress) == 2
        return step(*batch)

    trainer.train_step = step_with_signal
    with pytest.raises(Interrupted):
        trainer.train()
    again = resume(make_trainer, tmp_path, replace(config, epochs=3), model_config=DEEP)
    assert again.schedule.depth(again.position.progress) == 5
    again.train()
    assert all(layer.feedforward_output.weight.any() for layer in again.model.layers)


def test_layers_that_joined_stay_when_the_run_gets_longer(make_trainer, tmp_path):
    trainer = make_trainer(GROWING, model_config=DEEP)
    trainer.train()
    longer = replace(GROWING, epochs=10)
    again = resume(make_trainer, tmp_path, longer, model_config=DEEP)
    assert again.position.progress == 0.2
    assert again.schedule.depth(0.2) == 5


PACES = {
    "steady": lambda step: 0.5,
    "slow start": lambda step: 0.5 if step else 4.0,
    "twice as slow from step 30": lambda step: 0.5 if step < 30 else 1.0,
    "twice as fast from step 30": lambda step: 0.5 if step < 30 else 0.25,
    "now and then very slow": lambda step: 4.0 if step % 20 == 19 else 0.5,
}


class Simulation:
    """A run of planned time without a model: what each step was made with, and when it ended."""

    def __init__(self, config, pace, model_config=DEEP, batches_per_epoch=24):
        schedule = Schedule(config, model_config, batches_per_epoch, heldout_bytes=600)
        self.position = position = Position()
        self.rates, self.depths = [], []
        while not schedule.time_is_up(position):
            self.rates.append(schedule.rate_share(position))
            self.depths.append(schedule.depth(position.progress))
            seconds = pace(position.step)
            position.step += 1
            position.seconds += seconds
            position.batch += 1
            schedule.advance_by_time(position, seconds)
            if position.batch == batches_per_epoch:
                position.begin_next_epoch()
        self.last_rate = schedule.rate_share(position)


@pytest.mark.parametrize("growth_epochs, joined", [(4, 0.2), (6, 0.5)])
def test_planned_time_for_many_epochs_trains_all_layers(growth_epochs, joined):
    """If the speed of the first 25 of 120 steps shows that there will be many epochs."""
    config = replace(GROWING, max_minutes=1.0, growth_epochs=growth_epochs)
    run = Simulation(config, lambda step: 0.5)
    assert run.depths == sorted(run.depths) and set(run.depths) == {2, 5}
    assert run.depths.count(2) / len(run.depths) == pytest.approx(joined, abs=0.05)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("pace", PACES.values(), ids=PACES)
def test_planned_time_ends_with_the_rate_decayed(schedule, pace):
    """Whatever the machine does: no step begins after the time is up, the rate falls smoothly,
    and the last steps are made at nearly none."""
    run = Simulation(TrainingConfig(max_minutes=1.0, schedule=schedule, decay_fraction=0.5), pace)
    assert 60 - 5 < run.position.seconds <= 60
    assert run.rates[0] == 1.0
    assert run.rates == sorted(run.rates, reverse=True)
    assert run.rates[-1] < 0.1
    assert max(before - after for before, after in zip(run.rates, run.rates[1:])) < 0.1
    assert run.last_rate == 0.0


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_run_of_planned_time_follows_its_schedule(make_trainer, monkeypatch, schedule):
    """The same of a real one, while the machine slows down; the whole of it is logged."""
    config = replace(
        GROWING, max_minutes=1.0, growth_epochs=1, schedule=schedule, decay_fraction=0.5
    )
    trainer = make_trainer(config, model_config=DEEP)
    clock = Clock(monkeypatch, trainer, map(PACES["twice as slow from step 30"], range(10_000)))
    trainer.train()
    assert 60 - 5 < clock.now <= 60
    assert clock.rates[0] == config.lr and clock.rates[-1] < 0.1 * config.lr
    assert clock.rates == sorted(clock.rates, reverse=True)
    assert trainer.optimizers.lr == 0.0
    assert trainer.schedule.depth(0.0) == 5  # all layers joined, as there are many epochs
    log = json.loads(trainer.paths.training_log.read_text())
    assert log[-1]["step"] == len(clock.rates)


def test_planned_time_may_end_within_the_first_epoch(make_trainer, monkeypatch):
    trainer = make_trainer(replace(CONFIG, max_minutes=0.1))
    Clock(monkeypatch, trainer, [1.0] * 10)
    trainer.train()
    (entry,) = json.loads(trainer.paths.training_log.read_text())
    assert entry["step"] < trainer.batches_per_epoch
    assert trainer.paths.model.exists()


def test_planned_time_goes_on_where_it_was(make_trainer, monkeypatch, tmp_path):
    """A run stopped in the middle has the other half of its time and of its schedule left."""
    config = replace(CONFIG, max_minutes=1.0)
    trainer = make_trainer(config)
    clock = Clock(monkeypatch, trainer, [0.5] * 60 + [1e9])
    step = trainer.train_step

    def stop_in_the_middle(*batch):
        if len(clock.rates) == 59:
            os.kill(os.getpid(), signal.SIGINT)
        return step(*batch)

    trainer.train_step = stop_in_the_middle
    with pytest.raises(Interrupted):
        trainer.train()
    again = resume(make_trainer, tmp_path, config)
    assert again.position.progress == pytest.approx(0.5, abs=0.03)
    assert again.optimizers.lr == trainer.optimizers.lr
    rest = Clock(monkeypatch, again, [0.5] * 1000)
    again.train()
    assert 20 < rest.now <= 30
    assert again.optimizers.lr == 0.0


def test_another_plan_on_resume(make_trainer, monkeypatch, tmp_path):
    """With more minutes, or epochs instead of minutes, the finished share of the run is counted
    anew."""
    config = replace(CONFIG, max_minutes=0.5)
    trainer = make_trainer(config)
    Clock(monkeypatch, trainer, [0.5] * 100)
    trainer.train()
    steps = trainer.position.step
    longer = resume(make_trainer, tmp_path, replace(config, max_minutes=2.0))
    assert longer.position.progress == pytest.approx(0.25, abs=0.02)
    assert not longer.finished
    by_epochs = resume(make_trainer, tmp_path, replace(config, max_minutes=0.0, epochs=20))
    assert by_epochs.position.progress == steps / by_epochs.total_steps
    assert not by_epochs.finished


def test_a_run_without_gain_ends_early(make_trainer, tmp_path, capsys):
    """With a patience of two, the run ends after two epochs without a lower held-out loss; with a
    larger patience it goes on."""
    config = replace(CONFIG, epochs=9, lr=3e-3, patience=2)
    trainer = ruined_after(make_trainer(config, console=Console()), 3)
    trainer.train()
    assert trainer.position.best["epoch"] == 3
    assert trainer.position.epoch == 5
    assert "连续 2 轮没有下降，提前结束" in capsys.readouterr().out
    _, provenance = load_model(tmp_path / "out" / MODEL_PATH)
    assert provenance["epoch"] == 3
    again = resume(make_trainer, tmp_path, config, console=Console())
    again.train()
    assert again.position.epoch == 5
    assert "更大的 --patience" in capsys.readouterr().out
    patient = resume(make_trainer, tmp_path, replace(config, patience=6))
    assert not patient.finished


def test_no_early_end_while_the_loss_falls(make_trainer):
    trainer = make_trainer(replace(CONFIG, epochs=4, lr=3e-3, patience=1))
    trainer.train()
    assert trainer.position.epoch == 4


def test_short_updates_at_first():
    schedule = Schedule(replace(CONFIG, short_fraction=0.5), DEEP, 10, 600)
    updates = [schedule.updates_per_batch(progress / 8) for progress in range(9)]
    assert updates == [4, 4, 2, 2, 1, 1, 1, 1, 1]
    assert Schedule(CONFIG, DEEP, 10, 600).updates_per_batch(0.0) == 1


def test_fewer_layers_than_any_run_trains_are_refused():
    schedule = Schedule(GROWING, DEEP, 10, 600)
    with pytest.raises(ValueError):
        schedule.restore_depth(1)
    schedule.restore_depth(3)
    assert [schedule.depth(progress) for progress in (0.0, 0.49, 0.5)] == [3, 3, 5]
