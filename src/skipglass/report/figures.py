"""Panels as files: PNG and PDF drawn by vl-convert, with the data beside each; and on matplotlib's axes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipglass import check
from skipglass.errors import InputError
from skipglass.record import output_folder, save, write_atomically
from skipglass.report.axes import SIZE, STYLE
from skipglass.report.chart import STILL_CONFIG, still
from skipglass.report.extra import page_extra
from skipglass.report.panel import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "grid", "save_figures", "save_grid", "svg_of"]

RESOLUTION = 150  # pixels per inch


def draw(panel: Panel, ax: "Axes | None" = None, frame: int | None = None, caption: bool = False) -> "Axes":
    """Draw a panel with matplotlib; see `Panel.plot`."""
    return panel.plot(ax, frame, caption)


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
    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = _columns(panels, columns)
    rows = math.ceil(len(panels) / columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(SIZE[0] * columns, SIZE[1] * rows), layout="constrained")
        for index, panel in enumerate(panels):
            panel.plot(figure.add_subplot(rows, columns, index + 1))
    return figure


def save_figures(panel: Panel, folder: str | Path, caption: bool = False) -> list[Path]:
    """Write a panel as ``<name>.png`` and ``<name>.pdf``, and its data as ``<name>.nc``.

    Parameters
    ----------
    panel
        What to draw.
    folder
        Where; made if need be.
    caption
        Whether the sentence that says how to read it stands below the title.

    Returns
    -------
    list of Path
        The three files, each whole.

    Raises
    ------
    UserError
        If the ``page`` extra is not installed.
    """
    folder = output_folder(folder)
    drawn = _write(still(panel, caption), folder, panel.name)
    return [*drawn, save(panel.to_xarray(), folder / f"{panel.name}.nc", "panel")]


def save_grid(panels: Sequence[Panel], folder: str | Path, name: str, columns: int = 3) -> list[Path]:
    """Write several panels as one ``<name>.png`` and ``<name>.pdf``; parameters as for `grid`; return the files."""
    together = {
        "concat": [still(panel, prefix=f"{panel.name}-") for panel in panels],
        "columns": _columns(panels, columns),
        "spacing": 24,
        "resolve": {"scale": {"color": "independent"}, "legend": {"color": "independent"}},
    }
    return _write(together, output_folder(folder), name)


def svg_of(panel: Panel) -> str:
    """Return a panel as an SVG picture."""
    return _svg(still(panel))


def _columns(panels: Sequence[Panel], columns: int) -> int:
    if not panels:
        raise InputError("a grid needs at least one panel")
    return min(check.integer("columns", columns, 1), len(panels))


def _svg(spec: dict[str, Any]) -> str:
    import matplotlib as mpl

    convert = page_extra("vl_convert")
    convert.register_font_directory(f"{mpl.get_data_path()}/fonts/ttf")
    return convert.vegalite_to_svg(spec | {"config": STILL_CONFIG})


def _write(spec: dict[str, Any], folder: Path, name: str) -> list[Path]:
    """Write a specification as PNG and PDF."""
    convert, svg = page_extra("vl_convert"), _svg(spec)
    pictures = {"png": convert.svg_to_png(svg, ppi=RESOLUTION), "pdf": convert.svg_to_pdf(svg)}
    for kind, picture in pictures.items():
        with write_atomically(folder / f"{name}.{kind}") as temporary:
            temporary.write_bytes(picture)
    return [folder / f"{name}.{kind}" for kind in pictures]
