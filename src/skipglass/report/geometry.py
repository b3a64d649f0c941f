"""Where the marks of a panel stand and how they are coloured: computed once, for Vega and for matplotlib alike.

A *layer* is one kind of mark, such as the bands of lines. `LAYERS` lists them from back to front, with the columns that
each reads; `Geometry.columns` gives these columns for a series.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipglass.report.series import Axis, Rule, Series

__all__ = ["CATEGORIES", "LAYERS", "Array", "Geometry", "Layer"]

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
    """One kind of mark: for series of which style, of which shape, from which columns."""

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
        # every frame counts, so that a slider moves the data and not the axes
        columns = [(style, series, self._places(style, series)) for style, series in self.everything]
        across = [column for *_, places in columns for name, column in places.items() if name != "middle"]
        up = [column for _, s, _ in columns for column in (s.y, s.low, s.high) if column is not None]
        # bars grow from zero, and fill the width up to the frame
        bars = any(style == "bar" for style, _ in self.everything)
        up += [np.zeros(1)] if bars and not self.y.log else []
        # rules are in view, and upright ones have room above the data for their labels
        upright, level = (np.array([rule.value for rule in self.rules if rule.axis == axis]) for axis in "xy")
        low, high = _range(self.y, [*up, level], MARGIN)
        high += HEADROOM * (high - low) if upright.size and not self.y.log else 0.0
        return _range(self.x, [*across, upright], 0.01 if bars and not self.x.zero else MARGIN), (low, high)

    @cached_property
    def colors(self) -> dict[str, str]:
        """One colour per series: categories, or viridis from dark to light for an ordered sequence."""
        if self.color is None:
            return dict(zip(self.names, CATEGORIES, strict=False))
        from matplotlib import colormaps
        from matplotlib.colors import to_hex

        # viridis ends in a yellow that white swallows, and begins in a purple that a dark page does
        steps = np.linspace(0.08, 0.9, len(self.names)) if len(self.names) > 1 else [0.08]
        return {name: to_hex(colormaps["viridis"](step)) for name, step in zip(self.names, steps, strict=True)}

    @property
    def legend(self) -> list[str]:
        """The names that a legend shows: all of a few, evenly spaced ones of a long ordered sequence."""
        shown = len(self.names) if self.color is None else min(len(self.names), ENTRIES)
        return [self.names[round(k)] for k in np.linspace(0, len(self.names) - 1, shown)]

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
        """The columns that the layers of a style read; bars begin at zero, or at the foot of a logarithmic axis."""
        given = {"x": series.x, "y": series.y, "low": series.low, "high": series.high}
        places = self._places(style, series)
        if style == "bar":
            places["base"] = np.full(series.x.size, self.limits[1][0] if self.y.log else 0.0)
        return {name: column for name, column in (given | places).items() if column is not None}

    def rule_labels(self) -> list[tuple[Rule, str, int]]:
        """Each rule, the side of it on which its label ends, and the line of text that keeps labels apart."""
        placed: list[tuple[Rule, str, int]] = []
        upright = 0
        for rule in self.rules:
            if rule.axis == "y":
                placed.append((rule, "right", 0))
                continue
            low, value, high = (
                math.log(v) if self.x.log else v for v in (self.limits[0][0], rule.value, self.limits[0][1])
            )
            # near the right edge a label would run out of the picture
            placed.append((rule, "right" if value - low > RIGHT * (high - low) else "left", upright))
            upright += 1
        return placed

    @cached_property
    def _bars(self) -> tuple[list[str], float]:
        """The names of the series whose bars stand side by side, and the width of a bar."""
        bars = [series for style, series in self.everything if style == "bar"]
        names = list(dict.fromkeys(series.name for series in bars))
        positions = np.unique(np.concatenate([series.x for series in bars]))
        # the closest neighbours decide the width of all bars
        steps = np.diff(np.log(positions) if self.x.log else positions)
        return names, BAR_FILL * float(steps.min() if steps.size else 1.0) / len(names)

    def _places(self, style: str, series: Series) -> dict[str, Array]:
        """Where a series stands across: its positions, or the edges and middles of its bars."""
        if style != "bar":
            return {"x": series.x}
        # side by side around the position; on a logarithmic axis by equal factors
        names, width = self._bars
        left = (np.log(series.x) if self.x.log else series.x) + width * (names.index(series.name) - len(names) / 2)
        left, right = (np.exp(edge) if self.x.log else edge for edge in (left, left + width))
        return {"left": left, "right": right, "middle": (left + right) / 2}


def _range(axis: Axis, columns: list[Array], margin: float) -> tuple[float, float]:
    values = np.concatenate([*columns, np.zeros(int(axis.zero))])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if axis.log:
        low, high = math.log10(low), math.log10(high)
    pad = margin * (high - low) or 0.5 * (abs(high) or 1.0)
    # a zero that ends the data is an edge to stand on, not a point that needs room
    low -= 0.0 if low == 0 and not axis.log else pad
    high += 0.0 if high == 0 > low and not axis.log else pad
    return (10**low, 10**high) if axis.log else (low, high)
