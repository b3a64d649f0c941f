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

__all__ = ["Found", "Rules", "search"]


@dataclass(frozen=True)
class Rules:
    """When a search goes on, and when two points are one; all our choice.

    Attributes
    ----------
    first_round, largest_round : int
        Starts a sample in the first round, doubled from round to round up to the largest.
    patience : int
        Starts without a new point after which a set counts as saturated, ``patience_each`` more for each
        point (pair of points ±w) found; every point must also have been reached twice.
    max_starts : int
        Where a search gives up.
    iterations : int
        Newton steps a start; those that have not arrived are dropped: most that arrive do so by then, and hidden
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
class Found:
    """What the search of one sample knows: one of each pair ±w where H is even or odd, else every point."""

    points: Tensor  # (N, Λ)
    hits: Tensor = field(
        default_factory=lambda: torch.zeros(0, 2, dtype=torch.int64)
    )  # how often +w and -w were reached
    starts: int = 0
    since_new: int = 0

    def saturated(self, rules: Rules) -> bool:
        """Whether the set has stopped growing."""
        enough = self.since_new >= rules.patience + rules.patience_each * len(self.points)
        return enough and len(self.points) > 0 and bool((self.hits.sum(1) >= 2).all())


Accept = Callable[[int, Found], bool]


def search(
    stack: Sequence[Couplings], parity: int, seeds: Sequence[Sequence[int]], accept: Accept, rules: Rules
) -> list[Found]:
    """Search samples side by side.

    Parameters
    ----------
    stack
        Couplings of each order, values (samples, …), float64, on the CPU: the matrices are tiny.
    parity
        1 or -1 where H(-w) = ±H(w), else 0.
    seeds
        One a sample, for its starts.
    accept
        Called with a sample's number and what was found once its set is saturated, or its starts are spent;
        True ends its search.
    rules
        When to stop.

    Returns
    -------
    list of Found
        One a sample.
    """
    size = stack[0].size
    generators = [np.random.default_rng(seed) for seed in seeds]
    found = [Found(torch.zeros(0, size, dtype=torch.float64)) for _ in seeds]
    active = list(range(len(seeds)))
    tensors = [(c.order, _second_derivatives(c)) for c in stack]
    scale = math.sqrt(sum(float(c.values.square().sum()) for c in stack) / len(seeds))
    starts = rules.first_round
    while active:
        kept = [(r, D[active]) for r, D in tensors]
        drawn = np.stack([generators[s].standard_normal((starts, size)) for s in active])
        ends, arrived = newton(kept, sphere.project(torch.from_numpy(drawn)), scale, rules)
        for place, s in enumerate(active):
            _add(found[s], ends[place][arrived[place]], starts, parity, rules)
        active = [s for s in active if not _finished(s, found[s], accept, rules)]
        starts = min(2 * starts, rules.largest_round)  # the same for every sample, whoever it is searched with
    return found


def newton(tensors: list[tuple[int, Tensor]], w: Tensor, scale: float, rules: Rules) -> tuple[Tensor, Tensor]:
    """Return where the iterations from w (samples, B, Λ) end, and which have arrived at a critical point."""
    size = w.shape[-1]
    root = math.sqrt(size)
    tolerance = rules.residual * scale * root
    ends, arrived = w.clone(), torch.zeros(w.shape[:-1], dtype=torch.bool)
    places = torch.arange(w.shape[-2]).expand(w.shape[:-1])  # of the starts still on their way
    for _ in range(rules.iterations):
        ambient, hessian = _ambient(tensors, w)
        radial = (ambient * w).sum(-1, keepdim=True) / size
        gradient = ambient - radial * w
        done = torch.linalg.vector_norm(gradient, dim=-1) <= tolerance
        ends.scatter_(1, places[..., None].expand_as(w), w)
        arrived.scatter_(1, places, done)
        left = int((~done).sum(1).max())
        if left == 0:
            break
        first = done.to(torch.int8).argsort(dim=1, stable=True)[:, :left]
        w, gradient, hessian, radial = (_take(t, first) for t in (w, gradient, hessian, radial))
        places = places.gather(1, first)
        step = _newton_step(w, gradient, hessian, radial, scale)
        length = torch.linalg.vector_norm(step, dim=-1, keepdim=True)
        w = w + step * (rules.step * root / length.clamp_min(rules.step * root))
        w = w * (root / torch.linalg.vector_norm(w, dim=-1, keepdim=True))
    return ends, arrived


def _newton_step(w: Tensor, gradient: Tensor, hessian: Tensor, radial: Tensor, scale: float) -> Tensor:
    """Solve P(∇²H - ρ)d = -P∇H with d ⟂ w: one factorisation for P∇H and w; scale·wwᵀ/Λ leaves d as it is."""
    size = w.shape[-1]
    matrix = hessian + (scale / size) * w[..., :, None] * w[..., None, :]
    matrix.diagonal(dim1=-2, dim2=-1).sub_(radial)
    x, y = torch.linalg.solve_ex(matrix, torch.stack([gradient, w], -1))[0].unbind(-1)
    multiplier = (x * w).sum(-1, keepdim=True) / (y * w).sum(-1, keepdim=True)
    return (y * multiplier - x).nan_to_num(0.0, 0.0, 0.0)


def _ambient(tensors: list[tuple[int, Tensor]], w: Tensor) -> tuple[Tensor, Tensor]:
    """∇H and ∇²H from the dense second derivatives: for a few dimensions, ten times as fast as the packed pass."""
    size = w.shape[-1]
    gradient, hessian = torch.zeros_like(w), w.new_zeros(*w.shape, size)
    powers = polynomial.monomials(w, max(r for r, _ in tensors) - 2) if tensors[-1][0] > 1 else []
    for r, D in tensors:
        if r == 1:
            gradient = gradient + D[:, None]
            continue
        second = (powers[r - 2] @ D).unflatten(-1, (size, size))
        gradient = gradient + (second @ w[..., None]).squeeze(-1) / (r - 1)
        hessian = hessian + second
    return gradient, hessian


def _second_derivatives(c: Couplings) -> Tensor:
    """∂_a∂_b of order r as polynomials of order r-2, (samples, monomials, Λ²); for r = 1 the field itself."""
    values, size, r = c.coefficients(), c.size, c.order
    if r == 1:
        return values
    tuples = index_tuples(size, r)
    D = values.new_zeros(len(values), polynomial.number(size, r - 2), size * size)
    whole, after_one, after_two = (_rank_sums(tuples, size, dropped) for dropped in range(3))
    for s, t in itertools.combinations(range(r), 2):
        column = whole[:, s] + (after_one[:, t] - after_one[:, s + 1]) + (after_two[:, r] - after_two[:, t + 1])
        for a, b in ((tuples[:, s], tuples[:, t]), (tuples[:, t], tuples[:, s])):
            D.flatten(1).index_add_(1, (column * size + a) * size + b, values)
    return D


def _rank_sums(tuples: Tensor, size: int, dropped: int) -> Tensor:
    """Return Σ_{i<u} C(x_i + j, j + 1) with j = i - dropped ≥ 0, (tuples, r+1): parts of colexicographic ranks.

    A tuple without ``dropped`` indices before slot i is sorted still, and x_i stands that much further left.
    """
    r = tuples.shape[1]
    slots = range(r - dropped)
    table = torch.tensor([[polynomial.number(x, i + 1) for x in range(size)] for i in slots]).reshape(-1, size)
    terms = torch.zeros_like(tuples)
    terms[:, dropped:] = table[list(slots), tuples[:, dropped:]]
    return torch.nn.functional.pad(terms.cumsum(1), (1, 0))


def _take(values: Tensor, order: Tensor) -> Tensor:
    """Return values[s, order[s]] for each sample s."""
    return values[torch.arange(len(order))[:, None], order]


def _add(found: Found, ends: Tensor, starts: int, parity: int, rules: Rules) -> None:
    """Count hits of known points; append new ones."""
    close = 1 - rules.distance**2 / 2
    size = ends.shape[-1]
    before = len(found.points)
    for _ in range(2):  # points new to the first pass are known to the second
        overlap = ends @ found.points.T / size
        match = (overlap.abs() if parity else overlap) > close
        unknown = ends[~match.any(1)]
        if not len(unknown):
            break
        mutual = unknown @ unknown.T / size
        same = ((mutual.abs() if parity else mutual) > close).tril(-1)
        new = unknown[~same.any(1)]
        found.points = torch.cat([found.points, new])
        found.hits = torch.cat([found.hits, torch.zeros(len(new), 2, dtype=torch.int64)])
    found.hits[:, 0] += (match & (overlap > 0)).sum(0)
    found.hits[:, 1] += (match & (overlap <= 0)).sum(0)
    found.starts += starts
    found.since_new = 0 if len(found.points) > before else found.since_new + starts


def _finished(sample: int, found: Found, accept: Accept, rules: Rules) -> bool:
    spent = found.starts >= rules.max_starts
    return (spent or found.saturated(rules)) and (accept(sample, found) or spent)
