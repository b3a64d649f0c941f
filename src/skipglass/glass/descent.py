"""Downhill on the sphere: Riemannian gradient descent with Barzilai–Borwein steps and Armijo's condition.

    w ← √Λ (w - a g)/‖w - a g‖,   g = P∇H(w),   a ← ⟨s,y⟩/⟨y,y⟩, or ⟨s,s⟩/⟨s,y⟩ where the two differ by less than a
    fifth (Zhou, Gao & Dai 2006),

s and y the last change of the point and of the gradient, projected to the new tangent space. The longer of the two
steps alone (Barzilai & Borwein 1988) took three times as many evaluations on the pure 3-spin. A step is taken when
H falls by at least c·a·‖g‖² (Armijo 1966), else it is shortened to the minimum of the parabola through what is
known (between a tenth and half of it). Energies never rise, beyond the noise of one evaluation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from skipglass import check
from skipglass.errors import InputError
from skipglass.glass import sphere
from skipglass.glass.base import Glass
from skipglass.glass.trajectory import Track, Trajectory

__all__ = ["OnStep", "descend", "require_steps"]

ARMIJO = 1e-4  # Nocedal & Wright 2006, Sec. 3.1
ALIKE = 0.8  # of the two steps: Zhou, Gao & Dai's κ lies between 0.1 and 0.9; 0.5 did as well
ANGLE = 0.5  # radians, the longest step: our choice
SHORTENINGS = 30
TOLERANCE = {torch.float64: 1e-7, torch.float32: 1e-4}

OnStep = Callable[[int], None]


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
    w = h.on_sphere(start, project)
    least = max(h.resolution, TOLERANCE[w.dtype])
    tolerance = least if tolerance is None else check.real("tolerance", tolerance, 0.0, above=True)
    runs = _Descent(h, w, tolerance)
    for done in range(1, count + 1):
        if not runs.active.any():
            break
        runs.step()
        if on_step is not None:
            on_step(done)
    return runs.track.trajectory(
        "descent",
        runs.at.w,
        {"tolerance": tolerance},
        steps=runs.steps,
        converged=runs.at.gradient.norm(dim=-1) <= runs.floor,
        evaluations=runs.evaluations,
    )


def require_steps(h: object, steps: int | None) -> int:
    """Return how many steps to take in a glass, its default if None; refuse what is no glass."""
    if not isinstance(h, Glass):
        raise InputError(f"descend and langevin take a SphericalGlass or a LazyGlass, not {type(h).__name__}")
    return h.default_steps if steps is None else check.integer("steps", steps)


@dataclass
class _Points:
    """Where runs stand: (n, Λ) points and gradients, (n,) energies."""

    w: Tensor
    energy: Tensor
    gradient: Tensor

    def __getitem__(self, k: Tensor) -> "_Points":
        return _Points(self.w[k], self.energy[k], self.gradient[k])

    def __setitem__(self, k: Tensor, new: "_Points") -> None:
        self.w[k], self.energy[k], self.gradient[k] = new.w, new.energy, new.gradient


class _Descent:
    """n descents side by side."""

    def __init__(self, h: Glass, start: Tensor, tolerance: float) -> None:
        w = start.reshape(-1, h.size).clone()
        self.h, self.at, self.track = h, _Points(w, *h.energy_and_gradient(w)), Track(h, start.shape[:-1])
        # an energy may rise by the rounding of its Λ terms and by the noise of two evaluations
        rounding = 10 * torch.finfo(w.dtype).eps * math.sqrt(h.size)
        self.slack = math.sqrt(h.mixture(1.0) * h.size) * (rounding + 3 * h.noise)
        self.floor = tolerance * math.sqrt(h.mixture.nu1 * h.size)
        self.rate = torch.full_like(self.at.energy, 1 / h.stiffness)
        self.evaluations = torch.ones_like(self.at.energy, dtype=torch.int64)
        self.steps = torch.zeros_like(self.evaluations)
        self.active = self.at.gradient.norm(dim=-1) > self.floor
        self.track.add(self.at.energy, self.at.gradient)

    def step(self) -> None:
        """One accepted step of each active run."""
        # k numbers the active runs; old, new and rate belong to them alone
        k = self.active.nonzero()[:, 0]
        old = self.at[k]
        norm = old.gradient.norm(dim=-1)
        rate = torch.minimum(self.rate[k], ANGLE * math.sqrt(self.h.size) / norm)
        new, rate, taken = self._search(k, old, rate, norm**2)
        self.at[k] = new
        self.rate[k] = _next_rate(old, new, rate)
        self.steps[k] += taken
        # a run for which no step was short enough has stopped for good
        self.active[k] = taken & (new.gradient.norm(dim=-1) > self.floor)
        self.track.add(self.at.energy, self.at.gradient)

    def _search(self, k: Tensor, old: _Points, rate: Tensor, slope: Tensor) -> tuple[_Points, Tensor, Tensor]:
        """Shorten the steps until each lowers the energy enough; where none does the run stays."""
        new = _Points(old.w.clone(), old.energy.clone(), old.gradient.clone())
        rate, open_ = rate.clone(), torch.ones_like(k, dtype=torch.bool)
        # new holds where the runs come to, old points where no step was good yet; o numbers the latter, b those of them
        # whose trial is refused
        for _ in range(SHORTENINGS):
            o = open_.nonzero()[:, 0]
            w = sphere.project(old.w[o] - rate[o, None] * old.gradient[o])
            trial = _Points(w, *self.h.energy_and_gradient(w))
            self.evaluations[k[o]] += 1
            rise = trial.energy - old.energy[o]
            good = rise <= self.slack - ARMIJO * rate[o] * slope[o]
            new[o[good]] = trial[good]
            open_[o[good]] = False
            b = o[~good]
            if not len(b):
                break
            # the parabola with the slope -‖g‖² at 0 and this rise at the step has its minimum here
            parabola = 0.5 * slope[b] * rate[b] ** 2 / (rise[~good] + slope[b] * rate[b])
            rate[b] = torch.clamp(parabola, min=0.1 * rate[b], max=0.5 * rate[b])
        return new, rate, ~open_


def _next_rate(old: _Points, new: _Points, rate: Tensor) -> Tensor:
    """The adaptive Barzilai–Borwein step; twice the last where the curvature is not positive."""
    s, y = sphere.tangent(new.w, new.w - old.w), new.gradient - sphere.tangent(new.w, old.gradient)
    curvature = (s * y).sum(-1)
    long, short = (s * s).sum(-1) / curvature, curvature / (y * y).sum(-1)
    return torch.where(curvature > 0, torch.where(short < ALIKE * long, short, long), 2 * rate)
