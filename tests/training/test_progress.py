"""What a person sees of a run."""

import re
from dataclasses import replace

import pytest

from h2q.config import SamplingConfig
from h2q.system.console import Console, duration
from h2q.training.fine_tuning import FineTuning
from tests.training.conftest import CONFIG, Clock


def test_what_is_said_of_a_run(make_trainer, capsys):
    """Each save is shown with its file, and the best is marked; so is the loss before and after."""
    trainer = make_trainer(replace(CONFIG, epochs=2, lr=3e-3), console=Console())
    trainer.train()
    trainer.progress.announce_end()
    said = capsys.readouterr().out
    saved = [line for line in said.splitlines() if line.startswith("   已保存")]
    half = trainer.total_steps // 2
    assert [line.split("/")[-1] for line in saved] == [
        f"step_{step:09d}.pt（目前最好）" for step in (half, 2 * half)
    ]
    log = trainer.position.log
    first, last = log[0]["eval_loss"], log[1]["eval_loss"]
    assert 5.3 < trainer.position.first_loss < 5.8
    assert f"开始 {trainer.position.first_loss:.4f} → 最后一轮 {log[1]['train_loss']:.4f}" in said
    assert f"第一轮 {first:.4f} → 最低 {last:.4f}" in said


class Enough(Exception):
    pass


def estimates(make_trainer, monkeypatch, capsys, step_seconds, fine_tuning=None, **settings):
    """What is said of the time in the first 15 steps."""
    trainer = make_trainer(replace(CONFIG, **settings), console=Console(), fine_tuning=fine_tuning)
    step = Clock(monkeypatch, trainer, step_seconds)

    def step_or_leave(*batch):
        if trainer.position.step == 15:
            raise Enough
        return step(*batch)

    trainer.train_step = step_or_leave
    with pytest.raises(Enough):
        trainer.train()
    return [line for line in capsys.readouterr().out.splitlines() if "⏳" in line or "想快" in line]


def test_cost_is_said_after_a_timed_warm_up(make_trainer, monkeypatch, capsys):
    """The slow first step does not count; if the run will be long, quicker ways are offered."""
    batches = make_trainer().batches_per_epoch
    steps = [500.0, *[60.0] * 3 * batches]
    said = estimates(make_trainer, monkeypatch, capsys, steps, epochs=3)
    hours = f"{batches / 60:.1f} 小时" if batches >= 90 else f"{batches} 分钟"
    assert said[0].startswith(f"⏳ 每轮约 {hours}，预计还需约 ")
    assert said[0].split("约 ")[2].startswith(f"{(3 * batches - 4) * 60 / 60:.0f} 分钟")
    assert "--max_minutes" in said[1] and "--preset tiny" in said[1]
    assert len(said) == 2
    assert estimates(make_trainer, monkeypatch, capsys, [0.1] * 999, epochs=3) == []
    challenger = {"fine_tuning": FineTuning(make_trainer().model), "epochs": 3}
    said = estimates(make_trainer, monkeypatch, capsys, steps, **challenger)
    assert len(said) == 1 and "⏳" in said[0]  # a preset would change nothing there


@pytest.mark.parametrize("growth_epochs, late", [(1_000_000, 0.5), (1, 0.0)])
def test_the_estimate_knows_of_layers_that_join_late(
    make_trainer, monkeypatch, capsys, growth_epochs, late
):
    """Steps of both layers take twice as long as the steps that were timed."""
    growth = {"growth_fraction": 0.5, "growth_epochs": growth_epochs}
    steps = make_trainer(replace(CONFIG, **growth)).total_steps
    said = estimates(make_trainer, monkeypatch, capsys, [60.0] * 999, **growth)
    left = ((1 - late) * steps - 4) * 60 + late * steps * 120
    assert f"预计还需约 {duration(left)}" in said[0]


def test_a_long_epoch_has_ten_lines(make_trainer, capsys):
    """A short one has a line every ten batches."""
    trainer = make_trainer(replace(CONFIG, epochs=1, batch_size=1), console=Console())
    trainer.train()
    numbers = [int(number) for number in re.findall(r"批次 +(\d+)", capsys.readouterr().out)]
    every = max(10, trainer.batches_per_epoch // 10)
    assert every > 10
    assert numbers == list(range(0, trainer.batches_per_epoch, every))


@pytest.mark.parametrize("minutes", [0.0, 0.2])
def test_the_bar_shows_steps_or_planned_seconds(make_trainer, monkeypatch, minutes):
    """In a resumed run the bar begins at the position of that run."""
    trainer = make_trainer(replace(CONFIG, max_minutes=minutes), console=Console())
    trainer.position.step, trainer.position.seconds = 3, 2.6
    bars = []

    class Bar:
        def __init__(self, total, done):
            bars.append((total, done))

        def __enter__(self):
            return lambda done, note: bars.append((done, note))

        def __exit__(self, *_):
            bars.append("closed")

    monkeypatch.setattr(trainer.console, "progress", Bar)
    with trainer.progress.bar() as advance:
        trainer.position.step, trainer.position.seconds = 7, 100.0
        trainer.position.loss_bytes, trainer.position.epoch_seconds = 5000, 2.0
        advance()
    if minutes:
        assert bars[0] == (12, 2) and bars[1][0] == 12  # not more than there are
    else:
        assert bars[0] == (trainer.total_steps, 3) and bars[1][0] == 7
    assert "2,500" in bars[1][1]
    assert bars[2] == "closed"


def test_a_sample_is_one_line_of_text_that_the_model_writes(make_trainer, monkeypatch, capsys):
    monkeypatch.setattr("h2q.training.progress._SAMPLE", SamplingConfig(max_length=120))
    trainer = make_trainer(console=Console())
    trainer.progress.sample()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("   样本: ") and len(line) > 60
    assert not trainer.model.training


def test_what_is_said_at_first(make_trainer, capsys):
    """Of a run by epochs and of one by time: what is trained, and how long."""
    trainer = make_trainer(console=Console())
    trainer.progress.announce()
    said = capsys.readouterr().out
    assert f"每轮 {trainer.batches_per_epoch} 批 | 共 {trainer.total_steps} 步" in said
    timed = make_trainer(replace(CONFIG, max_minutes=1.5), console=Console())
    timed.progress.announce()
    timed.progress.announce_epoch()
    said = capsys.readouterr().out
    assert "训练 1.5 分钟" in said and "Epoch 1\n" in said
