"""Where a residual network's landscape becomes trivial: the branch strength at which ν″ = ν′, field kept.

Keeping the paths of length 1, which the paper drops, adds a field to the spin glass. For ν″ < ν′ the field dominates:
one minimum and one maximum are left (Fyodorov 2013; Belius, Černý, Nakajima, Schmidt 2022). With r the length
of a path under ε_r², the condition ν″ = ν′ is E[r²] = 2 E[r].

    coherent       ε_r² ∝ (C(p-1, r-1) β^r)²          β_c·p → 1
    independent    r-1 ~ Binomial(p-1, b²/(1+b²))     b_c·√p → √((√5-1)/2) = 0.786…
"""

import math

from scipy.optimize import brentq

from skipglass import check
from skipglass.theory.ensemble import READINGS, DepthEnsemble

__all__ = ["trivialization_threshold"]


def trivialization_threshold(depth: int, reading: str = "coherent") -> float:
    """β_c, or b_c in the independent reading: below it the loss surface has one minimum and one maximum only.

    Parameters
    ----------
    depth
        p ≥ 1.
    reading
        "coherent" or "independent", as for DepthEnsemble.

    Returns
    -------
    float
        The β (or b) at which ν″ = ν′. Infinite for depths 1 and 2: their orders are at most 2, so that
        ν″ < ν′ for every strength of the branches.

    Raises
    ------
    InputError
        If the depth is below 1 or the reading is unknown.

    Examples
    --------
    >>> round(100 * trivialization_threshold(100), 4)
    1.0173
    >>> round(10 * trivialization_threshold(100, reading="independent"), 4)
    0.7937
    """
    p = check.integer("depth", depth, 1)
    check.choice("reading", reading, READINGS)
    if p <= 2:
        return math.inf
    if reading == "independent":
        # With k ~ Binomial(n, q) branches taken, E[(k+1)k] = E[k+1] is n(n-1) q² + n q = 1, and b² = q/(1-q).
        n = p - 1
        q = 2 / (n + math.sqrt(n**2 + 4.0 * n * (n - 1)))
        return math.sqrt(q / (1 - q))

    def excess(log_beta: float) -> float:
        """E[r² - 2r]/E[r], which rises with β."""
        e = DepthEnsemble(p, math.exp(log_beta))
        mass = e.weights**2
        return float(mass @ (e.lengths * (e.lengths - 2.0)) / (mass @ e.lengths))

    # At β = 1/(4p) fewer than one branch in ten is taken, at β = 4/√p many are: the root lies between.
    return math.exp(brentq(excess, -math.log(4 * p), math.log(4 / math.sqrt(p)), xtol=1e-15, rtol=1e-14))
