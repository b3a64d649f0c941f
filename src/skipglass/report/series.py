"""What a panel is made of: axes, series of numbers, reference lines, and a slider over frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipglass import check
from skipglass.errors import InputError

__all__ = ["FIELDS", "MARKS", "Axis", "Rule", "Series", "Slider"]

FIELDS = ("x", "y", "low", "high")  # of a series
MARKS = ("line", "bar", "points")  # how a series can be drawn


@dataclass(frozen=True)
class Axis:
    """What runs along one direction of a panel.

    Parameters
    ----------
    label
        The quantity, with its letter.
    unit
        Its unit, drawn in brackets; empty for a pure number.
    log
        A logarithmic scale.
    zero
        The axis starts at (or includes) zero.

    Examples
    --------
    >>> Axis("time", "s").title
    'time [s]'
    """

    label: str
    unit: str = ""
    log: bool = False
    zero: bool = False

    def __post_init__(self) -> None:
        if self.log and self.zero:
            raise InputError(f"axis {self.label!r} is both log and zero; a logarithm has no zero: drop one")

    @property
    def title(self) -> str:
        """The label with its unit in brackets."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label

    def even(self, values: Any) -> Any:
        """What is evenly spaced on the axis: the values, or their logarithms."""
        return np.log10(values) if self.log else values

    def back(self, even: Any) -> Any:
        """The values of what is evenly spaced."""
        return 10.0**even if self.log else even


@dataclass(frozen=True, eq=False)
class Series:
    """One named sequence of points, with an optional band of spread.

    Parameters
    ----------
    name
        What the legend says.
    x, y
        (n,) numbers; a NaN in ``y`` is a gap, ``x`` must be finite.
    low, high
        (n,) the ends of the spread at each point, both or neither: a band under a line, whiskers otherwise.
    marks
        "line", "bar" or "points"; None takes the panel's.

    Raises
    ------
    InputError
        If lengths differ, an array is not one-dimensional, ``x`` is not finite, or one end of the band lacks.
    """

    name: str
    x: Any
    y: Any
    low: Any = None
    high: Any = None
    marks: str | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise InputError("a series needs a name: the legend and the data file show it")
        if self.marks is not None:
            check.choice(f"marks of series {self.name!r}", self.marks, MARKS)
        if (self.low is None) != (self.high is None):
            raise InputError(f"series {self.name!r} has one end of its band only; give low and high, or neither")
        # x comes first: the others must be as long
        for field in FIELDS:
            if getattr(self, field) is not None:
                vars(self)[field] = self._column(field)
        if not np.isfinite(self.x).all():
            raise InputError(f"series {self.name!r}: x must be finite; drop the points without a position")

    def _column(self, field: str) -> NDArray[np.float64]:
        """A copy that nobody can change."""
        value = getattr(self, field)
        try:
            column = np.array(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"series {self.name!r}: {field} must be numbers, not {value!r:.60}") from None
        if column.ndim != 1 or column.size == 0:
            raise InputError(f"series {self.name!r}: {field} must have shape (n,), not {column.shape}")
        if field != "x" and column.shape != self.x.shape:
            raise InputError(f"series {self.name!r}: {field} has {column.size} values, x has {self.x.size}")
        column.flags.writeable = False
        return column

    @property
    def columns(self) -> dict[str, NDArray[np.float64]]:
        """The arrays that there are, by the names in `FIELDS`."""
        return {field: getattr(self, field) for field in FIELDS if getattr(self, field) is not None}


@dataclass(frozen=True)
class Rule:
    """A labelled reference line.

    Parameters
    ----------
    value
        Where it stands.
    label
        What it says.
    axis
        The axis that ``value`` belongs to: "x" draws a vertical line, "y" a horizontal one.
    """

    value: float
    label: str
    axis: str = "y"

    def __post_init__(self) -> None:
        check.choice("axis of a rule", self.axis, ("x", "y"))
        vars(self).update(value=check.real(f"value of the rule {self.label!r}", self.value))


@dataclass(frozen=True, eq=False)
class Slider:
    """A quantity that the reader moves: each of its values shows another frame.

    Parameters
    ----------
    name
        The quantity ("β").
    values
        Its values, in the order of the slider.
    frames
        For each value the series to show; the same names in each.
    captions
        For each value one line of text; empty if none are given.

    Raises
    ------
    InputError
        If the numbers of values, frames and captions differ, or the names of the series do.
    """

    name: str
    values: Sequence[float]
    frames: Sequence[tuple[Series, ...]]
    captions: Sequence[str] = ()

    def __post_init__(self) -> None:
        values = tuple(check.real(f"value of the slider {self.name!r}", value) for value in self.values)
        frames = tuple(tuple(frame) for frame in self.frames)
        captions = tuple(self.captions) or ("",) * len(values)
        if not values or not len(values) == len(frames) == len(captions):
            counts = f"{len(values)} values, {len(frames)} frames and {len(captions)} captions"
            raise InputError(f"slider {self.name!r} has {counts}; give as many of each, or no captions")
        # the same series in every frame, so that colours and legend stay as the slider moves
        names = [[series.name for series in frame] for frame in frames]
        if not names[0] or any(frame != names[0] for frame in names):
            raise InputError(f"slider {self.name!r}: every frame must hold the same series, in one order")
        vars(self).update(values=values, frames=frames, captions=captions)

    def label(self, frame: int) -> str:
        """The slider's reading at a frame, "β = 0.5"."""
        return f"{self.name} = {self.values[frame]:.6g}"
