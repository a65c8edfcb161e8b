"""``training_report.png``: a run as curves, and the cycles of evolution with their intervals.

Drawn from ``training_log.json`` and ``evolution_stats.json`` with matplotlib, an extra. The picture
leaves out what the files lack or hold in another form; a run never fails because of its picture.
"""

import contextlib
import io
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from h2q.system.console import Console
from h2q.system.errors import UnusableInput
from h2q.system.files import read_json, write_bytes
from h2q.system.messages.catalogue import language, message_in
from h2q.system.paths import OutputPaths

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Entry = dict[str, Any]  # an object of JSON as a file has it, of any keys and values
Label = Callable[[str], str]  # from the key of a message to its words

# Families of fonts with the characters of our labels; most systems come with one of them.
_CHINESE_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei"),
    *("WenQuanYi Zen Hei", "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans GB"),
    *("Heiti SC", "STHeiti", "Arial Unicode MS", "Noto Sans CJK JP", "Noto Serif CJK SC"),
)
# Parts of the names of their files: the list of matplotlib lacks fonts that were installed later.
_CHINESE_FILES = ("cjk", "wqy", "notosanssc", "sourcehan", "msyh", "simhei", "pingfang", "heiti")
_WIDTH, _ROW_HEIGHT, _DPI = 10.0, 3.2, 120  # inches, dots an inch
_MEASURES = {"facts": 100.0, "prose": 1.0}  # primary measures: facts are drawn in per cent
_TRAINING, _HELDOUT, _KEPT, _REJECTED = "#7aa6d6", "#d1495b", "#2a9d5c", "#8a8a8a"
_MEMORY = "#8d5fb3"


def write_report(output: OutputPaths, console: Console) -> None:
    """Draws the report from the log and the statistics. Says where it is, or what to install."""
    log = _entries(output.training_log)
    history = _entries(output.evolution_stats, "history")
    if not log and not history:
        return
    try:
        with _quiet_matplotlib():
            figure = draw(log, history)
            picture = io.BytesIO()
            figure.savefig(picture, format="png", dpi=_DPI)
    except ModuleNotFoundError:
        console.say("report.missing")
        return
    write_bytes(output.report, picture.getvalue())
    console.say("report.written", path=output.report)


def draw(log: list[Entry], history: list[Entry]) -> "Figure":
    """A picture of loss, learning rate and speed over the log, and of the evolution."""
    from matplotlib.figure import Figure

    font = chinese_font() if language() == "zh" else None
    spoken = "zh" if font else "en"

    def label(key: str) -> str:
        return message_in(spoken, key)

    rows = 2 * bool(log) + bool(history)
    figure = Figure(figsize=(_WIDTH, _ROW_HEIGHT * rows), layout="constrained")
    grid = figure.add_gridspec(rows, 2)
    if log:
        _draw_loss(figure.add_subplot(grid[0, :]), log, label)
        _draw_rate(figure.add_subplot(grid[1, 0]), log, label)
        _draw_speed(figure.add_subplot(grid[1, 1]), log, label)
    if history:
        # Each measure has its own unit, and so a panel of its own.
        measured = [key for key in _MEASURES if any(e.get("primary") == key for e in history)]
        cells = grid[rows - 1, :].subgridspec(1, max(1, len(measured)))
        for column, measure in enumerate(measured or ["facts"]):
            _draw_evolution(figure.add_subplot(cells[0, column]), history, measure, label)
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    if font:
        _set_font(figure, font)
    return figure


def _draw_loss(axes: "Axes", log: list[Entry], label: Label) -> None:
    points, steps = _points(log), _column(log, "step")
    if points:
        axes.plot(
            _column(points, "step"),
            _column(points, "loss"),
            color=_TRAINING,
            alpha=0.5,
            linewidth=1,
            label=label("report.batches"),
        )
    axes.plot(steps, _column(log, "train_loss"), "o-", color=_TRAINING, label=label("report.train"))
    heldout = _column(log, "eval_loss")
    axes.plot(steps, heldout, "o-", color=_HELDOUT, label=label("report.heldout"))
    if any("memory_eval_loss" in entry for entry in log):
        together = _column(log, "memory_eval_loss")
        axes.plot(steps, together, "o-", color=_MEMORY, label=label("report.memory"))
    best = min(range(len(heldout)), key=lambda i: (math.isnan(heldout[i]), heldout[i]))
    axes.annotate(
        f"{heldout[best]:.4f}",
        (steps[best], heldout[best]),
        xytext=(0, -6),
        textcoords="offset points",
        ha="center",
        va="top",
        color=_HELDOUT,
    )
    axes.margins(y=0.15)
    axes.set(title=label("report.loss"), xlabel=label("report.step"), ylabel=label("report.nats"))
    axes.legend(frameon=False)


def _draw_rate(axes: "Axes", log: list[Entry], label: Label) -> None:
    points = sorted([*_points(log), *log], key=lambda point: point["step"])
    axes.plot(_column(points, "step"), _column(points, "learning_rate"), color=_TRAINING)
    axes.set(title=label("report.rate"), xlabel=label("report.step"))
    axes.set_ylim(bottom=0)


def _draw_speed(axes: "Axes", log: list[Entry], label: Label) -> None:
    points = sorted([*_points(log), *log], key=lambda point: point["step"])
    minutes = [seconds / 60 for seconds in _column(points, "seconds")]
    axes.plot(minutes, _column(points, "tokens_per_second"), ".-", color=_TRAINING)
    axes.set(title=label("report.speed"), xlabel=label("report.minutes"))
    axes.set_ylim(bottom=0)


def _draw_evolution(axes: "Axes", history: list[Entry], measure: str, label: Label) -> None:
    """How much better each challenger was in ``measure``, with its interval. The points of the
    challengers that were kept are filled."""
    for promoted, color, face, key in (
        (True, _KEPT, _KEPT, "report.promoted"),
        (False, _REJECTED, "white", "report.rejected"),
    ):
        gains = list(_gains(history, measure, promoted))
        if gains:
            cycles, means, below, above = zip(*gains, strict=True)
            axes.errorbar(
                cycles,
                means,
                yerr=[below, above],
                fmt="o",
                capsize=4,
                color=color,
                markerfacecolor=face,
                label=label(key),
            )
    axes.axhline(0, color="black", linewidth=0.8)
    locator = axes.xaxis.get_major_locator()
    locator.set_params(integer=True)  # type: ignore[call-arg]  # the locator is a MaxNLocator
    axes.set(title=label("report.evolution"), xlabel=label("report.cycle"))
    axes.set_ylabel(label(f"report.{measure}"))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)


def _gains(
    history: list[Entry], measure: str, promoted: bool
) -> Iterator[tuple[float, float, float, float]]:
    """The cycles that ``measure`` decided, those promoted or those not: the number of each, its
    gain, and how far the interval reaches below and above the gain."""
    scale = _MEASURES[measure]
    for number, entry in enumerate(history, start=1):
        difference = entry.get("difference")
        if bool(entry.get("promoted")) != promoted or not isinstance(difference, dict):
            continue
        # A difference below zero is a gain, so the ends of its interval change places.
        mean, low, high = (
            -scale * _number(difference.get(name)) for name in ("mean", "high", "low")
        )
        if entry.get("primary") == measure and math.isfinite(mean):
            # Too few facts for an interval: a point without bars.
            below = max(0.0, mean - low) if math.isfinite(low) else math.nan
            above = max(0.0, high - mean) if math.isfinite(high) else math.nan
            yield _number(entry.get("cycle", number)), mean, below, above


def chinese_font() -> str | None:
    """The file of an installed font that has the characters of all our labels."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    needed = {ord(c) for key in LABELS for c in message_in("zh", key) if not c.isascii()}
    by_name = {font.name: font.fname for font in reversed(font_manager.fontManager.ttflist)}
    paths = [by_name[name] for name in _CHINESE_FONTS if name in by_name]
    for path in paths or sorted(font_manager.findSystemFonts()):
        if not paths and not any(part in Path(path).name.lower() for part in _CHINESE_FILES):
            continue
        with contextlib.suppress(RuntimeError, OSError):
            if needed <= FT2Font(path).get_charmap().keys():
                return path
    return None


LABELS = (
    *("report.loss", "report.batches", "report.train", "report.heldout", "report.step"),
    *("report.nats", "report.rate", "report.speed", "report.minutes", "report.evolution"),
    *("report.promoted", "report.rejected", "report.cycle", "report.facts", "report.prose"),
)


def _set_font(figure: "Figure", path: str) -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if not text.get_text().isascii():
            text.set_fontproperties(FontProperties(fname=path, size=text.get_fontsize()))


def _entries(path: Path, key: str | None = None) -> list[Entry]:
    """The objects in the list of the file ``path``, or in its list ``key``; none if unusable."""
    try:
        found = read_json(path)
    except UnusableInput:
        return []
    if key is not None:
        found = found.get(key) if isinstance(found, dict) else None
    entries = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    if key is None:
        entries = [entry for entry in entries if math.isfinite(_number(entry.get("step")))]
    return entries


def _points(log: list[Entry]) -> list[Entry]:
    """The points of the curves of all epochs."""
    curves = (entry.get("curve") for entry in log)
    points = (point for curve in curves if isinstance(curve, list) for point in curve)
    return [p for p in points if isinstance(p, dict) and math.isfinite(_number(p.get("step")))]


def _column(entries: Sequence[Entry], name: str) -> list[float]:
    return [_number(entry.get(name)) for entry in entries]


def _number(value: object) -> float:
    """``value``, or NaN, which is not drawn."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return math.nan


@contextlib.contextmanager
def _quiet_matplotlib() -> Iterator[None]:
    """Hides the remarks of matplotlib on fonts and directories."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
