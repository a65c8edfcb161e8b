from dataclasses import replace

import pytest

from h2q.config import EvolutionConfig
from h2q.evolution.adaptation import adapted

CONFIG = EvolutionConfig(exposures=100, lr=1.5e-2, replay_fraction=0.2)


def rejected(*reasons):
    return [
        {"cycle": number, "promoted": False, "improvement": 0.0, "reason": reason}
        for number, reason in enumerate(reasons, start=1)
    ]


def learnt(*matches):
    return [
        {"cycle": number, "promoted": True, "facts": 9, "trained_cost": 1 - match}
        for number, match in enumerate(matches, start=1)
    ]


def test_without_a_history_the_settings_stay():
    assert adapted(CONFIG, [], 1) == CONFIG


def test_rejections_change_the_mix():
    config = adapted(CONFIG, rejected("gate.prose_worse", "gate.not_better", "x"), 1)
    assert config.replay_fraction == pytest.approx(CONFIG.replay_fraction + 0.15)
    assert config.exposures == 225
    assert config.lr == CONFIG.lr / 2


def test_a_share_of_replay_above_the_usual_most_stays():
    config = replace(CONFIG, replay_fraction=0.9)
    assert adapted(config, rejected("gate.prose_worse"), 1) == config


def test_what_was_forgotten_is_reviewed_more():
    history = rejected(*3 * ["gate.forgotten"])
    shares = [adapted(CONFIG, history[:count], 1).review_fraction for count in (1, 2, 3)]
    assert shares == pytest.approx([0.8, 0.9, 0.9])


def test_only_rejections_of_this_call_that_nothing_followed_count():
    history = rejected("gate.prose_worse", "gate.prose_worse")
    assert adapted(CONFIG, history, 3) == CONFIG
    assert adapted(CONFIG, history, 2).replay_fraction == pytest.approx(0.35)
    kept = {"cycle": 3, "promoted": True, "improvement": 0.1, "reason": "gate.better"}
    assert adapted(CONFIG, [*history, kept], 1) == CONFIG


def test_facts_need_fewer_exposures_where_most_were_learnt():
    history = learnt(0.7, 0.8, 0.5, 1.0, 1.0, 1.0)
    configs = [adapted(CONFIG, history[:count], 1) for count in range(1, 7)]
    assert [config.exposures for config in configs] == [100, 50, 100, 50, 25, 20]
    lr = CONFIG.lr
    assert [config.lr for config in configs] == [lr, lr / 2, lr, lr / 2, lr / 2, lr / 2]


def test_an_entry_of_the_version_before_counts_as_not_learnt():
    old = {"cycle": 1, "promoted": True, "improvement": 0.5, "facts": 9}
    assert adapted(CONFIG, [old], 1) == CONFIG
