"""All critical points of a spherical glass with few dimensions, and the evidence that they are all.

For a polynomial of degree p on the sphere in Λ dimensions there are at most 2 Σ_{i<Λ} (p-1)^i critical points, that is
((p-1)^Λ - 1)/(p-2) pairs ±w for the pure p-spin (Cartwright and Sturmfels 2013; Nie and Ranestad 2009), and
Σ(-1)^index is the Euler characteristic of the sphere: 2 for odd Λ, 0 for even Λ.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skipglass import check
from skipglass.errors import InputError
from skipglass.glass import sphere
from skipglass.glass.couplings import Couplings
from skipglass.glass.hamiltonian import SphericalGlass, riemannian
from skipglass.glass.search import Found, Rules, search
from skipglass.theory import Mixture, expected_critical_points

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["MAX_EXPECTED", "CriticalPoints", "Evidence", "IncompleteSearchWarning", "critical_points"]

MAX_EXPECTED = 2_000  # our choice: a search needs tens of starts for each point


class IncompleteSearchWarning(UserWarning):
    """A search for critical points ended before there was evidence that it had found all."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for a set of critical points being complete.

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

    symmetric: bool | None
    euler: bool | None
    within_bound: bool
    saturated: bool
    characteristic: int
    bound: int
    starts: int
    since_new: int
    fewest_hits: int

    @property
    def complete(self) -> bool:
        """Whether all that applies holds."""
        return self.symmetric is not False and self.euler is not False and self.within_bound and self.saturated

    def __str__(self) -> str:
        word = {True: "yes", False: "no"}
        symmetric = "not applicable" if self.symmetric is None else word[self.symmetric]
        euler = "by symmetry, says nothing here" if self.euler is None else word[self.euler]
        return (
            f"±w both reached: {symmetric}; Σ(-1)^index = {self.characteristic}: {euler}; at most "
            f"{self.bound}: {word[self.within_bound]}; nothing new in the last {self.since_new} of {self.starts} "
            f"starts, each point reached {self.fewest_hits} times or more: {word[self.saturated]}"
        )


@dataclass(frozen=True)
class CriticalPoints:
    """The critical points of one glass, lowest energy first.

    Attributes
    ----------
    points : Tensor
        (N, Λ), on the sphere; float64 on the CPU, whatever the glass is kept in.
    energies : ndarray
        (N,), energies per spin, H/Λ.
    indices : ndarray
        (N,), how many directions descend.
    residuals : ndarray
        (N,), ‖∇H‖/√Λ.
    evidence : Evidence
        Why they should be all.
    mixture, size, seed
        Of the glass.
    """

    points: Tensor
    energies: NDArray[np.float64]
    indices: NDArray[np.int64]
    residuals: NDArray[np.float64]
    evidence: Evidence
    mixture: Mixture
    size: int
    seed: int

    @property
    def complete(self) -> bool:
        """Whether there is evidence that no critical point is missing."""
        return self.evidence.complete

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many have index k, k = 0..Λ-1."""
        return np.bincount(self.indices, minlength=self.size)

    def __len__(self) -> int:
        return len(self.energies)

    def __str__(self) -> str:
        lines = [
            f"{len(self)} critical points of {self.mixture!r}, size {self.size}, seed {self.seed}: "
            + ("complete" if self.complete else "NOT KNOWN TO BE COMPLETE"),
            str(self.evidence),
            "index  number  lowest H/Λ  highest H/Λ",
        ]
        for k, number in enumerate(self.counts):
            u = self.energies[self.indices == k]
            shown = f"{u.min():11.6f}  {u.max():11.6f}" if number else f"{'-':>11}  {'-':>11}"
            lines.append(f"{k:5}  {number:6}  {shown}")
        return "\n".join(lines)

    def to_xarray(self) -> "xr.Dataset":
        """Return points, energies, indices and residuals with the evidence as attributes."""
        import xarray as xr

        e = self.evidence
        return xr.Dataset(
            {
                "points": (("critical_point", "dimension"), self.points.numpy()),
                "energy": ("critical_point", self.energies, {"long_name": "energy per spin H/Λ"}),
                "index": ("critical_point", self.indices),
                "residual": ("critical_point", self.residuals, {"long_name": "‖∇H‖/√Λ"}),
            },
            attrs={
                "orders": self.mixture.orders,
                "powers": self.mixture.powers,
                "size": self.size,
                "seed": self.seed,
                "complete": int(self.complete),
                **{name: _said(getattr(e, name)) for name in ("symmetric", "euler")},
                **{name: int(getattr(e, name)) for name in _NUMBERS},
            },
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the index of each critical point against its energy.

        Parameters
        ----------
        ax
            Where to draw; a new figure without it.

        Returns
        -------
        Axes
            Where it was drawn.
        """
        import matplotlib.pyplot as plt

        ax = plt.subplots(layout="constrained")[1] if ax is None else ax
        ax.plot(self.energies, self.indices, "o", alpha=0.6)
        ax.set_xlabel("energy per spin H/Λ")
        ax.set_ylabel("index (descending directions)")
        ax.set_yticks(range(self.size))
        known = "all" if self.complete else "search not complete:"
        ax.set_title(f"{known} {len(self)} critical points, Λ = {self.size}")
        return ax


_NUMBERS = ("within_bound", "saturated", "characteristic", "bound", "starts", "since_new", "fewest_hits")


def _said(evidence: bool | None) -> str:
    return "not applicable" if evidence is None else str(evidence).lower()


@overload
def critical_points(
    h: SphericalGlass, *, seed: int = 0, max_starts: int = Rules.max_starts, warn: bool = True
) -> CriticalPoints: ...
@overload
def critical_points(
    h: Sequence[SphericalGlass], *, seed: int = 0, max_starts: int = Rules.max_starts, warn: bool = True
) -> list[CriticalPoints]: ...
def critical_points(
    h: "SphericalGlass | Sequence[SphericalGlass]",
    *,
    seed: int = 0,
    max_starts: int = Rules.max_starts,
    warn: bool = True,
) -> "CriticalPoints | list[CriticalPoints]":
    """Find all critical points of H on the sphere ‖w‖² = Λ, Λ small.

    Newton iterations from random starts go on until they stop finding and the evidence is complete.

    Parameters
    ----------
    h
        A glass, or several of one mixture and size, which are searched side by side.
    seed
        Of the starts; the glass's own seed enters too. The set found does not depend on it where it is complete.
    max_starts
        Where a search gives up: what was found is returned, marked, with a warning.
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
    seed, max_starts = check.seed("seed", seed), check.integer("max_starts", max_starts, 1)
    stack = [
        Couplings(c.order, c.size, torch.stack([g.couplings[i].values.double().cpu() for g in glasses]))
        for i, c in enumerate(glasses[0].couplings)
    ]
    rules = Rules(max_starts=max_starts)
    parity = _parity(glasses[0].mixture)
    results: list[CriticalPoints | None] = [None] * len(glasses)

    def conclude(sample: int, found: Found) -> bool:
        own = tuple(Couplings(c.order, c.size, c.values[sample]) for c in stack)
        result = _result(glasses[sample], own, found, parity, rules)
        results[sample] = result
        return result.complete

    search(stack, parity, [[seed, g.seed] for g in glasses], conclude, rules)
    done = [result for result in results if result is not None]
    lacking = [result for result in done if not result.complete]
    if lacking and warn:
        first = lacking[0]
        warnings.warn(
            f"{len(lacking)} of {len(done)} searches for critical points are not complete; that of the glass of seed "
            f"{first.seed} has {first.evidence}. Raise max_starts (now {max_starts})",
            IncompleteSearchWarning,
            stacklevel=2,
        )
    return done[0] if isinstance(h, SphericalGlass) else done


def _require_alike(glasses: list[SphericalGlass]) -> None:
    if not glasses or not all(isinstance(g, SphericalGlass) for g in glasses):
        raise InputError("critical_points takes a SphericalGlass or a sequence of them; LazyGlass has no Hessian")
    mixture, size = glasses[0].mixture, glasses[0].size
    if any(g.mixture != mixture or g.size != size for g in glasses):
        raise InputError("glasses that are searched together must have one mixture and one size")
    log = expected_critical_points(mixture, size, log=True)
    if log > math.log(MAX_EXPECTED):
        raise InputError(
            f"about 10^{log / math.log(10):.1f} critical points are expected at size {size}, too many to find all "
            f"(the limit is {MAX_EXPECTED}); take a smaller size, or descend from random points"
        )


def _parity(mixture: Mixture) -> int:
    """1 where H(-w) = H(w), -1 where H(-w) = -H(w), else 0."""
    odd = mixture.orders % 2
    return 1 if not odd.any() else -1 if odd.all() else 0


def _bound(mixture: Mixture, size: int) -> int:
    degree = int(mixture.orders.max())
    return 2 * sum((degree - 1) ** i for i in range(size))


def _result(
    glass: SphericalGlass, couplings: tuple[Couplings, ...], found: Found, parity: int, rules: Rules
) -> CriticalPoints:
    w = torch.cat([found.points, -found.points]) if parity else found.points
    energy, gradient, hessian = riemannian(couplings, w, 2)
    assert gradient is not None
    assert hessian is not None
    basis = sphere.tangent_basis(w)
    indices = (torch.linalg.eigvalsh(basis.mT @ hessian @ basis) < 0).sum(-1).numpy()
    energies = (energy / glass.size).numpy()
    order = np.lexsort((indices, energies))
    characteristic = int((1 - 2 * (indices % 2)).sum())
    bound = _bound(glass.mixture, glass.size)
    hits = found.hits.sum(1)
    evidence = Evidence(
        symmetric=bool((found.hits > 0).all()) if parity else None,
        euler=None if parity == -1 and glass.size % 2 == 0 else characteristic == 2 * (glass.size % 2),
        within_bound=len(w) <= bound,
        saturated=found.saturated(rules),
        characteristic=characteristic,
        bound=bound,
        starts=found.starts,
        since_new=found.since_new,
        fewest_hits=int(hits.min()) if len(hits) else 0,
    )
    residuals = (torch.linalg.vector_norm(gradient, dim=-1) / glass.size**0.5).numpy()
    arrays: dict[str, Any] = {"energies": energies[order], "indices": indices[order], "residuals": residuals[order]}
    return CriticalPoints(
        points=w[torch.from_numpy(order)],
        evidence=evidence,
        mixture=glass.mixture,
        size=glass.size,
        seed=glass.seed,
        **arrays,
    )
