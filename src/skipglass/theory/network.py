"""From a network's width, gates and weights to the one number of each reading: β (Eq. 17), or b."""

import math

from skipglass import check

__all__ = ["branch_factor", "path_factor"]


def path_factor(width: int, *, gate: float = 0.5, scale: float | None = None, unique: int | None = None) -> float:
    """β = ρ n C / √Λ (Eq. 17): the coherent reading's factor for one more weight on a path.

    Parameters
    ----------
    width
        n, units in each layer.
    gate
        ρ, the probability that a ReLU is open.
    scale
        C, the root mean square of the weights; None takes the initialisation C = 1/√n.
    unique
        Λ, the number of unique weights, which a real network does not define; None takes Λ = n, so that
        the initialisation has β = ρ.

    Returns
    -------
    float
        β.

    Raises
    ------
    InputError
        If an argument is out of its range.

    Examples
    --------
    >>> path_factor(400)
    0.5
    """
    n, rho, C = _validate(width, gate, scale)
    return rho * n * C / math.sqrt(n if unique is None else check.integer("unique", unique, 1))


def branch_factor(width: int, *, gate: float = 0.5, scale: float | None = None) -> float:
    """b = √(ρ n) C: the independent reading's factor; b² is the power of a branch relative to its shortcut.

    Parameters
    ----------
    width
        n, units in each layer.
    gate
        ρ, the probability that a ReLU is open. It is also the mean square of the gate, hence ρ and not ρ².
    scale
        C, the root mean square of the weights; None takes C = 1/√n. He's initialisation,
        C = √(2/n), has b = 1.

    Returns
    -------
    float
        b.

    Raises
    ------
    InputError
        If an argument is out of its range.

    Examples
    --------
    >>> round(branch_factor(400, scale=(2 / 400) ** 0.5), 12)
    1.0
    """
    n, rho, C = _validate(width, gate, scale)
    return math.sqrt(rho * n) * C


def _validate(width: int, gate: float, scale: float | None) -> tuple[int, float, float]:
    n = check.integer("width", width, 1)
    C = 1 / math.sqrt(n) if scale is None else check.real("scale", scale, 0.0)
    return n, check.real("gate", gate, 0.0, 1.0), C
