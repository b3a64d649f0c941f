"""Two profiles side by side: what changed, and which blocks' participation moved most."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skipglass.errors import InputError
from skipglass.record import Result, derived, mapping, names, text, texts, variable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Comparison", "compared"]

Numbers = Mapping[str, str | float]
SHOWN, LISTED = 3, 6  # blocks named as those that moved most, and as those that one profile lacks: our choice


@dataclass(frozen=True, eq=False)
class Comparison(Result):
    """Two profiles, this one and the other; prints as tables.

    Attributes
    ----------
    unit
        "blocks" or "weights".
    quantities, this, other
        What a table sets side by side, and for each of the two its values by name.
    blocks
        The names of the C blocks that both have.
    here, there
        (C,) their participation in this profile and in the other.
    only_here, only_there
        Blocks that one of the two lacks.
    """

    kind = "comparison"

    unit: str = text("unit", shown=False)
    quantities: tuple[str, ...] = names("quantity", letter="quantity")
    this: Numbers = mapping("quantity", letter="this")
    other: Numbers = mapping("quantity", letter="other")
    blocks: tuple[str, ...] = names("block")
    here: NDArray[np.float64] = variable("block", letter="this", long_name="participation in this profile")
    there: NDArray[np.float64] = variable("block", letter="other", long_name="participation in the other profile")
    only_here: tuple[str, ...] = texts("only in this", shown=False)
    only_there: tuple[str, ...] = texts("only in the other", shown=False)

    @property
    def numbers(self) -> tuple[Numbers, Numbers]:
        """For each of the two, what a table sets side by side."""
        return self.this, self.other

    @property
    @derived(variable("block", letter="change"))
    def change(self) -> NDArray[np.float64]:
        """(C,) how far each participation moved."""
        return self.there - self.here

    @property
    def moved(self) -> NDArray[np.int64]:
        """(C,) the blocks in order of how far their participation moved, the farthest first."""
        return np.argsort(-np.nan_to_num(np.abs(self.change), nan=-1.0), kind="stable")

    def headline(self) -> str:
        """Say how the effective depth changed, and which participations moved most."""
        depths = [f"{numbers['effective depth']:.4g}" for numbers in self.numbers]
        moved = ", ".join(f"{self.blocks[l]} ({self.change[l]:+.3f})" for l in self.moved[:SHOWN])
        most = f" Of the participations, these moved most: {moved}." if moved else ""
        lines = [f"The effective depth is {depths[0]} in this and {depths[1]} in the other, in {self.unit}.{most}"]
        for which, missing in (("this", self.only_here), ("the other", self.only_there)):
            if missing:
                lines.append(f"only in {which}: {', '.join(missing[:LISTED])}{', …' if len(missing) > LISTED else ''}")
        return "\n".join(lines)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the common blocks' participation, one profile against the other; return the axes."""
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1] if ax is None else ax
        ax.axline((0, 0), slope=1, color="#888888", linewidth=1)
        ax.plot(self.here, self.there, "o")
        for l in self.moved[:SHOWN]:
            ax.annotate(self.blocks[l], (self.here[l], self.there[l]), (4, 4), textcoords="offset points")
        ax.set(xlabel="participation, this profile", ylabel="participation, the other")
        return ax


def compared(
    unit: str, this: Numbers, other: Numbers, here: Mapping[str, float], there: Mapping[str, float]
) -> Comparison:
    """Set two profiles side by side, given their numbers and the participation of each one's blocks.

    Raises
    ------
    InputError
        If both have blocks and none in common.
    """
    common = tuple(name for name in here if name in there)
    if here and there and not common:
        raise InputError(
            f"the profiles have no block in common: one has {next(iter(here))}, …, the other {next(iter(there))}, …"
        )
    return Comparison(
        unit=unit,
        quantities=tuple(dict.fromkeys([*this, *other])),
        this=this,
        other=other,
        blocks=common,
        here=np.array([here[name] for name in common], dtype=np.float64),
        there=np.array([there[name] for name in common], dtype=np.float64),
        only_here=tuple(name for name in here if name not in there),
        only_there=tuple(name for name in there if name not in here),
    )
