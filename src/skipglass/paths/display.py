"""How a spectrum is shown: as a table, as labelled arrays, as a panel."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from skipglass.report import Panel

__all__ = ["bars", "table"]

ROWS = 30  # with more lengths than that, those that carry next to nothing are left out
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
