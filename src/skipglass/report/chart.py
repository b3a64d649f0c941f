"""A panel in Vega-Lite: the chart of the page, and the still picture of a file.

This is the one description that everything but `Panel.plot` is drawn from: by Vega in a browser, by Altair in a
notebook, by vl-convert into SVG, PNG and PDF. All data stand in one table, a row per point (`rows_of`), and every
layer filters what it shows.
"""

import itertools
import json
import math
import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np

from skipglass.report.extra import page_extra
from skipglass.report.geometry import LAYERS, Geometry, Layer
from skipglass.report.panel import Panel
from skipglass.report.series import Axis, Series

__all__ = ["chart", "interactive", "rows_of", "still", "still_config"]

Spec = dict[str, Any]
HEIGHT = 250  # of the page's charts, in pixels
STILL = {"width": 300, "height": 200}  # of the inside of a still picture, in points: 4.8 × 3.5 in with its labels
HOVER = Layer("hover", "line", "point", ("x",), ("y",))
HOVER_POINTS = 1500  # invisible points that answer the mouse: more would slow an SVG down (our choice)
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


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
    return page_extra("altair").LayerChart.from_dict(interactive(panel, heading))


def interactive(panel: Panel, heading: bool = False) -> Spec:
    """Return the page's chart, whose parameter ``frame`` is the slider; see `chart`."""
    slider, everything = panel.slider, list(panel.everything())
    layers = _layers(panel, [series for _, series in everything], pick=True)
    # the legend's selection belongs to one layer, and dims the others through it
    layers[0]["params"] = [{"name": "pick", "select": {"type": "point", "fields": ["series"]}, "bind": "legend"}]
    # all frames are in the data, and one filter shows the slider's
    spec = {
        "width": "container",
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "description": f"{panel.title}. {panel.how_to_read}",
        "data": {"values": [row for frame, series in everything for row in rows_of(panel, series, frame)]},
        "layer": layers,
        "config": _config(11),
    }
    if slider is not None:
        bind = {"input": "range", "min": 0, "max": len(slider.values) - 1, "step": 1, "name": f"{slider.name}, step "}
        spec["params"] = [{"name": "frame", "value": panel.default_frame} | ({"bind": bind} if heading else {})]
        spec["transform"] = [{"filter": "!isValid(datum.frame) || datum.frame == frame"}]
    return spec | ({"title": _title(panel)} if heading else {})


def still(panel: Panel, caption: bool = False) -> Spec:
    """Return a panel as a picture: one frame, with its title and, if asked for, how to read it."""
    title: Spec = {"text": textwrap.wrap(panel.heading(), 56)}
    if caption:
        title["subtitle"] = textwrap.wrap(panel.how_to_read, 76)
    drawn = panel.drawn()
    rows = [row for series in drawn for row in rows_of(panel, series)]
    layers = _layers(panel, drawn, pick=False)
    return STILL | {"title": title, "data": {"values": rows}, "layer": layers}


def still_config() -> Spec:
    """How still pictures look: black on white, in the font that matplotlib brings along."""
    title = {"anchor": "start", "frame": "group", "fontSize": 10.5, "fontWeight": "normal", "subtitleFontSize": 8}
    return _config(9) | {"background": "white", "font": "DejaVu Sans", "title": title}


def rows_of(panel: Panel, series: Series, frame: int | None = None) -> list[Spec]:
    """Return a series as rows; only what is there is written, to keep the page small."""
    style = panel.marks_of(series)
    # seven digits are more than a pixel, and the data file has them all; null is a gap
    columns = {
        name: [float(f"{value:.7g}") if np.isfinite(value) else None for value in column]
        for name, column in panel.geometry.columns(style, series).items()
    }
    about = {"series": series.name, "marks": style} | ({} if frame is None else {"frame": frame})
    return [about | dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _layers(panel: Panel, chosen: Iterable[Series], pick: bool) -> list[Spec]:
    """The layers that have something to show, then the rules."""
    geometry = panel.geometry
    columns = {(panel.marks_of(s), name) for s in chosen for name in ("y", "low") if getattr(s, name) is not None}
    channels = {
        "x": _axis(geometry.x, geometry.limits[0], geometry.counted),
        "y": _axis(geometry.y, geometry.limits[1], False),
    }
    layers = [_encoded(geometry, channels, one, pick) for one in LAYERS if (one.style, one.needs) in columns]
    # invisible points answer the mouse where lines pass
    if pick and ("line", "y") in columns:
        hover = _encoded(geometry, channels, HOVER, pick)
        hover["encoding"]["opacity"] = {"value": 0}
        every = math.ceil(sum(s.x.size for s in panel.drawn() if panel.marks_of(s) == "line") / HOVER_POINTS)
        hover["transform"] += [{"window": [{"op": "row_number", "as": "i"}]}, {"filter": f"datum.i % {every} == 0"}]
        layers.append(hover)
    return layers + [layer for rule in geometry.rule_labels() for layer in _rule(channels, *rule)]


def _encoded(geometry: Geometry, channels: Spec, layer: Layer, pick: bool) -> Spec:
    """A layer with the channels that all layers share, so that they have one scale and one legend."""
    mark = {"type": layer.shape, **layer.look}
    if layer.shape == "point":
        mark |= {"filled": True, "opacity": 1, "size": geometry.point_diameter**2}
    scale = {"domain": list(geometry.names), "range": [geometry.colors[name] for name in geometry.names]}
    # one domain and range of colours in every layer, or Vega would give each its own
    shared: Spec = {"color": {"field": "series", "type": "nominal", "scale": scale, "legend": _legend(geometry, pick)}}
    encoding = {} if "color" in layer.look else shared
    for name, fields in (("x", layer.x), ("y", layer.y)):
        encoding[name] = channels[name] | {"field": fields[0]}
        if len(fields) > 1:
            encoding[f"{name}2"] = {"field": fields[1]}
    # a series that was clicked in the legend stays, the others fade
    if pick:
        opaque = mark.pop("opacity", 1)
        encoding["opacity"] = {"condition": {"param": "pick", "value": opaque}, "value": 0.12 * opaque}
        if layer.needs == "y" and layer.shape != "line":
            encoding["tooltip"] = _tooltip(geometry)
    # a series without a band has no "low" at all; a gap in a band is null, which Vega skips by itself
    kept = {"filter": f"datum.marks == '{layer.style}' && isDefined(datum.{layer.needs})"}
    return {"name": layer.name, "mark": mark, "encoding": encoding, "transform": [kept]}


def _rule(channels: Spec, rule: Any, side: str, line: int) -> list[Spec]:
    """A reference line and its label, which stands at the top, or at the right end."""
    at = {rule.axis: channels[rule.axis] | {"datum": rule.value}}
    end: Spec = {"x": {"value": "width"}}
    place: Spec = {"align": side, "baseline": "bottom", "dx": -3, "dy": -2}
    if rule.axis == "x":
        end = {"y": {"value": 0}}
        place = {"align": side, "baseline": "top", "dx": -4 if side == "right" else 4, "dy": 2 + 13 * line}
    # a table with one empty row draws the mark once
    one: Spec = {"data": {"values": [{}]}}
    return [
        one | {"mark": {"type": "rule", "strokeDash": [5, 4], "color": "#777"}, "encoding": at},
        one | {"mark": {"type": "text", **place}, "encoding": at | end | {"text": {"value": rule.label}}},
    ]


def _axis(axis: Axis, limits: tuple[float, float], counted: bool) -> Spec:
    """What every layer says of an axis."""
    scale = {"domain": list(limits)} | ({"type": "log"} if axis.log else {})
    ticks: Spec = {"tickCount": 5}
    if axis.log:
        ticks = _decades(*limits)
    elif counted:
        ticks = _whole(*limits)
    return {"type": "quantitative", "scale": scale, "title": axis.title, "axis": ticks}


def _whole(low: float, high: float) -> Spec:
    """The ticks of what is counted: whole numbers, at most seven."""
    steps = (digit * 10**power for power in itertools.count() for digit in (1, 2, 5))
    step = next(step for step in steps if high - low <= 6 * step)
    return {"format": ",d", "values": list(range(math.ceil(low / step) * step, math.floor(high) + 1, step))}


def _decades(low: float, high: float) -> Spec:
    """The ticks of a logarithmic axis, powers of ten if there are three of them; on less than a decade Vega's own."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    # ever finer, until there are three
    for digits in ((1,), (1, 3), (1, 2, 5)):
        ticks = [(m, k) for k in decades for m in digits if low <= float(f"{m}e{k}") <= high]
        if len(ticks) > 2:
            ticks = ticks[:: math.ceil(len(ticks) / 8)]
            values, words = [float(f"{m}e{k}") for m, k in ticks], [_decimal(m, k) for m, k in ticks]
            return {"values": values, "labelExpr": f"{json.dumps(words)}[indexof({json.dumps(values)}, datum.value)]"}
    return {"format": "~g"}


def _decimal(digit: int, power: int) -> str:
    """A number as text: 0.001, 300, but 3·10⁻⁶."""
    if -4 < power < 5:
        return f"{float(f'{digit}e{power}'):g}"
    return ("" if digit == 1 else f"{digit}·") + "10" + str(power).translate(SUPERSCRIPTS)


def _legend(geometry: Geometry, pick: bool) -> Spec | None:
    """A legend below the axis, where it hides no data, in columns that fit: the page's a phone."""
    if len(geometry.names) < 2:
        return None
    letters, most = (44, 3) if pick else (56, 6)
    only_lines = not pick and {style for style, _ in geometry.everything} == {"line"}
    return {
        "title": geometry.color.title if geometry.color else None,
        "columns": max(1, min(most, letters // (max(map(len, geometry.legend)) + 3))),
        "values": geometry.legend,
        "symbolType": "stroke" if only_lines else "square",
    }


def _tooltip(geometry: Geometry) -> list[Spec]:
    numbers = [
        {"field": field, "type": "quantitative", "title": axis.title, "format": form}
        for field, axis, form in (("x", geometry.x, ".5~g"), ("y", geometry.y, ".4~g"))
    ]
    return [
        {"field": "series", "type": "nominal", "title": geometry.color.title if geometry.color else "series"},
        *numbers,
    ]


def _title(panel: Panel) -> Any:
    """The title; under it the slider's reading and caption, which change with it."""
    slider = panel.slider
    if slider is None:
        return panel.title
    lines = [f"{slider.label(i)}   {slider.caption(i)}".strip() for i in range(len(slider.values))]
    # Vega's expressions read JSON strings; only the title's text, not its subtitle, may be an expression
    return {"text": {"expr": f"[{json.dumps(panel.title)}, {json.dumps(lines)}[frame]]"}, "anchor": "start"}


def _config(size: float) -> Spec:
    """How charts look whose small text has a size."""
    plain = {"labelFontSize": size, "titleFontSize": size + 1, "titleFontWeight": "normal"}
    return {
        "view": {"stroke": None},
        "axis": plain | {"titlePadding": 9, "gridColor": "#e4e4e4", "labelOverlap": True},
        "legend": plain | {"orient": "bottom", "offset": 8, "labelLimit": 260, "symbolOpacity": 1, "symbolSize": 64},
        "line": {"strokeWidth": 2},
        "text": {"fontSize": size},
    }
