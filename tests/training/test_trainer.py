import json
import math
import os
import signal
from dataclasses import replace

import pytest
import torch

from h2q.checkpoint.directory import CheckpointDirectory
from h2q.checkpoint.model_file import load_model, save_model
from h2q.checkpoint.saved_run import load_saved_run
from h2q.config import PRESETS, ModelConfig, TrainingConfig
from h2q.datasets.corpus import open_corpus
from h2q.evaluation import held_out
from h2q.model.tokenizer import PAD
from h2q.model.transformer import Transformer
from h2q.system.console import Console, duration
from h2q.system.device import choose_dtype
from h2q.system.errors import (
    Interrupted,
    ModelFileError,
    SaveFailed,
    SettingError,
    TrainingDiverged,
)
from h2q.system.paths import CHECKPOINT_DIR, MODEL_PATH, TRAINING_LOG
from h2q.training.trainer import FineTuning, LocalModelTrainer
from tests.conftest import corpus_file, make_text

CONFIG = TrainingConfig(epochs=2, lr=1e-3)
GOLDEN_LOSSES = {  # by dropout
    0.0: [5.5585, 4.4425, 3.5562, 2.9030, 2.4025, 2.0879, 1.9155, 1.8026, 1.7367, 1.7915],
    0.1: [5.5579, 4.4631, 3.5918, 2.9655, 2.4677, 2.1693, 2.0045, 1.8906, 1.8299, 1.8970],
}


@pytest.fixture
def corpus(text_dir, tmp_path):
    return open_corpus(text_dir, tmp_path / "cache", context_length=64)


@pytest.fixture
def make_trainer(corpus, tmp_path, tiny_model_config):
    def make(config=CONFIG, output="out", **options):
        options = {"corpus": corpus, "model_config": tiny_model_config, **options}
        return LocalModelTrainer(output_dir=tmp_path / output, training_config=config, **options)

    return make


def resume(make_trainer, tmp_path, config=CONFIG, **options):
    saved = load_saved_run(tmp_path / "out", Console(silent=True))
    return make_trainer(config, resume_from=saved, **options)


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


def recorded_losses(trainer):
    """Trains, and returns the loss of each step."""
    step, losses = trainer.train_step, []

    def record(*batch):
        losses.append(step(*batch))
        return losses[-1]

    trainer.train_step = record
    trainer.train()
    return losses


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
    config = replace(PRESETS[preset].training, epochs=10, lr=1e-3, muon_lr=1e-3, warmup_steps=10)
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


def test_dropout_depends_on_seed_and_step(make_trainer):
    """With the same weights and the same batch, only the random numbers differ."""
    first = make_trainer()
    inputs = torch.randint(1, 256, (2, 64), generator=torch.Generator().manual_seed(0))
    losses = set()
    for seed, step in [(1, 0), (1, 0), (2, 0), (1, 1)]:
        trainer = make_trainer(replace(CONFIG, seed=seed), fine_tuning=FineTuning(first.model))
        trainer.position.step = step
        losses.add(trainer.train_step(inputs, inputs.roll(-1, dims=1)))
    assert len(losses) == 3


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


def ruined_after(trainer, epochs):
    """Makes the held-out loss rise after that many epochs."""
    step = trainer.train_step

    def ruin(*batch):
        loss = step(*batch)
        if trainer.position.epoch >= epochs:
            with torch.no_grad():
                trainer.model.output.weight.mul_(1.3)
        return loss

    trainer.train_step = ruin
    return trainer


def test_a_run_without_gain_ends_early(make_trainer, tmp_path, capsys):
    """Two epochs without a lower held-out loss are the patience; a larger one goes on."""
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


def test_what_is_said_of_a_run(make_trainer, capsys):
    """Each save with its file, the best marked; the loss before and after."""
    trainer = make_trainer(replace(CONFIG, epochs=2, lr=3e-3), console=Console())
    trainer.train()
    trainer.announce_end()
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


def test_the_log_holds_points_of_a_long_epoch(make_trainer, tmp_path):
    trainer = make_trainer(replace(CONFIG, epochs=2, batch_size=1))
    losses = recorded_losses(trainer)
    log = json.loads((tmp_path / "out" / TRAINING_LOG).read_text())
    batches = trainer.batches_per_epoch
    for entry in log:
        points = entry["curve"]
        assert [point["step"] - (entry["step"] - batches) for point in points] == list(
            range(10, batches + 1, 10)
        )
        assert [point["loss"] for point in points] == [losses[p["step"] - 1] for p in points]
        seconds = [point["seconds"] for point in points]
        assert seconds == sorted(seconds)
        assert all(point["tokens_per_second"] > 0 for point in points)


def estimates(make_trainer, monkeypatch, capsys, step_seconds, fine_tuning=None, **settings):
    trainer = make_trainer(replace(CONFIG, **settings), console=Console(), fine_tuning=fine_tuning)
    Clock(monkeypatch, trainer, step_seconds)
    trainer.train()
    return [line for line in capsys.readouterr().out.splitlines() if "⏳" in line or "想快" in line]


def test_cost_is_said_after_a_timed_warm_up(make_trainer, monkeypatch, capsys):
    """The slow first step does not count; where it will be long, quicker ways are offered."""
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


def test_timed_steps(make_trainer, monkeypatch, tmp_path):
    trainer = make_trainer()
    Clock(monkeypatch, trainer, [500.0, 1.0, 2.0, 3.0])
    assert trainer.time_steps(3) == 2.0
    weights = 4 * trainer.model.parameter_count()
    assert trainer.checkpoint_bytes() == pytest.approx(3 * weights, rel=0.01)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "growth, minutes, share",
    [
        ({"growth_fraction": 0.5}, 0.0, 0.75),
        ({"growth_fraction": 0.5, "growth_epochs": 1}, 0.0, 1.0),
        ({"growth_fraction": 0.5}, 1.0, 2 / 3),
    ],
)
def test_cost_of_a_run_whose_layers_join_late(
    make_trainer, monkeypatch, capsys, tiny_model_config, growth, minutes, share
):
    """One of 2 layers for half of the steps costs 3/4; for half of the time, it makes twice as
    many steps in it as both would."""
    config = replace(CONFIG, **growth, max_minutes=minutes)
    trainer = make_trainer(config)
    Clock(monkeypatch, trainer, [500.0, 1.0, 2.0, 3.0])
    assert trainer.time_steps(3) == pytest.approx(2.0 * share)
    assert trainer.model.layers[1].feedforward_output.weight.any()  # all layers were timed
    if not minutes:
        said = estimates(make_trainer, monkeypatch, capsys, [60.0] * 999, **growth)
        steps, late = trainer.total_steps, 0.5 if share < 1 else 0.0
        left = ((1 - late) * steps - 4) * 60 + late * steps * 120
        assert f"预计还需约 {duration(left)}" in said[0]


def test_delivered_model_is_the_best_epoch(make_trainer, tmp_path):
    """Whatever ruins the model after the first epoch, the first one's weights are delivered."""
    trainer = ruined_after(make_trainer(replace(CONFIG, epochs=3, lr=3e-3)), 1)
    trainer.train()
    assert trainer.position.best["epoch"] == 1
    model, provenance = load_model(tmp_path / "out" / MODEL_PATH)
    assert provenance["epoch"] == 1
    best = CheckpointDirectory(tmp_path / "out" / CHECKPOINT_DIR).load_best()
    assert torch.equal(model.output.weight, best.tensors["model.output.weight"])


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
    """Also the last one of a planned time: the resumed run evaluates before it delivers."""
    monkeypatch.setattr(held_out, "EVALUATION_BATCH", 1)
    config = replace(CONFIG, epochs=1, **settings)
    if settings:  # the time is up after ten steps, whatever the machine
        monkeypatch.setattr(
            LocalModelTrainer,
            "_plan_by_time",
            lambda self, seconds: setattr(self.position, "progress", self.position.step / 10),
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


def test_gradient_is_clipped_to_norm_one(make_trainer):
    """README 梯度裁剪: 最大范数1.0."""
    trainer = make_trainer()
    norms = []
    step = trainer.learner.optimizers.step

    def step_and_measure():
        gradients = [p.grad.norm() for p in trainer.model.parameters()]
        norms.append(torch.stack(gradients).norm().item())
        step()

    trainer.learner.optimizers.step = step_and_measure
    trainer.train()
    assert max(norms) <= 1.0 + 1e-4
    assert max(norms) > 0.99  # it was needed


def updates_of(trainer):
    """Trains, and returns the shape and the bytes of the targets of each update."""
    update, seen = trainer.learner._update, []

    def record(inputs, targets, *others):
        assert torch.equal(inputs[:, 1:], targets[:, :-1])
        seen.append((tuple(inputs.shape), bytes(targets.flatten().tolist())))
        return update(inputs, targets, *others)

    trainer.learner._update = record
    trainer.train()
    return seen


def test_short_windows_at_first(make_trainer):
    """In the first quarter of the run four updates share a batch, in the second two, in windows
    as much shorter; every byte is trained on as often."""
    whole = updates_of(make_trainer(output="a"))
    trainer = make_trainer(replace(CONFIG, short_fraction=0.5), output="b")
    short = iter(updates_of(trainer))
    for step, (shape, targets) in enumerate(whole):
        progress = step / trainer.total_steps
        parts = 4 if progress < 0.25 else 2 if progress < 0.5 else 1
        updates = [next(short) for _ in range(parts)]
        assert {shape for shape, _ in updates} == {(shape[0], shape[1] // parts)}
        assert b"".join(targets for _, targets in updates) == targets
    assert next(short, None) is None


def test_a_part_of_padding_is_no_update(make_trainer):
    """The last window of an epoch may be padded: a part without a target is left out."""
    trainer = make_trainer(replace(CONFIG, short_fraction=1.0))
    inputs = torch.randint(1, 256, (1, 64))
    targets = inputs.roll(-1, dims=1)
    targets[:, 30:] = 0
    parts = trainer.learner._cut([inputs, targets], 0.0)
    assert [part.tolist() for _, part in parts] == targets[:, :32].view(2, 1, 16).tolist()
    assert math.isfinite(trainer.train_step(inputs, targets))
    assert trainer.position.loss_bytes == 30


def test_what_is_replayed_is_learnt_half_from_the_teacher(make_trainer, tiny_model_config):
    """Gradients against the loss as it is defined: cross-entropy with the bytes and with the
    teacher's predictions, in equal parts from the position where replay begins, padding aside."""
    config = replace(tiny_model_config, dropout=0.0)
    teacher = Transformer(config).initialize(5).eval()
    first = Transformer(config).initialize(CONFIG.seed)
    trainer = make_trainer(model_config=config, fine_tuning=FineTuning(first, teacher, 700))
    model, gradients = trainer.model, {}
    trainer.learner.optimizers.step = lambda: gradients.update(
        (name, weight.grad.clone()) for name, weight in model.named_parameters()
    )
    inputs, targets = torch.randint(1, 256, (2, 3, 64))
    targets[2, 50:] = 0
    starts = torch.tensor([100, 680, 1500])  # before, across and behind the border
    with torch.no_grad():
        wanted = teacher(inputs).double().softmax(dim=2)
    logs = model(inputs).double().log_softmax(dim=2)
    hard = -logs.gather(2, targets[..., None]).squeeze(2)
    soft = -(wanted * logs).sum(dim=2)
    places = starts[:, None] + 1 + torch.arange(64)
    losses = torch.where(places >= 700, (hard + soft) / 2, hard)[targets != PAD]
    expected = torch.autograd.grad(losses.mean(), list(model.parameters()))
    norm = torch.stack([gradient.norm() for gradient in expected]).norm()
    loss = trainer.train_step(inputs, targets, starts)
    assert loss == pytest.approx(hard[targets != PAD].mean().item(), rel=1e-5)
    for (name, found), gradient in zip(gradients.items(), expected):
        gradient = gradient / max(1.0, norm)
        assert (found - gradient).norm() < 1e-4 * gradient.norm() + 1e-8, name


GROWING = replace(CONFIG, growth_fraction=0.5)
DEEP = ModelConfig(
    embed_dim=32, n_heads=2, n_layers=5, context_length=64, feedforward_dim=64, dropout=0.0
)


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
    """Also where that is known only when a run is resumed with more epochs."""
    config = replace(GROWING, growth_epochs=2)
    trainer = make_trainer(config, model_config=DEEP)
    step = trainer.train_step

    def step_with_signal(*batch):
        if trainer.position.step == 1:
            os.kill(os.getpid(), signal.SIGINT)
        assert trainer.learner.depth(trainer.position.progress) == 2
        return step(*batch)

    trainer.train_step = step_with_signal
    with pytest.raises(Interrupted):
        trainer.train()
    again = resume(make_trainer, tmp_path, replace(config, epochs=3), model_config=DEEP)
    assert again.learner.depth(again.position.progress) == 5
    again.train()
    assert all(layer.feedforward_output.weight.any() for layer in again.model.layers)


def test_layers_that_joined_stay_when_the_run_gets_longer(make_trainer, tmp_path):
    trainer = make_trainer(GROWING, model_config=DEEP)
    trainer.train()
    longer = replace(GROWING, epochs=10)
    again = resume(make_trainer, tmp_path, longer, model_config=DEEP)
    assert again.position.progress == 0.2
    assert again.learner.depth(0.2) == 5


def test_growth_does_not_excuse_a_damaged_state(make_trainer, tmp_path):
    """No layer without its state but those that have not joined yet."""
    make_trainer(GROWING, model_config=DEEP).train()
    saved = load_saved_run(tmp_path / "out", Console(silent=True))
    for damage in ("layers.0.", "layers.4.feedforward", "layers."):
        damaged = f"optimizer.{damage}"
        tensors = {n: value for n, value in saved.tensors.items() if not n.startswith(damaged)}
        assert len(tensors) < len(saved.tensors)
        with pytest.raises(ModelFileError):
            resume_from = replace(saved, tensors=tensors)
            make_trainer(replace(GROWING, epochs=3), model_config=DEEP, resume_from=resume_from)


class Clock:
    """Time that passes when a step is made, and not otherwise."""

    def __init__(self, monkeypatch, trainer, step_seconds):
        self.now, self.rates, self.durations = 0.0, [], iter(step_seconds)
        monkeypatch.setattr("h2q.training.trainer.time.monotonic", lambda: self.now)
        trainer._clock = 0.0
        self.step, self.trainer = trainer.train_step, trainer
        trainer.train_step = self

    def __call__(self, *batch):
        self.rates.append(self.trainer.learner.optimizers.lr)
        self.now += next(self.durations)
        return self.step(*batch)


PACES = {
    "steady": lambda step: 0.5,
    "slow start": lambda step: 0.5 if step else 4.0,
    "twice as slow from step 30": lambda step: 0.5 if step < 30 else 1.0,
    "twice as fast from step 30": lambda step: 0.5 if step < 30 else 0.25,
    "now and then very slow": lambda step: 4.0 if step % 20 == 19 else 0.5,
}


@pytest.mark.parametrize("growth_epochs, joined", [(4, 0.2), (6, 0.5)])
def test_planned_time_for_many_epochs_trains_all_layers(
    make_trainer, monkeypatch, growth_epochs, joined
):
    """Where the pace of the first 25 of 120 steps tells that there will be many."""
    config = replace(GROWING, max_minutes=1.0, growth_epochs=growth_epochs)
    trainer = make_trainer(config, model_config=DEEP)
    assert 4.5 < 120 / trainer.batches_per_epoch < 5.5
    Clock(monkeypatch, trainer, [0.5] * 10_000)
    step, depths = trainer.train_step, []

    def record(*batch):
        depths.append(trainer.learner.depth(trainer.position.progress))
        return step(*batch)

    trainer.train_step = record
    trainer.train()
    assert depths == sorted(depths) and set(depths) == {2, 5}
    assert depths.count(2) / len(depths) == pytest.approx(joined, abs=0.05)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("pace", PACES.values(), ids=PACES)
def test_planned_time_ends_with_the_rate_decayed(make_trainer, monkeypatch, schedule, pace):
    """Whatever the machine does: no step begins after the time is up, the rate falls smoothly,
    and the last steps are made at nearly none."""
    config = replace(CONFIG, max_minutes=1.0, schedule=schedule, decay_fraction=0.5)
    trainer = make_trainer(config)
    clock = Clock(monkeypatch, trainer, map(pace, range(10_000)))
    trainer.train()
    assert 60 - 5 < clock.now <= 60
    assert clock.rates[0] == config.lr
    assert clock.rates == sorted(clock.rates, reverse=True)
    assert clock.rates[-1] < 0.1 * config.lr
    falls = [before - after for before, after in zip(clock.rates, clock.rates[1:])]
    assert max(falls) < 0.1 * config.lr
    assert trainer.learner.optimizers.lr == 0.0
    log = json.loads((trainer.output_dir / TRAINING_LOG).read_text())
    assert log[-1]["step"] == len(clock.rates)


def test_planned_time_may_end_within_the_first_epoch(make_trainer, monkeypatch):
    trainer = make_trainer(replace(CONFIG, max_minutes=0.1))
    Clock(monkeypatch, trainer, [1.0] * 10)
    trainer.train()
    (entry,) = json.loads((trainer.output_dir / TRAINING_LOG).read_text())
    assert entry["step"] < trainer.batches_per_epoch
    assert (trainer.output_dir / MODEL_PATH).exists()


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
    assert again.learner.optimizers.lr == trainer.learner.optimizers.lr
    rest = Clock(monkeypatch, again, [0.5] * 1000)
    again.train()
    assert 20 < rest.now <= 30
    assert again.learner.optimizers.lr == 0.0


def test_another_plan_on_resume(make_trainer, monkeypatch, tmp_path):
    """More minutes, or epochs in place of minutes: the share that is done is counted anew."""
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


def test_padding_is_no_target(make_trainer):
    """README 填充: a batch of padding alone would have no loss; mixed in, it changes none."""
    trainer = make_trainer()
    inputs = torch.randint(1, 256, (2, 64))
    targets = inputs.roll(-1, dims=1)
    targets[1, 10:] = 0
    trainer.train_step(inputs, targets)
    assert trainer.position.loss_bytes == 64 + 10


def test_resume_without_checkpoints_is_none(tmp_path):
    assert load_saved_run(tmp_path, Console(silent=True)) is None


@pytest.fixture
def interrupted(make_trainer, tmp_path):
    """A run of 2 epochs that ended after the first."""
    trainer = make_trainer()
    trainer._train_epoch(lambda: False, lambda _: None)
    trainer._finish_epoch(lambda: False)
    return tmp_path / "out"


def test_a_longer_run_goes_on_from_a_finished_one(make_trainer, tmp_path):
    make_trainer().train()
    longer = resume(make_trainer, tmp_path, replace(CONFIG, epochs=3))
    longer.train()
    assert [entry["epoch"] for entry in longer.position.log] == [1, 2, 3]


def test_resuming_a_finished_run_changes_nothing(make_trainer, tmp_path):
    make_trainer().train()
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    model = resume(make_trainer, tmp_path).train()
    after = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert before == after
    # An evolution that was killed here goes on with the model that is returned.
    assert model.drafts.equal(load_model(tmp_path / "out" / MODEL_PATH)[0].drafts)


def test_resuming_a_finished_run_leaves_the_model_that_evolved_from_it(make_trainer, tmp_path):
    model = make_trainer().train()
    path = tmp_path / "out" / MODEL_PATH
    _, provenance = load_model(path)
    with torch.no_grad():
        model.output.bias += 1
    save_model(path, model, {**provenance, "evolution_cycle": 1})
    evolved = path.read_bytes()
    resume(make_trainer, tmp_path).train()
    assert path.read_bytes() == evolved


@pytest.mark.parametrize(
    "change", [{"lr": 2e-3}, {"seed": 7}, {"batch_size": 4}, {"weight_decay": 0.5}]
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


def test_initial_weights_can_be_given(make_trainer):
    first = make_trainer(output="a").train()
    second = make_trainer(output="b", fine_tuning=FineTuning(first))
    assert torch.equal(second.model.output.weight, first.output.weight)
    assert second.model.output.weight is not first.output.weight


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
