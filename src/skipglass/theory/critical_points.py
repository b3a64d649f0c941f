"""The expected number of critical points of a spherical spin glass, exactly, at any finite Λ (Kac-Rice).

Auffinger and Ben Arous (2013), with x = ν″/ν′ the only thing that matters about the mixture:

    E[Crt_k] = 2 √(2/(1+x)) x^{Λ/2} E_GOE(Λ)[exp(-c s_k²)],   c = (x-1)/(2(x+1)),   k = 0..Λ-1,

s_0 ≤ s_1 ≤ … the eigenvalues in the scale of goe.py. Summed over k the mean is ∫ ρ(s) e^{-cs²} ds.
Closed forms: 2√(3x+1) for Λ = 2; 2 + 8x^{3/2}/√(3x+1) for Λ = 3; 2Λ for x = 1; 2 for a pure field, x = 0.
"""

import math

import numpy as np
from numpy.typing import NDArray

from skipglass import check
from skipglass.errors import InputError
from skipglass.theory.goe import log_tilted_density, tilted_grid
from skipglass.theory.mixture import Mixture, require_mixture

__all__ = ["MAX_SIZE", "expected_critical_points"]

MAX_SIZE = 10_000  # the quadrature costs O(Λ²): seconds here
_FIELD = 1e-16  # the count is 2 + O(x): below this, 2 to the last digit


def expected_critical_points(mixture: Mixture, size: int, *, log: bool = False) -> float:
    x = require_mixture(mixture).ratio
    return _total(x, check.integer("size", size, 1, MAX_SIZE), log)


def _total(x: float, size: int, log: bool) -> float:
    value = _log_total(x, size)
    return value if log else math.exp(value)


def _log_total(x: float, size: int) -> float:
    if x < _FIELD:
        return math.log(2.0)
    decay = x / (1 + x)
    s, w = tilted_grid(size, decay)
    terms = np.log(w) + log_tilted_density(s, size, decay)
    top = terms.max()
    return _log_factor(x, size) + top + math.log(np.exp(terms - top).sum())


def _log_factor(x: float, size: int) -> float:
    return math.log(2) + 0.5 * math.log(2 / (1 + x)) + 0.5 * size * math.log(x)
