import json

import pytest

from h2q.evolution.statistics import read_stats, record, rejections_in_a_row
from h2q.system.errors import UnusableInput
from h2q.system.paths import EVOLUTION_STATS


def entry(promoted, improvement=0.0):
    return {"promoted": promoted, "improvement": improvement, "reason": "x"}


def test_there_is_nothing_before_the_first_cycle(tmp_path):
    stats = read_stats(tmp_path)
    assert list(stats) == [
        "total_evolutions",
        "successful_evolutions",
        "failed_evolutions",
        "average_improvement",
        "history",
    ]
    assert not any(stats.values())
    assert not (tmp_path / EVOLUTION_STATS).exists()


def test_cycles_are_counted_and_saved(tmp_path):
    stats = read_stats(tmp_path)
    for made in (entry(True, 0.5), entry(False), entry(True, 0.25)):
        record(stats, made, tmp_path)
    assert read_stats(tmp_path) == stats
    counts = [stats[f"{name}_evolutions"] for name in ("total", "successful", "failed")]
    assert counts == [3, 2, 1]
    assert stats["average_improvement"] == pytest.approx(0.25)
    assert [item["cycle"] for item in stats["history"]] == [1, 2, 3]
    assert next(iter(stats["history"][0])) == "cycle"


def test_keys_of_another_version_are_kept(tmp_path):
    stats = {**read_stats(tmp_path), "note": "mine"}
    (tmp_path / EVOLUTION_STATS).write_text(json.dumps(stats))
    record(read_stats(tmp_path), entry(False), tmp_path)
    assert json.loads((tmp_path / EVOLUTION_STATS).read_text())["note"] == "mine"


@pytest.mark.parametrize(
    "damage",
    [
        "[]",
        "{",
        '{"total_evolutions": "many"}',
        '{"total_evolutions": true, "successful_evolutions": 0, "failed_evolutions": 0,'
        ' "average_improvement": 0.0, "history": []}',
        '{"total_evolutions": 0, "successful_evolutions": 0, "failed_evolutions": 0,'
        ' "average_improvement": 0.0, "history": {}}',
    ],
)
def test_damaged_statistics_are_refused_not_overwritten(tmp_path, damage):
    (tmp_path / EVOLUTION_STATS).write_text(damage)
    with pytest.raises(UnusableInput, match=EVOLUTION_STATS):
        read_stats(tmp_path)
    assert (tmp_path / EVOLUTION_STATS).read_text() == damage


def test_rejections_are_counted_back_to_the_last_promotion_or_the_first_cycle():
    history = [
        {**entry(kept), "cycle": number}
        for number, kept in enumerate([False, True, False, False], start=1)
    ]
    assert rejections_in_a_row(history, 1) == 2
    assert rejections_in_a_row(history, 4) == 1
    assert rejections_in_a_row(history[:2], 1) == 0
    assert rejections_in_a_row([], 1) == 0
