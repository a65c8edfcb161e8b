import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from h2q.checkpoint.model_file import load_model
from h2q.evolution import challenger, lesson
from h2q.evolution.challenger import choose_weights
from h2q.evolution.examiner import Examiner
from h2q.evolution.records import Memory
from h2q.model.transformer import Transformer
from h2q.system.errors import TrainingDiverged
from h2q.system.files import sha256_of_file
from tests.evolution import evolution_driver as driver
from tests.evolution.conftest import cycle_of, plan_of


def test_what_is_saved_is_what_was_chosen(output, training_only):
    """Training changes nothing here: the file is the champion again, with the number of the cycle."""
    cycle = cycle_of(driver.engine(output), number=7)
    plan = plan_of(facts=["f0"], exposures=3, teaches_prose=False, primary="facts")
    made = challenger.train(cycle, plan)
    assert made.choice in made.dev_costs
    assert made.sha256 == sha256_of_file(cycle.paths.challenger)
    assert made.trained_bytes == sum(p.stat().st_size for p in cycle.paths.text.iterdir())
    model, provenance = load_model(cycle.paths.challenger)
    assert provenance == {**cycle.provenance, "evolution_cycle": 7}
    states = zip(model.state_dict().values(), cycle.champion.state_dict().values())
    assert all(torch.equal(new, old) for new, old in states)
    trunk = load_model(cycle.paths.trunk)[1]
    assert trunk["evolution_cycle"] == 7


@pytest.mark.parametrize("prose", [False, True])
def test_the_gate_of_the_memory_is_not_fitted_on_text_that_the_memory_holds(
    output, monkeypatch, prose
):
    fitted = []

    def fit_gate(model, memory, rows, dtype):
        fitted.extend(rows)
        return memory.gate

    monkeypatch.setattr(challenger, "fit_gate", fit_gate)
    cycle = cycle_of(driver.engine(output, prose=prose))
    assert cycle.champion.memory is not None
    cycle.paths.text.mkdir(parents=True)
    (cycle.paths.text / lesson.GENERATED_TEXT).write_bytes(b"a lesson " * 50)
    challenger._memory(cycle, cycle.champion)
    assert any(b"a lesson" in row for row in fitted) == (not prose)
    dev = cycle.setup.splits.prose["dev"]
    assert dev.read(0, 20) in b"".join(fitted)


def test_weights_that_forgot_are_not_chosen(output, monkeypatch):
    """If the trained weights forgot too much, mixtures with the champion are tried until one did
    not."""
    harms = iter([6, 5, 2, 1])  # of the last and the averaged weights, of two mixtures
    measure = challenger.cost_on_dev

    def forgetful(cycle, plan):
        cost = measure(cycle, plan)
        return lambda model: (cost(model)[0], next(harms))

    monkeypatch.setattr(challenger, "cost_on_dev", forgetful)
    stats = driver.engine(output, cycles=1).evolve()
    assert stats["history"][0]["choice"] == "mixed 20%"
    assert next(harms, None) is None


def candidates(config):
    """Models with the weights 0 (old), 1 (last) and 2 (averaged), and one to be filled."""
    models = [Transformer(config) for _ in range(4)]
    with torch.no_grad():
        for value, model in enumerate(models):
            for weight in model.parameters():
                weight.fill_(float(value))
    return models


def value_of(model):
    return next(model.parameters()).flatten()[0].item()


@pytest.mark.parametrize(
    ("costs", "choice"),
    [
        ({1.0: (3.0, 0.0), 2.0: (2.0, 0.5)}, "averaged"),  # the best of the safe ones
        ({1.0: (3.0, 0.0), 2.0: (2.0, 1.5)}, "last"),
        ({1.0: (3.0, 4), 2.0: (2.0, 5), 0.9: (9.0, 3), 0.8: (9.5, 2), 0.7: (8, 3)}, "mixed 20%"),
    ],
)
def test_the_best_safe_weights_are_chosen_or_the_least_harmful(tiny_model_config, costs, choice):
    old, last, averaged, model = candidates(tiny_model_config)
    states = [item.state_dict() for item in (old, last, averaged)]
    measured = {round(value, 3): cost for value, cost in costs.items()}
    name, found = choose_weights(model, *states, lambda m: measured[round(value_of(m), 3)])
    assert name == choice
    assert len(found) == len(costs)
    chosen = {"last": 1.0, "averaged": 2.0, "mixed 20%": 0.8}[choice]
    assert value_of(model) == pytest.approx(chosen)


def test_a_cost_that_is_not_finite_ends_the_cycle(tiny_model_config):
    old, last, averaged, model = candidates(tiny_model_config)
    states = [item.state_dict() for item in (old, last, averaged)]
    with pytest.raises(TrainingDiverged):
        choose_weights(model, *states, lambda _: (math.nan, 0.0))


def test_harm_is_a_share_of_what_the_gate_tolerates(output):
    cycle = cycle_of(driver.engine(output))
    bits = cycle.setup.examiner.prose(cycle.champion, "dev").bits_per_byte
    for dev, harm in ((bits, 0.0), (bits - 0.005, 1.0), (bits - 0.01, 2.0)):
        cost = challenger.cost_on_dev(cycle, plan_of(dev_bits_per_byte=dev))
        assert cost(cycle.champion) == (pytest.approx(bits), pytest.approx(harm, abs=1e-6))


def test_facts_that_were_forgotten_are_harm(output, monkeypatch):
    """Of ten facts learnt before, one may be forgotten."""
    right = iter([9, 9, 8, 6])  # of the champion, and of three models

    def answers(self, model, facts, split):
        return SimpleNamespace(correct=np.arange(len(facts)) < next(right))

    monkeypatch.setattr(Examiner, "facts", answers)
    memory = Memory(known={f"f{n}": True for n in range(10)})
    cycle = cycle_of(driver.engine(output), memory=memory)
    cost = challenger.cost_on_dev(cycle, plan_of())  # a champion far below 8 bits
    assert [cost(cycle.champion)[1] for _ in range(3)] == [0, 1, 3]
