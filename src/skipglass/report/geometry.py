"""Where things stand in a panel, computed once so that both renderers draw the same picture."""

import math

import numpy as np
from numpy.typing import NDArray

from skipglass.report.panel import Panel
from skipglass.report.series import Axis, Rule, Series

__all__ = ["bar_base", "bar_edges", "limits", "rule_offsets"]

BAR_FILL = 0.86
"""The part of the distance between neighbours that bars fill: our choice."""

MARGIN = 0.04
"""Free space beyond the data, as a part of their range: our choice."""


def limits(panel: Panel) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the range of both axes over every frame, so that a slider moves the data and not the axes."""
    everything = [series for _, series in panel.everything()]
    x: list[NDArray[np.float64]] = []
    for series in everything:
        x += list(bar_edges(panel, series)) if panel.marks_of(series) == "bar" else [series.x]
    y = [column for s in everything for column in (s.y, s.low, s.high) if column is not None]
    if _has_bars(panel) and not panel.y.log:
        y.append(np.zeros(1))
    tight = _has_bars(panel) and not panel.x.zero
    return (
        _range(panel.x, x, [r for r in panel.rules if r.axis == "x"], 0.01 if tight else MARGIN),
        _range(panel.y, y, [r for r in panel.rules if r.axis == "y"], MARGIN),
    )


def bar_base(panel: Panel) -> float:
    """Return where bars begin: at zero, or at the foot of a logarithmic axis."""
    return limits(panel)[1][0] if panel.y.log else 0.0


def bar_edges(panel: Panel, series: Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the left and right edges of a series' bars; several bar series share the place side by side."""
    bars = [s for s in panel.drawn() if panel.marks_of(s) == "bar"]
    place = [s.name for s in bars].index(series.name)
    positions = np.unique(np.concatenate([s.x for _, s in panel.everything() if panel.marks_of(s) == "bar"]))
    positions = np.log(positions) if panel.x.log else positions
    gap = float(np.diff(positions).min()) if positions.size > 1 else 1.0
    width = BAR_FILL * gap / len(bars)
    left = (np.log(series.x) if panel.x.log else series.x) + width * (place - len(bars) / 2)
    right = left + width
    return (np.exp(left), np.exp(right)) if panel.x.log else (left, right)


def rule_offsets(panel: Panel) -> list[int]:
    """Return the line of text each vertical rule's label stands on, so that neighbours do not overlap."""
    seen = 0
    offsets = []
    for rule in panel.rules:
        offsets.append(seen if rule.axis == "x" else 0)
        seen += rule.axis == "x"
    return offsets


def _has_bars(panel: Panel) -> bool:
    return any(panel.marks_of(series) == "bar" for series in panel.drawn())


def _range(axis: Axis, columns: list[NDArray[np.float64]], rules: list[Rule], margin: float) -> tuple[float, float]:
    values = np.concatenate([*columns, np.array([rule.value for rule in rules])])
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
