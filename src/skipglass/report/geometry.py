"""Where the marks of a panel stand and how they are coloured: computed once, for Vega and for matplotlib alike.

A *layer* is one kind of mark, such as the bands of lines. `LAYERS` lists them from back to front, with the columns that
each reads; `Geometry.columns` gives these columns for a series.
"""

import itertools
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipglass.report.series import Axis, Rule, Series

__all__ = ["CATEGORIES", "LAYERS", "Array", "Geometry", "Layer"]

Array = NDArray[np.float64]

# Okabe & Ito (2008), the strongest on white first; grey for their black, which a dark page would hide
CATEGORIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C")
ENTRIES = 6  # of the legend of an ordered sequence: our choice, what a 3.4 inch figure holds
FEW = 50  # a panel of up to so many points has large ones: our choice
BAR_FILL = 0.86  # of the distance between neighbours, filled by bars: our choice
MARGIN = 0.04  # free space beyond the data, as a part of their range: our choice
HEADROOM = 0.22  # of the height, above the data, for the labels of upright rules
RIGHT = 0.6  # beyond this part of the width, the label of an upright rule stands on its left
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Layer:
    """One kind of mark: for series of which style, of which shape, from which columns."""

    name: str
    marks: str
    shape: str
    x: tuple[str, ...]
    y: tuple[str, ...]
    look: dict[str, Any] = field(default_factory=dict)

    def shows(self, series: Series) -> bool:
        """Whether a series has what the layer draws: ends of a spread, or values."""
        return series.marks == self.marks and (series.low is not None or "low" not in self.y)


LAYERS = (
    Layer("bars", "bar", "rect", ("left", "right"), ("y", "base")),
    Layer("whiskers", "bar", "rule", ("middle",), ("low", "high"), {"color": "#555555"}),
    Layer("bands", "line", "area", ("x",), ("low", "high"), {"fillOpacity": 0.2}),
    Layer("lines", "line", "line", ("x",), ("y",)),
    Layer("spread", "points", "rule", ("x",), ("low", "high")),
    Layer("dots", "points", "point", ("x",), ("y",)),
)


@dataclass(frozen=True, eq=False)
class Geometry:
    """The places and colours of a panel.

    Attributes
    ----------
    axes
        Those of "x" and "y".
    color
        What an ordered sequence of series runs over.
    names
        Of the series that stand side by side, in the order of their colours.
    rules
        Reference lines.
    everything
        The series of every frame, so that a slider moves the data and not the axes.
    """

    axes: dict[str, Axis]
    color: Axis | None
    names: tuple[str, ...]
    rules: tuple[Rule, ...]
    everything: tuple[Series, ...]

    @cached_property
    def limits(self) -> dict[str, tuple[float, float]]:
        """The range of both axes."""
        x, y = self.axes["x"], self.axes["y"]
        across = [column for series in self.everything for column in self._places(series).values()]
        up = [column for series in self.everything for name, column in series.columns.items() if name != "x"]
        # rules are in view, and upright ones have room above the data for their labels
        upright, level = (np.array([rule.value for rule in self.rules if rule.axis == axis]) for axis in "xy")
        headroom = HEADROOM if upright.size else 0.0
        # bars grow from zero, and fill the width up to the frame
        return {
            "x": _range(x, [*across, upright], 0.01 if self._bars else MARGIN, x.zero),
            "y": _range(y, [*up, level], MARGIN, y.zero or bool(self._bars and not y.log), headroom),
        }

    @cached_property
    def ticks(self) -> dict[str, dict[float, str]]:
        """The ticks of both axes with their labels; none where those of the renderers are good."""
        # whole numbers count something, also where other series stand a little beside them
        fractions = [np.round(series.x % 1, 6) for series in self.everything]
        counted = all(np.ptp(part) == 0 for part in fractions) and any(part[0] == 0 for part in fractions)
        ticks: dict[str, dict[float, str]] = {"x": _even(*self.limits["x"]) if counted else {}, "y": {}}
        return ticks | {name: _decades(*self.limits[name]) for name, axis in self.axes.items() if axis.log}

    @cached_property
    def colors(self) -> dict[str, str]:
        """One colour per series: categories, or viridis from dark to light for an ordered sequence."""
        if self.color is None:
            return dict(zip(self.names, CATEGORIES, strict=False))
        from matplotlib import colormaps
        from matplotlib.colors import to_hex

        # viridis begins in a purple that a dark page swallows, and ends in a yellow that white does
        steps = np.linspace(0.2, 0.9, len(self.names))
        return {name: to_hex(colormaps["viridis"](step)) for name, step in zip(self.names, steps, strict=True)}

    @property
    def legend(self) -> list[str]:
        """The names that a legend shows: all of a few, evenly spaced ones of a long ordered sequence."""
        shown = len(self.names) if self.color is None else min(len(self.names), ENTRIES)
        return [self.names[round(k)] for k in np.linspace(0, len(self.names) - 1, shown)]

    def legend_columns(self, letters: int) -> int:
        """How many entries fit side by side where so many letters do; a symbol and its space take six."""
        return max(1, letters // (max(map(len, self.legend)) + 6))

    @cached_property
    def point_diameter(self) -> float:
        """Of a dot, in points: fewer are larger."""
        dots = sum(int(np.isfinite(series.y).sum()) for series in self.everything if series.marks == "points")
        return 8.0 if dots <= FEW else 4.5

    def columns(self, series: Series) -> dict[str, Array]:
        """The columns that the layers of a series read."""
        columns = series.columns | self._places(series)
        if series.marks == "bar":
            # bars begin at zero, or at the foot of a logarithmic axis
            columns["base"] = np.full(series.x.size, self.limits["y"][0] if self.axes["y"].log else 0.0)
        return columns

    def rule_labels(self) -> list[tuple[Rule, str, int]]:
        """Each rule, the side of it on which its label ends, and the line of text that keeps labels apart."""
        x, line = self.axes["x"], 0
        low, high = map(x.even, self.limits["x"])
        placed = []
        for rule in self.rules:
            # level ones have their label at the right end; near it that of an upright one would run out of the picture
            leftwards = rule.axis == "y" or x.even(rule.value) > low + RIGHT * (high - low)
            placed.append((rule, "right" if leftwards else "left", line))
            line += rule.axis == "x"
        return placed

    @cached_property
    def _bars(self) -> list[str]:
        """The names of the series whose bars stand side by side."""
        return list(dict.fromkeys(series.name for series in self.everything if series.marks == "bar"))

    @cached_property
    def _bar_width(self) -> float:
        """The closest neighbours decide the width of all bars."""
        positions = np.unique(np.concatenate([series.x for series in self.everything if series.marks == "bar"]))
        steps = np.diff(self.axes["x"].even(positions))
        return BAR_FILL * float(steps.min() if steps.size else 1.0) / len(self._bars)

    def _places(self, series: Series) -> dict[str, Array]:
        """Where a series stands across: its positions, or the edges and middles of its bars."""
        if series.marks != "bar":
            return {"x": series.x}
        # side by side around the position; on a logarithmic axis by equal factors
        x, width = self.axes["x"], self._bar_width
        left = x.even(series.x) + width * (self._bars.index(series.name) - len(self._bars) / 2)
        return {"left": x.back(left), "right": x.back(left + width), "middle": x.back(left + width / 2)}


def _range(axis: Axis, columns: list[Array], margin: float, zero: bool, headroom: float = 0.0) -> tuple[float, float]:
    values = np.concatenate([*columns, np.zeros(int(zero))])
    values = axis.even(values[np.isfinite(values)])
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    pad = margin * (high - low) or 0.5 * (abs(high) or 1.0)
    # a zero that ends the data is an edge to stand on, not a point that needs room
    below = 0.0 if low == 0 and not axis.log else pad
    above = 0.0 if high == 0 > low and not axis.log else pad
    low, high = low - below, high + above
    return axis.back(low), axis.back(high + headroom * (high - low))


def _even(low: float, high: float, first: int = 0) -> dict[float, str]:
    """Ticks at multiples of 1, 2 or 5 times a power of ten from the ``first`` on, at most ten steps."""
    steps = (float(f"{digit}e{power}") for power in itertools.count(first) for digit in (1, 2, 5))
    step = next(step for step in steps if high - low <= 10 * step)
    return {k * step: f"{k * step:,.10g}" for k in range(math.ceil(low / step), math.floor(high / step) + 1)}


def _decades(low: float, high: float) -> dict[float, str]:
    """The ticks of a logarithmic axis, powers of ten if there are three of them."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    # ever finer, until there are three
    for digits in ((1,), (1, 3), (1, 2, 5)):
        ticks = [(m, k) for k in decades for m in digits if low <= float(f"{m}e{k}") <= high]
        if len(ticks) > 2:
            return {float(f"{m}e{k}"): _decimal(m, k) for m, k in ticks[:: math.ceil(len(ticks) / 8)]}
    # a part of a decade is nearly linear
    return _even(low, high, math.floor(math.log10(high - low)) - 1)


def _decimal(digit: int, power: int) -> str:
    """A number as text: 0.001, 300, 10,000, but 3·10⁻⁶."""
    if -4 < power < 5:
        return f"{float(f'{digit}e{power}'):,g}"
    return ("" if digit == 1 else f"{digit}·") + "10" + str(power).translate(SUPERSCRIPTS)
