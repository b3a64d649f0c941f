"""A panel on matplotlib's axes, for figures that people compose themselves."""

import textwrap
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from skipglass.report.geometry import LAYERS, Array, Geometry
from skipglass.report.series import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SIZE", "STYLE", "draw_on"]

SIZE = (4.8, 3.5)
"""Inches: printed at the 3.4 in of a column, 10 pt text is still 7 pt."""

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

DRAW: dict[str, Callable[["Axes", dict[str, Array], dict[str, Any]], object]] = {
    "rect": lambda ax, c, look: ax.bar(
        c["left"], c["y"] - c["base"], c["right"] - c["left"], c["base"], align="edge", **look
    ),
    "rule": lambda ax, c, look: ax.vlines(c.get("middle", c["x"]), c["low"], c["high"], linewidth=1, **look),
    "area": lambda ax, c, look: ax.fill_between(c["x"], c["low"], c["high"], alpha=look.pop("opacity"), lw=0, **look),
    "line": lambda ax, c, look: ax.plot(c["x"], c["y"], **look),
    "point": lambda ax, c, look: ax.plot(c["x"], c["y"], "o", **look),
}
"""How each shape of a layer is drawn from its columns."""


def draw_on(ax: "Axes", geometry: Geometry, drawn: Iterable[tuple[str, Series]], title: str) -> None:
    """Draw series, each with its style, onto axes, with labels, rules and legend.

    Parameters
    ----------
    ax
        Where to draw.
    geometry
        Of the panel.
    drawn
        The series on show.
    title
        Of the axes.
    """
    _scales(ax, geometry)
    ax.set_title(textwrap.fill(title, 54), loc="left")
    # the layers of each series, from back to front
    for style, series in drawn:
        columns = geometry.columns(style, series)
        for layer in LAYERS:
            if layer.style == style and layer.needs in columns:
                look = {"color": geometry.colors[series.name], **layer.look}
                look |= {"markersize": geometry.point_diameter} if layer.shape == "point" else {}
                look |= {"label": series.name} if layer.needs == "y" else {}
                DRAW[layer.shape](ax, columns, look)
    _rules(ax, geometry)
    if len(geometry.names) > 1:
        _legend(ax, geometry)


def _scales(ax: "Axes", geometry: Geometry) -> None:
    from matplotlib.ticker import LogFormatter, MaxNLocator

    x, y = geometry.x, geometry.y
    ax.set(xscale="log" if x.log else "linear", yscale="log" if y.log else "linear")
    ax.set(xlabel=x.title, ylabel=y.title, xlim=geometry.limits[0], ylim=geometry.limits[1])
    low, high = geometry.limits[1]
    # on two decades, 2 and 4 read better than 2 × 10⁰ and 4 × 10⁰
    if y.log and high < 100 * low:
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.4)))
    if geometry.counted:
        ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


def _rules(ax: "Axes", geometry: Geometry) -> None:
    look: dict[str, Any] = {"color": "#444444", "linestyle": "--", "linewidth": 1}
    for rule, side, line in geometry.rule_labels():
        # the label of a level rule stands above its right end, that of an upright one beside its top
        if rule.axis == "y":
            ax.axhline(rule.value, **look)
            ax.annotate(rule.label, (1, rule.value), (-2, 2), ("axes fraction", "data"), "offset points", ha=side)
        else:
            ax.axvline(rule.value, **look)
            shift = (-3 if side == "right" else 3, -2 - 11 * line)
            top = ("data", "axes fraction")
            ax.annotate(rule.label, (rule.value, 1), shift, top, "offset points", ha=side, va="top")


def _legend(ax: "Axes", geometry: Geometry) -> None:
    """A legend below the label of the axis, where it hides no data."""
    from matplotlib.transforms import ScaledTranslation

    handles, labels = ax.get_legend_handles_labels()
    found = dict(zip(labels, handles, strict=True))
    below = ax.transAxes + ScaledTranslation(0, -0.46, ax.figure.dpi_scale_trans)
    ax.legend(
        [found[name] for name in geometry.legend], geometry.legend, loc="upper center", bbox_to_anchor=(0.5, 0),
        bbox_transform=below, ncols=max(1, min(len(geometry.legend), 66 // (max(map(len, geometry.legend)) + 5))),
        title=geometry.color.title if geometry.color else None, borderaxespad=0, columnspacing=1.4, handlelength=1.4,
    )  # fmt: skip
