"""Runs that go on from a trained model."""

import pytest
import torch

from h2q.model.transformer import Transformer
from h2q.training.fine_tuning import FineTuning, in_answer
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
    rows = torch.zeros(3, 4, dtype=torch.long)
    replayed, weights = tuning.of_batch(rows, rows, torch.tensor([0, 4, 8]), text_bytes=10)
    assert weights is None
    assert replayed.tolist() == [
        [False, False, False, False],  # bytes 1 to 4
        [False, True, True, True],  # 5 to 8
        [True, False, False, False],  # 9, and 0 to 2
    ]
    assert FineTuning(model).of_batch(rows, rows, torch.tensor([0, 4, 8]), 10) == (None, None)


TEXT = b"\n\nWho?\nLena\n\nWhere was it?\nin Rome\n\nIt rains.\n\nAll day"


def rows_of(text: bytes):
    tokens = torch.tensor([list(text)])
    return tokens[:, :-1], tokens[:, 1:]


def test_an_answer_is_the_line_after_a_question_with_its_end():
    inputs, targets = rows_of(TEXT)
    marked = in_answer(inputs, targets)
    assert bytes(targets[marked].tolist()) == b"Lena\nin Rome\n"


def test_an_answer_whose_question_is_not_in_sight_does_not_count():
    assert not in_answer(*rows_of(b"Lena\n\nWho")).any()
    assert not in_answer(*rows_of(b"\nLena\n\nWho")).any()
    assert bytes(rows_of(b"?\nLena\n")[1][in_answer(*rows_of(b"?\nLena\n"))].tolist()) == b"Lena\n"


def test_answers_weigh_more_and_what_is_replayed_loses_nothing(tiny_model_config):
    """Questions and answers come first, then text without weights, then what is replayed."""
    model = Transformer(tiny_model_config)
    inputs, targets = rows_of(TEXT)
    asked, taught = TEXT.index(b"It"), TEXT.index(b"All")
    tuning = FineTuning(model, model, taught, asked_bytes=asked, answer_weight=5.0)
    replayed, weights = tuning.of_batch(inputs, targets, torch.tensor([0]), len(TEXT))
    assert weights[replayed].tolist() == [1.0] * (len(TEXT) - taught)
    assert weights[~replayed].mean().item() == pytest.approx(1.0)
    answers = in_answer(inputs, targets)
    [light], [heavy] = weights[~replayed & ~answers].unique(), weights[answers].unique()
    assert heavy / light == pytest.approx(5.0)


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
