"""Panels as files: PNG and PDF drawn by vl-convert, with the data beside each; and on matplotlib's axes."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skipglass import check
from skipglass.errors import InputError
from skipglass.record import output_folder, save, write_atomically
from skipglass.report.axes import SIZE, STYLE
from skipglass.report.chart import still, still_config
from skipglass.report.extra import page_extra
from skipglass.report.panel import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "grid", "save_figures", "save_grid", "svg"]

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


def svg(panels: Panel | Sequence[Panel], columns: int = 3, caption: bool = False) -> str:
    """Draw one panel, or several row by row, as an SVG picture.

    Parameters
    ----------
    panels
        What to draw, at least one.
    columns
        Panels in a row.
    caption
        Whether the sentence that says how to read it stands below each title.

    Returns
    -------
    str
        The picture; text stays text.

    Raises
    ------
    InputError
        If there is no panel.
    UserError
        If the ``page`` extra is not installed.
    """
    import matplotlib as mpl

    if isinstance(panels, Panel):
        spec = still(panels, caption)
    else:
        spec = {"columns": _columns(panels, columns), "concat": [still(panel, caption) for panel in panels]}
        spec |= {"resolve": {"scale": {"color": "independent"}, "legend": {"color": "independent"}}, "spacing": 24}
        # the names of layers, which data hang on, must differ within a picture
        for number, one in enumerate(spec["concat"]):
            for k, layer in enumerate(one["layer"]):
                layer["name"] = f"panel {number} layer {k}"
    # matplotlib brings a font along that has the letters of the field, wherever the picture is drawn
    convert = page_extra("vl_convert")
    convert.register_font_directory(f"{mpl.get_data_path()}/fonts/ttf")
    return convert.vegalite_to_svg(spec | {"config": still_config()})


def save_figures(
    panel: Panel, folder: str | Path, caption: bool = False, kinds: Sequence[str] = ("png", "pdf")
) -> list[Path]:
    """Write a panel as ``<name>.png`` and ``<name>.pdf``, and its data as ``<name>.nc``.

    Parameters
    ----------
    panel
        What to draw.
    folder
        Where; made if need be.
    caption
        Whether the sentence that says how to read it stands below the title.
    kinds
        Any of "png", "pdf" and "svg".

    Returns
    -------
    list of Path
        The files, each whole; the data are the last.

    Raises
    ------
    UserError
        If the ``page`` extra is not installed.
    """
    folder = output_folder(folder)
    drawn = _write(svg(panel, caption=caption), folder, panel.name, kinds)
    return [*drawn, save(panel.to_xarray(), folder / f"{panel.name}.nc", "panel")]


def save_grid(
    panels: Sequence[Panel], folder: str | Path, name: str, columns: int = 3, kinds: Sequence[str] = ("png", "pdf")
) -> list[Path]:
    """Write several panels as one ``<name>.png`` and ``<name>.pdf``; see `svg` and `save_figures`."""
    return _write(svg(panels, columns), output_folder(folder), name, kinds)


def _columns(panels: Sequence[Panel], columns: int) -> int:
    if not panels:
        raise InputError("a grid needs at least one panel")
    return min(check.integer("columns", columns, 1), len(panels))


def _write(picture: str, folder: Path, name: str, kinds: Sequence[str]) -> list[Path]:
    """Write an SVG picture in each of the formats."""
    convert = page_extra("vl_convert")
    formats: dict[str, Callable[[str], bytes]] = {
        "png": lambda picture: convert.svg_to_png(picture, ppi=RESOLUTION),
        "pdf": convert.svg_to_pdf,
        "svg": lambda picture: picture.encode(),
    }
    files = [folder / f"{name}.{check.choice('kinds', kind, formats)}" for kind in kinds]
    for kind, path in zip(kinds, files, strict=True):
        with write_atomically(path) as temporary:
            temporary.write_bytes(formats[kind](picture))
    return files
