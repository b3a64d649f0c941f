"""Panels as figures for a paper: PNG and PDF, with the data beside each."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipglass import check
from skipglass.errors import InputError
from skipglass.record import output_folder, save, write_atomically
from skipglass.report.geometry import bar_base, bar_edges, limits, rule_offsets
from skipglass.report.palette import legend_names, series_colors
from skipglass.report.panel import Panel
from skipglass.report.series import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "figure_of", "grid", "save_figures", "save_grid"]

SIZE = (4.8, 3.5)
"""Inches: printed at the 3.4 in of a column, 10 pt text is still 7 pt."""

DPI = 150

HEADROOM = 0.22
"""The part of the height that upright rules have above the data for their labels."""

FEW = 50
"""A panel of up to so many points has large ones: our choice."""

STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10.5,
    "font.size": 9,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "pdf.fonttype": 42,  # text stays text: journals refuse Type 3 fonts
}


def draw(panel: Panel, ax: "Axes | None" = None, frame: int | None = None, caption: bool = False) -> "Axes":
    """Draw a panel with matplotlib.

    Parameters
    ----------
    panel
        What to draw.
    ax
        Where; a new figure if None.
    frame
        The index of the slider's frame; ``panel.shown`` if None.
    caption
        Whether the sentence that says how to read it stands below.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    import matplotlib as mpl

    frame = panel.default_frame if frame is None else frame
    if panel.slider is not None:
        check.integer("frame", frame, 0, len(panel.slider.values) - 1)
    with mpl.rc_context(STYLE):
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(figsize=SIZE, layout="constrained")[1]
        _frame_axes(panel, ax, frame)
        colors = series_colors(len(panel.names), panel.color is not None)
        for series, color in zip(panel.drawn(frame), colors, strict=True):
            _DRAW[panel.marks_of(series)](panel, series, ax, color)
        _rules(panel, ax)
        _legend(panel, ax)
        if caption:
            ax.figure.supxlabel(textwrap.fill(panel.how_to_read, 84), fontsize=8, x=0.02, ha="left", color="#444444")
    return ax


def save_figures(panel: Panel, folder: str | Path, caption: bool = False) -> list[Path]:
    """Write a panel as ``<name>.png`` and ``<name>.pdf``, and its data as ``<name>.nc``.

    Parameters
    ----------
    panel
        What to draw.
    folder
        Where; made if need be.
    caption
        Whether the sentence that says how to read it stands below.

    Returns
    -------
    list of Path
        The three files, each whole.
    """
    folder = output_folder(folder)
    figure = _figure(SIZE)
    draw(panel, _axes(figure), caption=caption)
    return [
        *_write(figure, folder, panel.name),
        save(panel.to_xarray(), folder / f"{panel.name}.nc", "panel"),
    ]


def figure_of(panel: Panel, caption: bool = False) -> "Figure":
    """A panel in a figure of its own, which pyplot does not know of."""
    figure = _figure(SIZE)
    draw(panel, _axes(figure), caption=caption)
    return figure


def grid(panels: Sequence[Panel], columns: int = 3) -> "Figure":
    """Draw several panels into one figure, row by row.

    Parameters
    ----------
    panels
        What to draw, at least one.
    columns
        Panels in a row.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    InputError
        If there is no panel.
    """
    if not panels:
        raise InputError("a grid needs at least one panel")
    columns = min(check.integer("columns", columns, 1), len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = _figure((SIZE[0] * columns, SIZE[1] * rows))
    for index, panel in enumerate(panels):
        draw(panel, _axes(figure, rows, columns, index + 1))
    return figure


def save_grid(panels: Sequence[Panel], folder: str | Path, name: str, columns: int = 3) -> list[Path]:
    """Write several panels as one ``<name>.png`` and ``<name>.pdf``; return the files."""
    return _write(grid(panels, columns), output_folder(folder), name)


def _figure(size: tuple[float, float]) -> "Figure":
    """A figure that pyplot does not know of, so that nothing stays open."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        return Figure(figsize=size, layout="constrained")


def _axes(figure: "Figure", *place: int) -> "Axes":
    """Axes born in our style: spines and grid are set at birth."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        return figure.add_subplot(*place)


def _write(figure: "Figure", folder: Path, name: str) -> list[Path]:
    import matplotlib as mpl

    files = [folder / f"{name}.png", folder / f"{name}.pdf"]
    for path in files:
        with write_atomically(path) as temporary, mpl.rc_context(STYLE):
            figure.savefig(temporary, dpi=DPI)
    return files


def _frame_axes(panel: Panel, ax: "Axes", frame: int) -> None:
    title = panel.title if panel.slider is None else f"{panel.title}, {panel.slider.label(frame)}"
    ax.set_title(textwrap.fill(title, 54), loc="left")
    ax.set(xlabel=panel.x.title, ylabel=panel.y.title)
    if panel.x.log:
        ax.set_xscale("log")
    if panel.y.log:
        ax.set_yscale("log")
    (left, right), (low, high) = limits(panel)
    if not panel.y.log and any(rule.axis == "x" for rule in panel.rules):
        high += HEADROOM * (high - low)
    ax.set(xlim=(left, right), ylim=(low, high))
    if panel.y.log and high < 100 * low:
        _plain_numbers(ax.yaxis)
    if not panel.x.log and all((np.asarray(series.x) % 1 == 0).all() for _, series in panel.everything()):
        _whole_numbers(ax.xaxis)


def _plain_numbers(axis: Any) -> None:
    """On two decades or less, 2 and 4 read better than 2 × 10⁰ and 4 × 10⁰."""
    from matplotlib.ticker import LogFormatter

    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.4)))


def _whole_numbers(axis: Any) -> None:
    """Layers and lengths are counted."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


def _line(panel: Panel, series: Series, ax: "Axes", color: str) -> None:
    ax.plot(series.x, series.y, color=color, label=series.name)
    if series.low is not None:
        ax.fill_between(series.x, series.low, series.high, color=color, alpha=0.2, linewidth=0)


def _bar(panel: Panel, series: Series, ax: "Axes", color: str) -> None:
    left, right = bar_edges(panel, series)
    base = bar_base(panel)
    ax.bar(left, series.y - base, right - left, base, align="edge", color=color, label=series.name)
    _whiskers(series, (left + right) / 2, ax, "#444444")


def _points(panel: Panel, series: Series, ax: "Axes", color: str) -> None:
    size = 8 if sum(int(np.isfinite(s.y).sum()) for s in panel.drawn()) <= FEW else 4.5
    ax.plot(series.x, series.y, "o", color=color, markersize=size, label=series.name)
    _whiskers(series, series.x, ax, color)


_DRAW = {"line": _line, "bar": _bar, "points": _points}


def _whiskers(series: Series, x: object, ax: "Axes", color: str) -> None:
    if series.low is not None:
        ax.vlines(x, series.low, series.high, color=color, linewidth=1)  # type: ignore[arg-type]


def _rules(panel: Panel, ax: "Axes") -> None:
    right_half = 0.6
    for rule, offset in zip(panel.rules, rule_offsets(panel), strict=True):
        if rule.axis == "y":
            ax.axhline(rule.value, color="#444444", linestyle="--", linewidth=1)
            ax.annotate(rule.label, (1, rule.value), (-2, 2), ("axes fraction", "data"), "offset points", ha="right")
            continue
        ax.axvline(rule.value, color="#444444", linestyle="--", linewidth=1)
        across = ax.transAxes.inverted().transform(ax.transData.transform((rule.value, 1)))[0]
        side, shift = ("right", -3) if across > right_half else ("left", 3)
        ax.annotate(
            rule.label, (rule.value, 1), (shift, -2 - 11 * offset), ("data", "axes fraction"),
            "offset points", ha=side, va="top",
        )  # fmt: skip


def _legend(panel: Panel, ax: "Axes") -> None:
    """The legend stands below the axis, where it hides no data."""
    from matplotlib.transforms import ScaledTranslation

    if len(panel.names) < 2:
        return
    wanted = legend_names(panel.names, panel.color is not None)
    handles, labels = ax.get_legend_handles_labels()
    kept = [(handle, label) for handle, label in zip(handles, labels, strict=True) if label in wanted]
    widest = max(len(label) for label in wanted) + 5
    below = ax.transAxes + ScaledTranslation(0, -0.46, ax.figure.dpi_scale_trans)
    ax.legend(
        *zip(*kept, strict=True), loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below,
        ncols=max(1, min(len(kept), 66 // widest)), title=panel.color.title if panel.color else None,
        borderaxespad=0, columnspacing=1.4, handlelength=1.4,
    )  # fmt: skip
