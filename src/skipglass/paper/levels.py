"""Critical points by level: counted numbers of each index below an energy, beside the annealed complexity.

At finite Λ the measured rate (1/Λ) ln E[number of index k with H ≤ Λu] differs from its limit Θ_k(u)
(`theory.level_complexity`) by O(ln Λ/Λ), but the order of the layers is there: near the ground state
only minima, then saddles of index 1, then 2.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skipglass import check
from skipglass.errors import InputError
from skipglass.record import Result, coordinate, derived, number, variable
from skipglass.report import Axis, Panel, Rule, Series
from skipglass.theory import ground_state_energy, level_complexity, threshold_energy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Levels", "levels"]

LOWEST = 3  # indices that the figure of the layers shows: our choice


@dataclass(frozen=True, eq=False)
class Levels(Result):
    """Mean numbers of critical points of a pure p-spin by index and energy.

    Attributes
    ----------
    p, size, samples : int
        Order, Λ and how many glasses.
    edges : ndarray
        (bins + 1,), energies per spin.
    histogram : ndarray
        (indices, bins), the mean number per glass in each bin.
    complexity : ndarray
        (indices, bins + 1), Θ_k at the edges.
    """

    kind: ClassVar[str] = "levels"

    p: int = number("p", of=int, shown=False)
    size: int = number("Λ", of=int, shown=False)
    samples: int = number(of=int, shown=False)
    edges: NDArray[np.float64] = coordinate("edge", of=float, stored="energy", long_name="energy per spin H/Λ")
    histogram: NDArray[np.float64] = variable("index", "bin", long_name="mean number per glass", shown=False)
    complexity: NDArray[np.float64] = variable(
        "index", "edge", letter="Θ_k", long_name="annealed complexity", shown=False
    )

    @property
    @derived(coordinate("index"))
    def indices(self) -> NDArray[np.int64]:
        """k = 0, 1, …."""
        return np.arange(len(self.histogram))

    @property
    @derived(variable("index", letter="mean number"))
    def numbers(self) -> NDArray[np.float64]:
        """(indices,): the mean number per glass, at all energies."""
        return self.histogram.sum(1)

    @property
    @derived(variable("index", letter="median H/Λ"))
    def medians(self) -> NDArray[np.float64]:
        """(indices,): the energy below which half of the points of an index lie, to the width of a bin."""
        # the first bin at whose upper edge half of the points lie below
        below = self.histogram.cumsum(1)
        return self.edges[1:][(below >= below[:, -1:] / 2).argmax(1)]

    @property
    @derived(variable("index", "edge", long_name="(1/Λ) ln mean number at or below", shown=False))
    def rate(self) -> NDArray[np.float64]:
        """(indices, bins + 1): (1/Λ) ln of the mean number at or below each edge; -inf where there is none."""
        below = np.pad(self.histogram.cumsum(1), ((0, 0), (1, 0)))
        with np.errstate(divide="ignore"):
            return np.log(below) / self.size

    def headline(self) -> str:
        """The model, and how many glasses were searched."""
        return f"Critical points of {self.samples} glasses by index and energy: p = {self.p}, Λ = {self.size}."

    def panel(self) -> Panel:
        """The measured rates of the lowest three indices, then their limits Θ_k, with -E_0 and -E_∞."""
        least = np.log(1 / self.samples) / self.size  # the rate of a single point in all glasses
        counted, limits = [], []
        for k, (rate, theta) in enumerate(zip(self.rate[:LOWEST], self.complexity, strict=False)):
            # a limit is drawn where counts could reach it, below the middle of the spectrum
            seen, near = np.isfinite(rate), (theta >= least) & (self.edges <= 0)
            if seen.any() and near.any():
                counted.append(Series(f"index {k}, counted", self.edges[seen], rate[seen], marks="points"))
                limits.append(Series(f"index {k}, Λ → ∞", self.edges[near], theta[near]))
        return Panel(
            f"glass-layers-{self.p}",
            f"Layers of critical points, p = {self.p}",
            "From the left: deep down there are minima only, then saddles of index 1 join them, then of index 2; a "
            "curve further left means deeper points.",
            Axis("energy per spin u = H/Λ"),
            Axis("(1/Λ) ln mean number below u"),
            (*counted, *limits),
            rules=self._landmarks(),
            note=f"Λ = {self.size}, {self.samples} glasses, all critical points. Lines: the annealed complexity Θ_k, "
            "from which the numbers at finite Λ differ by O(ln Λ/Λ); the order of the layers is the same.",
        )

    def plot_histogram(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the mean number of each index over energy; takes and returns what `plot` does."""
        middles, density = (self.edges[1:] + self.edges[:-1]) / 2, self.histogram / np.diff(self.edges)
        return Panel(
            f"glass-levels-{self.p}",
            f"Critical points by energy, p = {self.p}",
            "Higher indices lie at higher energies.",
            Axis("energy per spin H/Λ"),
            Axis("mean number per unit of H/Λ", zero=True),
            tuple(Series(f"index {k}", middles, row) for k, row in enumerate(density)),
            rules=self._landmarks(),
            color=Axis("index"),
        ).plot(ax)

    def _landmarks(self) -> tuple[Rule, Rule]:
        ground, threshold = ground_state_energy(self.p), threshold_energy(self.p)
        return Rule(ground, "-E_0", axis="x"), Rule(threshold, "-E_∞", axis="x")


def levels(energies: ArrayLike, indices: ArrayLike, p: int, size: int, samples: int, bins: int = 40) -> Levels:
    """Sort the critical points of sampled pure p-spin glasses by index and energy.

    Parameters
    ----------
    energies, indices
        (N,), H/Λ and index of every point of every sample.
    p, size, samples
        Of the glasses.
    bins
        How many, of one width, over all energies found.

    Returns
    -------
    Levels
        Counted numbers and Θ_k.

    Raises
    ------
    InputError
        If the arrays differ in length or hold nothing, or an argument is out of its range.

    Examples
    --------
    >>> levels([-1.8, -1.6, -1.5, 1.7], [0, 0, 1, 2], p=3, size=3, samples=2, bins=2).histogram
    array([[1. , 0. ],
           [0.5, 0. ],
           [0. , 0.5]])
    """
    u, k = np.asarray(energies, dtype=float), np.asarray(indices)
    p, size = check.integer("p", p, 2), check.integer("size", size, 2)
    samples, bins = check.integer("samples", samples, 1), check.integer("bins", bins, 1)
    if u.ndim != 1 or u.shape != k.shape or not len(u):
        raise InputError(f"levels needs an energy and an index for each point, found shapes {u.shape} and {k.shape}")
    edges = np.histogram_bin_edges(u, bins)
    histogram = np.array([np.histogram(u[k == i], edges)[0] / samples for i in range(size)])
    complexity = np.array([[level_complexity(p, e, i) for e in edges] for i in range(size)])
    return Levels(p, size, samples, edges, histogram, complexity)
