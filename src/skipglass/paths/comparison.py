"""Two profiles side by side: what changed, and which blocks' participation moved most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["Comparison"]

SHOWN = 12  # blocks in a printed comparison: our choice


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two profiles, this one and the other; prints as a table.

    Attributes
    ----------
    unit
        "blocks" or "weights".
    numbers
        For each of the two, what a table sets side by side.
    blocks
        The names of the C blocks that both have.
    here, there
        (C,) their participation in this profile and in the other.
    only_here, only_there
        Blocks that one of the two lacks.
    """

    unit: str
    numbers: tuple[Mapping[str, str | float], Mapping[str, str | float]]
    blocks: tuple[str, ...]
    here: NDArray[np.float64]
    there: NDArray[np.float64]
    only_here: tuple[str, ...]
    only_there: tuple[str, ...]

    @property
    def moved(self) -> NDArray[np.int64]:
        """(C,) the blocks in order of how far their participation moved, the farthest first."""
        change = np.nan_to_num(np.abs(self.there - self.here), nan=-1.0)
        return np.argsort(-change, kind="stable")

    def __str__(self) -> str:
        first, second = self.numbers
        names = list(dict.fromkeys([*first, *second]))
        rows = [(name, _text(first.get(name, "")), _text(second.get(name, ""))) for name in names]
        lines = _table(("", "this", "other"), rows)
        if self.blocks:
            moved = self.moved[:SHOWN]
            lines += ["", f"participation of the {len(self.blocks)} common blocks, the farthest moved first"]
            lines += _table(
                ("block", "this", "other", "change"),
                [
                    (self.blocks[l], *(f"{v:.3f}" for v in (self.here[l], self.there[l], self.there[l] - self.here[l])))
                    for l in moved
                ],
            )
        for which, missing in (("this", self.only_here), ("the other", self.only_there)):
            if missing:
                lines.append(f"only in {which}: {', '.join(missing[:6])}{', …' if len(missing) > 6 else ''}")
        return "\n".join(lines)

    def to_xarray(self) -> "xr.Dataset":
        """Return the participation of the common blocks."""
        import xarray as xr

        return xr.Dataset(
            {"here": ("block", self.here), "there": ("block", self.there)},
            coords={"block": ("block", np.array(self.blocks, dtype=object))},
            attrs={"unit": self.unit},
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the common blocks' participation, one profile against the other; return the axes."""
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1] if ax is None else ax
        ax.axline((0, 0), slope=1, color="#888888", linewidth=1)
        ax.plot(self.here, self.there, "o")
        for l in self.moved[:3]:
            ax.annotate(self.blocks[l], (self.here[l], self.there[l]), (4, 4), textcoords="offset points")
        ax.set(xlabel="participation, this profile", ylabel="participation, the other")
        return ax


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    return [
        "  ".join(
            cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [head, *rows]
    ]
