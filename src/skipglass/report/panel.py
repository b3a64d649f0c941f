"""A panel: data, axes and the sentence that says how to read it."""

import csv
import io
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skipglass import check
from skipglass.errors import InputError
from skipglass.record import write_atomically
from skipglass.report.axes import SIZE, STYLE, draw_on
from skipglass.report.geometry import CATEGORIES, Geometry
from skipglass.report.series import MARKS, Axis, Rule, Series, Slider

if TYPE_CHECKING:  # xarray takes half a second to import: only when data are asked for
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["COLUMNS", "Panel", "check_heading"]

COLUMNS = ("series", "frame", "x", "y", "low", "high")
"""The columns of a panel's data in long form; ``frame`` is the slider's value, NaN outside of it."""


def check_heading(kind: str, name: str, title: str, how_to_read: str) -> None:
    """Refuse what has no file name, no title or no sentence that says how to read it."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise InputError(f"the name of a {kind} is its file's: a-z, 0-9, '-' and '_' only, not {name!r}")
    if not title.strip():
        raise InputError(f"{kind} {name!r} needs a title")
    if not how_to_read.strip():
        raise InputError(f"{kind} {name!r} needs how_to_read: one sentence, and what a rise means")


@dataclass(frozen=True, eq=False)
class Panel:
    """Data, axes and the sentence that says how to read them.

    Parameters
    ----------
    name
        The stem of its files: a-z, 0-9, "-" and "_".
    title, how_to_read
        What is shown, and one sentence that says how to read it.
    x, y
        The axes.
    series
        What is drawn, whatever the slider says.
    marks
        "line", "bar" or "points", for each series that does not say otherwise.
    rules
        Reference lines.
    note
        The setting: seeds, spread, n.
    slider
        Series that the reader steps through.
    color
        The series are an ordered sequence of this quantity (epochs): sequential colours, a legend title.
    shown
        The frame of the slider that static figures draw; the middle one if None.

    Raises
    ------
    InputError
        If something cannot be drawn: no series, equal names, values ≤ 0 on a logarithmic axis.

    Examples
    --------
    >>> line = Series("loss", x=[1, 2, 3], y=[1.0, 0.5, 0.4])
    >>> panel = Panel("loss", "Training", "Lower is better.", Axis("epoch"), Axis("loss"), (line,))
    >>> panel.to_xarray().sizes["row"]
    3
    """

    name: str
    title: str
    how_to_read: str
    x: Axis
    y: Axis
    series: tuple[Series, ...] = ()
    marks: str = "line"
    rules: tuple[Rule, ...] = ()
    note: str = ""
    slider: Slider | None = None
    color: Axis | None = None
    shown: int | None = None

    def __post_init__(self) -> None:
        check_heading("panel", self.name, self.title, self.how_to_read)
        check.choice(f"marks of panel {self.name!r}", self.marks, MARKS)
        object.__setattr__(self, "series", tuple(self.series))
        object.__setattr__(self, "rules", tuple(self.rules))
        if self.shown is not None and self.slider is None:
            raise InputError(f"panel {self.name!r}: shown picks a frame, and there is no slider")
        if self.shown is not None and self.slider is not None:
            check.integer("shown", self.shown, 0, len(self.slider.values) - 1)
        _check(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the series, in the order of their colours."""
        return tuple(series.name for series in self.drawn())

    @property
    def default_frame(self) -> int:
        """The frame that is drawn where nobody moves the slider."""
        if self.shown is not None:
            return self.shown
        return len(self.slider.values) // 2 if self.slider else 0

    def drawn(self, frame: int | None = None) -> tuple[Series, ...]:
        """The series on show at a frame of the slider (None: the default one)."""
        if self.slider is None:
            return self.series
        return self.series + self.slider.frames[self.default_frame if frame is None else frame]

    def everything(self) -> Iterator[tuple[int | None, Series]]:
        """Every series with the index of its frame, None for those drawn in all."""
        for series in self.series:
            yield None, series
        if self.slider is not None:
            for index, frame in enumerate(self.slider.frames):
                for series in frame:
                    yield index, series

    def marks_of(self, series: Series) -> str:
        """How a series of this panel is drawn."""
        return series.marks or self.marks

    @cached_property
    def geometry(self) -> Geometry:
        """Where the marks stand and how they are coloured."""
        everything = tuple((self.marks_of(series), series) for _, series in self.everything())
        return Geometry(self.x, self.y, self.color, everything, self.names, self.rules)

    def heading(self, frame: int | None = None) -> str:
        """The title, with the slider's reading at a frame (None: the default one)."""
        if self.slider is None:
            return self.title
        return f"{self.title}, {self.slider.label(self.default_frame if frame is None else frame)}"

    def plot(self, ax: "Axes | None" = None, frame: int | None = None, caption: bool = False) -> "Axes":
        """Draw the panel with matplotlib.

        Parameters
        ----------
        ax
            Where; a new figure if None.
        frame
            The index of the slider's frame; ``shown`` if None.
        caption
            Whether the sentence that says how to read it stands below.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        import matplotlib as mpl

        if self.slider is not None and frame is not None:
            check.integer("frame", frame, 0, len(self.slider.values) - 1)
        with mpl.rc_context(STYLE):
            if ax is None:
                import matplotlib.pyplot as plt

                ax = plt.subplots(figsize=SIZE, layout="constrained")[1]
            drawn = [(self.marks_of(series), series) for series in self.drawn(frame)]
            draw_on(ax, self.geometry, drawn, self.heading(frame))
            if caption:
                words = textwrap.fill(self.how_to_read, 84)
                ax.figure.supxlabel(words, fontsize=8, x=0.02, ha="left", color="#444444")
        return ax

    def to_xarray(self, frame: int | None = None) -> "xr.Dataset":
        """Return the data in long form: one row per point, ready for ``to_dataframe``.

        Parameters
        ----------
        frame
            The index of one frame of the slider; None takes all.

        Returns
        -------
        xarray.Dataset
            `COLUMNS` along ``row``; title, axes, note and rules are attributes.
        """
        import xarray as xr

        # column by column, one piece per series and frame
        columns: dict[str, list[np.ndarray]] = {name: [] for name in COLUMNS}
        for index, series in self.everything():
            if frame is None or index is None or index == frame:
                value = np.nan if self.slider is None or index is None else self.slider.values[index]
                columns["series"].append(np.full(series.x.size, series.name, dtype=object))
                columns["frame"].append(np.full(series.x.size, value))
                for name in COLUMNS[2:]:
                    column = getattr(series, name)
                    columns[name].append(np.full(series.x.size, np.nan) if column is None else column)
        # everything but the numbers, if there is anything to say
        about = {
            "title": self.title,
            "how_to_read": self.how_to_read,
            "note": self.note,
            "x_axis": self.x.title,
            "y_axis": self.y.title,
            "rules": "; ".join(f"{rule.axis} = {rule.value:.17g}: {rule.label}" for rule in self.rules),
            "frame": self.slider.name if self.slider else "",
            "series_order": self.color.title if self.color else "",
        }
        axes = {name: {"long_name": axis.label, "units": axis.unit} for name, axis in (("x", self.x), ("y", self.y))}
        data = {name: ("row", np.concatenate(parts), axes.get(name, {})) for name, parts in columns.items()}
        return xr.Dataset(data, attrs={name: text for name, text in about.items() if text})

    def to_csv(self, path: str | Path) -> Path:
        """Write the data in long form as text, whole or not at all, and return ``path``."""
        with write_atomically(path) as temporary:
            temporary.write_text(self.csv(), encoding="utf-8")
        return Path(path)

    def csv(self, precision: int = 17) -> str:
        """The data in long form as text: one row per point, an empty cell where there is no number."""
        text, data = io.StringIO(), self.to_xarray()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, *row in zip(*(data[column].values for column in COLUMNS), strict=True):
            writer.writerow([name, *(f"{number:.{precision}g}" if np.isfinite(number) else "" for number in row)])
        return text.getvalue()


def _check(panel: Panel) -> None:
    """Refuse what cannot be drawn."""
    names, about = panel.names, f"panel {panel.name!r}"
    if not names:
        raise InputError(f"{about} has nothing to draw; give series or a slider")
    if len(set(names)) != len(names):
        raise InputError(f"{about} has two series of one name: {', '.join(names)}")
    if panel.color is None and len(names) > len(CATEGORIES):
        raise InputError(
            f"{about} has {len(names)} series, colours tell {len(CATEGORIES)} apart; "
            "give color= if they are an ordered sequence, or split the panel"
        )
    # a logarithm takes positive numbers only, of data and of rules
    for axis, which, fields in ((panel.x, "x", ("x",)), (panel.y, "y", ("y", "low", "high"))):
        values = {(f, s.name): getattr(s, f) for _, s in panel.everything() for f in fields}
        values |= {("value", rule.label): np.array([rule.value]) for rule in panel.rules if rule.axis == which}
        for (field, name), column in values.items():
            if axis.log and column is not None and (column <= 0).any():
                raise InputError(
                    f"{about}: {field} of {name!r} has values ≤ 0, and {axis.label!r} is logarithmic; "
                    "put NaN there or use a linear axis"
                )
