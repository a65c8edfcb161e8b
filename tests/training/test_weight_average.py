"""The mean of weights over many steps."""

import pytest
import torch

from h2q.training.weight_average import WeightAverage


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"a": torch.full((2, 3), value), "b": torch.tensor([value])}


@pytest.fixture
def average():
    average = WeightAverage()
    for value in (1.0, 2.0, 6.0):
        average.add(weights(value))
    return average


def test_the_mean_of_what_was_added(average):
    mean = average.mean()
    assert mean.keys() == weights(0).keys()
    assert all(torch.equal(mean[name], weights(3.0)[name]) for name in mean)


def test_nothing_added_has_no_mean_and_no_state():
    average = WeightAverage()
    assert average.mean() is None
    assert average.state() == {}
    average.load_state({}, weights(0))
    assert average.mean() is None


def test_weights_are_added_as_they_are_now():
    average, changing = WeightAverage(), weights(1.0)
    average.add(changing)
    changing["a"].fill_(9.0)
    assert torch.equal(average.mean()["a"], weights(1.0)["a"])


def test_state_goes_on_where_it_was(average):
    again = WeightAverage()
    saved = {name: value.clone() for name, value in average.state().items()}
    again.load_state(saved, weights(0))
    for each in (average, again):
        each.add(weights(7.0))
    assert torch.equal(again.mean()["a"], weights(4.0)["a"])
    assert torch.equal(average.mean()["a"], again.mean()["a"])


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("steps"),
        lambda state: state.update(steps=torch.tensor(0)),
        lambda state: state.pop("a"),
        lambda state: state.update(a=torch.ones(3, 2)),
        lambda state: state.update(c=torch.ones(1)),
    ],
    ids=["no steps", "0 steps", "missing", "shape", "more"],
)
def test_state_of_another_model_is_refused(average, change):
    state = average.state()
    change(state)
    with pytest.raises(ValueError):
        WeightAverage().load_state(state, weights(0))
