"""What a sweep trains: every combination of some settings, each with all its seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from skipglass.errors import InputError
from skipglass.training.option import documented, option, validate
from skipglass.training.settings import NETWORK, Settings

__all__ = ["VARIANTS", "Grid"]

VARIANTS: dict[str, tuple[str, str, float | None]] = {
    "batch-before": ("batch", "before", None),
    "batch-after": ("batch", "after", None),
    "paper-before": ("paper", "before", None),
    "paper-after": ("paper", "after", None),
    "none": ("none", "after", None),
    "none-small": ("none", "after", 0.1),
}
"""Normalisation, its place by the ReLU, and C of the weights (None: 1/√fan_in; 0.1 is about half of 1/√20).

With "before", and without normalisation, a branch ends in the ReLU; with "after" in the normalisation (Eq. 22).
"""


@documented
@dataclass(frozen=True)
class Grid:
    """The settings of a sweep on Gaussians: every combination of its axes is a cell.

    Raises
    ------
    InputError
        If an axis is empty or names a value twice, a value is out of range, or there is one seed only.

    Examples
    --------
    >>> list(Grid(separations=[4], learning_rates=[0.1], variants=["none"], depths=[4, 8]).cells())
    ['none-depth4-separation4.0-rate0.1', 'none-depth8-separation4.0-rate0.1']
    """

    separations: Sequence[float] = option((2.0, 4.0, 8.0, 16.0), like=(Settings, "separation"))
    learning_rates: Sequence[float] = option((0.01, 0.05, 0.25), like=(Settings, "learning_rate"), flag="--rates")
    variants: Sequence[str] = option(
        ("batch-before", "batch-after", "paper-after", "none", "none-small"),
        "Normalisation, its place by the ReLU, and the size of the initial weights.", NETWORK, choices=tuple(VARIANTS),
    )  # fmt: skip
    depths: Sequence[int] = option((3, 6, 12), like=(Settings, "depth"), minimum=2)  # the first layer has no shortcut
    seeds: Sequence[int] = option(tuple(range(16)), like=(Settings, "seeds"))
    epochs: int = option(4, like=(Settings, "epochs"))
    width: int = option(20, like=(Settings, "width"))

    def __post_init__(self) -> None:
        validate(self)
        if len(self.seeds) < 2:
            raise InputError("a sweep needs at least 2 seeds: growth is judged by its standard error over them")
        self.cells()  # whether their settings go together

    def cells(self) -> dict[str, Settings]:
        """Return {name of the cell: its settings}."""
        cells = {}
        for variant, depth, separation, rate in product(
            self.variants, self.depths, self.separations, self.learning_rates
        ):
            normalization, placement, scale = VARIANTS[variant]
            cells[f"{variant}-depth{depth}-separation{separation}-rate{rate}"] = Settings(
                depth=depth, width=self.width, normalization=normalization, placement=placement, scale=scale,
                learning_rate=rate, epochs=self.epochs, separation=separation, seeds=self.seeds,
            )  # fmt: skip
        return cells
