"""What a descent or a Langevin run leaves: energies and gradients along the way, and where it ended."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:  # half a second to import, and only results that are stored or drawn need them
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["Trajectory"]

SHOWN = 10  # starts that the table shows, and lines that the figure draws


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One run from each start. Shapes are those of the starts' batch, (...), none for a single start.

    Attributes
    ----------
    method
        "descent" or "langevin".
    energies
        (..., T+1) u = H/Λ before the first step and after each; a run that stopped repeats its last.
    gradient_norms
        (..., T+1) ‖P∇H‖/√Λ, likewise.
    end
        (..., Λ) the last points.
    steps
        (...) steps taken.
    converged
        (...) whether the gradient fell below the tolerance (descent), or all steps were taken (langevin).
    evaluations
        (...) points at which energy and gradient were asked for.
    settings
        What the run was told: tolerance; or temperature, time_step, seed.
    acceptance
        (...) share of accepted steps (langevin), else None.

    Examples
    --------
    >>> from skipglass.glass import LazyGlass, descend
    >>> from skipglass.theory import Mixture
    >>> z = LazyGlass(Mixture({1: 0.9, 2: 0.1}), size=200, seed=0)
    >>> run = descend(z, z.random_points(1)[0])
    >>> bool(run.converged), run.energies.shape[0] - int(run.steps)
    (True, 1)
    """

    method: str
    energies: NDArray[np.float64]
    gradient_norms: NDArray[np.float64]
    end: Tensor
    steps: NDArray[np.int64]
    converged: NDArray[np.bool_]
    evaluations: NDArray[np.int64]
    settings: dict[str, float] = field(default_factory=dict)
    acceptance: NDArray[np.float64] | None = None

    @property
    def size(self) -> int:
        """Λ."""
        return int(self.end.shape[-1])

    @property
    def energy(self) -> NDArray[np.float64]:
        """(...) u = H/Λ at the end points."""
        return self.energies[..., -1]

    def to_xarray(self) -> "xr.Dataset":
        """Return energies and gradient norms by start and step, with the end points; settings are attributes."""
        import xarray as xr

        T = self.energies.shape[-1]
        values = {
            "energy": (("start", "step"), self.energies.reshape(-1, T), {"long_name": "H/Λ"}),
            "gradient_norm": (("start", "step"), self.gradient_norms.reshape(-1, T), {"long_name": "‖P∇H‖/√Λ"}),
            "end": (("start", "dimension"), self.end.reshape(-1, self.size).double().cpu().numpy()),
            "steps": ("start", self.steps.reshape(-1)),
            "converged": ("start", self.converged.reshape(-1)),
            "evaluations": ("start", self.evaluations.reshape(-1)),
        }
        if self.acceptance is not None:
            values["acceptance"] = ("start", self.acceptance.reshape(-1))
        return xr.Dataset(values, coords={"step": np.arange(T)}, attrs={"method": self.method, **self.settings})

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw H/Λ against the step, one line a start (at most 10).

        Parameters
        ----------
        ax
            Where to draw; a new figure if None.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1] if ax is None else ax
        lines = self.energies.reshape(-1, self.energies.shape[-1])
        for k, (u, stop) in enumerate(zip(lines, self.steps.reshape(-1).tolist(), strict=True)):
            if k < SHOWN:
                ax.plot(np.arange(stop + 1), u[: stop + 1], label=f"start {k}")
        ax.set(xlabel="step", ylabel="energy per spin H/Λ", title=self._heading())
        if len(lines) > 1:
            ax.legend(fontsize="small")
        return ax

    def _heading(self) -> str:
        told = ", ".join(f"{name} {value:g}" for name, value in self.settings.items())
        return f"{self.method}, Λ = {self.size}, {told}"

    def __str__(self) -> str:
        last = "accepted" if self.acceptance is not None else "converged"
        state = self.acceptance if self.acceptance is not None else self.converged
        columns = (
            self.energies[..., 0],
            self.energy,
            self.gradient_norms[..., -1],
            self.steps,
            self.evaluations,
            state,
        )
        rows = list(zip(*(np.asarray(c).reshape(-1).tolist() for c in columns), strict=True))
        lines = [
            f"{k:5}  {first:9.5f}  {u:9.5f}  {norm:9.2e}  {steps:6}  {asked:11}  "
            + (f"{value:9.3f}" if last == "accepted" else f"{'yes' if value else 'no':>9}")
            for k, (first, u, norm, steps, asked, value) in enumerate(rows[:SHOWN])
        ]
        if len(rows) > SHOWN:
            lines.append(f"… {len(rows) - SHOWN} more; mean H/Λ at the end {np.mean(self.energy):.5f}")
        head = f"start  H/Λ first   H/Λ last  ‖P∇H‖/√Λ   steps  evaluations  {last:>9}"
        return "\n".join([self._heading(), head, *lines])
