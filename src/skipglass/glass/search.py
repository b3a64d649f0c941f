"""The search for all critical points: Newton iterations on the sphere from random starts, for many samples at once.

A step solves (∇²H) d = -∇H in the tangent space and goes to the nearest point of the sphere; Newton's
iteration finds saddles of every index alike. The matrices are tiny, so that energy and derivatives come from one
product with the coefficients of ∇²H: for a few dimensions ten times as fast as the packed pass.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from skipglass.glass import polynomial, sphere
from skipglass.glass.couplings import Couplings, index_tuples

__all__ = ["Rules", "SearchState", "ambient_derivatives", "newton", "second_derivatives"]


@dataclass(frozen=True)
class Rules:
    """When a search goes on, and when two points are one; all our choice.

    Attributes
    ----------
    round : int
        Starts per sample in each round.
    patience : int
        Starts without a new point after which a set counts as saturated, ``patience_each`` more for each
        point (pair of points ±w) found; every point must also have been reached twice.
    max_starts : int
        Number of starts at which a search gives up.
    iterations : int
        Newton steps per start; those that have not arrived are dropped: most that arrive do so by then, and hidden
        points are reached as often as with twice as many.
    step : float
        The longest step, in units of √Λ.
    residual : float
        ‖∇H‖/√Λ of an accepted point, in units of √ν′, the typical one.
    distance : float
        ‖w - w'‖/√Λ below which two points are one.
    """

    round: int = 192
    patience: int = 64
    patience_each: int = 30
    max_starts: int = 40_000
    iterations: int = 12
    step: float = 0.5
    residual: float = 1e-12
    distance: float = 1e-6


@dataclass
class SearchState:
    """What the search of one sample knows: one of each pair ±w where H is even or odd, else every point."""

    rules: Rules
    paired: bool
    points: Tensor  # (N, Λ)
    hits: Tensor = field(default_factory=lambda: torch.zeros(0, 2, dtype=torch.int64))  # of +w and of -w
    starts: int = 0
    since_new: int = 0

    @property
    def saturated(self) -> bool:
        """Whether the set has stopped growing, by the rules' patience."""
        enough = self.since_new >= self.rules.patience + self.rules.patience_each * len(self.points)
        return enough and len(self.points) > 0 and bool((self.hits.sum(1) >= 2).all())

    @property
    def spent(self) -> bool:
        """Whether all starts have been made."""
        return self.starts >= self.rules.max_starts

    def add(self, ends: Tensor, starts: int) -> None:
        """Count hits of known points; append new ones."""
        before = len(self.points)
        for _ in range(2):  # points new to the first pass are known to the second
            match = self._alike(ends, self.points)
            unknown = ends[~match.any(1)]
            if not len(unknown):
                break
            # of several ends at one new point the first is kept
            new = unknown[~self._alike(unknown, unknown).tril(-1).any(1)]
            self.points = torch.cat([self.points, new])
            self.hits = torch.cat([self.hits, self.hits.new_zeros(len(new), 2)])
        # which of ±w a start has reached
        positive = ends @ self.points.T > 0
        self.hits += torch.stack([(match & positive).sum(0), (match & ~positive).sum(0)], 1)
        self.starts += starts
        self.since_new = 0 if len(self.points) > before else self.since_new + starts

    def _alike(self, a: Tensor, b: Tensor) -> Tensor:
        """Which points are one."""
        overlap = a @ b.T / a.shape[-1]
        return (overlap.abs() if self.paired else overlap) > 1 - self.rules.distance**2 / 2


def newton(tensors: list[tuple[int, Tensor]], w: Tensor, scale: float, rules: Rules) -> tuple[Tensor, Tensor]:
    """Return where the iterations from w (samples, B, Λ) end, and which have arrived at a critical point."""
    root = math.sqrt(w.shape[-1])
    longest, tolerance = rules.step * root, rules.residual * scale * root
    ends, arrived = w, torch.zeros(w.shape[:-1], dtype=torch.bool)
    # all go on to the end: taking those that have arrived out of the batch saves no time
    for _ in range(rules.iterations):
        _, ambient, hessian = ambient_derivatives(tensors, w)
        gradient, radial = sphere.split(w, ambient)
        ends, arrived = w, torch.linalg.vector_norm(gradient, dim=-1) <= tolerance
        # a step is cut to the longest one, and ends on the sphere
        step = _newton_step(w, gradient, hessian, radial, scale)
        length = torch.linalg.vector_norm(step, dim=-1, keepdim=True)
        w = sphere.rescale(w + step * (longest / length.clamp_min(longest)))
    return ends, arrived


def _newton_step(w: Tensor, gradient: Tensor, hessian: Tensor, radial: Tensor, scale: float) -> Tensor:
    """Solve P(∇²H - ρ)d = -P∇H with d ⟂ w: one factorisation for P∇H and w; scale·wwᵀ/Λ leaves d as it is."""
    size = w.shape[-1]
    matrix = hessian + (scale / size) * w[..., :, None] * w[..., None, :]
    matrix.diagonal(dim1=-2, dim2=-1).sub_(radial)
    x, y = torch.linalg.solve_ex(matrix, torch.stack([gradient, w], -1))[0].unbind(-1)
    # d = μ y - x, with the multiplier μ that makes it orthogonal to w; singular matrices give no step
    multiplier = (x * w).sum(-1, keepdim=True) / (y * w).sum(-1, keepdim=True)
    return (y * multiplier - x).nan_to_num(0.0, 0.0, 0.0)


def ambient_derivatives(tensors: list[tuple[int, Tensor]], w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return H, ∇H and ∇²H at w (samples, B, Λ).

    Parameters
    ----------
    tensors
        Order and `second_derivatives` of each order, those of the samples side by side.
    w
        (samples, B, Λ).

    Returns
    -------
    tuple of Tensor
        (samples, B), (samples, B, Λ) and (samples, B, Λ, Λ).
    """
    gradient, hessian = torch.zeros_like(w), w.new_zeros(*w.shape, w.shape[-1])
    energy, powers = torch.zeros_like(w[..., 0]), polynomial.monomials(w, max(r for r, _ in tensors) - 2)
    for r, D in tensors:
        if r == 1:
            slope = D[:, None]
        else:
            second = (powers[r - 2] @ D.flatten(2)).unflatten(-1, D.shape[2:])
            hessian += second
            slope = (second @ w[..., None]).squeeze(-1) / (r - 1)  # Euler: (r-1)∇H = (∇²H) w, and r H = ⟨∇H, w⟩
        gradient += slope
        energy += (slope * w).sum(-1) / r
    return energy, gradient, hessian


def second_derivatives(samples: Sequence[Couplings]) -> Tensor:
    """Return ∂_a∂_b of one order r as polynomials of order r-2, (samples, monomials, Λ, Λ); for r = 1 the fields."""
    r, size = samples[0].order, samples[0].size
    values = torch.stack([c.coefficients().double().cpu() for c in samples])
    if r == 1:
        return values
    tuples = index_tuples(size, r)
    D = values.new_zeros(polynomial.number(size, r - 2), size, size, len(samples))
    # the monomial that remains without two slots of its tuple has the colexicographic rank Σ_i C(x_i + i, i + 1)
    ranks = torch.tensor([[polynomial.number(x, i + 1) for x in range(size)] for i in range(r)])
    for s, t in itertools.permutations(range(r), 2):
        rest = tuples[:, [i for i in range(r) if i not in (s, t)]]
        place = ranks[torch.arange(r - 2), rest].sum(1)
        D.index_put_((place, tuples[:, s], tuples[:, t]), values.T, accumulate=True)
    return D.movedim(-1, 0)
