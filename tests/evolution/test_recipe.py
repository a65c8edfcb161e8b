from dataclasses import replace

import pytest

from h2q.config import TrainingConfig
from h2q.evolution.context import Course
from h2q.evolution.recipe import Recipe, challenger_config, recipe_of
from tests.evolution import evolution_driver as driver
from tests.evolution.conftest import cycle_of, plan_of


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
    falling = recipe_of(cycle, plan_of(primary="facts"), (0.5, 0.125))
    assert (falling.lr, falling.min_lr_ratio) == (driver.CONFIG.lr / 2, 0.25)


def test_every_round_has_a_seed_of_its_own(output):
    cycle, plan = cycle_of(driver.engine(output)), plan_of(facts=["f0"], primary="facts")
    seeds = {
        recipe_of(replace(cycle, number=number, round=turn), plan).seed
        for number in (1, 2, 3)
        for turn in (1, 2, 3)
    }
    assert len(seeds) == 9
