"""Panels as interactive Altair charts."""

import json
import math
from typing import Any

import numpy as np

from skipglass.report.extra import page_extra
from skipglass.report.geometry import bar_base, bar_edges, limits, rule_offsets
from skipglass.report.palette import legend_names, series_colors
from skipglass.report.panel import Panel
from skipglass.report.series import Axis, Series

__all__ = ["chart"]

HEIGHT = 250

HOVER_POINTS = 1500
"""Invisible points that answer the mouse on a line chart: more would slow an SVG down (our choice)."""


def chart(panel: Panel, heading: bool = True) -> Any:
    """Return a panel as an Altair chart: values on hover, a legend to click, the slider below.

    Parameters
    ----------
    panel
        What to draw.
    heading
        Whether the chart carries its title, the caption and its slider; a page has its own.

    Returns
    -------
    altair.LayerChart
        The chart; its width follows its container.

    Raises
    ------
    UserError
        If the ``page`` extra is not installed.
    """
    alt = page_extra("altair")
    base = _base(alt, panel)
    pick = alt.selection_point(name="pick", fields=["series"], bind="legend")
    layers = [layer for marks in ("bar", "line", "points") for layer in _layers(alt, panel, base, marks, pick)]
    layers[0] = layers[0].add_params(pick)
    layers += _rules(alt, panel)
    result = alt.layer(*layers).properties(
        width="container",
        height=HEIGHT,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        description=f"{panel.title}. {panel.how_to_read}",
    )
    if panel.slider is not None:
        result = result.add_params(_frame(alt, panel, heading))
    return result.properties(title=_title(alt, panel)) if heading else result


def _frame(alt: Any, panel: Panel, bound: bool) -> Any:
    slider = panel.slider
    assert slider is not None
    steps = len(slider.values) - 1
    bind = alt.binding_range(min=0, max=steps, step=1, name=f"{slider.name}, step ") if bound else None
    chosen = {"bind": bind} if bind is not None else {}
    return alt.param(name="frame", value=panel.default_frame, **chosen)


def _title(alt: Any, panel: Panel) -> Any:
    """The title; under it the slider's reading and caption, which change with it."""
    slider = panel.slider
    if slider is None:
        return panel.title
    lines = [f"{slider.label(i)}   {slider.caption(i)}".strip() for i in range(len(slider.values))]
    # Vega's expressions read JSON strings; only the title's text, not its subtitle, may be an expression
    return alt.TitleParams(alt.expr(f"[{json.dumps(panel.title)}, {json.dumps(lines)}[frame]]"), anchor="start")


def _base(alt: Any, panel: Panel) -> Any:
    rows = [row for index, series in panel.everything() for row in _rows(panel, index, series)]
    base = alt.Chart(alt.InlineData(values=rows))
    if panel.slider is not None:
        base = base.transform_filter("!isValid(datum.frame) || datum.frame == frame")
    return base


def _rows(panel: Panel, frame: int | None, series: Series) -> list[dict[str, object]]:
    """A series as rows for Vega; only what is there is written, to keep the page small."""
    marks = panel.marks_of(series)
    columns: dict[str, Any] = {"x": series.x, "y": series.y, "low": series.low, "high": series.high}
    if marks == "bar":
        columns["left"], columns["right"] = bar_edges(panel, series)
        columns["middle"] = (columns["left"] + columns["right"]) / 2
    rows = []
    for i in range(series.x.size):
        row: dict[str, object] = {"series": series.name, "marks": marks}
        if frame is not None:
            row["frame"] = frame
        for key, column in columns.items():
            if column is not None:
                # null is a gap; seven digits are more than a pixel, and the data file has them all
                row[key] = float(f"{column[i]:.7g}") if np.isfinite(column[i]) else None
        rows.append(row)
    return rows


def _layers(alt: Any, panel: Panel, base: Any, marks: str, pick: Any) -> list[Any]:
    chosen = [series for series in panel.drawn() if panel.marks_of(series) == marks]
    if not chosen:
        return []
    data = base.transform_filter(f"datum.marks == '{marks}'")
    spread = any(s.low is not None for _, s in panel.everything() if panel.marks_of(s) == marks)
    return _LAYERS[marks](alt, panel, data, pick, spread)


def _bars(alt: Any, panel: Panel, data: Any, pick: Any, spread: bool) -> list[Any]:
    (x, y), seen = _channels(alt, panel, "left"), _look(alt, panel, pick)
    drawn = data.transform_calculate(base=repr(bar_base(panel)))
    bars = [drawn.mark_rect().encode(x=x, x2="right:Q", y=y, y2="base:Q", **seen).properties(name="bars")]
    if spread:
        whisker = data.transform_filter("isValid(datum.low)").mark_rule(color="#555")
        bars.append(_whisker(alt, panel, whisker, "middle").properties(name="whiskers"))
    return bars


def _lines(alt: Any, panel: Panel, data: Any, pick: Any, spread: bool) -> list[Any]:
    (x, y), seen = _channels(alt, panel), _look(alt, panel, pick)
    plain = {key: value for key, value in seen.items() if key != "tooltip"}
    layers = []
    if spread:
        faint = alt.when(pick).then(alt.value(0.2)).otherwise(alt.value(0.03))
        _, low = _channels(alt, panel, up="low")
        # undefined: a series without a band; null: a gap in one
        banded = data.transform_filter("isDefined(datum.low)")
        band = banded.mark_area().encode(x=x, y=low, y2="high:Q", color=seen["color"], opacity=faint)
        layers.append(band.properties(name="bands"))
    line = data.mark_line(strokeWidth=2).encode(x=x, y=y, **plain).properties(name="lines")
    count = sum(s.x.size for s in panel.drawn() if panel.marks_of(s) == "line")
    every = math.ceil(count / HOVER_POINTS)
    near = data.transform_window(i="row_number()").transform_filter(f"datum.i % {every} == 0")
    invisible = {**seen, "opacity": alt.value(0)}
    hover = near.mark_point(filled=True, size=90).encode(x=x, y=y, **invisible)
    return [*layers, line, hover.properties(name="hover")]


def _points(alt: Any, panel: Panel, data: Any, pick: Any, spread: bool) -> list[Any]:
    (x, y), seen = _channels(alt, panel), _look(alt, panel, pick)
    layers = []
    if spread:
        whisker = data.transform_filter("isValid(datum.low)").mark_rule()
        layers.append(_whisker(alt, panel, whisker).encode(color=seen["color"]).properties(name="spread"))
    dots = data.transform_filter("isValid(datum.y)").mark_point(filled=True, size=42, opacity=1)
    return [*layers, dots.encode(x=x, y=y, **seen).properties(name="dots")]


_LAYERS = {"bar": _bars, "line": _lines, "points": _points}


def _whisker(alt: Any, panel: Panel, marked: Any, place: str = "x") -> Any:
    x, low = _channels(alt, panel, place, "low")
    return marked.encode(x=x, y=low, y2="high:Q")


def _channels(alt: Any, panel: Panel, across: str = "x", up: str = "y") -> tuple[Any, Any]:
    horizontal, vertical = limits(panel)
    return (
        alt.X(
            f"{across}:Q",
            scale=_scale(alt, panel.x, horizontal),
            title=panel.x.title,
            axis=_ticks(alt, panel.x),
        ),
        alt.Y(f"{up}:Q", scale=_scale(alt, panel.y, vertical), title=panel.y.title, axis=_ticks(alt, panel.y)),
    )


def _channel(alt: Any, kind: Any, field: str, axis: Axis, domain: tuple[float, float]) -> Any:
    scale, ticks = _scale(alt, axis, domain), _ticks(alt, axis)
    return kind(f"{field}:Q", scale=scale, title=axis.title, axis=ticks)


def _scale(alt: Any, axis: Axis, domain: tuple[float, float]) -> Any:
    if axis.log:
        return alt.Scale(type="log", domain=list(domain), nice=False)
    return alt.Scale(domain=list(domain), nice=False, zero=False)


def _ticks(alt: Any, axis: Axis) -> Any:
    return alt.Axis(tickCount=5, labelOverlap=True, **({"format": "~g"} if axis.log else {}))


def _look(alt: Any, panel: Panel, pick: Any) -> dict[str, Any]:
    """Colour, opacity and tooltip, the same for all marks, so that they share one legend."""
    ordered = panel.color is not None
    names = list(panel.names)
    title = panel.color.title if panel.color else None
    columns = max(1, min(3, 44 // (max(map(len, names)) + 3)))  # what fits a phone
    legend = alt.Legend(
        title=title, orient="bottom", columns=columns, labelLimit=260,
        values=legend_names(panel.names, ordered), symbolOpacity=1, symbolType="square",
    ) if len(names) > 1 else None  # fmt: skip
    scale = alt.Scale(domain=names, range=series_colors(len(names), ordered))
    return {
        "color": alt.Color("series:N", scale=scale, legend=legend),
        "opacity": alt.when(pick).then(alt.value(1)).otherwise(alt.value(0.12)),
        "tooltip": [
            alt.Tooltip("series:N", title=title or "series"),
            alt.Tooltip("x:Q", title=panel.x.title, format=".5~g"),
            alt.Tooltip("y:Q", title=panel.y.title, format=".4~g"),
        ],
    }


def _rules(alt: Any, panel: Panel) -> list[Any]:
    (left, right), _ = limits(panel)
    layers = []
    for rule, line in zip(panel.rules, rule_offsets(panel), strict=True):
        data = alt.Chart(alt.InlineData(values=[{"at": rule.value, "label": rule.label}]))
        x, y = _channels(alt, panel, "at", "at")
        if rule.axis == "x":
            across = _part(rule.value, left, right, panel.x.log)
            side = {"align": "right", "dx": -4} if across > 0.6 else {"align": "left", "dx": 4}
            place = {"x": x, "y": alt.value(0)}
            text = data.mark_text(baseline="top", dy=2 + 13 * line, **side)
            drawn = data.mark_rule(strokeDash=[5, 4], color="#777").encode(x=x)
        else:
            place = {"x": alt.value("width"), "y": y}
            text = data.mark_text(align="right", baseline="bottom", dx=-3, dy=-2)
            drawn = data.mark_rule(strokeDash=[5, 4], color="#777").encode(y=y)
        layers += [drawn, text.encode(text="label:N", **place)]
    return layers


def _part(value: float, low: float, high: float, log: bool) -> float:
    """How far along its axis a value stands, in [0, 1]."""
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)
