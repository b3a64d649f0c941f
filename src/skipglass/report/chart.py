"""A panel in Vega-Lite: the chart of the page, and the still picture of a file.

This is the one description that everything but `Panel.plot` is drawn from: by Vega in a browser, by Altair in a
notebook, by vl-convert into SVG, PNG and PDF. The data have one record per series, with the names of the layers that
show it; Vega flattens its columns into a row per point, and every layer filters what it shows.
"""

import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from skipglass.report.extra import page_extra
from skipglass.report.geometry import LAYERS, Geometry, Layer
from skipglass.report.panel import Panel
from skipglass.report.series import Rule, Series

__all__ = ["chart", "interactive", "still", "still_config"]

Spec = dict[str, Any]
HEIGHT = 250  # of the page's charts, in pixels
STILL = {"width": 300, "height": 200}  # of the inside of a still picture, in points: 4.8 × 3.5 in with its labels
HOVER_POINTS = 1500  # invisible points that answer the mouse: more would slow an SVG down (our choice)
LINES = next(layer for layer in LAYERS if layer.name == "lines")
COLUMNS = sorted({column for layer in LAYERS for column in ("x", *layer.x, *layer.y)})


def chart(panel: Panel) -> Any:
    """Return a panel as an Altair chart: values on hover, a legend to click, the slider below.

    Parameters
    ----------
    panel
        What to draw.

    Returns
    -------
    altair.LayerChart
        The chart, with its title; its width follows its container.

    Raises
    ------
    UserError
        If the ``page`` extra is not installed.
    """
    spec, slider = interactive(panel) | {"title": panel.title}, panel.slider
    if slider is not None:
        last = len(slider.values) - 1
        bind = {"input": "range", "min": 0, "max": last, "step": 1, "name": f"{slider.name}, step "}
        spec["params"][0]["bind"] = bind
        # under the title the slider's reading and caption; Vega's expressions read JSON strings
        lines = [f"{slider.label(k)}   {caption}".strip() for k, caption in enumerate(slider.captions)]
        spec["title"] = {
            "text": {"expr": f"[{json.dumps(panel.title)}, {json.dumps(lines)}[frame]]"},
            "anchor": "start",
        }
    return page_extra("altair").LayerChart.from_dict(spec)


def interactive(panel: Panel) -> Spec:
    """Return the page's chart, whose parameter ``frame`` is the slider; see `chart`."""
    spec = _drawing(panel, panel.everything(), page=True) | {
        "width": "container",
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "description": f"{panel.title}. {panel.how_to_read}",
        "config": _config(11),
    }
    if panel.slider is not None:
        # all frames are in the data, and one filter shows the slider's
        spec["params"] = [{"name": "frame", "value": panel.default_frame}]
        spec["transform"].insert(0, {"filter": "!isValid(datum.frame) || datum.frame == frame"})
    return spec


def still(panel: Panel) -> Spec:
    """Return a panel as a picture: one frame, with its title."""
    drawing = _drawing(panel, [(None, series) for series in panel.drawn()], page=False)
    return STILL | {"title": {"text": textwrap.wrap(panel.heading(), 56)}} | drawing


def still_config() -> Spec:
    """How still pictures look: black on white, in the font that matplotlib brings along."""
    title = {"anchor": "start", "frame": "group", "fontSize": 10.5, "fontWeight": "normal"}
    # what a screen reader says of a picture is its title: labels of all marks would double its size
    return _config(9) | {"background": "white", "font": "DejaVu Sans", "title": title, "aria": False}


def _drawing(panel: Panel, chosen: Sequence[tuple[int | None, Series]], page: bool) -> Spec:
    """Data and layers; a picture has no selection and no hover."""
    geometry, shown = panel.geometry, [series for _, series in chosen]
    layers = [_layer(geometry, one, page) for one in LAYERS if any(map(one.shows, shown))]
    lines = sum(series.x.size for series in panel.drawn() if series.marks == "line")
    if page:
        # the legend's selection belongs to one layer, and dims the others through it
        layers[0]["params"] = [{"name": "pick", "select": {"type": "point", "fields": ["series"]}, "bind": "legend"}]
    if page and lines:
        layers.append(_hover(geometry, math.ceil(lines / HOVER_POINTS)))
    return {
        "data": {"values": [_record(geometry, series, frame) for frame, series in chosen]},
        "transform": [{"flatten": COLUMNS}],
        "encoding": {name: _axis(geometry, name) for name in geometry.axes} | _shared(geometry, page),
        "layer": layers + [part for labelled in geometry.rule_labels() for part in _rule(*labelled)],
    }


def _record(geometry: Geometry, series: Series, frame: int | None) -> Spec:
    columns = geometry.columns(series)
    about = {"series": series.name, "frame": frame, "layers": [layer.name for layer in LAYERS if layer.shows(series)]}
    # seven digits are more than a pixel, and the data file has them all; null is a gap
    return about | {
        name: [float(f"{value:.7g}") if np.isfinite(value) else None for value in columns.get(name, ())]
        for name in COLUMNS
    }


def _axis(geometry: Geometry, name: str) -> Spec:
    axis, ticks = geometry.axes[name], geometry.ticks[name]
    scale = {"domain": list(geometry.limits[name])} | ({"type": "log"} if axis.log else {})
    guide: Spec = {"tickCount": 5}
    if ticks:
        words = f"{json.dumps(list(ticks.values()))}[indexof({json.dumps(list(ticks))}, datum.value)]"
        guide = {"values": list(ticks), "labelExpr": words}
    return {"type": "quantitative", "scale": scale, "title": axis.title, "axis": guide}


def _shared(geometry: Geometry, page: bool) -> Spec:
    """Colours, which have one legend below the axis, where it hides no data; on the page it can be clicked."""
    only_lines = not page and {series.marks for series in geometry.everything} == {"line"}
    legend = {
        "title": geometry.color.title if geometry.color else None,
        "columns": geometry.legend_columns(50 if page else 70),
        "values": geometry.legend,
        "symbolType": "stroke" if only_lines else "square",
    }
    color = {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": list(geometry.names), "range": [geometry.colors[name] for name in geometry.names]},
        "legend": legend if len(geometry.names) > 1 else None,
    }
    # a series that was clicked in the legend stays, the others fade
    opacity = {"condition": {"param": "pick", "value": 1}, "value": 0.12}
    return {"color": color} | ({"opacity": opacity} if page else {})


def _layer(geometry: Geometry, layer: Layer, page: bool) -> Spec:
    encoding: Spec = {}
    for name, fields in (("x", layer.x), ("y", layer.y)):
        # the second field of a bar or band is where it ends
        encoding |= {channel: {"field": field} for channel, field in zip((name, f"{name}2"), fields, strict=False)}
    if "color" in layer.look:
        encoding["color"] = {"value": layer.look["color"]}
    # a line would say the numbers of its first point wherever it is touched
    if page and layer.shape in ("rect", "point"):
        encoding["tooltip"] = _tooltip(geometry)
    size = {"size": geometry.point_diameter**2} if layer.shape == "point" else {}
    kept = {"filter": f"indexof(datum.layers, '{layer.name}') >= 0"}
    one: Spec = {"mark": {"type": layer.shape, **layer.look, **size}, "encoding": encoding, "transform": [kept]}
    # Vega-Lite hangs data on names, which must differ within a picture of several panels
    return one | ({"name": layer.name} if page else {})


def _hover(geometry: Geometry, every: int) -> Spec:
    """Invisible points that answer the mouse where lines pass."""
    hover = _layer(geometry, replace(LINES, shape="point"), page=True) | {"name": "hover"}
    hover["encoding"]["opacity"] = {"value": 0}
    hover["transform"] += [{"window": [{"op": "row_number", "as": "i"}]}, {"filter": f"datum.i % {every} == 0"}]
    return hover


def _tooltip(geometry: Geometry) -> list[Spec]:
    numbers = [
        {"field": name, "type": "quantitative", "title": geometry.axes[name].title, "format": form}
        for name, form in (("x", ".5~g"), ("y", ".4~g"))
    ]
    of = geometry.color.title if geometry.color else "series"
    return [{"field": "series", "type": "nominal", "title": of}, *numbers]


def _rule(rule: Rule, side: str, line: int) -> list[Spec]:
    """A reference line and its label, which stands at the top, or at the right end."""
    end: Spec = {"x": {"value": "width"}}
    place: Spec = {"align": side, "baseline": "bottom", "dx": -3, "dy": -2}
    if rule.axis == "x":
        end = {"y": {"value": 0}}
        place = {"align": side, "baseline": "top", "dx": -4 if side == "right" else 4, "dy": 2 + 13 * line}
    # a table with one empty row draws the mark once; of what layers share, only the axis it stands on is kept
    one: Spec = {"data": {"values": [{}]}}
    at = {"x": None, "y": None, rule.axis: {"datum": rule.value}, "opacity": {"value": 1}}
    written = {"text": {"value": rule.label}, "color": {"value": "black"}}
    return [
        one | {"mark": {"type": "rule", "strokeDash": [5, 4]}, "encoding": at | {"color": {"value": "#777"}}},
        one | {"mark": {"type": "text", **place}, "encoding": at | end | written},
    ]


def _config(size: float) -> Spec:
    """How charts look whose small text has a size."""
    plain = {"labelFontSize": size, "titleFontSize": size + 1, "titleFontWeight": "normal"}
    return {
        "view": {"stroke": None},
        "axis": plain | {"titlePadding": 9, "gridColor": "#e4e4e4", "labelOverlap": True},
        "legend": plain | {"orient": "bottom", "offset": 8, "labelLimit": 260, "symbolOpacity": 1, "symbolSize": 64},
        "line": {"strokeWidth": 2},
        "point": {"filled": True, "opacity": 1},
        "text": {"fontSize": size},
    }
