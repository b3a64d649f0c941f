"""Where the marks of a panel stand and how they are coloured: computed once, for the page and for matplotlib alike.

A *layer* is one kind of mark for the series of one style: the bands of lines, say. `LAYERS` lists them from back to
front, with the columns that each reads; `Geometry.columns` gives these columns for a series.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipglass.report.series import Axis, Rule, Series

__all__ = ["CATEGORIES", "LAYERS", "Geometry", "Layer"]

Array = NDArray[np.float64]
CATEGORIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C")
"""Okabe & Ito (2008), the strongest on white first; grey for their black, which a dark page would hide."""

ENTRIES = 6  # of the legend of an ordered sequence: our choice, what a 3.4 inch figure holds
FEW = 50  # a panel of up to so many points has large ones: our choice
BAR_FILL = 0.86  # of the distance between neighbours, filled by bars: our choice
MARGIN = 0.04  # free space beyond the data, as a part of their range: our choice
HEADROOM = 0.22  # of the height, above the data, for the labels of upright rules
RIGHT = 0.6  # beyond this part of the width, the label of an upright rule stands on its left


@dataclass(frozen=True)
class Layer:
    """One kind of mark: for the series of which style, of which shape, from which columns."""

    name: str
    style: str
    shape: str
    x: tuple[str, ...]
    y: tuple[str, ...]
    needs: str = "y"
    look: dict[str, Any] = field(default_factory=dict)


LAYERS = (
    Layer("bars", "bar", "rect", ("left", "right"), ("y", "base")),
    Layer("whiskers", "bar", "rule", ("middle",), ("low", "high"), "low", {"color": "#555555"}),
    Layer("bands", "line", "area", ("x",), ("low", "high"), "low", {"opacity": 0.2}),
    Layer("lines", "line", "line", ("x",), ("y",)),
    Layer("spread", "points", "rule", ("x",), ("low", "high"), "low"),
    Layer("dots", "points", "point", ("x",), ("y",)),
)


@dataclass(frozen=True, eq=False)
class Geometry:
    """The places and colours of a panel.

    Attributes
    ----------
    x, y, color
        The axes, and what an ordered sequence of series runs over.
    everything
        Each series of every frame with its style, so that a slider moves the data and not the axes.
    names
        The series that stand side by side, in the order of their colours.
    rules
        Reference lines.
    """

    x: Axis
    y: Axis
    color: Axis | None
    everything: tuple[tuple[str, Series], ...]
    names: tuple[str, ...]
    rules: tuple[Rule, ...]

    @cached_property
    def limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The range of both axes."""
        across, up = [], []
        for style, series in self.everything:
            across += list(self._edges(series)) if style == "bar" else [series.x]
            up += [column for column in (series.y, series.low, series.high) if column is not None]
        if self._bars and not self.y.log:
            up.append(np.zeros(1))
        upright = [rule.value for rule in self.rules if rule.axis == "x"]
        level = [rule.value for rule in self.rules if rule.axis == "y"]
        low, high = _range(self.y, [*up, np.array(level)], MARGIN)
        if upright and not self.y.log:
            high += HEADROOM * (high - low)
        tight = 0.01 if self._bars and not self.x.zero else MARGIN
        return _range(self.x, [*across, np.array(upright)], tight), (low, high)

    @cached_property
    def colors(self) -> dict[str, str]:
        """One colour per series: categories, or viridis from dark to light for an ordered sequence."""
        if self.color is None:
            return dict(zip(self.names, CATEGORIES, strict=False))
        from matplotlib import colormaps
        from matplotlib.colors import to_hex

        # viridis ends in a yellow that white swallows, and begins in a purple that a dark page does
        steps = 0.08 + 0.82 * np.arange(len(self.names)) / max(len(self.names) - 1, 1)
        return {name: to_hex(colormaps["viridis"](step)) for name, step in zip(self.names, steps, strict=True)}

    @property
    def legend(self) -> list[str]:
        """The names that a legend shows: all of a few, evenly spaced ones of a long ordered sequence."""
        last = len(self.names) - 1
        if self.color is None or last < ENTRIES:
            return list(self.names)
        return [self.names[round(i * last / (ENTRIES - 1))] for i in range(ENTRIES)]

    @cached_property
    def point_diameter(self) -> float:
        """Of a dot, in points: fewer are larger."""
        dots = sum(int(np.isfinite(s.y).sum()) for style, s in self.everything if style == "points")
        return 8.0 if dots <= FEW else 4.5

    @property
    def counted(self) -> bool:
        """Whether x counts something, so that its ticks are whole numbers."""
        return not self.x.log and all((series.x % 1 == 0).all() for _, series in self.everything)

    def columns(self, style: str, series: Series) -> dict[str, Array]:
        """The columns that the layers of a style read."""
        found = {name: getattr(series, name) for name in ("x", "y", "low", "high")}
        if style == "bar":
            found["left"], found["right"] = self._edges(series)
            found["middle"] = (found["left"] + found["right"]) / 2
            # bars begin at zero, or at the foot of a logarithmic axis
            found["base"] = np.full(series.x.size, self.limits[1][0] if self.y.log else 0.0)
        return {name: column for name, column in found.items() if column is not None}

    def rule_labels(self) -> list[tuple[Rule, str, int]]:
        """Each rule, the side of it on which its label ends, and the line of text that keeps labels apart."""
        placed, line = [], 0
        for rule in self.rules:
            low, high = self.limits[0]
            value = rule.value
            if self.x.log and rule.axis == "x":
                value, low, high = math.log(value), math.log(low), math.log(high)
            right = rule.axis == "y" or (value - low) / (high - low) > RIGHT
            placed.append((rule, "right" if right else "left", line if rule.axis == "x" else 0))
            line += rule.axis == "x"
        return placed

    @cached_property
    def _bars(self) -> list[str]:
        """The names of the series that share the places of bars, side by side."""
        return list(dict.fromkeys(series.name for style, series in self.everything if style == "bar"))

    @cached_property
    def _bar_width(self) -> float:
        positions = np.unique(np.concatenate([s.x for style, s in self.everything if style == "bar"]))
        steps = np.diff(np.log(positions) if self.x.log else positions)
        return BAR_FILL * float(steps.min(initial=np.inf) if steps.size else 1.0) / len(self._bars)

    def _edges(self, series: Series) -> tuple[Array, Array]:
        """The left and right edges of a series' bars."""
        place = self._bars.index(series.name) - len(self._bars) / 2
        left = (np.log(series.x) if self.x.log else series.x) + self._bar_width * place
        right = left + self._bar_width
        return (np.exp(left), np.exp(right)) if self.x.log else (left, right)


def _range(axis: Axis, columns: list[Array], margin: float) -> tuple[float, float]:
    values = np.concatenate(columns)
    values = values[np.isfinite(values)]
    if axis.zero:
        values = np.append(values, 0.0)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if axis.log:
        low, high = math.log10(low), math.log10(high)
    pad = margin * (high - low) or 0.5 * (abs(high) or 1.0)
    # a zero that ends the data is an edge to stand on, not a point that needs room
    low -= 0.0 if low == 0 and not axis.log else pad
    high += 0.0 if high == 0 > low and not axis.log else pad
    return (10**low, 10**high) if axis.log else (low, high)
