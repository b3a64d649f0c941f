"""A labelled result: a frozen dataclass that declares each of its fields once (`skipglass.record.fields`).

What the declaration says is enough to print it, to show it in a notebook, to lay it out as an xarray dataset, to write
and read its file and to draw it. A subclass adds what only it knows: the sentence that answers its question
(``headline``), what no measurement can give (``check``), how it is best drawn (``panel``), and how a file of an older
layout becomes one of today's (``upgrade``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from skipglass.errors import StorageError, one_line
from skipglass.record.drawing import draw_first
from skipglass.record.fields import Attribute, Kind, declared
from skipglass.record.store import load, save
from skipglass.record.tables import as_html, as_text, sizes, value_text

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["Result"]

UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)


@dataclass(frozen=True, eq=False)
class Result:
    """A labelled result; subclass it as a frozen dataclass whose fields are declared by `skipglass.record`.

    Examples
    --------
    >>> import numpy as np
    >>> from skipglass.record import Result, coordinate, number, variable
    >>> @dataclass(frozen=True, eq=False)
    ... class Spectrum(Result):
    ...     kind = "spectrum"
    ...     lengths: np.ndarray = coordinate("length", letter="r", long_name="path length")
    ...     norm: np.ndarray = variable("length", letter="‖g_r‖", long_name="norm of the part of length r")
    ...     depth: float = number(long_name="effective depth", units="blocks")
    ...     def headline(self):
    ...         return "The gradient passes 1.5 blocks on average."
    >>> print(Spectrum(np.array([1, 2]), np.array([0.5, 0.25]), 1.5))
    The gradient passes 1.5 blocks on average.
    <BLANKLINE>
    r  ‖g_r‖
    1  0.500
    2  0.250
    <BLANKLINE>
    effective depth: 1.5 blocks
    """

    kind: ClassVar[str] = "result"
    """What its file holds: `skipglass.record.load` checks it."""

    def __init_subclass__(cls) -> None:
        # a dataclass would print every array; what stands in the class itself, it leaves alone
        cls.__repr__ = cls.__repr__  # type: ignore[method-assign]

    def headline(self) -> str:
        """Return the sentence that a printed result begins with; subclasses answer their question here."""
        return f"{type(self).__name__}: {', '.join(f'{dim} {size}' for dim, size in sizes(self).items())}"

    def check(self) -> str | None:
        """Return what is wrong with values that no measurement can give, or None; asked of what comes from a file."""
        return None

    def panel(self) -> Any:
        """Return the panel that draws the result; None draws the first variable against its coordinate."""
        return None

    @classmethod
    def upgrade(cls, dataset: "xr.Dataset") -> "xr.Dataset":
        """Return the dataset of an older layout in today's; asked of every dataset that is read."""
        return dataset

    def __repr__(self) -> str:
        found = [f"{dim}: {size}" for dim, size in sizes(self).items()]
        for name, kind in declared(type(self)).items():
            value = getattr(self, name)
            if isinstance(kind, Attribute) and isinstance(value, (bool, int, float, str)):
                found.append(f"{name}={value!r}" if isinstance(value, str) else f"{name}={value_text(value)}")
        return f"{type(self).__name__}({', '.join(found)})"

    def __str__(self) -> str:
        return as_text(self, self.headline())

    def _repr_html_(self) -> str:
        return as_html(self, self.headline())

    def to_xarray(self) -> "xr.Dataset":
        """Return everything that is stored as one labelled dataset."""
        import xarray as xr

        dataset = xr.Dataset()
        # None is nothing to store: an optional field, or a transient one
        for name, kind in declared(type(self)).items():
            value = getattr(self, name)
            if value is not None:
                kind.put(value, dataset, self)
        return dataset

    @classmethod
    def from_xarray(cls, dataset: "xr.Dataset") -> Self:
        """Read what `to_xarray` has written.

        Parameters
        ----------
        dataset
            With its attributes.

        Returns
        -------
        Result
            Of this class; transient fields are None.

        Raises
        ------
        StorageError
            If something is missing or has another shape or type, or if no measurement gives such values.
        """
        dataset = cls.upgrade(dataset)
        # field by field, so that the message names the one that is wrong
        values = {name: cls._taken(kind, dataset) for name, kind in declared(cls).items() if not kind.derived}
        # all fields are there and of the right shape: what is left is whether they can be true
        try:
            result = cls(**values)
            wrong = result.check()
        except UNREADABLE as error:
            raise cls._refusal(one_line(error)) from error
        if wrong:
            raise cls._refusal(wrong)
        return result

    @classmethod
    def _taken(cls, kind: Kind, dataset: "xr.Dataset") -> Any:
        """The value of one field."""
        if not kind.within(dataset):
            if kind.optional:
                return None
            raise cls._refusal(f"{kind.key} is missing")
        try:
            return kind.take(dataset)
        except StorageError as error:
            raise cls._refusal(f"{kind.key}: {error}") from error
        except UNREADABLE as error:
            raise cls._refusal(f"{kind.key} cannot be read ({one_line(error)})") from error

    @classmethod
    def _refusal(cls, wrong: str) -> StorageError:
        return StorageError(f"the dataset holds no complete {cls.kind}: {wrong}; make it again")

    def save(self, path: str | Path) -> Path:
        """Write the result as netCDF, whole or not at all, and return the path; `load` reads it back."""
        return save(self.to_xarray(), path, self.kind)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a result that `save` has written.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        Result
            Of this class.

        Raises
        ------
        StorageError
            If the file is missing, damaged, or holds something else.
        """
        return cls.from_xarray(load(path, cls.kind))

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the result with matplotlib.

        Parameters
        ----------
        ax
            Where to draw; a new figure if None.

        Returns
        -------
        matplotlib.axes.Axes
            The axes; their ``.figure`` can be saved.
        """
        panel = self.panel()
        return draw_first(self, ax) if panel is None else panel.plot(ax)
