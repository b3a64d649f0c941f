"""The first variable of a result against its coordinate, for results that say no more about how to draw them."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from skipglass.errors import InputError
from skipglass.record.fields import Array, filled
from skipglass.record.tables import arrays_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_first"]

LINES = 10  # of an array with two dimensions: our choice


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

    arrays = arrays_of(result)
    drawable = [(kind, a) for kind, a in arrays if not kind.coordinate and a.ndim and a.dtype.kind in "bif"]
    if not drawable:
        raise InputError(f"a {type(result).__name__} has no variable along a coordinate that could be drawn")
    kind, values = drawable[0]
    dims, places = kind.dims_of(values), np.arange(len(values))
    label, x = next(
        ((_label(k, result), labels) for k, labels in arrays if k.coordinate and k.dims[0] == dims[0]),
        (dims[0], places),
    )
    ax = plt.subplots(layout="constrained")[1] if ax is None else ax
    # further dimensions side by side: one line each
    columns = values.reshape(len(values), math.prod(values.shape[1:]))[:, :LINES]
    if x.dtype.kind in "if":
        ax.plot(x, columns, marker=".", label=[f"{dims[-1]} {k}" for k in range(columns.shape[1])])
    else:
        ax.bar(places, columns[:, 0])
        ax.set_xticks(places, x, rotation=90, fontsize="small")
    if columns.shape[1] > 1:
        ax.legend(fontsize="small")
    ax.set(xlabel=label, ylabel=_label(kind, result))
    return ax


def _label(kind: Array, result: Any) -> str:
    """Long name, letter and units."""
    words = " ".join(dict.fromkeys(part for part in (kind.long_name, kind.letter) if part)) or kind.label(result)
    return filled(f"{words} ({kind.units})" if kind.units else words, result)
