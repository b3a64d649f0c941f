"""The expected number of critical points of a spherical spin glass, exactly, at any finite Λ (Kac-Rice).

Auffinger and Ben Arous (2013), with x = ν″/ν′ the only property of the mixture that matters:

    E[Crt_k] = 2 √(2/(1+x)) x^{Λ/2} E_GOE(Λ)[exp(-c s_k²)],   c = (x-1)/(2(x+1)),   k = 0..Λ-1,

s_0 ≤ s_1 ≤ … the eigenvalues in the scale of goe.py. Summed over k the mean is ∫ ρ(s) e^{-cs²} ds.
Closed forms: 2√(3x+1) for Λ = 2; 2 + 8x^{3/2}/√(3x+1) for Λ = 3; 2Λ for x = 1; 2 for a pure field, x = 0.
"""

import math
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from skipglass import check
from skipglass.errors import InputError
from skipglass.theory.goe import log_tilted_density, tilted_grid
from skipglass.theory.goe_index import index_shares
from skipglass.theory.mixture import Mixture, require_mixture

__all__ = ["MAX_SIZE", "MAX_SIZE_PER_INDEX", "expected_critical_points"]

MAX_SIZE = 10_000  # our choice: the quadrature costs O(Λ²), 3 s here
MAX_SIZE_PER_INDEX = 100  # our choice: O(Λ) nodes, O(Λ) Pfaffians per node, O(Λ³) per Pfaffian
PURE_FIELD = 1e-16  # the number is 2 + O(x): for x below this it is 2 to the last digit

Vector = NDArray[np.float64]


@overload
def expected_critical_points(
    mixture: Mixture, size: int, *, per_index: Literal[False] = False, log: bool = False
) -> float: ...
@overload
def expected_critical_points(
    mixture: Mixture, size: int, *, per_index: Literal[True], log: bool = False
) -> tuple[Vector, Vector]: ...
def expected_critical_points(
    mixture: Mixture, size: int, *, per_index: bool = False, log: bool = False
) -> "float | tuple[Vector, Vector]":
    """E[Crt] = Σ_k E[Crt_k], the expected number of critical points at finite Λ, or each E[Crt_k].

    Both are deterministic quadratures; nothing is sampled. The total has a relative error of at most 1e-11 up to
    Λ = 2000 at least.

    Parameters
    ----------
    mixture
        ξ, of any scale, with its field if it has one.
    size
        Λ, the dimension of the space; the sphere has one less. At most MAX_SIZE, with ``per_index``
        MAX_SIZE_PER_INDEX.
    per_index
        Return the numbers for k = 0..Λ-1, minima first.
    log
        Return the natural logarithm of the total, which fits in a float when the total does not.

    Returns
    -------
    float or tuple of ndarray
        The total or its logarithm; with ``per_index`` (values, standard_errors), each (Λ,). These errors estimate
        the rounding: where one exceeds its value, the value is at most that error.

    Raises
    ------
    InputError
        If an argument is out of its range, ``per_index`` is combined with ``log``, or the number overflows.

    Examples
    --------
    >>> m = Mixture.pure(3)
    >>> round(expected_critical_points(m, size=2), 12)
    5.291502622129
    >>> values, errors = expected_critical_points(m, size=3, per_index=True)
    >>> values.round(6)
    array([3.13809, 4.27618, 3.13809])
    """
    x = require_mixture(mixture).ratio
    size = check.integer("size", size, 1, MAX_SIZE_PER_INDEX if per_index else MAX_SIZE)
    if per_index and log:
        raise InputError("log=True applies to the total only: omit it or per_index=True")
    if x < PURE_FIELD:  # one minimum and one maximum
        if per_index:
            return np.bincount([0, size - 1], minlength=size).astype(np.float64), np.zeros(size)
        return math.log(2) if log else 2.0
    # s ≥ 0 are the nodes of the quadrature, log_terms the logarithms of the terms that sum to E[Crt]
    decay = x / (1 + x)  # ½ + c
    s, weights = tilted_grid(size, decay)
    factor = math.log(2) + 0.5 * math.log(2 / (1 + x)) + 0.5 * size * math.log(x)
    log_terms = np.log(weights) + log_tilted_density(s, size, decay) + factor
    log_total = float(logsumexp(log_terms))
    if log:
        return log_total
    if log_total > math.log(np.finfo(float).max):
        raise InputError(
            f"the expected number of critical points at size {size} and ν″/ν′ = {x:.4g} is about "
            f"10^{log_total / math.log(10):.0f}, too large for a float; ask for log=True"
        )
    if not per_index:
        return math.exp(log_total)
    # The grid covers s ≥ 0 only. By the symmetry s → -s, the share of index k at s is that of Λ-1-k at -s.
    shares, errors = index_shares(s, size)
    values, bounds = ((v + v[::-1]) / 2 for v in (np.exp(log_terms) @ shares, np.exp(log_terms) @ errors))
    return values, bounds + 1e-14 * values
