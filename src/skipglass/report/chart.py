"""A panel as a Vega-Lite specification: the chart of the page, and the still picture of a file.

The specification is the one description that everything but `Panel.plot` is drawn from: by Vega in a browser, by
Altair in a notebook, by vl-convert into SVG, PNG and PDF.
"""

import json
import math
import textwrap
from typing import Any

import numpy as np

from skipglass.report.extra import page_extra
from skipglass.report.geometry import LAYERS, Geometry, Layer
from skipglass.report.panel import Panel
from skipglass.report.series import Axis, Series

__all__ = ["CONFIG", "chart", "interactive", "still"]

HEIGHT = 250  # of the page's charts, in pixels
STILL = (300, 200)  # of the inside of a still picture, in points: about 4.8 × 3.5 in with its labels
HOVER_POINTS = 1500  # that answer the mouse on a line chart: more would slow an SVG down (our choice)
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
VISIBLE = {"line": {"strokeWidth": 2}, "point": {"filled": True, "opacity": 1}}

CONFIG: dict[str, Any] = {
    "view": {"stroke": None},
    "axis": {"labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "titlePadding": 8},
    "legend": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"},
    "text": {"fontSize": 11},
}
"""How charts look on the page."""

STILL_CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "DejaVu Sans",  # has the letters of the field, and matplotlib brings it along
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 9,
        "titleFontSize": 10,
        "titleFontWeight": "normal",
        "titlePadding": 9,
        "gridColor": "#e4e4e4",
    },
    "legend": {"labelFontSize": 8.5, "titleFontSize": 8.5, "titleFontWeight": "normal", "offset": 8, "symbolSize": 64},
    "title": {"anchor": "start", "frame": "group", "fontSize": 10.5, "fontWeight": "normal", "subtitleFontSize": 8},
    "text": {"fontSize": 9},
}


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


def interactive(panel: Panel, heading: bool = False) -> dict[str, Any]:
    """Return the specification of the page's chart, whose parameter ``frame`` is the slider; see `chart`."""
    geometry, slider = panel.geometry, panel.slider
    rows = [row for frame, series in panel.everything() for row in _rows(panel, frame, series)]
    drawn = _layers(panel, every_frame=True)
    layers = [_encoded(geometry, layer, hover=True) for layer in drawn]
    if any(layer.name == "lines" for layer in drawn):
        layers.append(_hover(panel))
    # the legend's selection belongs to one view, and dims the others through it
    layers[0]["params"] = [{"name": "pick", "select": {"type": "point", "fields": ["series"]}, "bind": "legend"}]
    spec: dict[str, Any] = {
        "width": "container",
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "description": f"{panel.title}. {panel.how_to_read}",
        "data": {"values": rows},
        "layer": layers + _rules(geometry),
    }
    if slider is not None:
        bind = {"input": "range", "min": 0, "max": len(slider.values) - 1, "step": 1, "name": f"{slider.name}, step "}
        spec["params"] = [{"name": "frame", "value": panel.default_frame} | ({"bind": bind} if heading else {})]
        spec["transform"] = [{"filter": "!isValid(datum.frame) || datum.frame == frame"}]
    return spec | ({"title": _title(panel)} if heading else {})


def still(panel: Panel, caption: bool = False, prefix: str = "") -> dict[str, Any]:
    """Return the specification of a panel as a picture: one frame, its title above.

    Parameters
    ----------
    panel
        What to draw.
    caption
        Whether the sentence that says how to read it stands below the title.
    prefix
        Of the layers' names, which must differ between the panels of one specification.

    Returns
    -------
    dict
        Vega-Lite, without a configuration.
    """
    rows = [row for series in panel.drawn() for row in _rows(panel, None, series)]
    layers = [_encoded(panel.geometry, layer, hover=False) for layer in _layers(panel)]
    layers = [layer | {"name": prefix + layer["name"]} for layer in layers]
    title: dict[str, Any] = {"text": textwrap.wrap(panel.heading(), 56)}
    if caption:
        title["subtitle"] = textwrap.wrap(panel.how_to_read, 76)
    return {
        "width": STILL[0],
        "height": STILL[1],
        "title": title,
        "data": {"values": rows},
        "layer": layers + _rules(panel.geometry),
    }


def _layers(panel: Panel, every_frame: bool = False) -> list[Layer]:
    """The layers that have something to show."""
    chosen = [series for _, series in panel.everything()] if every_frame else panel.drawn()
    columns = {(panel.marks_of(s), name) for s in chosen for name in ("y", "low") if getattr(s, name) is not None}
    return [layer for layer in LAYERS if (layer.style, layer.needs) in columns]


def _rows(panel: Panel, frame: int | None, series: Series) -> list[dict[str, object]]:
    """A series as rows for Vega; only what is there is written, to keep the page small."""
    style = panel.marks_of(series)
    # seven digits are more than a pixel, and the data file has them all; null is a gap
    columns = {
        name: [float(f"{value:.7g}") if np.isfinite(value) else None for value in column]
        for name, column in panel.geometry.columns(style, series).items()
    }
    about = {"series": series.name, "marks": style} | ({} if frame is None else {"frame": frame})
    return [about | dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _encoded(geometry: Geometry, layer: Layer, hover: bool) -> dict[str, Any]:
    """A layer with the channels that all layers share, so that they have one scale and one legend."""
    color = {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": list(geometry.names), "range": list(geometry.colors.values())},
    }
    encoding = _channels(geometry, layer.x, layer.y) | {
        "color": color | {"legend": _legend(geometry, *((44, 3) if hover else (56, 6)))}
    }
    mark = {"type": layer.shape, **VISIBLE.get(layer.shape, {}), **layer.look}
    if layer.shape == "point":
        mark["size"] = geometry.point_diameter**2
    if "color" in layer.look:
        del encoding["color"]
    if hover:
        opaque = mark.pop("opacity", 1)
        encoding["opacity"] = {"condition": {"param": "pick", "value": opaque}, "value": 0.12 * opaque}
        encoding |= _tooltip(geometry) if layer.needs == "y" and layer.shape != "line" else {}
    # undefined is a series without a band, null a gap in one
    there = {"low": "isDefined" if layer.shape == "area" else "isValid"}.get(layer.needs, "")
    kept = f"datum.marks == '{layer.style}'" + (f" && {there}(datum.{layer.needs})" if there else "")
    kept += " && isValid(datum.y)" if layer.shape == "point" else ""
    return {"name": layer.name, "mark": mark, "encoding": encoding, "transform": [{"filter": kept}]}


def _channels(geometry: Geometry, x: tuple[str, ...], y: tuple[str, ...]) -> dict[str, Any]:
    channels = {}
    for channel, fields, axis, limits in (
        ("x", x, geometry.x, geometry.limits[0]),
        ("y", y, geometry.y, geometry.limits[1]),
    ):
        ticks: dict[str, Any] = {"tickCount": 5, "labelOverlap": True}
        ticks |= {"format": "~g", **_decades(*limits)} if axis.log else {}
        ticks |= {"tickMinStep": 1} if channel == "x" and geometry.counted else {}
        scale = {"domain": list(limits), "nice": False} | ({"type": "log"} if axis.log else {"zero": False})
        channels[channel] = {
            "field": fields[0],
            "type": "quantitative",
            "scale": scale,
            "title": axis.title,
            "axis": ticks,
        }
        channels |= {f"{channel}2": {"field": fields[1]}} if len(fields) > 1 else {}
    return channels


def _decades(low: float, high: float) -> dict[str, Any]:
    """The ticks of a logarithmic axis, powers of ten if there are three of them; on less than a decade Vega's own."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5)):
        ticks = [(m, k) for k in decades for m in digits if low <= float(f"{m}e{k}") <= high]
        if len(ticks) > 2:
            break
    else:
        return {}
    ticks = ticks[:: math.ceil(len(ticks) / 8)]
    values = [float(f"{m}e{k}") for m, k in ticks]
    words = [_decimal(m, k) for m, k in ticks]
    return {"values": values, "labelExpr": f"{json.dumps(words)}[indexof({json.dumps(values)}, datum.value)]"}


def _decimal(digit: int, power: int) -> str:
    """A number as text: 0.001, 300, but 3·10⁻⁶."""
    if -4 < power < 5:
        return f"{float(f'{digit}e{power}'):g}"
    return ("" if digit == 1 else f"{digit}·") + "10" + str(power).translate(SUPERSCRIPTS)


def _legend(geometry: Geometry, letters: int, most: int) -> dict[str, Any] | None:
    """A legend below the axis, where it hides no data, in columns that fit the width."""
    if len(geometry.names) < 2:
        return None
    return {
        "title": geometry.color.title if geometry.color else None,
        "orient": "bottom",
        "columns": max(1, min(most, letters // (max(map(len, geometry.legend)) + 3))),
        "labelLimit": 260,
        "values": geometry.legend,
        "symbolOpacity": 1,
        "symbolType": "stroke" if {style for style, _ in geometry.everything} == {"line"} else "square",
    }


def _tooltip(geometry: Geometry) -> dict[str, Any]:
    def number(name: str, axis: Axis, digits: int) -> dict[str, str]:
        return {"field": name, "type": "quantitative", "title": axis.title, "format": f".{digits}~g"}

    series = {"field": "series", "type": "nominal", "title": geometry.color.title if geometry.color else "series"}
    return {"tooltip": [series, number("x", geometry.x, 5), number("y", geometry.y, 4)]}


def _hover(panel: Panel) -> dict[str, Any]:
    """Invisible points that answer the mouse where lines pass."""
    count = sum(series.x.size for series in panel.drawn() if panel.marks_of(series) == "line")
    every = math.ceil(count / HOVER_POINTS)
    geometry = panel.geometry
    return {
        "name": "hover",
        "mark": {"type": "point", "filled": True, "size": 90},
        "encoding": _channels(geometry, ("x",), ("y",)) | {"opacity": {"value": 0}} | _tooltip(geometry),
        "transform": [
            {"filter": "datum.marks == 'line'"},
            {"window": [{"op": "row_number", "as": "i"}]},
            {"filter": f"datum.i % {every} == 0"},
        ],
    }


def _rules(geometry: Geometry) -> list[dict[str, Any]]:
    layers: list[dict[str, Any]] = []
    own: dict[str, Any]
    end: dict[str, Any]
    for rule, side, line in geometry.rule_labels():
        channels = _channels(geometry, ("at",), ("at",))
        if rule.axis == "x":
            own, end = {"x": channels["x"]}, {"y": {"value": 0}}
            place = {"align": side, "baseline": "top", "dx": -4 if side == "right" else 4, "dy": 2 + 13 * line}
        else:
            own, end = {"y": channels["y"]}, {"x": {"value": "width"}}
            place = {"align": "right", "baseline": "bottom", "dx": -3, "dy": -2}
        data = {"values": [{"at": rule.value, "label": rule.label}]}
        layers += [
            {"data": data, "mark": {"type": "rule", "strokeDash": [5, 4], "color": "#777"}, "encoding": own},
            {"data": data, "mark": {"type": "text", **place}, "encoding": own | end | {"text": {"field": "label"}}},
        ]
    return layers


def _title(panel: Panel) -> Any:
    """The title; under it the slider's reading and caption, which change with it."""
    slider = panel.slider
    if slider is None:
        return panel.title
    lines = [f"{slider.label(i)}   {slider.caption(i)}".strip() for i in range(len(slider.values))]
    # Vega's expressions read JSON strings; only the title's text, not its subtitle, may be an expression
    return {"text": {"expr": f"[{json.dumps(panel.title)}, {json.dumps(lines)}[frame]]"}, "anchor": "start"}
