"""Critical points by level: counted numbers of each index below an energy, beside the annealed complexity.

At finite Λ the measured rate (1/Λ) ln E[number of index k with H ≤ Λu] differs from its limit Θ_k(u)
(`theory.level_complexity`) by O(ln Λ/Λ), but the order of the layers is there: near the ground state
only minima, then saddles of index 1, then 2.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skipglass import check
from skipglass.errors import InputError
from skipglass.theory import ground_state_energy, level_complexity, threshold_energy

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["Levels", "levels"]


@dataclass(frozen=True)
class Levels:
    """Mean numbers of critical points of a pure p-spin by index and energy.

    Attributes
    ----------
    p, size, samples : int
        Order, Λ and how many glasses.
    edges : ndarray
        (bins + 1,), energies per spin.
    histogram : ndarray
        (indices, bins), the mean number of a glass in each bin.
    complexity : ndarray
        (indices, bins + 1), Θ_k at the edges.
    """

    p: int
    size: int
    samples: int
    edges: NDArray[np.float64]
    histogram: NDArray[np.float64]
    complexity: NDArray[np.float64]

    @property
    def rate(self) -> NDArray[np.float64]:
        """(indices, bins + 1): (1/Λ) ln of the mean number at or below each edge; -inf where there is none."""
        below = np.pad(self.histogram.cumsum(1), ((0, 0), (1, 0)))
        with np.errstate(divide="ignore"):
            return np.log(below) / self.size

    @property
    def medians(self) -> NDArray[np.float64]:
        """(indices,): the energy below which half of the points of an index lie, to the width of a bin."""
        below = self.histogram.cumsum(1)
        return self.edges[1:][(below >= below[:, -1:] / 2).argmax(1)]

    def __str__(self) -> str:
        lines = [f"p = {self.p}, Λ = {self.size}, {self.samples} glasses", "index  mean number  median H/Λ"]
        rows = zip(self.histogram.sum(1), self.medians, strict=True)
        return "\n".join([*lines, *(f"{k:5} {n:12.4f} {u:11.3f}" for k, (n, u) in enumerate(rows))])

    def to_xarray(self) -> "xr.Dataset":
        """Return histogram, measured rate and complexity by index."""
        import xarray as xr

        return xr.Dataset(
            {
                "histogram": (("index", "bin"), self.histogram),
                "rate": (("index", "edge"), self.rate),
                "complexity": (("index", "edge"), self.complexity),
            },
            coords={"energy": ("edge", self.edges, {"long_name": "energy per spin H/Λ"})},
            attrs={"p": self.p, "size": self.size, "samples": self.samples},
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the measured rates as steps and Θ_k dashed, with -E_0 and -E_∞.

        Parameters
        ----------
        ax
            Where to draw; a new figure without it.

        Returns
        -------
        Axes
            Where it was drawn.
        """
        ax = self._axes(ax)
        for k, (rate, theta) in enumerate(zip(self.rate, self.complexity, strict=True)):
            (line,) = ax.step(self.edges, rate, where="post", label=f"index {k}")
            ax.plot(self.edges, theta, "--", color=line.get_color(), linewidth=1)
        ax.plot([], [], "--", color="grey", linewidth=1, label="Θ_k, Λ → ∞")
        ax.set_ylabel("(1/Λ) ln mean number at or below")
        ax.set_ylim(max(-0.9, np.log(1 / self.samples) / self.size), None)
        ax.legend(fontsize="small")
        return ax

    def plot_histogram(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the mean number of each index over energy; takes and returns what `plot` does."""
        ax = self._axes(ax)
        width = np.diff(self.edges)
        for k, row in enumerate(self.histogram):
            ax.stairs(row / width, self.edges, label=f"index {k}")
        ax.set_ylabel("mean number for each unit of H/Λ")
        ax.legend(fontsize="small")
        return ax

    def _axes(self, ax: "Axes | None") -> "Axes":
        import matplotlib.pyplot as plt

        ax = plt.subplots(layout="constrained")[1] if ax is None else ax
        for value, name, side in (
            (ground_state_energy(self.p), "-E₀ ", "right"),
            (threshold_energy(self.p), " -E_∞", "left"),
        ):
            ax.axvline(value, color="grey", linewidth=0.8)
            ax.annotate(name, (value, 1.0), xycoords=("data", "axes fraction"), fontsize="small", ha=side, va="bottom")
        ax.set_xlabel("energy per spin H/Λ")
        return ax


def levels(energies: ArrayLike, indices: ArrayLike, p: int, size: int, samples: int, bins: int = 40) -> Levels:
    """Sort the critical points of sampled pure p-spin glasses by index and energy.

    Parameters
    ----------
    energies, indices
        (N,), H/Λ and index of every point of every sample, as `agreement` collects them.
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
