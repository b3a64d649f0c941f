"""The complexity: the exponential rate of the expected number of critical points (Sec. 5, Eqs. 31-33).

With x = ν″/ν′ (x = p-1 for the pure p-spin) and z = (1-x)/(1+x), for a fixed index k as Λ → ∞,

    θ_k = lim (1/Λ) ln E[Crt_k] = ½ ln x - (x-1)/(x+1)                      x ≥ 1 (Eq. 33), whatever k
                                = ½ ln x + (k+1) artanh(z/(k+1))            x < 1: 0 for k = 0, negative above

Over all indices the rate is ½ ln x, or 0 for x < 1. The continuation below 1 is ours: there k+1 eigenvalues of
the GOE leave its semicircle together, each at the cost J(s) = ∫_√2^s √(y²-2) dy per dimension, and
θ_k = ½ ln x + max_s [z s²/2 - (k+1) J(s)]. The two forms meet at x = 1.
"""

import math

from skipglass import check
from skipglass.theory.mixture import Mixture, require_mixture

__all__ = ["complexity"]


def complexity(mixture: Mixture, index: int | None = 0) -> float:
    """θ_k(ℝ) = lim (1/Λ) ln E[number of critical points of index k] (Eq. 33).

    The number of index Λ-1-k has the same rate, by the symmetry H → -H.

    Parameters
    ----------
    mixture
        ξ; only x = ν″/ν′ matters.
    index
        k, the number of descending directions; None for critical points of every index together.

    Returns
    -------
    float
        The rate per dimension. 0 where the landscape is trivial (x ≤ 1, a strong field) and the index is 0 or
        None; -inf for k ≥ 1 in a pure field.

    Raises
    ------
    InputError
        If ``mixture`` is not a Mixture, or ``index`` is not an integer of at least 0.

    Examples
    --------
    >>> m = Mixture.pure(3)
    >>> round(complexity(m), 4), round(complexity(m, index=None), 4)
    (0.0132, 0.3466)
    """
    x = require_mixture(mixture).ratio
    if index is None:
        return 0.5 * math.log(max(x, 1.0))
    k = check.integer("index", index)
    if x >= 1:
        return 0.5 * math.log(x) - (x - 1) / (x + 1)
    # The landscape is trivial: one minimum is left, and other indices are exponentially rare.
    if k == 0:
        return 0.0
    return 0.5 * math.log(x) + (k + 1) * math.atanh((1 - x) / (1 + x) / (k + 1)) if x > 0 else -math.inf
