"""A panel on matplotlib's axes, for figures that people compose themselves."""

import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipglass.report.geometry import LAYERS, Array, Geometry
from skipglass.report.series import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["STYLE", "draw_on"]

STYLE = Path(__file__).with_name("panel.mplstyle")

# how each shape of a layer is drawn from its columns
DRAW: dict[str, Callable[["Axes", dict[str, Array], dict[str, Any]], object]] = {
    "rect": lambda ax, c, look: ax.bar(
        c["left"], c["y"] - c["base"], c["right"] - c["left"], c["base"], align="edge", **look
    ),
    "rule": lambda ax, c, look: ax.vlines(c.get("middle", c["x"]), c["low"], c["high"], linewidth=1, **look),
    "area": lambda ax, c, look: ax.fill_between(
        c["x"], c["low"], c["high"], alpha=look.pop("fillOpacity"), lw=0, **look
    ),
    "line": lambda ax, c, look: ax.plot(c["x"], c["y"], **look),
    "point": lambda ax, c, look: ax.plot(c["x"], c["y"], "o", **look),
}


def draw_on(ax: "Axes", geometry: Geometry, drawn: Iterable[Series], title: str) -> None:
    """Draw series onto axes, with labels, rules and legend.

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
    ax.set_title(textwrap.fill(title, 54))
    for name, side in (("x", ax.xaxis), ("y", ax.yaxis)):
        axis, ticks = geometry.axes[name], geometry.ticks[name]
        scale = "log" if axis.log else "linear"
        ax.set(**{f"{name}label": axis.title, f"{name}scale": scale, f"{name}lim": geometry.limits[name]})
        if ticks:
            side.set_ticks(list(ticks), labels=list(ticks.values()))
            side.set_minor_formatter("")
    # the layers of each series, from back to front
    for series in drawn:
        columns = geometry.columns(series)
        for layer in filter(lambda layer: layer.shows(series), LAYERS):
            look = {"color": geometry.colors[series.name], **layer.look}
            look |= {"markersize": geometry.point_diameter} if layer.shape == "point" else {}
            look |= {"label": series.name} if "y" in layer.y else {}
            DRAW[layer.shape](ax, columns, look)
    _rules(ax, geometry)
    if len(geometry.names) > 1:
        _legend(ax, geometry)


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
    by_name = dict(zip(labels, handles, strict=True))
    below = ax.transAxes + ScaledTranslation(0, -0.46, ax.figure.dpi_scale_trans)
    ax.legend(
        [by_name[name] for name in geometry.legend], geometry.legend, loc="upper center", bbox_to_anchor=(0.5, 0),
        bbox_transform=below, ncols=geometry.legend_columns(70), borderaxespad=0, columnspacing=1.4, handlelength=1.4,
        title=geometry.color.title if geometry.color else None,
    )  # fmt: skip
