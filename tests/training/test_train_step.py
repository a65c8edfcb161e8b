"""One step: its loss, its gradients, its updates."""

import math
from dataclasses import replace

import pytest
import torch

from h2q.model.tokenizer import PAD
from h2q.model.transformer import Transformer
from h2q.system.errors import TrainingDiverged
from h2q.training.fine_tuning import FineTuning
from h2q.training.optimizers import Optimizers
from h2q.training.train_step import TrainStep, _cut
from tests.training.conftest import CONFIG


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


def test_gradient_is_clipped_to_norm_one(make_trainer):
    """README 梯度裁剪: 最大范数1.0."""
    trainer = make_trainer()
    norms = []
    step = trainer.optimizers.step

    def step_and_measure():
        gradients = [p.grad.norm() for p in trainer.model.parameters()]
        norms.append(torch.stack(gradients).norm().item())
        step()

    trainer.optimizers.step = step_and_measure
    trainer.train()
    assert max(norms) <= 1.0 + 1e-4
    assert max(norms) > 0.99  # it was needed


def updates_of(trainer):
    """Trains, and returns the shape and the bytes of the targets of each update."""
    update, seen = trainer._step._update, []

    def record(step, depth, inputs, targets, *others):
        assert torch.equal(inputs[:, 1:], targets[:, :-1])
        seen.append((tuple(inputs.shape), bytes(targets.flatten().tolist())))
        return update(step, depth, inputs, targets, *others)

    trainer._step._update = record
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
    """The last window of an epoch may be padded; a part that has no target is left out."""
    trainer = make_trainer(replace(CONFIG, short_fraction=1.0))
    inputs = torch.randint(1, 256, (1, 64))
    targets = inputs.roll(-1, dims=1)
    targets[:, 30:] = 0
    parts = _cut([inputs, targets], 4)
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
    trainer.optimizers.step = lambda: gradients.update(
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


def test_padding_is_no_target(make_trainer):
    """README 填充: a batch of padding alone would have no loss; mixed in, it changes none."""
    trainer = make_trainer()
    inputs = torch.randint(1, 256, (2, 64))
    targets = inputs.roll(-1, dims=1)
    targets[1, 10:] = 0
    trainer.train_step(inputs, targets)
    assert trainer.position.loss_bytes == 64 + 10


def test_a_batch_that_cannot_be_cut_stays_whole():
    batch = [torch.randint(1, 256, (2, 30)) for _ in range(2)]
    assert _cut(batch, 4) == [batch]


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_before_the_update(tiny_model_config, poison):
    """The number in the message counts from 1."""
    model = Transformer(tiny_model_config).initialize(0)
    step = TrainStep(model, Optimizers(model, CONFIG, torch.float32), CONFIG, torch.float32)
    model.final_norm.bias.data[0] = poison
    before = model.output.weight.clone()
    inputs = torch.randint(1, 256, (2, 64))
    with pytest.raises(TrainingDiverged, match="第 5 步"):
        step(inputs, inputs, step=4, depth=2)
    assert torch.equal(model.output.weight, before)


def test_a_step_trains_the_first_layers_alone(tiny_model_config):
    model = Transformer(tiny_model_config).initialize(0)
    step = TrainStep(model, Optimizers(model, CONFIG, torch.float32), CONFIG, torch.float32)
    before = [layer.feedforward_output.weight.clone() for layer in model.layers]
    inputs = torch.randint(1, 256, (2, 64))
    loss_sum, count = step(inputs, inputs, step=0, depth=1)
    after = [layer.feedforward_output.weight for layer in model.layers]
    assert [torch.equal(*pair) for pair in zip(before, after)] == [False, True]
    assert count == 128 and loss_sum / count == pytest.approx(math.log(256), abs=0.5)
