"""The ground state of a spherical spin glass of any mixture, by the functional at zero temperature.

With E_0 the limit of -min H/Λ (Crisanti, Leuzzi 2004; Chen, Sen 2017; Jagannath, Tobasco 2017),

    E_0 = min ½ [ ξ′(0) D(0) + ∫₀¹ ξ″(q) D(q) dq + ∫₀¹ dq/D(q) ]

over positive, nonincreasing, concave D on [0, 1]; -D′(q) is the order parameter. A straight D is one step of
replica symmetry breaking (every pure model), a constant one none. Where 1/√ξ″ is concave it is the minimiser (full
symmetry breaking), and E_0 = ∫₀¹ √ξ″ dq for ξ′(0) = 0.

The functional is convex, and D = d + Σ_j a_j min(1 - q_j, 1 - q) with d, a_j ≥ 0 on a grid of q_j: about ten Newton
steps, each a nonnegative least-squares problem, reach the minimum. Where D bends at a few places only, the grid is
refined about them. What is left is an error of about 1e-9 for orders up to 100, 2e-7 for 10,000.
"""

from functools import lru_cache

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.optimize import nnls

from skipglass.errors import UserError
from skipglass.theory.mixture import Mixture

__all__ = ["zero_temperature"]

Array = NDArray[np.float64]
UNIFORM, GRADED, POINTS = 33, 48, 4  # our choice: cells over [0, 1], cells ever finer towards 1, points in each cell
FEW, FINER, ROUNDS = 10, 8, 3  # our choice: up to FEW bends are looked for in cells that many times finer, twice
STEPS = 100
CONVERGED = 1e-13


@lru_cache(maxsize=256)
def zero_temperature(mixture: Mixture) -> float:
    """Minimise the functional for one mixture.

    Parameters
    ----------
    mixture
        ξ of any scale, with a field or without.

    Returns
    -------
    float
        E_0, positive, energy per spin.

    Raises
    ------
    UserError
        If the minimisation does not converge.
    """
    # ξ″ of order r varies over 1/r, near 1
    graded = 1 - np.geomspace(0.1 / mixture.orders[-1], 1.0, GRADED)
    edges = np.unique(np.concatenate([np.linspace(0.0, 1.0, UNIFORM), graded, [1.0]]))
    overlaps, energy = edges[:-1], np.inf
    for _ in range(ROUNDS):
        energy, slopes = _minimise(mixture, edges, overlaps)
        bends = np.searchsorted(edges, overlaps[slopes > 0])
        if not 0 < bends.size <= FEW:
            break
        # what bends between two places of the grid bends at both: the cells beside them are divided
        around = [np.linspace(edges[max(j - 1, 0)], edges[j + 1], 2 * FINER + 1) for j in bends]
        overlaps = np.unique(np.concatenate(around))
        edges = np.union1d(edges, overlaps)
        overlaps = overlaps[overlaps < 1]
    return energy


def _minimise(mixture: Mixture, edges: Array, overlaps: Array) -> tuple[float, Array]:
    """The least value with D bent at the given overlaps, some of the edges of the cells, and a."""
    t, w = leggauss(POINTS)
    width = np.diff(edges)[:, None]
    q, weight = (edges[:-1, None] + width * (t + 1) / 2).ravel(), (width * w / 2).ravel()
    basis = np.vstack([np.ones_like(q), np.minimum(1 - overlaps[:, None], 1 - q)])  # D = z @ basis, z = (d, a)
    linear = np.concatenate([[mixture.nu1], mixture(1.0) - mixture(overlaps)])  # ξ′(0) D(0) + ∫ ξ″ D, by parts

    def value(z: Array) -> float:
        D = z @ basis
        return 0.5 * float(linear @ z + (weight / D).sum()) if (D > 0).all() else np.inf

    # start from a straight D of the size that a field alone would give
    z = np.zeros(len(basis))
    z[:2] = 1 / np.sqrt(mixture.nu1)
    energy = value(z)
    for _ in range(STEPS):
        # 1/D to second order about z is a weighted square: minimise it and the linear term over z ≥ 0
        D = z @ basis
        root = (basis * np.sqrt(weight / D**3)).T
        slope = linear - basis @ (weight / D**2)
        target = root @ z - 0.5 * np.linalg.lstsq(root.T, slope, rcond=None)[0]
        step = nnls(root, target, maxiter=100 * len(z))[0] - z
        # the whole step may overshoot far from the minimum: halve it until the value falls
        while value(z + step) > energy and np.abs(step).max() > 1e-16:
            step = step / 2
        before, z = energy, z + step
        energy = min(energy, value(z))
        if before - energy < CONVERGED * energy:
            return energy, z[1:]
    raise UserError(
        f"the ground state of {mixture} was not found in {STEPS} Newton steps; the last value is {energy:g}"
    )
