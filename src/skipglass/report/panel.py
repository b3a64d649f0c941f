"""A panel: data, axes and the sentence that says how to read it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from skipglass import check
from skipglass.errors import InputError
from skipglass.report.axes import STYLE, draw_on
from skipglass.report.geometry import CATEGORIES, Geometry
from skipglass.report.series import FIELDS, MARKS, Axis, Rule, Series, Slider

if TYPE_CHECKING:  # xarray takes half a second to import: only when data are asked for
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["Panel", "check_heading"]


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
        The index of the slider's frame that static figures draw and the page begins with; the middle one if None.

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
        # from here on every series knows how it is drawn
        vars(self).update(series=self._marked(self.series), rules=tuple(self.rules))
        if self.slider is not None:
            frames = [self._marked(frame) for frame in self.slider.frames]
            vars(self).update(slider=replace(self.slider, frames=frames))
        if self.shown is not None:
            if self.slider is None:
                raise InputError(f"panel {self.name!r}: shown picks a frame, and there is no slider")
            check.integer("shown", self.shown, 0, len(self.slider.values) - 1)
        _check(self)

    def _marked(self, chosen: Iterable[Series]) -> tuple[Series, ...]:
        return tuple(replace(series, marks=series.marks or self.marks) for series in chosen)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the series, in the order of their colours."""
        return tuple(series.name for series in self.drawn())

    @property
    def default_frame(self) -> int:
        """The frame that is drawn where nobody moves the slider."""
        middle = len(self.slider.values) // 2 if self.slider else 0
        return middle if self.shown is None else self.shown

    def drawn(self) -> tuple[Series, ...]:
        """The series on show where nobody moves the slider."""
        return self.series + (self.slider.frames[self.default_frame] if self.slider else ())

    def everything(self) -> list[tuple[int | None, Series]]:
        """Every series with the index of its frame, None for those drawn in all."""
        frames = self.slider.frames if self.slider else ()
        return [(None, s) for s in self.series] + [(k, s) for k, frame in enumerate(frames) for s in frame]

    @cached_property
    def geometry(self) -> Geometry:
        """Where the marks stand and how they are coloured."""
        everything = tuple(series for _, series in self.everything())
        return Geometry({"x": self.x, "y": self.y}, self.color, self.names, self.rules, everything)

    def heading(self) -> str:
        """The title, with the slider's reading."""
        return f"{self.title}, {self.slider.label(self.default_frame)}" if self.slider else self.title

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the panel with matplotlib; for another frame of the slider, `dataclasses.replace` what is ``shown``.

        Parameters
        ----------
        ax
            Where; a new figure if None.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from matplotlib import style

        with style.context(STYLE):
            if ax is None:
                import matplotlib.pyplot as plt

                ax = plt.subplots(layout="constrained")[1]
            draw_on(ax, self.geometry, self.drawn(), self.heading())
        return ax

    def to_xarray(self) -> "xr.Dataset":
        """Return the data in long form: one row per point, ready for ``to_dataframe``.

        Returns
        -------
        xarray.Dataset
            ``series``, ``frame`` (the slider's value, NaN outside of it), ``x``, ``y``, ``low`` and ``high`` along
            ``row``; title, axes, note and rules are attributes.
        """
        import xarray as xr

        frames, series = zip(*self.everything(), strict=True)
        values = {None: np.nan} | dict(enumerate(self.slider.values if self.slider else ()))
        sizes = [one.x.size for one in series]
        data = {
            "series": np.repeat(np.array([one.name for one in series], dtype=object), sizes),
            "frame": np.repeat([values[frame] for frame in frames], sizes),
        }
        # column by column, NaN where a series has none
        for field in FIELDS:
            data[field] = np.concatenate([one.columns.get(field, np.full(one.x.size, np.nan)) for one in series])
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
        dataset = xr.Dataset({name: ("row", column) for name, column in data.items()})
        dataset.attrs = {name: text for name, text in about.items() if text}
        for name, axis in self.geometry.axes.items():
            dataset[name].attrs = {"long_name": axis.label, "units": axis.unit}
        return dataset


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
    values = [(name, s.name, column) for _, s in panel.everything() for name, column in s.columns.items()]
    values += [(rule.axis, rule.label, np.array([rule.value])) for rule in panel.rules]
    for name, of, column in values:
        axis = panel.x if name == "x" else panel.y
        if axis.log and (column <= 0).any():
            raise InputError(
                f"{about}: {name} of {of!r} has values ≤ 0, and {axis.label!r} is logarithmic; "
                "put NaN there or use a linear axis"
            )
