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
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from skipglass import check
from skipglass.errors import InputError
from skipglass.glass import sphere
from skipglass.glass.trajectory import Trajectory
from skipglass.theory import Mixture

__all__ = ["Glass", "descend"]

ARMIJO = 1e-4  # Nocedal & Wright 2006, Sec. 3.1
ALIKE = 0.8  # of the two steps: Zhou, Gao & Dai's κ lies between 0.1 and 0.9; 0.5 did as well
ANGLE = 0.5  # radians, the longest step: our choice
SHORTENINGS = 30


class Glass(Protocol):
    """What can be descended: a SphericalGlass or a LazyGlass."""

    mixture: Mixture
    size: int
    dtype: torch.dtype
    device: torch.device

    def energy_and_gradient(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """H(w) and P∇H(w)."""


def descend(
    h: Glass,
    start: Tensor,
    steps: int | None = None,
    tolerance: float | None = None,
    *,
    project: bool = False,
    on_step: Callable[[int], None] | None = None,
) -> Trajectory:
    """Follow the gradient downhill until it vanishes.

    Parameters
    ----------
    h
        A SphericalGlass, or a LazyGlass, which keeps every evaluation.
    start
        (..., Λ) on ‖w‖² = Λ; each start has its own steps, and all are evaluated in one batch.
    steps
        The most that are taken; if None 1000, or 100 for a LazyGlass, whose points cost more the more they are.
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
    require_glass(h)
    count = step_count(h, steps)
    w = sphere.require_points(start, h.size, h.dtype, h.device, onto=project)
    run = _Descent(h, w.reshape(w.shape[:-1].numel(), h.size).clone(), _tolerance(h, tolerance, w.dtype))
    for done in range(1, count + 1):
        if not run.active.any():
            break
        run.step()
        if on_step is not None:
            on_step(done)
    return run.result(w.shape[:-1])


def require_glass(h: object) -> None:
    """Refuse what has no energy and gradient."""
    if not (hasattr(h, "energy_and_gradient") and isinstance(getattr(h, "mixture", None), Mixture)):
        raise InputError(f"what is descended must be a SphericalGlass or a LazyGlass, not {type(h).__name__}")


def step_count(h: Glass, steps: int | None) -> int:
    """The number of steps asked for, or the default."""
    return getattr(h, "default_steps", 1000) if steps is None else check.integer("steps", steps)


def _tolerance(h: Glass, tolerance: float | None, dtype: torch.dtype) -> float:
    if tolerance is not None:
        return check.real("tolerance", tolerance, 0.0, above=True)
    return max(getattr(h, "resolution", 0.0), 1e-7 if dtype == torch.float64 else 1e-4)


@dataclass
class _Point:
    """Where the runs stand: (n, Λ) points and gradients, (n,) energies."""

    w: Tensor
    energy: Tensor
    gradient: Tensor


class _Descent:
    """n descents side by side."""

    def __init__(self, h: Glass, w: Tensor, tolerance: float) -> None:
        self.h, self.tolerance = h, tolerance
        self.at = _Point(w, *h.energy_and_gradient(w))
        eps = torch.finfo(w.dtype).eps
        spread = math.sqrt(h.mixture(1.0) * h.size)
        self.slack = spread * (10 * eps * math.sqrt(h.size) + 3 * getattr(h, "noise", 0.0))
        self.floor = tolerance * math.sqrt(h.mixture.nu1 * h.size)
        first = 1 / (2 * math.sqrt(h.mixture.nu2) + math.sqrt(h.mixture.nu1))  # the Hessian's largest eigenvalue
        self.rate = torch.full_like(self.at.energy, first)
        self.evaluations = torch.ones_like(self.at.energy, dtype=torch.int64)
        self.steps = torch.zeros_like(self.evaluations)
        self.active = self.at.gradient.norm(dim=-1) > self.floor
        self.energies = [self.at.energy / h.size]
        self.norms = [self.at.gradient.norm(dim=-1) / math.sqrt(h.size)]

    def step(self) -> None:
        """One accepted step of each active run."""
        k = self.active.nonzero()[:, 0]
        old = _Point(self.at.w[k], self.at.energy[k], self.at.gradient[k])
        norm = old.gradient.norm(dim=-1)
        rate = torch.minimum(self.rate[k], ANGLE * math.sqrt(self.h.size) / norm)
        new, rate, taken = self._search(k, old, rate, norm**2)
        self.at.w[k], self.at.energy[k], self.at.gradient[k] = new.w, new.energy, new.gradient
        self.rate[k] = _next_rate(old, new, rate)
        self.steps[k] += taken
        self.active[k] = taken & (new.gradient.norm(dim=-1) > self.floor)
        self.energies.append(self.at.energy / self.h.size)
        self.norms.append(self.at.gradient.norm(dim=-1) / math.sqrt(self.h.size))

    def _search(self, k: Tensor, old: _Point, rate: Tensor, slope: Tensor) -> tuple[_Point, Tensor, Tensor]:
        """Shorten the steps until each lowers the energy enough; where none does the run stays."""
        new = _Point(old.w.clone(), old.energy.clone(), old.gradient.clone())
        rate, open_ = rate.clone(), torch.ones_like(k, dtype=torch.bool)
        for _ in range(SHORTENINGS):
            o = open_.nonzero()[:, 0]
            trial = sphere.project(old.w[o] - rate[o, None] * old.gradient[o])
            energy, gradient = self.h.energy_and_gradient(trial)
            self.evaluations[k[o]] += 1
            rise = energy - old.energy[o]
            good = rise <= self.slack - ARMIJO * rate[o] * slope[o]
            g = o[good]
            new.w[g], new.energy[g], new.gradient[g] = trial[good], energy[good], gradient[good]
            open_[g] = False
            b = o[~good]
            if not len(b):
                break
            parabola = 0.5 * slope[b] * rate[b] ** 2 / (rise[~good] + slope[b] * rate[b])
            rate[b] = torch.clamp(parabola, min=0.1 * rate[b], max=0.5 * rate[b])
        return new, rate, ~open_

    def result(self, batch: torch.Size) -> Trajectory:
        """The runs' record, in the shape of the starts."""
        norms = torch.stack(self.norms, dim=-1)
        converged = self.at.gradient.norm(dim=-1) <= self.floor

        def shaped(values: Tensor) -> np.ndarray:
            return values.reshape(batch + values.shape[1:]).cpu().numpy()

        return Trajectory(
            "descent",
            shaped(torch.stack(self.energies, dim=-1).double()),
            shaped(norms.double()),
            self.at.w.reshape(*batch, self.h.size),
            shaped(self.steps),
            shaped(converged),
            shaped(self.evaluations),
            {"tolerance": self.tolerance},
        )


def _next_rate(old: _Point, new: _Point, rate: Tensor) -> Tensor:
    """The adaptive Barzilai–Borwein step; twice the last where the curvature is not positive."""
    s, y = sphere.tangent(new.w, new.w - old.w), new.gradient - sphere.tangent(new.w, old.gradient)
    curvature = (s * y).sum(-1)
    long, short = (s * s).sum(-1) / curvature, curvature / (y * y).sum(-1)
    return torch.where(curvature > 0, torch.where(short < ALIKE * long, short, long), 2 * rate)
