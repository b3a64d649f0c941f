"""The first variable of a result against its coordinate, for results that say no more about how to draw them."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from skipglass.errors import InputError
from skipglass.record.fields import Array, Kind, declared, filled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_first"]

LINES = 10  # of an array with two dimensions: our choice
TICKS = 24  # names that fit below an axis


def draw_first(result: Any, ax: "Axes | None" = None) -> "Axes":
    """Draw bars over names and lines over numbers; of an array with two dimensions one line for each of the first ten.

    Parameters
    ----------
    result
        A `Result`.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        If the result has no variable along a dimension.
    """
    import matplotlib.pyplot as plt

    kind, values = _first(result)
    dims = kind.dims_of(values)
    labels = [k for k in declared(type(result)).values() if isinstance(k, Array) and k.coordinate]
    across = next((k for k in labels if dims[0] == k.dims[0] and getattr(result, k.name) is not None), None)
    x = np.arange(len(values)) if across is None else across.values(getattr(result, across.name))
    values = values.reshape(len(values), math.prod(values.shape[1:]))
    ax = plt.subplots(layout="constrained")[1] if ax is None else ax
    if x.dtype.kind in "if":
        rows = values[:, :LINES]
        for k, line in enumerate(rows.T):
            ax.plot(x, line, marker="." if len(x) <= 2 * TICKS else None, label=f"{dims[-1]} {k}")
        if rows.shape[1] > 1:
            ax.legend(fontsize="small")
    else:
        places = np.arange(len(x))
        ax.bar(places, values[:, 0])
        shown = places[:: max(1, math.ceil(len(places) / TICKS))]
        ax.set_xticks(shown, [str(x[k]) for k in shown], rotation=90, fontsize="small")
    ax.set(xlabel=dims[0] if across is None else axis_label(across, result), ylabel=axis_label(kind, result))
    return ax


def axis_label(kind: Kind, result: Any) -> str:
    """Return long name, letter and units."""
    words = " ".join(dict.fromkeys(part for part in (kind.long_name, kind.letter) if part)) or kind.label(result)
    return filled(f"{words} ({kind.units})" if kind.units else words, result)


def _first(result: Any) -> tuple[Array, np.ndarray]:
    for name, kind in declared(type(result)).items():
        if isinstance(kind, Array) and not kind.coordinate and (value := getattr(result, name)) is not None:
            values = kind.values(value)
            if values.ndim and values.dtype.kind in "bif":
                return kind, values
    raise InputError(f"a {type(result).__name__} has no variable along a coordinate that could be drawn")
