"""What the log says of a run."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from h2q.checkpoint.saved_run import LogEntry, Position
from h2q.evaluation.held_out import Evaluation
from h2q.system.paths import TRAINING_LOG
from h2q.training.training_log import curve_point, log_entry
from tests.training.conftest import (
    CONFIG,
    recorded_losses,
)


def test_the_log_holds_points_of_a_long_epoch(make_trainer, tmp_path):
    trainer = make_trainer(replace(CONFIG, epochs=2, batch_size=2))
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


def test_an_entry_holds_the_means_of_its_epoch():
    """In the order of the file; the epoch is counted from 1."""
    position = Position(
        *(2, 5, 15, 0.5), loss_sum=300.0, loss_bytes=200, seconds=9.0, epoch_seconds=4.0
    )
    position.curve = [curve_point(position, 1.25, 0.1)]
    alone = Evaluation(np.array([20.0, 10.0]), np.array([10, 5]))
    entry = log_entry(position, alone, None, 0.5)
    with_memory = log_entry(position, alone, Evaluation(np.array([15.0]), np.array([15])), 0.5)
    assert list(with_memory) == list(LogEntry.__annotations__)
    assert with_memory == entry | {
        "memory_eval_loss": 1.0,
        "memory_eval_bits_per_byte": pytest.approx(1 / math.log(2)),
    }
    assert entry == {
        "epoch": 3,
        "step": 15,
        "train_loss": 1.5,
        "train_perplexity": math.exp(1.5),
        "eval_loss": 2.0,
        "eval_perplexity": math.exp(2.0),
        "eval_bits_per_byte": pytest.approx(2.0 / math.log(2)),
        "eval_bytes": 15,
        "learning_rate": 0.5,
        "tokens_per_second": 50.0,
        "seconds": 9.0,
        "curve": [
            {
                "step": 15,
                "loss": 1.25,
                "learning_rate": 0.1,
                "seconds": 9.0,
                "tokens_per_second": 50.0,
            }
        ],
    }
