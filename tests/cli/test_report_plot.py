"""The picture of a run: what is drawn, and that nothing is missing."""

import json
import logging
import math
import os
import sys
import warnings

import pytest

from h2q.cli import report_plot
from h2q.system.console import Console
from h2q.system.messages import catalogue
from h2q.system.paths import EVOLUTION_STATS, REPORT, TRAINING_LOG, OutputPaths

pytest.importorskip("matplotlib")


def epoch(number: int) -> dict:
    point = {"loss": 4.0, "learning_rate": 1e-4, "tokens_per_second": 900.0}
    curve = [{**point, "step": 80 * number - 40, "seconds": 60.0 * number - 30}]
    return {
        "epoch": number,
        "step": 80 * number,
        "train_loss": 4.0 / number,
        "eval_loss": 5.0 / number if number < 3 else 3.0,
        "learning_rate": 1e-4 / number,
        "seconds": 60.0 * number,
        "tokens_per_second": 1000.0,
        "curve": curve,
    }


def cycle(
    number: int, promoted: bool, mean: float, low: float, high: float, primary: str = "prose"
) -> dict:
    difference = {"mean": mean, "low": low, "high": high}
    return {"cycle": number, "promoted": promoted, "difference": difference, "primary": primary}


LOG = [epoch(number) for number in (1, 2, 3)]
HISTORY = [
    cycle(1, True, -0.02, -0.03, -0.01),
    cycle(2, False, 0.004, -0.001, 0.01),
    {"cycle": 3, "promoted": False, "reason": "failed"},
]


def drawn(log, history):
    """The figure; a character without a glyph, or any other warning, fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = report_plot.draw(log, history)
        figure.savefig(os.devnull, format="png")
    return figure


def texts(figure) -> str:
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_curves_are_those_of_the_log():
    loss, rate, speed = drawn(LOG, []).axes
    batches, train_line, heldout = loss.lines
    assert batches.get_xydata().tolist() == [[40, 4.0], [120, 4.0], [200, 4.0]]
    assert train_line.get_ydata().tolist() == [4.0, 2.0, pytest.approx(4 / 3)]
    assert heldout.get_xydata().tolist() == [[80, 5.0], [160, 2.5], [240, 3.0]]
    assert "2.5000" in [text.get_text() for text in loss.texts]  # the best
    assert rate.lines[0].get_xdata().tolist() == [40, 80, 120, 160, 200, 240]
    assert speed.lines[0].get_xydata().tolist()[:2] == [[0.5, 900.0], [1.0, 1000.0]]


def test_the_losses_with_the_memory_are_drawn_beside_the_others():
    log = [{**entry, "memory_eval_loss": 1.5} for entry in LOG]
    *_, together = drawn(log, []).axes[0].lines
    assert together.get_ydata().tolist() == [1.5] * len(LOG)


def test_cycles_are_drawn_with_their_intervals():
    """Up means better, so the difference of the losses changes its sign."""
    (axes,) = drawn([], HISTORY).axes
    kept, rejected = axes.containers
    for container, mean, low, high in ((kept, 0.02, 0.01, 0.03), (rejected, -0.004, -0.01, 0.001)):
        line, _, (bars,) = container
        assert line.get_ydata().tolist() == [mean]
        ((_, bottom), (_, top)) = bars.get_segments()[0]
        assert (bottom, top) == (pytest.approx(low), pytest.approx(high))
    assert kept[0].get_markerfacecolor() != rejected[0].get_markerfacecolor()


def test_each_measure_has_a_panel_in_its_own_unit():
    facts, prose = drawn([], [*HISTORY, cycle(4, True, -0.25, -0.5, -0.125, "facts")]).axes
    (kept,) = facts.containers
    assert kept[0].get_ydata().tolist() == [25.0]  # points
    assert [len(container[0].get_ydata()) for container in prose.containers] == [1, 1]
    assert facts.get_ylabel() != prose.get_ylabel()


def test_chinese_labels_where_a_font_has_them():
    figure = drawn(LOG, HISTORY)
    if report_plot.chinese_font() is None:
        pytest.skip("no Chinese font is installed")
    assert "学习率" in texts(figure) and "未采用" in texts(figure)


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_english_labels_where_no_font_has_chinese(monkeypatch, language):
    catalogue.set_language(language)
    monkeypatch.setattr(report_plot, "chinese_font", lambda: None)
    said = texts(drawn(LOG, HISTORY))
    assert "Learning rate" in said
    assert said.replace("\N{MINUS SIGN}", "-").isascii()


def test_a_font_must_have_every_character(monkeypatch):
    from matplotlib import font_manager

    found = next(f for f in font_manager.fontManager.ttflist if "DejaVu Sans" in f.name)
    monkeypatch.setattr(report_plot, "_CHINESE_FONTS", (found.name,))
    assert report_plot.chinese_font() is None


def test_every_label_is_looked_up_in_the_font(monkeypatch):
    used = set()
    speak = report_plot.message_in
    monkeypatch.setattr(
        report_plot, "message_in", lambda lang, key: used.add(key) or speak(lang, key)
    )
    monkeypatch.setattr(report_plot, "chinese_font", lambda: None)
    report_plot.draw(LOG, [*HISTORY, cycle(4, True, -0.25, -0.5, -0.125, "facts")])
    assert used == set(report_plot.LABELS)


@pytest.mark.parametrize(
    ("log", "history"),
    [
        ([{"step": 1}], [{}]),
        ([{"epoch": 1, "step": 3, "train_loss": "x", "curve": [3, {}, {"step": None}]}], []),
        ([{**epoch(1), "curve": 7}], [{"promoted": 3, "difference": {"mean": "x"}}]),
        ([epoch(1)], [{"difference": {"mean": 0.1, "low": None, "high": None}}]),
        ([epoch(1), {**epoch(2), "step": 10**400, "train_loss": 10**400}], []),
        (["x", None, {"step": True}], ["x"]),
        ({}, {}),
    ],
)
def test_what_is_not_as_it_should_be_is_left_out(tmp_path, log, history, capsys):
    (tmp_path / TRAINING_LOG).write_text(json.dumps(log))
    (tmp_path / EVOLUTION_STATS).write_text(json.dumps({"history": history}))
    report_plot.write_report(OutputPaths(tmp_path), Console())
    said = capsys.readouterr()
    assert said.err == ""
    assert (REPORT in said.out) == (tmp_path / REPORT).exists()


def test_damaged_files_leave_no_picture(tmp_path):
    (tmp_path / TRAINING_LOG).write_text("rubbish")
    (tmp_path / EVOLUTION_STATS).write_text("[]")
    report_plot.write_report(OutputPaths(tmp_path), Console())
    assert not (tmp_path / REPORT).exists()


def test_a_number_that_is_none_is_not_drawn():
    assert [report_plot._number(value) for value in (1, 2.5)] == [1.0, 2.5]
    assert all(math.isnan(report_plot._number(value)) for value in (True, "1", None, [1]))


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    (tmp_path / TRAINING_LOG).write_text(json.dumps(LOG))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    report_plot.write_report(OutputPaths(tmp_path), Console())
    assert "pip install matplotlib" in capsys.readouterr().out
    assert not (tmp_path / REPORT).exists()


@pytest.mark.parametrize("history", [[], HISTORY])
def test_the_picture_is_written_and_named(tmp_path, capsys, history):
    paths = OutputPaths(tmp_path)
    paths.training_log.write_text(json.dumps(LOG))
    if history:
        paths.evolution_stats.write_text(json.dumps({"history": history}))
    logger = logging.getLogger("matplotlib")
    before = logger.level
    report_plot.write_report(paths, Console())
    assert paths.report.read_bytes().startswith(b"\x89PNG")
    assert str(paths.report) in capsys.readouterr().out
    assert logger.level == before


def test_without_a_run_there_is_no_picture(tmp_path, capsys):
    report_plot.write_report(OutputPaths(tmp_path), Console())
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


def test_a_gain_is_a_difference_turned_round():
    """The challenger's loss less the champion's is below zero where the challenger is better."""
    history = [
        cycle(1, True, -0.25, -0.5, -0.125),
        cycle(2, True, -0.25, -0.5, -0.125, "facts"),
        {**cycle(5, True, 1.0, 0.0, 2.0), "difference": {"mean": 0.5}},
        cycle(6, False, -1.0, -2.0, 0.0),
    ]
    first, second = report_plot._gains(history, "prose", True)
    assert first == (1.0, 0.25, 0.125, 0.25)
    assert second[:2] == (5.0, -0.5) and all(map(math.isnan, second[2:]))
    assert list(report_plot._gains(history, "facts", True)) == [(2.0, 25.0, 12.5, 25.0)]
