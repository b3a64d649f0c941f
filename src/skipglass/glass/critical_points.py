"""All critical points of a spherical glass with few dimensions, and the evidence that they are all.

For a polynomial of degree p on the sphere in Λ dimensions there are at most 2 Σ_{i<Λ} (p-1)^i critical points, that is
((p-1)^Λ - 1)/(p-2) pairs ±w for the pure p-spin (Cartwright and Sturmfels 2013; Nie and Ranestad 2009), and
Σ(-1)^index is the Euler characteristic of the sphere: 2 for odd Λ, 0 for even Λ.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skipglass import check
from skipglass.errors import InputError
from skipglass.glass import sphere
from skipglass.glass.hamiltonian import SphericalGlass
from skipglass.glass.search import Rules, SearchState, ambient_derivatives, newton, second_derivatives
from skipglass.record import Result, coordinate, derived, mapping, number, part, variable
from skipglass.report import Axis, Panel, Series
from skipglass.theory import Mixture, expected_critical_points

__all__ = ["MAX_EXPECTED", "CriticalPoints", "Evidence", "IncompleteSearchWarning", "critical_points"]

MAX_EXPECTED = 2_000  # our choice: a search needs tens of starts for each point


class IncompleteSearchWarning(UserWarning):
    """A search for critical points ended before there was evidence that it had found all."""


@dataclass(frozen=True, eq=False)
class Evidence(Result):
    """The evidence that a set of critical points is complete.

    Attributes
    ----------
    symmetric : bool or None
        w and -w were both reached by starts of their own, for every pair; None where H is neither even nor odd.
    euler : bool or None
        Σ(-1)^index is 2 (odd Λ) or 0 (even Λ). None for odd H and even Λ: w and -w have the indices k and Λ-1-k, so
        that the sum is 0 whatever was found, and says nothing.
    within_bound : bool
        There are at most ``bound`` points.
    saturated : bool
        The last ``since_new`` of ``starts`` Newton iterations found nothing new, and every point was reached twice.
    characteristic, bound, starts, since_new, fewest_hits : int
        The numbers behind them; ``fewest_hits`` is how often the most hidden point (or pair) was reached.
    """

    kind: ClassVar[str] = "evidence"

    symmetric: bool | None = number(of=bool, long_name="w and -w both reached")
    euler: bool | None = number(of=bool, long_name="Σ(-1)^index is the Euler characteristic")
    within_bound: bool = number(of=bool, long_name="at most as many points as a polynomial can have")
    saturated: bool = number(of=bool, long_name="the search found nothing new")
    characteristic: int = number("Σ(-1)^index", of=int)
    bound: int = number(of=int, long_name="largest possible number of points")
    starts: int = number(of=int)
    since_new: int = number(of=int, long_name="starts since the last new point")
    fewest_hits: int = number(of=int, long_name="times that the most hidden point was reached")

    @property
    def complete(self) -> bool:
        """Whether all that applies holds."""
        return self.symmetric is not False and self.euler is not False and self.within_bound and self.saturated

    def headline(self) -> str:
        """Each piece of evidence with the numbers behind it."""
        word: dict[bool | None, str] = {True: "yes", False: "no", None: "not applicable"}
        euler = "true by symmetry, which says nothing here" if self.euler is None else word[self.euler]
        return (
            f"±w both reached: {word[self.symmetric]}; Σ(-1)^index = {self.characteristic}: {euler}; at most "
            f"{self.bound}: {word[self.within_bound]}; nothing new in the last {self.since_new} of {self.starts} "
            f"starts, each point reached {self.fewest_hits} times or more: {word[self.saturated]}"
        )


@dataclass(frozen=True, eq=False)
class CriticalPoints(Result):
    """The critical points of one glass, lowest energy first.

    Attributes
    ----------
    points : Tensor
        (N, Λ), on the sphere; float64 on the CPU, whatever the glass is kept in.
    energies : ndarray
        (N,), energies per spin, H/Λ.
    indices : ndarray
        (N,), the number of descending directions.
    residuals : ndarray
        (N,), ‖∇H‖/√Λ.
    evidence : Evidence
        The evidence that no critical point is missing.
    mixture, size, seed
        Of the glass.
    """

    kind: ClassVar[str] = "critical points"

    points: Tensor = variable("critical_point", "dimension", encode=Tensor.numpy, decode=torch.from_numpy, shown=False)
    energies: NDArray[np.float64] = variable(
        "critical_point", stored="energy", letter="H/Λ", long_name="energy per spin H/Λ", shown=False
    )
    indices: NDArray[np.int64] = variable(
        "critical_point", of=int, stored="index", long_name="index (descending directions)", shown=False
    )
    residuals: NDArray[np.float64] = variable("critical_point", stored="residual", long_name="‖∇H‖/√Λ", shown=False)
    evidence: Evidence = part(Evidence)
    mixture: Mixture = mapping(key=int, decode=Mixture)
    size: int = number("Λ", of=int, shown=False)
    seed: int = number(of=int, shown=False)

    @property
    @derived(number(of=bool, shown=False))
    def complete(self) -> bool:
        """Whether there is evidence that no critical point is missing."""
        return self.evidence.complete

    @property
    @derived(coordinate("k", letter="index"))
    def possible_indices(self) -> NDArray[np.int64]:
        """k = 0..Λ-1."""
        return np.arange(self.size)

    @property
    @derived(variable("k", of=int, letter="number", long_name="number of critical points of index k"))
    def counts(self) -> NDArray[np.int64]:
        """How many have index k, k = 0..Λ-1."""
        return np.bincount(self.indices, minlength=self.size)

    @property
    @derived(variable("k", letter="lowest H/Λ"))
    def lowest(self) -> NDArray[np.float64]:
        """(Λ,) the lowest energy per spin of each index, NaN where there is none."""
        return self._extreme(np.fmin)

    @property
    @derived(variable("k", letter="highest H/Λ"))
    def highest(self) -> NDArray[np.float64]:
        """(Λ,) the highest energy per spin of each index, NaN where there is none."""
        return self._extreme(np.fmax)

    def __len__(self) -> int:
        return len(self.energies)

    def headline(self) -> str:
        """How many there are, and whether that is known to be all."""
        known = "complete" if self.complete else "NOT KNOWN TO BE COMPLETE"
        return f"{len(self)} critical points of {self.mixture!r}, size {self.size}, seed {self.seed}: {known}"

    def panel(self) -> Panel:
        """The index of each critical point against its energy."""
        known = "all" if self.complete else "search not complete:"
        return Panel(
            "glass-critical-points",
            f"{known} {len(self)} critical points, Λ = {self.size}",
            "From the left: deep down there are minima only; a point further up has more descending directions.",
            Axis("energy per spin H/Λ"),
            Axis("index (descending directions)"),
            (Series("critical points", self.energies, self.indices),),
            marks="points",
        )

    def _extreme(self, choose: np.ufunc) -> NDArray[np.float64]:
        extreme = np.full(self.size, np.nan)
        choose.at(extreme, self.indices, self.energies)
        return extreme


@overload
def critical_points(
    h: SphericalGlass, *, seed: int = 0, max_starts: int = Rules.max_starts, warn: bool = True
) -> CriticalPoints: ...
@overload
def critical_points(
    h: Sequence[SphericalGlass], *, seed: int = 0, max_starts: int = Rules.max_starts, warn: bool = True
) -> list[CriticalPoints]: ...
def critical_points(
    h: SphericalGlass | Sequence[SphericalGlass],
    *,
    seed: int = 0,
    max_starts: int = Rules.max_starts,
    warn: bool = True,
) -> CriticalPoints | list[CriticalPoints]:
    """Find all critical points of H on the sphere ‖w‖² = Λ, Λ small.

    Newton iterations from random starts go on until they find nothing new and the evidence is complete.

    Parameters
    ----------
    h
        A glass, or several of one mixture and size, which are searched side by side.
    seed
        Seed of the starts; the glass's own seed enters too. A complete set does not depend on it.
    max_starts
        Number of starts at which a search gives up: what was found is returned, marked, with a warning.
    warn
        Warn of incomplete searches.

    Returns
    -------
    CriticalPoints or list of CriticalPoints
        ``.complete`` says whether the evidence holds, ``.evidence`` which of it.

    Raises
    ------
    InputError
        If the glasses differ in mixture or size, or too many critical points are expected (MAX_EXPECTED).

    Examples
    --------
    >>> c = critical_points(SphericalGlass(Mixture({2: 0.2, 3: 0.8}), size=4, seed=1))
    >>> c.complete, c.evidence.symmetric, c.evidence.euler, c.evidence.characteristic
    (True, None, True, 0)
    """
    glasses = list(h) if isinstance(h, Sequence) else [h]
    _require_alike(glasses)
    rules = Rules(max_starts=check.integer("max_starts", max_starts, 1))
    done = _search(glasses, check.seed("seed", seed), rules)
    lacking = [result for result in done if not result.complete]
    if lacking and warn:
        warnings.warn(
            f"{len(lacking)} of {len(done)} searches for critical points are not complete; that of the glass of seed "
            f"{lacking[0].seed} has {lacking[0].evidence.headline()}. Raise max_starts (now {max_starts})",
            IncompleteSearchWarning,
            stacklevel=2,
        )
    return done[0] if isinstance(h, SphericalGlass) else done


def _require_alike(glasses: Sequence[object]) -> None:
    """Refuse what cannot be searched together, or has too many critical points to find them all."""
    spherical = [g for g in glasses if isinstance(g, SphericalGlass)]
    if not glasses or len(spherical) < len(glasses):
        raise InputError("critical_points takes a SphericalGlass or a sequence of them; LazyGlass has no Hessian")
    mixture, size = spherical[0].mixture, spherical[0].size
    if any(g.mixture != mixture or g.size != size for g in spherical):
        raise InputError("glasses that are searched together must have one mixture and one size")
    log = expected_critical_points(mixture, size, log=True)
    if log > math.log(MAX_EXPECTED):
        raise InputError(
            f"about 10^{log / math.log(10):.1f} critical points are expected at size {size}, too many to find all "
            f"(the limit is {MAX_EXPECTED}); take a smaller size, or descend from random points"
        )


def _search(glasses: Sequence[SphericalGlass], seed: int, rules: Rules) -> list[CriticalPoints]:
    """Search glasses of one mixture and size side by side."""
    orders, size = glasses[0].mixture.orders.tolist(), glasses[0].size
    generators = [np.random.default_rng([seed, g.seed]) for g in glasses]
    tensors = [second_derivatives([g.couplings[i] for g in glasses]) for i in range(len(orders))]
    scale = math.sqrt(sum(float(c.values.double().square().sum()) for g in glasses for c in g.couplings) / len(glasses))
    # H(-w) = H(w) where all orders are even, -H(w) where all are odd
    odd = [r % 2 for r in orders]
    parity = 1 if not any(odd) else -int(all(odd))
    states = [SearchState(rules, parity != 0, torch.zeros(0, size, dtype=torch.float64)) for _ in glasses]
    results: dict[int, CriticalPoints] = {}
    active = list(range(len(glasses)))
    while active:
        # as many new starts for each sample that still searches: its own, whatever is searched beside it
        drawn = np.stack([generators[s].standard_normal((rules.round, size)) for s in active])
        kept = [(r, D[active]) for r, D in zip(orders, tensors, strict=True)]
        ends, arrived = newton(kept, sphere.project(torch.from_numpy(drawn)), scale, rules)
        for place, s in enumerate(active):
            states[s].add(ends[place][arrived[place]], rules.round)
            if states[s].saturated or states[s].spent:
                own = [(r, D[s : s + 1]) for r, D in zip(orders, tensors, strict=True)]
                results[s] = _result(glasses[s], own, states[s], parity)
        active = [s for s in active if not (s in results and (results[s].complete or states[s].spent))]
    return [results[s] for s in range(len(glasses))]


def _result(
    glass: SphericalGlass, tensors: list[tuple[int, Tensor]], state: SearchState, parity: int
) -> CriticalPoints:
    """Evaluate the glass at the points of a search, and judge whether they are all."""
    # one of each pair ±w was searched for; both are counted
    w = torch.cat([state.points, -state.points]) if parity else state.points
    energy, gradient, hessian = sphere.riemannian(w, [values[0] for values in ambient_derivatives(tensors, w[None])])
    indices = sphere.morse_indices(w, hessian).numpy()
    energies = (energy / glass.size).numpy()
    residuals = (torch.linalg.vector_norm(gradient, dim=-1) / glass.size**0.5).numpy()
    # lowest energy first, among equal energies the lowest index
    order = np.lexsort((indices, energies))
    characteristic = int((1 - 2 * (indices % 2)).sum())
    # the bound of Cartwright and Sturmfels, for the largest order
    bound = 2 * sum((int(glass.mixture.orders.max()) - 1) ** i for i in range(glass.size))
    evidence = Evidence(
        symmetric=bool((state.hits > 0).all()) if parity else None,
        euler=None if parity == -1 and glass.size % 2 == 0 else characteristic == 2 * (glass.size % 2),
        within_bound=len(w) <= bound,
        saturated=state.saturated,
        characteristic=characteristic,
        bound=bound,
        starts=state.starts,
        since_new=state.since_new,
        fewest_hits=min(state.hits.sum(1).tolist(), default=0),
    )
    arrays = w[torch.from_numpy(order)], energies[order], indices[order], residuals[order]
    return CriticalPoints(*arrays, evidence, glass.mixture, glass.size, glass.seed)
