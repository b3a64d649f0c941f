"""How a spectrum is shown: as a table, as labelled arrays, as a panel."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from skipglass.report import Panel

__all__ = ["bars", "blocks_table", "evenly", "table"]

ROWS = 30  # with more lengths than that, those that carry next to nothing are left out
BLOCKS = 16  # rows of a table of blocks, evenly spaced: our choice
LITTLE = 1e-3

HOW_TO_READ = (
    "Each bar is the part of the gradient that flows along paths of one length: by its own size (squared norm, all "
    "lengths together 1), and by what it adds to the whole (share, signed, summing to 1); mass further right means "
    "that deeper paths carry the gradient."
)


def table(lengths: NDArray[np.int64], square: NDArray[np.float64], columns: dict[str, NDArray[np.float64]]) -> str:
    """Write one row a length; where there are many, those that carry less than a thousandth are left out."""
    total = square.sum()
    worth = square > LITTLE * total
    for values in columns.values():
        worth |= np.abs(values) > LITTLE
    inside = np.flatnonzero(worth)
    lo, hi = (inside[0], inside[-1] + 1) if len(lengths) > ROWS and len(inside) else (0, len(lengths))
    lines = [f"{'length':>6}  {'norm²':>10}" + "".join(f"  {name:>12}" for name in columns)]
    lines += [
        f"{lengths[k]:6}  {square[k]:10.3e}" + "".join(f"  {values[k]:12.5f}" for values in columns.values())
        for k in range(lo, hi)
    ]
    if hi - lo < len(lengths):
        lines.append(f"{len(lengths) - hi + lo} lengths below a thousandth are left out")
    return "\n".join(lines)


def evenly(number: int, most: int) -> NDArray[np.int64]:
    """Return which of so many to show: at equal distances, the first and the last among them."""
    return np.unique(np.linspace(0, number - 1, min(number, most)).round().astype(np.int64))


def blocks_table(names: Sequence[str], norms: NDArray[np.float64]) -> str:
    """Write one row a block: what arrives at its input, and the mean length from there to the loss, by squared norm.

    Parameters
    ----------
    names
        Of the L blocks.
    norms
        (L, 1 + last), ‖g_r‖ at their inputs.
    """
    square = norms**2
    total = square.sum(axis=1)
    mean = np.divide(square @ np.arange(norms.shape[1]), total, out=np.full(len(total), np.nan), where=total > 0)
    shown = evenly(len(names), BLOCKS)
    width = max([5, *(len(names[l]) for l in shown)])
    lines = ["", f"{'at the input of':{max(width, 15)}}  {'Σ norm²':>10}  {'mean length':>12}"] if names else []
    lines += [f"{names[l]:{width}}  {total[l]:10.3e}  {mean[l]:12.5f}" for l in shown]
    return "\n".join(lines + ([f"{len(names) - BLOCKS} more blocks between them"] if len(names) > BLOCKS else []))


def bars(
    lengths: NDArray[np.int64], square: NDArray[np.float64], share: NDArray[np.float64], unit: str, note: str
) -> "Panel":
    """Return a panel of normalised squared norms and shares by length."""
    from skipglass.report import Axis, Panel, Series

    total = square.sum()
    return Panel(
        "spectrum",
        "The gradient by path length",
        HOW_TO_READ,
        Axis(f"path length r ({unit})"),
        Axis("part of the gradient", zero=True),
        (
            Series("‖g_r‖²/Σ‖g_r‖²", lengths, square / total if total else np.full(len(square), np.nan)),
            Series("share ⟨g_r, g⟩/‖g‖²", lengths, share),
        ),
        marks="bar",
        note=note,
    )
