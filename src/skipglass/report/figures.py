"""Panels as files: PNG and PDF drawn by vl-convert, with the data beside each; and on matplotlib's axes."""

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from skipglass import check
from skipglass.errors import InputError
from skipglass.record import output_folder, save, write_atomically
from skipglass.report.axes import STYLE
from skipglass.report.chart import still, still_config
from skipglass.report.extra import page_extra
from skipglass.report.panel import Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw", "grid", "save_figures", "save_grid", "svg"]

RESOLUTION = 150  # pixels per inch

draw = Panel.plot


def grid(panels: Sequence[Panel], columns: int = 3) -> "Figure":
    """Draw several panels into one matplotlib figure, row by row.

    Parameters
    ----------
    panels
        What to draw, at least one.
    columns
        Panels in a row.

    Returns
    -------
    matplotlib.figure.Figure
        The figure; pyplot does not know of it, so that nothing stays open.

    Raises
    ------
    InputError
        If there is no panel.
    """
    from matplotlib import rcParams, style
    from matplotlib.figure import Figure

    if not panels:
        raise InputError("a grid needs at least one panel")
    columns = min(check.integer("columns", columns, 1), len(panels))
    rows = math.ceil(len(panels) / columns)
    with style.context(STYLE):
        width, height = rcParams["figure.figsize"]
        figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
        for index, panel in enumerate(panels):
            panel.plot(figure.add_subplot(rows, columns, index + 1))
    return figure


@lru_cache(maxsize=256)  # the page shows what the files hold: each picture is drawn once
def svg(*panels: Panel) -> str:
    """Draw one panel, or several in rows of three, as an SVG picture.

    Parameters
    ----------
    *panels
        What to draw.

    Returns
    -------
    str
        The picture; text stays text.

    Raises
    ------
    UserError
        If the ``page`` extra is not installed.
    """
    from matplotlib import get_data_path

    spec = {
        "columns": min(len(panels), 3),
        "concat": [still(panel) for panel in panels],
        "resolve": {"scale": {"color": "independent"}, "legend": {"color": "independent"}},
        "spacing": 24,
        "config": still_config(),
    }
    # matplotlib brings a font along that has the letters of the field, wherever the picture is drawn
    convert = page_extra("vl_convert")
    convert.register_font_directory(f"{get_data_path()}/fonts/ttf")
    return convert.vegalite_to_svg(spec)


def save_figures(panel: Panel, folder: str | Path) -> list[Path]:
    """Write a panel as ``<name>.png`` and ``<name>.pdf``, and its data as ``<name>.nc``.

    Parameters
    ----------
    panel
        What to draw.
    folder
        Where; made if need be.

    Returns
    -------
    list of Path
        The files, each whole; the data are the last.

    Raises
    ------
    UserError
        If the ``page`` extra is not installed.
    """
    drawn = _write(svg(panel), folder, panel.name)
    return [*drawn, save(panel.to_xarray(), Path(folder) / f"{panel.name}.nc", "panel")]


def save_grid(panels: Sequence[Panel], folder: str | Path, name: str) -> list[Path]:
    """Write several panels as one ``<name>.png`` and ``<name>.pdf``; see `svg` and `save_figures`."""
    return _write(svg(*panels), folder, name)


def _write(picture: str, folder: str | Path, name: str) -> list[Path]:
    """Write an SVG picture in each of the formats."""
    convert = page_extra("vl_convert")
    formats = {".png": convert.svg_to_png(picture, ppi=RESOLUTION), ".pdf": convert.svg_to_pdf(picture)}
    files = [output_folder(folder) / f"{name}{suffix}" for suffix in formats]
    for path, image in zip(files, formats.values(), strict=True):
        with write_atomically(path) as temporary:
            temporary.write_bytes(image)
    return files
