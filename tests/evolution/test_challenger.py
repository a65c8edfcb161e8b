import copy
import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from h2q.checkpoint.model_file import load_model
from h2q.config import TrainingConfig
from h2q.evolution import challenger, comparison, lesson
from h2q.evolution.challenger import Recipe, challenger_config, choose_weights, recipe_of
from h2q.evolution.context import Course
from h2q.evolution.examiner import Examiner
from h2q.evolution.records import Memory, Verdict
from h2q.model.transformer import Transformer
from h2q.system.errors import Interrupted, TrainingDiverged
from h2q.system.files import sha256_of_file
from h2q.training.trainer import LocalModelTrainer
from tests.evolution import evolution_driver as driver
from tests.evolution.conftest import cycle_of, interrupt, plan_of


def test_settings_are_those_of_the_base_but_for_the_recipe():
    base = TrainingConfig(batch_size=8, clip_norm=0.7, validation_fraction=0.1)
    config = challenger_config(Recipe(base, 1e-3, seed=5), 512 * 4 * 100, 512)
    assert (config.clip_norm, config.batch_size, config.epochs, config.seed) == (0.7, 4, 1, 5)
    assert (config.lr, config.muon_lr) == (1e-3, pytest.approx(6e-4))
    assert config.warmup_steps == 5  # of 100
    assert config.short_fraction == 1.0
    assert config.validation_fraction == 0.0
    assert challenger_config(Recipe(base, 1e-3, seed=5), 10_000, 256).short_fraction == 0.0


def test_facts_have_a_recipe_of_their_own(output):
    cycle = cycle_of(driver.engine(output), course=Course(1, 3))
    recipe = recipe_of(cycle, plan_of(facts=["f0"], primary="facts"))
    assert (recipe.lr, recipe.min_lr_ratio) == (driver.CONFIG.lr, 0.0)
    assert recipe.weight_decay != driver.TRAINING.weight_decay


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


def test_the_rate_of_a_course_falls_once_and_what_it_left_is_taken_up(output, monkeypatch):
    made = []

    def trained(cycle, start, recipe):
        made.append((recipe, start.output.bias[7].item()))
        trained = copy.deepcopy(start)
        with torch.no_grad():
            trained.output.bias[7] += 1
        return trained, trained.state_dict()

    rejected = {"promoted": False, "improvement": 0.0, "reason": "x", "primary": "prose"}
    monkeypatch.setattr(challenger, "_trained", trained)
    monkeypatch.setattr(
        comparison,
        "compare",
        lambda *_: Verdict(entry=rejected, known={}, retained={}, prose=[]),
    )
    driver.engine(output, cycles=5, prose=True).evolve()
    first = made[0][1]
    assert [bias - first for _, bias in made] == pytest.approx([0, 1, 2, 0, 1])
    lr = driver.CONFIG.lr
    ends = [(recipe.lr, recipe.lr * recipe.min_lr_ratio) for recipe, _ in made]
    assert ends[:3] == [pytest.approx(pair) for pair in pairwise([lr, lr * 2 / 3, lr / 3, 0])]
    assert ends[3:] == [pytest.approx(pair) for pair in pairwise([lr / 2, lr / 4, 0])]  # halved
    assert {recipe.weight_decay for recipe, _ in made} == {driver.TRAINING.weight_decay}


def test_the_champion_teaches_what_is_replayed_and_nothing_else(output, monkeypatch):
    seen = {}

    class Watched(LocalModelTrainer):
        def __init__(self, corpus, *others, **options):
            super().__init__(corpus, *others, **options)
            seen.update(vars(options["fine_tuning"]), train=corpus.train)

        train = interrupt

    monkeypatch.setattr(challenger, "LocalModelTrainer", Watched)
    engine = driver.engine(output)
    with pytest.raises(Interrupted):
        engine.evolve()
    text = engine.paths.cycle(1).text
    generated, replayed = ((text / f"{n}.txt").read_bytes() for n in ("generated", "replayed"))
    assert seen["train"].read(0, len(generated)) == generated
    assert seen["train"].read(seen["replay_from"], len(replayed)) == replayed
    champion = load_model(engine.paths.model)[0].state_dict()
    assert not seen["teacher"].training
    assert all(torch.equal(w, champion[n]) for n, w in seen["teacher"].state_dict().items())


def test_what_is_saved_is_what_was_chosen(output, training_only):
    """Training changes nothing here: the file is the champion again, with the number of the cycle."""
    cycle = cycle_of(driver.engine(output), number=7)
    plan = plan_of(facts=["f0"], exposures=3, teaches_prose=False, primary="facts")
    lesson.write(cycle, plan)
    made = challenger.train(cycle, plan)
    assert made.choice in made.dev_costs
    assert made.sha256 == sha256_of_file(cycle.paths.challenger)
    assert made.trained_bytes == sum(p.stat().st_size for p in cycle.paths.text.iterdir())
    model, provenance = load_model(cycle.paths.challenger)
    assert provenance == {**cycle.provenance, "evolution_cycle": 7}
    states = zip(model.state_dict().values(), cycle.champion.state_dict().values())
    assert all(torch.equal(new, old) for new, old in states)
    assert not cycle.paths.trunk.exists()  # only of prose


def test_a_trunk_of_another_course_is_not_taken_up(output):
    engine = driver.engine(output, prose=True)
    model, provenance = load_model(engine.paths.model)
    for left_by, found in ((4, True), (3, False)):
        trunk = {**provenance, "evolution_cycle": left_by}
        challenger.save_model(engine.paths.trunk, model, trunk)
        cycle = cycle_of(engine, number=5, course=Course(1, 3))
        assert (challenger._trunk(cycle) is not None) == found
    cycle = cycle_of(engine, number=4, course=Course(0, 3))
    assert challenger._trunk(cycle) is None


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
