"""Langevin dynamics on the sphere at a temperature, with Metropolis' correction.

    dw = -P∇H dt + √(2T) P dB,   invariant law ∝ exp(-H/T) on ‖w‖² = Λ.

A step moves along the geodesic that leaves w with v = -g dt + √(2T dt) ξ, ξ a standard normal tangent vector, and
is accepted with Metropolis' probability (MALA; Roberts & Tweedie 1996). The geodesic's Jacobian depends on its
length alone, and the way back starts from the end with -v, transported; so the ratio of the two proposals is that
of their normal densities, and exp(-H/T) is invariant whatever the time step. Small steps follow the dynamics.
"""

import math

import torch
from torch import Tensor

from skipglass import check
from skipglass.errors import InputError
from skipglass.glass import sphere
from skipglass.glass.base import Glass
from skipglass.glass.trajectory import OnStep, Runs, Trajectory, require_steps

__all__ = ["langevin"]

TIME_STEP = 2.0
"""Of the default step, times 1/(largest eigenvalue of the Hessian · Λ^{1/3}). It accepts 57 % of the steps of the pure
3-spin at T = 1, the share at which Metropolis-adjusted Langevin dynamics moves fastest (Roberts & Rosenthal 1998)."""

MOST_TURNED = 100.0  # radians of a typical step, of which none is taken: our choice


def langevin(
    h: Glass,
    start: Tensor,
    temperature: float,
    steps: int | None = None,
    time_step: float | None = None,
    seed: int = 0,
    *,
    project: bool = False,
    on_step: OnStep | None = None,
) -> Trajectory:
    """Move at a temperature; after long times points are distributed as exp(-H/T).

    Parameters
    ----------
    h
        A SphericalGlass, or a LazyGlass, for which each step costs one more point.
    start
        (..., Λ) on ‖w‖² = Λ; one chain each.
    temperature
        T > 0, in the units of H.
    steps
        How many; if None 1000, or 100 for a LazyGlass, each of whose points costs more than the last.
    time_step
        dt; if None small enough for most steps to be accepted, and for a step to turn by about a radian at the most.
    seed
        Seed of the thermal noise.
    project
        Scale starts that are off the sphere onto it.
    on_step
        Called with the number of steps done after each.

    Returns
    -------
    Trajectory
        With the share of accepted steps.

    Raises
    ------
    InputError
        If an argument is out of its range, or the time step so long that none would be taken.

    Examples
    --------
    >>> from skipglass.glass import LazyGlass
    >>> from skipglass.theory import Mixture
    >>> z = LazyGlass(Mixture.pure(3), size=500, seed=0)
    >>> run = langevin(z, z.random_points(1), temperature=1.0, steps=30)
    >>> run.energies.shape, bool(run.acceptance > 0.5)
    ((1, 31), True)
    """
    count = require_steps(h, steps)
    T = check.real("temperature", temperature, 0.0, above=True)
    stable = min(TIME_STEP / (h.stiffness * h.size ** (1 / 3)), 0.5 / T)
    dt = stable if time_step is None else check.real("time_step", time_step, 0.0, above=True)
    # a step turns a point by the length of v over √Λ: of the noise √(2T dt), of the gradient dt √ν′
    turn = math.sqrt(2 * dt * T) + dt * math.sqrt(h.mixture.nu1)
    if turn > MOST_TURNED:
        raise InputError(
            f"time_step {dt:.3g} at temperature {T:.3g} turns a point by {turn:.3g} radians, and half a turn or more "
            f"is never taken; leave time_step out, which takes {stable:.3g}, or take a smaller one"
        )
    generator = torch.Generator(h.device).manual_seed(check.seed("seed", seed))
    chains = _Chains(h, start, project, T, dt, generator)
    chains.follow(count, on_step)
    taken = torch.full_like(chains.accepted, count, dtype=torch.int64)
    return chains.trajectory(
        "langevin",
        {"temperature": T, "time_step": dt, "seed": seed},
        steps=taken,
        converged=torch.ones_like(taken, dtype=torch.bool),
        evaluations=taken + 1,
        acceptance=(chains.accepted / max(count, 1)).double(),
    )


class _Chains(Runs):
    """n chains side by side."""

    def __init__(self, h: Glass, start: Tensor, project: bool, T: float, dt: float, generator: torch.Generator) -> None:
        super().__init__(h, start, project)
        self.T, self.dt, self.generator = T, dt, generator
        self.accepted = torch.zeros_like(self.energy)

    def step(self) -> None:
        """Propose a step of every chain, and take it or not."""
        w, radius = self.w, math.sqrt(self.h.size)
        kick = sphere.tangent(w, torch.randn(w.shape, generator=self.generator, dtype=w.dtype, device=w.device))
        # v is the proposed velocity, along the geodesic for unit time
        v = math.sqrt(2 * self.dt * self.T) * kick - self.dt * self.gradient
        length = v.norm(dim=-1, keepdim=True)
        angle, direction = length / radius, v / length
        new = sphere.rescale(w * torch.cos(angle) + direction * (radius * torch.sin(angle)))
        # the velocity with which the geodesic returns from the new point: -v, transported there
        back = length * (w * (torch.sin(angle) / radius) - direction * torch.cos(angle))
        energy, gradient = self.h.energy_and_gradient(new)
        log = (self._cost(v, self.gradient) - self._cost(back, gradient)) - (energy - self.energy) / self.T
        u = torch.rand(log.shape, generator=self.generator, dtype=w.dtype, device=w.device)
        # half a turn and more would reach the same point by several geodesics: never taken
        taken = (u.log() < log) & (angle[:, 0] < math.pi)
        self.w = torch.where(taken[:, None], new, w)
        self.energy = torch.where(taken, energy, self.energy)
        self.gradient = torch.where(taken[:, None], gradient, self.gradient)
        self.accepted += taken

    def _cost(self, v: Tensor, gradient: Tensor) -> Tensor:
        """-ln of the density of proposing v."""
        return ((v + self.dt * gradient) ** 2).sum(-1) / (4 * self.dt * self.T)
