"""Many panels as one self-contained HTML file that opens offline."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from skipglass.record import value_text, write_atomically
from skipglass.report.chart import interactive
from skipglass.report.document import Report, Table, verdict_look
from skipglass.report.extra import page_extra
from skipglass.report.figures import svg
from skipglass.report.panel import Panel

__all__ = ["render_page"]


def render_page(report: Report, path: str | Path) -> Path:
    """Write a report as one HTML file, whole or not at all.

    Scripts, styles and data stand in the file; a content security policy in its head keeps the browser from
    fetching anything else.

    Parameters
    ----------
    report
        What it shows.
    path
        The file, by custom ``report.html``; its folder must exist.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    UserError
        If the ``page`` extra is not installed.
    StorageError
        If the file cannot be written.
    """
    html = _html(report)
    with write_atomically(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return Path(path)


def _html(report: Report) -> str:
    jinja2 = page_extra("jinja2")
    # Vega itself stands in the page, which fetches nothing
    engine = page_extra("vl_convert").javascript_bundle()
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("skipglass.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["table"] = lambda item: isinstance(item, Table)
    environment.filters |= {"cell": value_text, "verdict": verdict_look, "still": _still}
    return environment.get_template("page.html.j2").render(
        report=report,
        charts=script_json({panel.name: _embedded(panel) for panel in report.panels}),
        engine=_script(engine),
    )


def script_json(value: object) -> str:
    """``value`` as JSON that no text in it can end the script element of."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _script(source: str) -> str:
    """Source code that the end of a script element cannot hide in: both stand in strings only."""
    return source.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _embedded(panel: Panel) -> dict[str, Any]:
    """The chart, and what its slider says at every frame."""
    slider = panel.slider
    if slider is None:
        return {"spec": interactive(panel)}
    labels = [slider.label(frame) for frame in range(len(slider.values))]
    return {"spec": interactive(panel), "labels": labels, "captions": slider.captions}


def _still(panel: Panel) -> str:
    """The panel as a picture in a data address, for readers without scripts."""
    return "data:image/svg+xml," + quote(svg(panel), safe=" /:;,()=")
