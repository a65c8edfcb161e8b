"""What a run would cost, by a clock that only steps move."""

from dataclasses import replace

import pytest

from h2q.training.cost import checkpoint_bytes, time_steps
from tests.training.conftest import CONFIG, Clock


def test_timed_steps(make_trainer, monkeypatch, tmp_path):
    trainer = make_trainer()
    Clock(monkeypatch, trainer, [500.0, 1.0, 2.0, 3.0])
    assert time_steps(trainer, 3) == 2.0
    weights = 4 * trainer.model.parameter_count()
    assert checkpoint_bytes(trainer) == pytest.approx(3 * weights, rel=0.01)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "growth, minutes, share",
    [
        ({"growth_fraction": 0.5}, 0.0, 0.75),
        ({"growth_fraction": 0.5, "growth_epochs": 1}, 0.0, 1.0),
        ({"growth_fraction": 0.5}, 1.0, 2 / 3),
    ],
)
def test_cost_of_a_run_whose_layers_join_late(make_trainer, monkeypatch, growth, minutes, share):
    """If one of 2 layers is trained for half of the steps, the cost is 3/4. In half of the time,
    one layer makes twice as many steps as both would."""
    config = replace(CONFIG, **growth, max_minutes=minutes)
    trainer = make_trainer(config)
    Clock(monkeypatch, trainer, [500.0, 1.0, 2.0, 3.0])
    assert time_steps(trainer, 3) == pytest.approx(2.0 * share)
    assert trainer.model.layers[1].feedforward_output.weight.any()  # all layers were timed
