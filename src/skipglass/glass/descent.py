"""Downhill on the sphere: Riemannian gradient descent with Barzilai–Borwein steps and Armijo's condition.

    w ← √Λ (w - a g)/‖w - a g‖,   g = P∇H(w),   a ← ⟨s,y⟩/⟨y,y⟩, or ⟨s,s⟩/⟨s,y⟩ where the two differ by less than a
    fifth (Zhou, Gao & Dai 2006),

s and y the last change of the point and of the gradient, projected to the new tangent space. The longer of the two
steps alone (Barzilai & Borwein 1988) took three times as many evaluations on the pure 3-spin. A step is taken when
H falls by at least c·a·‖g‖² (Armijo 1966), else it is shortened to the minimum of the parabola through what is
known (between a tenth and half of it). Energies never rise, beyond the noise of one evaluation.
"""

import math

import torch
from torch import Tensor

from skipglass import check
from skipglass.glass import sphere
from skipglass.glass.base import Glass
from skipglass.glass.trajectory import OnStep, Runs, Trajectory, require_steps

__all__ = ["descend"]

ARMIJO = 1e-4  # Nocedal & Wright 2006, Sec. 3.1
ALIKE = 0.8  # of the two steps: Zhou, Gao & Dai's κ lies between 0.1 and 0.9; 0.5 did as well
ANGLE = 0.5  # radians, the longest step: our choice
SHORTENINGS = 30
TOLERANCE = {torch.float64: 1e-7, torch.float32: 1e-4}


def descend(
    h: Glass,
    start: Tensor,
    steps: int | None = None,
    tolerance: float | None = None,
    *,
    project: bool = False,
    on_step: OnStep | None = None,
) -> Trajectory:
    """Follow the gradient downhill until it vanishes.

    Parameters
    ----------
    h
        A SphericalGlass, or a LazyGlass, which keeps every evaluation.
    start
        (..., Λ) on ‖w‖² = Λ; each start has its own steps, and all are evaluated in one batch.
    steps
        The most that are taken; if None 1000, or 100 for a LazyGlass, each of whose points costs more than the last.
    tolerance
        Stop where ‖P∇H‖ is at most this fraction of a typical one, √(Λν′). If None 1e-7 in float64, 1e-4 in
        float32, and `LazyGlass.resolution`, below which its gradient is noise.
    project
        Scale starts that are off the sphere onto it.
    on_step
        Called with the number of steps done after each.

    Returns
    -------
    Trajectory
        Runs that stopped before they converged (out of steps, or no shorter step helped) say so.

    Raises
    ------
    InputError
        If an argument is out of its range.

    Examples
    --------
    >>> from skipglass.glass import LazyGlass
    >>> from skipglass.theory import DepthEnsemble
    >>> m = DepthEnsemble(depth=100, beta=0.005).mixture(field=True)
    >>> z = LazyGlass(m, size=20_000, seed=0)
    >>> run = descend(z, z.random_points(1))
    >>> bool(run.converged.all()), abs(run.energy.item() + m.nu1**0.5) < 0.02  # the one minimum, at -√ν′
    (True, True)
    """
    count = require_steps(h, steps)
    least = max(h.resolution, TOLERANCE[h.dtype])
    tolerance = least if tolerance is None else check.real("tolerance", tolerance, 0.0, above=True)
    runs = _Descent(h, start, project, tolerance)
    runs.follow(count, on_step)
    converged = runs.gradient.norm(dim=-1) <= runs.floor
    return runs.trajectory(
        "descent", {"tolerance": tolerance}, steps=runs.steps, converged=converged, evaluations=runs.evaluations
    )


class _Descent(Runs):
    """n descents side by side."""

    def __init__(self, h: Glass, start: Tensor, project: bool, tolerance: float) -> None:
        super().__init__(h, start, project)
        # an energy may rise by the rounding of its Λ terms and by the noise of two evaluations
        rounding = 10 * torch.finfo(h.dtype).eps * math.sqrt(h.size)
        self.slack = math.sqrt(h.mixture(1.0) * h.size) * (rounding + 3 * h.noise)
        self.floor = tolerance * math.sqrt(h.mixture.nu1 * h.size)
        self.rate = torch.full_like(self.energy, 1 / h.stiffness)
        self.evaluations = torch.ones_like(self.energy, dtype=torch.int64)
        self.steps = torch.zeros_like(self.evaluations)
        self.active = self.gradient.norm(dim=-1) > self.floor

    @property
    def over(self) -> bool:
        """Whether all have converged or are stuck."""
        return not self.active.any()

    def step(self) -> None:
        """One accepted step of each active run."""
        # k numbers the active runs; all that is named below belongs to them alone
        k = self.active.nonzero()[:, 0]
        w, energy, gradient = old = [t[k] for t in (self.w, self.energy, self.gradient)]
        norm = gradient.norm(dim=-1)
        rate = torch.minimum(self.rate[k], ANGLE * math.sqrt(self.h.size) / norm)
        new = [t.clone() for t in old]
        # new holds where the runs come to, the old points for those in o, for which no step was good yet
        o = torch.arange(len(k), device=k.device)
        for _ in range(SHORTENINGS):
            point = sphere.project(w[o] - rate[o, None] * gradient[o])
            trial = (point, *self.h.energy_and_gradient(point))
            self.evaluations[k[o]] += 1
            rise, slope = trial[1] - energy[o], norm[o] ** 2
            good = rise <= self.slack - ARMIJO * rate[o] * slope
            for t, value in zip(new, trial, strict=True):
                t[o[good]] = value[good]
            o, rise, slope = o[~good], rise[~good], slope[~good]
            if not len(o):
                break
            # the parabola with the slope -‖g‖² at 0 and this rise at the step has its minimum here
            parabola = 0.5 * slope * rate[o] ** 2 / (rise + slope * rate[o])
            rate[o] = torch.clamp(parabola, min=0.1 * rate[o], max=0.5 * rate[o])
        taken = torch.ones_like(k, dtype=torch.bool)
        taken[o] = False
        self.w[k], self.energy[k], self.gradient[k] = new
        self.rate[k] = _next_rate(w, gradient, new[0], new[2], rate)
        self.steps[k] += taken
        # a run for which no step was short enough has stopped for good
        self.active[k] = taken & (new[2].norm(dim=-1) > self.floor)


def _next_rate(w: Tensor, gradient: Tensor, new: Tensor, new_gradient: Tensor, rate: Tensor) -> Tensor:
    """The adaptive Barzilai–Borwein step; twice the last where the curvature is not positive."""
    s, y = sphere.tangent(new, new - w), new_gradient - sphere.tangent(new, gradient)
    curvature = (s * y).sum(-1)
    long, short = (s * s).sum(-1) / curvature, curvature / (y * y).sum(-1)
    return torch.where(curvature > 0, torch.where(short < ALIKE * long, short, long), 2 * rate)
