"""Critical points by level: how many lie at or below an energy per spin u = H/Λ, and where the lowest lies.

In the pure p-spin, with E_∞ = 2√((p-1)/p), for u ≤ -E_∞ (Auffinger, Ben Arous, Černý 2013, Thm 2.5),

    Θ_k(u) = ½ ln(p-1) - (p-2) u²/(4(p-1)) - (k+1) I(u),   I(u) = |u|√(u²-E_∞²)/E_∞² - arcosh(|u|/E_∞),

and Θ_k(u) = Θ_k(-E_∞) = ½ ln(p-1) - (p-2)/p above: nearly all critical points of a fixed index lie below the
threshold -E_∞. The ground state -E_0 is the zero of Θ_0. At p = 2 the critical points are ± the
eigenvectors of a GOE matrix, two of each index; the same formula then holds, with -E_0 = -E_∞ = -√2.
"""

import math

from scipy.optimize import brentq

from skipglass import check
from skipglass.errors import InputError
from skipglass.theory.ground_state import zero_temperature
from skipglass.theory.mixture import MAX_ORDER, Mixture

ROUNDING = 1e-6  # more than the error of the ground state's energy

__all__ = ["ground_state_energy", "level_complexity", "threshold_energy"]


def level_complexity(p: int, energy: float, index: int = 0) -> float:
    """Θ_k(u) = lim (1/Λ) ln E[number of critical points of index k with H ≤ Λu], pure p-spin.

    Parameters
    ----------
    p
        The order, at least 2.
    energy
        u, the energy per spin, of either sign. Θ_k is nondecreasing in u and constant from -E_∞ on.
    index
        k ≥ 0, fixed while Λ → ∞.

    Returns
    -------
    float
        The rate; negative where such critical points are exponentially unlikely, as below -E_0.

    Raises
    ------
    InputError
        If p < 2 (a field has one minimum, at a random height: no rate), the energy is not finite, or the
        index is not an integer of at least 0.

    Examples
    --------
    >>> round(level_complexity(p=3, energy=-1.65), 5)
    0.00425
    """
    p = check.integer("p", p, 2, MAX_ORDER)
    k = check.integer("index", index)
    E = -threshold_energy(p)
    u = max(-check.real("energy", energy, -1e100), E)  # above the threshold nothing is added
    action = u * math.sqrt((u - E) * (u + E)) / E**2 - math.acosh(u / E)
    return 0.5 * math.log(p - 1) - (p - 2) * u**2 / (4 * (p - 1)) - (k + 1) * action


def ground_state_energy(model: int | Mixture) -> float:
    """-E_0, the limit of min H/Λ, in units of √ξ(1).

    In the pure p-spin it is the zero of Θ_0; for mixtures it is the minimum of the functional at zero temperature
    (`skipglass.theory.ground_state`), to about 1e-9 for orders up to 100 and 2e-7 for orders up to 10,000.

    Parameters
    ----------
    model
        The order p ≥ 2 of a pure model, or a Mixture, with its field if it has one. Energies are those of the mixture
        scaled to ξ(1) = 1: multiply by √ξ(1) for others.

    Returns
    -------
    float
        -E_0, energy per spin.

    Raises
    ------
    InputError
        If p < 2.

    Examples
    --------
    >>> round(ground_state_energy(3), 4), round(ground_state_energy(Mixture({2: 12 / 13, 4: 1 / 13})), 5)
    (-1.657, -1.4647)
    """
    if isinstance(model, Mixture):
        if model.orders.size > 1 or model.field:
            return -zero_temperature(model.normalized())
        model = int(model.orders[0])
    p = check.integer("p", model, 2, MAX_ORDER)
    top = threshold_energy(p)
    if p == 2:
        return top
    # Θ_0 ≥ 0 at the threshold. As I(u) ≥ 0, it is negative where its first two terms cancel.
    bottom = -math.sqrt(2 * (p - 1) * math.log(p - 1) / (p - 2))
    return float(brentq(lambda u: level_complexity(p, u), bottom, top, xtol=1e-14, rtol=1e-14))


def threshold_energy(model: int | Mixture) -> float:
    """-E_∞, the energy per spin above which typical critical points are saddles of growing index, in units of √ξ(1).

    It is -2√((p-1)/p) for the pure p-spin, and -(ν″-ν′+ν′²)/(ν′√ν″) for a mixture scaled to ξ(1) = 1
    (Auffinger, Ben Arous 2013; the threshold of Cugliandolo and Kurchan 1993).

    Parameters
    ----------
    model
        The order p ≥ 2 of a pure model, or a Mixture with x = ν″/ν′ ≥ 1. Energies are those of the mixture scaled to
        ξ(1) = 1: multiply by √ξ(1) for others.

    Returns
    -------
    float
        The threshold, negative.

    Raises
    ------
    InputError
        If p < 2, the field makes the landscape trivial (x < 1), so that there is no threshold, or the formula gives an
        energy below the ground state: it holds where replica symmetry is broken in one step.

    Examples
    --------
    >>> round(threshold_energy(3), 4), round(threshold_energy(Mixture({2: 0.5, 4: 0.5})), 4)
    (-1.633, -1.6378)
    """
    if not isinstance(model, Mixture):
        p = check.integer("p", model, 2, MAX_ORDER)
        return -2 * math.sqrt((p - 1) / p)
    m = model.normalized()
    if m.ratio < 1:
        raise InputError(
            f"a mixture with ν″/ν′ = {m.ratio:.4g} < 1 has a trivial landscape and no threshold; its minimum "
            f"lies at H/Λ = -√ν′ = {-math.sqrt(m.nu1):.4g}"
        )
    threshold = -(m.nu2 - m.nu1 + m.nu1**2) / (m.nu1 * math.sqrt(m.nu2))
    lowest = ground_state_energy(m)
    if threshold < lowest - ROUNDING:
        raise InputError(
            f"no threshold is known for {model!r}: the formula for one step of replica symmetry breaking gives "
            f"{threshold:.5f}, below the ground state {lowest:.5f}; replica symmetry is broken otherwise here"
        )
    return threshold
