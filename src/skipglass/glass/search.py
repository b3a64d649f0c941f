"""The search for all critical points: batched Newton iterations on the sphere, from random starts, round after round.

A step solves (∇²H) d = -∇H in the tangent space and goes to the nearest point of the sphere; Newton's
iteration finds saddles of every index alike. Samples are searched side by side, each with starts of its own,
and leave the batch once their set has stopped growing.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from skipglass.glass import polynomial, sphere
from skipglass.glass.couplings import Couplings, index_tuples

__all__ = ["Rules", "SearchState", "ambient_derivatives", "search", "second_derivatives"]


@dataclass(frozen=True)
class Rules:
    """When a search goes on, and when two points are one; all our choice.

    Attributes
    ----------
    first_round, largest_round : int
        Starts per sample in the first round, doubled from round to round up to the largest.
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

    first_round: int = 128
    largest_round: int = 256
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

    points: Tensor  # (N, Λ)
    hits: Tensor = field(default_factory=lambda: torch.zeros(0, 2, dtype=torch.int64))  # of +w and of -w
    starts: int = 0
    since_new: int = 0

    def saturated(self, rules: Rules) -> bool:
        """Whether the set has stopped growing, by the rules' patience."""
        enough = self.since_new >= rules.patience + rules.patience_each * len(self.points)
        return enough and len(self.points) > 0 and bool((self.hits.sum(1) >= 2).all())

    def add(self, ends: Tensor, starts: int, parity: int, rules: Rules) -> None:
        """Count hits of known points; append new ones."""
        close, size, before = 1 - rules.distance**2 / 2, ends.shape[-1], len(self.points)
        for _ in range(2):  # points new to the first pass are known to the second
            overlap = ends @ self.points.T / size
            match = (overlap.abs() if parity else overlap) > close
            unknown = ends[~match.any(1)]
            if not len(unknown):
                break
            # of several ends at one new point the first is kept
            mutual = unknown @ unknown.T / size
            same = ((mutual.abs() if parity else mutual) > close).tril(-1)
            new = unknown[~same.any(1)]
            self.points = torch.cat([self.points, new])
            self.hits = torch.cat([self.hits, torch.zeros(len(new), 2, dtype=torch.int64)])
        # overlaps are ±1 with the known points now: which of ±w a start has reached
        self.hits[:, 0] += (match & (overlap > 0)).sum(0)
        self.hits[:, 1] += (match & (overlap <= 0)).sum(0)
        self.starts += starts
        self.since_new = 0 if len(self.points) > before else self.since_new + starts


def search(
    stack: Sequence[Couplings],
    parity: int,
    seeds: Sequence[Sequence[int]],
    accept: Callable[[int, SearchState], bool],
    rules: Rules,
) -> None:
    """Search samples side by side.

    Parameters
    ----------
    stack
        Couplings of each order, values (samples, …), float64, on the CPU: the matrices are tiny.
    parity
        1 or -1 where H(-w) = ±H(w), else 0.
    seeds
        Of the starts, one for each sample.
    accept
        Called with a sample's number and what was found once its set is saturated, or its starts are spent;
        True ends its search.
    rules
        When to stop.
    """
    size = stack[0].size
    generators = [np.random.default_rng(seed) for seed in seeds]
    states = [SearchState(torch.zeros(0, size, dtype=torch.float64)) for _ in seeds]
    tensors = [(c.order, second_derivatives(c)) for c in stack]
    scale = math.sqrt(sum(float(c.values.square().sum()) for c in stack) / len(seeds))
    active, starts = list(range(len(seeds))), rules.first_round
    while active:
        # a round: as many new starts for each sample that still searches
        drawn = np.stack([generators[s].standard_normal((starts, size)) for s in active])
        kept = [(r, D[active]) for r, D in tensors]
        ends, arrived = newton(kept, sphere.project(torch.from_numpy(drawn)), scale, rules)
        searching = []
        for place, s in enumerate(active):
            states[s].add(ends[place][arrived[place]], starts, parity, rules)
            spent = states[s].starts >= rules.max_starts
            if not ((spent or states[s].saturated(rules)) and (accept(s, states[s]) or spent)):
                searching.append(s)
        active = searching
        # rounds grow alike for all samples, so that what a sample gets does not depend on those searched beside it
        starts = min(2 * starts, rules.largest_round)


def newton(tensors: list[tuple[int, Tensor]], w: Tensor, scale: float, rules: Rules) -> tuple[Tensor, Tensor]:
    """Return where the iterations from w (samples, B, Λ) end, and which have arrived at a critical point."""
    root = math.sqrt(w.shape[-1])
    longest, tolerance = rules.step * root, rules.residual * scale * root
    ends, arrived = w.clone(), torch.zeros(w.shape[:-1], dtype=torch.bool)
    places = torch.arange(w.shape[1]).expand(w.shape[:-1])  # of the starts still on their way
    samples = torch.arange(len(w))[:, None]
    for _ in range(rules.iterations):
        ambient, hessian = ambient_derivatives(tensors, w)
        gradient, radial = sphere.split(w, ambient)
        # w, gradient and hessian belong to the starts in places; where those are now is kept in ends
        done = torch.linalg.vector_norm(gradient, dim=-1) <= tolerance
        ends.scatter_(1, places[..., None].expand_as(w), w)
        arrived.scatter_(1, places, done)
        left = int((~done).sum(1).max())
        if left == 0:
            break
        # keep as many starts of each sample as the sample with most of them needs: those not done come first
        first = done.to(torch.int8).argsort(dim=1, stable=True)[:, :left]
        w, gradient, hessian, radial = (t[samples, first] for t in (w, gradient, hessian, radial))
        places = places.gather(1, first)
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


def ambient_derivatives(tensors: list[tuple[int, Tensor]], w: Tensor) -> tuple[Tensor, Tensor]:
    """Return ∇H and ∇²H at w (samples, B, Λ): for a few dimensions ten times as fast as the packed pass.

    Parameters
    ----------
    tensors
        Order and `second_derivatives` of each order.
    w
        (samples, B, Λ).

    Returns
    -------
    tuple of Tensor
        (samples, B, Λ) and (samples, B, Λ, Λ).
    """
    size = w.shape[-1]
    gradient, hessian = torch.zeros_like(w), w.new_zeros(*w.shape, size)
    powers = polynomial.monomials(w, max(r for r, _ in tensors) - 2) if tensors[-1][0] > 1 else []
    for r, D in tensors:
        if r == 1:
            gradient = gradient + D[:, None]
            continue
        second = (powers[r - 2] @ D).unflatten(-1, (size, size))
        gradient = gradient + (second @ w[..., None]).squeeze(-1) / (r - 1)  # Euler: (r-1)∇H = (∇²H) w
        hessian = hessian + second
    return gradient, hessian


def second_derivatives(c: Couplings) -> Tensor:
    """Return ∂_a∂_b of order r as polynomials of order r-2, (samples, monomials, Λ²); for r = 1 the field itself."""
    values, size, r = c.coefficients(), c.size, c.order
    if r == 1:
        return values
    tuples = index_tuples(size, r)
    D = values.new_zeros(len(values), polynomial.number(size, r - 2), size * size)
    # the monomial that remains has the colexicographic rank Σ_i C(x_i + i, i + 1)
    slots = range(r - 2)
    ranks = torch.tensor([[polynomial.number(x, i + 1) for x in range(size)] for i in slots]).reshape(-1, size)
    for s, t in itertools.combinations(range(r), 2):
        # each pair of slots is differentiated away once in either order; what remains is a monomial of order r-2
        rest = tuples[:, [i for i in range(r) if i not in (s, t)]]
        place = ranks[list(slots), rest].sum(1).long() * size * size
        for a, b in ((tuples[:, s], tuples[:, t]), (tuples[:, t], tuples[:, s])):
            D.flatten(1).index_add_(1, place + a * size + b, values)
    return D
