"""The covariance of a spherical spin glass with interactions of several orders (Sec. 5, Eqs. 28-31).

    H(w) = Σ_r ε_r Λ^{-(r-1)/2} Σ_{i1..ir} J_{i1..ir} w_i1 … w_ir on ‖w‖² = Λ,   E[H(w)H(w')] = Λ ξ(⟨w,w'⟩/Λ)

with ξ(q) = Σ_r ε_r² q^r. A mixture is the set of its ε_r².
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skipglass import check
from skipglass.errors import InputError

MAX_ORDER = 10**9  # r(r-1) still fits in an integer
__all__ = ["Mixture", "require_mixture"]


class Mixture:
    """A mixture ξ(q) = Σ_r ε_r² q^r of interactions of orders r ≥ 1.

    Parameters
    ----------
    powers
        {r: ε_r²}. They are not normalised: Σ ε_r² = 1 is usual but not required. The order 1 is a field.

    Attributes
    ----------
    orders, powers : ndarray
        The orders r with ε_r² > 0, ascending, and their ε_r².

    Raises
    ------
    InputError
        If an order is below 1, a power is negative or not finite, or none is positive.

    Examples
    --------
    >>> m = Mixture({2: 0.5, 5: 0.5})
    >>> m.nu1, m.nu2, m.ratio
    (3.5, 11.0, 3.142857142857143)
    >>> m(0.5)
    0.140625
    """

    def __init__(self, powers: Mapping[int, float]) -> None:
        self.orders, self.powers = _validate(powers)

    @classmethod
    def pure(cls, order: int) -> "Mixture":
        """Return ξ(q) = q^r, the pure r-spin model.

        Parameters
        ----------
        order
            r ≥ 1.

        Returns
        -------
        Mixture
            The pure model.
        """
        return cls({order: 1.0})

    def __call__(self, overlap: ArrayLike, derivative: int = 0) -> "float | NDArray[np.float64]":
        """ξ(q), or one of its derivatives, at each overlap q in [-1, 1].

        Parameters
        ----------
        overlap
            q = ⟨w,w'⟩/Λ, any shape.
        derivative
            The order of the derivative.

        Returns
        -------
        float or ndarray
            With the shape of ``overlap``.
        """
        q = np.asarray(overlap, dtype=float)
        r, coefficients = self.orders.astype(float), self.powers
        for k in range(check.integer("derivative", derivative)):
            coefficients = coefficients * (r - k)
        # Orders below the derivative have vanished; they would have negative exponents.
        kept = coefficients != 0
        total = q[..., None] ** (r[kept] - derivative) @ coefficients[kept]
        return float(total) if total.ndim == 0 else total

    def items(self) -> list[tuple[int, float]]:
        """Return the pairs (r, ε_r²), by ascending order: ``Mixture(dict(m.items()))`` is the same mixture."""
        return list(zip(self.orders.tolist(), self.powers.tolist(), strict=True))

    @property
    def nu1(self) -> float:
        """ν′ = ξ′(1) = Σ ε_r² r."""
        return float(self.powers @ self.orders)

    @property
    def nu2(self) -> float:
        """ν″ = ξ″(1) = Σ ε_r² r(r-1)."""
        return float(self.powers @ (self.orders * (self.orders - 1)))

    @property
    def alpha2(self) -> float:
        """α² = ν″ + ν′ - ν′² for ξ(1) = 1: the variance of the order r under ε_r²; 0 for a pure model."""
        p = self._probabilities
        return float(p @ (self.orders - p @ self.orders) ** 2)

    @property
    def ratio(self) -> float:
        """x = ν″/ν′, on which the number of critical points depends; p-1 for the pure p-spin."""
        p = self._probabilities
        return float(p @ (self.orders * (self.orders - 1))) / float(p @ self.orders)

    @property
    def field(self) -> float:
        """ε_1², the power of the field."""
        return float(self.powers[self.orders == 1].sum())

    def normalized(self) -> "Mixture":
        """Return the mixture scaled so that ξ(1) = Σ ε_r² = 1."""
        return Mixture(dict(zip(self.orders.tolist(), self._probabilities.tolist(), strict=True)))

    @property
    def _probabilities(self) -> NDArray[np.float64]:
        """ε_r²/ξ(1); the largest is divided out first, so that sums of huge or tiny powers do not overflow."""
        scaled = self.powers / self.powers.max()
        return scaled / scaled.sum()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mixture) and self.items() == other.items()

    def __hash__(self) -> int:
        return hash(tuple(self.items()))

    def __repr__(self) -> str:
        terms = [f"{r}: {c:.6g}" for r, c in self.items()]
        shown = terms if len(terms) <= 6 else [*terms[:3], "…", *terms[-2:]]
        return f"Mixture({{{', '.join(shown)}}})"


def require_mixture(mixture: object) -> Mixture:
    """Return ``mixture`` if it is a Mixture, or raise an InputError that says how to make one."""
    if isinstance(mixture, Mixture):
        return mixture
    raise InputError(
        f"mixture must be a Mixture, not {mixture!r}; make one with Mixture({{order: power}}), "
        "Mixture.pure(order) or DepthEnsemble(depth, beta).mixture()"
    )


def _validate(powers: Mapping[int, float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    if not isinstance(powers, Mapping):
        raise InputError(f"a mixture is given as {{order: power}}, not as {type(powers).__name__}")
    checked = {
        check.integer("the order of an interaction", r, 1, MAX_ORDER): check.real(f"the power of order {r}", c, 0.0)
        for r, c in powers.items()
    }
    positive = {r: c for r, c in sorted(checked.items()) if c > 0}
    if not positive:
        raise InputError(f"a mixture needs at least one positive power, found {dict(powers)!r}")
    return np.array(list(positive), dtype=np.int64), np.array(list(positive.values()), dtype=np.float64)
