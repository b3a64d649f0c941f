"""Critical points by level: how many lie at or below an energy per spin u = H/Λ, in the pure p-spin model.

With E_∞ = 2√((p-1)/p), for u ≤ -E_∞ (Auffinger, Ben Arous, Černý 2013, Thm 2.5),

    Θ_k(u) = ½ ln(p-1) - (p-2) u²/(4(p-1)) - (k+1) I(u),   I(u) = |u|√(u²-E_∞²)/E_∞² - arcosh(|u|/E_∞),

and Θ_k(u) = Θ_k(-E_∞) = ½ ln(p-1) - (p-2)/p above: nearly all critical points of a fixed index lie below the
threshold -E_∞. The ground state -E_0 is the zero of Θ_0. At p = 2 the critical points are ± the
eigenvectors of a GOE matrix, two of each index; the same formula then holds, with -E_0 = -E_∞ = -√2.
"""

import math

from scipy.optimize import brentq

from skipglass import check
from skipglass.errors import InputError
from skipglass.theory.mixture import MAX_ORDER, Mixture

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


def ground_state_energy(p: int) -> float:
    """-E_0, the limit of min H/Λ in the pure p-spin: the zero of Θ_0.

    Parameters
    ----------
    p
        The order, at least 2.

    Returns
    -------
    float
        -E_0 ≤ -E_∞, energy per spin.

    Raises
    ------
    InputError
        If p < 2.

    Examples
    --------
    >>> round(ground_state_energy(3), 4)
    -1.657
    """
    p = check.integer("p", p, 2, MAX_ORDER)
    top = threshold_energy(p)
    if p == 2:
        return top
    # Θ_0 ≥ 0 at the threshold. As I(u) ≥ 0, it is negative where its first two terms cancel.
    bottom = -math.sqrt(2 * (p - 1) * math.log(p - 1) / (p - 2))
    return float(brentq(lambda u: level_complexity(p, u), bottom, top, xtol=1e-14, rtol=1e-14))


def threshold_energy(model: "int | Mixture") -> float:
    """-E_∞, the energy per spin above which typical critical points are saddles of growing index.

    It is -2√((p-1)/p) for the pure p-spin, and -(ν″-ν′+ν′²)/(ν′√ν″) for a mixture scaled to ξ(1) = 1
    (Auffinger, Ben Arous 2013; the threshold of Cugliandolo and Kurchan 1993). Energies are those of the
    scaled mixture: multiply by √ξ(1) for others.

    Parameters
    ----------
    model
        The order p ≥ 2 of a pure model, or a Mixture with x = ν″/ν′ ≥ 1.

    Returns
    -------
    float
        The threshold, negative.

    Raises
    ------
    InputError
        If p < 2, or the field makes the landscape trivial (x < 1), so that there is no threshold.

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
    return -(m.nu2 - m.nu1 + m.nu1**2) / (m.nu1 * math.sqrt(m.nu2))
