"""Runs that go on from a trained model."""

import torch

from h2q.model.transformer import Transformer
from h2q.training.fine_tuning import FineTuning
from tests.training.conftest import resume


def test_initial_weights_can_be_given(make_trainer):
    first = make_trainer(output="a").train()
    second = make_trainer(output="b", fine_tuning=FineTuning(first))
    assert torch.equal(second.model.output.weight, first.output.weight)
    assert second.model.output.weight is not first.output.weight


def test_the_teacher_predicts_what_lies_behind_the_border(tiny_model_config):
    """Targets are one byte later than the inputs; a row may cross the end of the text."""
    model = Transformer(tiny_model_config)
    tuning = FineTuning(model, model, replay_from=6)
    replayed = tuning.replayed(torch.tensor([0, 4, 8]), 4, text_bytes=10)
    assert replayed.tolist() == [
        [False, False, False, False],  # bytes 1 to 4
        [False, True, True, True],  # 5 to 8
        [True, False, False, False],  # 9, and 0 to 2
    ]
    assert FineTuning(model).replayed(torch.tensor([0]), 4, 10) is None


def test_weights_are_averaged_in_the_last_part_of_the_run(make_trainer, tmp_path):
    """This holds too where that part began before the run was resumed."""
    first = make_trainer().model
    trainer = make_trainer(fine_tuning=FineTuning(first, average_from=0.5))
    assert trainer.averaged_weights() is None
    step, seen = trainer.train_step, []

    def record(*batch):
        loss = step(*batch)
        seen.append(trainer.model.output.weight.detach().clone())
        return loss

    trainer.train_step = record
    trainer.train()
    last_part = seen[trainer.total_steps // 2 :]
    mean = trainer.averaged_weights()["output.weight"]
    assert torch.allclose(mean, torch.stack(last_part).mean(dim=0), atol=1e-6)
    again = resume(make_trainer, tmp_path, fine_tuning=FineTuning(first, average_from=0.5))
    assert torch.equal(again.averaged_weights()["output.weight"], mean)
