"""The exact density of eigenvalues of the Gaussian orthogonal ensemble (GOE) at any size N.

Eigenvalues s_1..s_N have the density ∝ Π_{i<j} |s_i - s_j| exp(-½ Σ s_i²): diagonal entries of variance 1,
the others ½, semicircle [-√(2N), √(2N)]. With the orthonormal Hermite functions φ_j(s) = h_j(s) e^{-s²/2} and
Φ_j(s) = ∫_0^s φ_j for even j, -∫_s^∞ φ_j for odd j, the mean number of eigenvalues per unit length is
(Mehta, Random Matrices, Sec. 7.2)

    ρ(s) = Σ_{j<N} φ_j(s)² + √(N/2) φ_{N-1}(s) Φ_N(s) + [N odd] φ_{N-1}(s)/∫φ_{N-1}.

Critical points weigh it with e^{-cs²}, -½ < c < ½. For c < 0 this weight raises the tail, which is as small as
e^{-s²/2} relative to the bulk, above the bulk. So h_j is carried as a mantissa and a logarithm, and the logarithm
of ρ(s) e^{-cs²} is returned with all Gaussian exponents added before any is exponentiated.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

__all__ = ["hermite_functions", "log_tilted_density", "tilted_grid"]

BIG = 1e60  # mantissas are scaled back at this size, so that their squares cannot overflow


def log_tilted_density(s: NDArray[np.float64], size: int, decay: float) -> NDArray[np.float64]:
    """ln [ρ(s) e^{-cs²}], c = decay - ½.

    Parameters
    ----------
    s
        (n,) where to evaluate.
    size
        N ≥ 1.
    decay
        ½ + c > 0, the rate at which the tail falls: passed in place of c, which is near -½ when it is small.

    Returns
    -------
    ndarray
        (n,) logarithms.
    """
    # newer · exp(log_scale) is h_j(s), older that of j-1; squares · exp(2 log_scale) is Σ_{i≤j} h_i(s)².
    older, newer, log_scale = np.zeros_like(s), np.full_like(s, math.pi**-0.25), np.zeros_like(s)
    squares = newer**2
    older_integral, integral = np.zeros_like(s), math.pi**0.25 / math.sqrt(2) * erf(s / math.sqrt(2))
    for j in range(size):
        # φ_j' = √(j/2) φ_{j-1} - √((j+1)/2) φ_{j+1}, integrated, is the recurrence from Φ_{j-1}, φ_j to Φ_{j+1}.
        phi = newer * np.exp(log_scale - s**2 / 2)
        next_integral = math.sqrt(j / (j + 1)) * older_integral - math.sqrt(2 / (j + 1)) * phi
        older_integral, integral = integral, next_integral
        if j == size - 1:
            break
        older, newer = newer, s * math.sqrt(2 / (j + 1)) * newer - math.sqrt(j / (j + 1)) * older
        squares += newer**2
        shrink = np.where(np.abs(newer) > BIG, 1 / BIG, 1.0)
        older, newer, squares = older * shrink, newer * shrink, squares * shrink**2
        log_scale -= np.log(shrink)
    # Now newer is h_{N-1} and integral is Φ_N; both terms below are divided by exp(log_scale - s²/2).
    pairing = math.sqrt(size / 2) * integral + (1 / _whole_integral(size - 1) if size % 2 else 0.0)
    mantissa = squares * np.exp(log_scale - s**2 / 2) + newer * pairing
    return np.log(mantissa) + log_scale - decay * s**2


def _whole_integral(j: int) -> float:
    """∫ φ_j over the line, j even: ∫φ_0 Π √((i-1)/i), i = 2, 4, …, j."""
    steps = np.arange(2.0, j + 1, 2)
    return float(math.sqrt(2) * math.pi**0.25 * np.sqrt((steps - 1) / steps).prod())


def tilted_grid(size: int, decay: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes s ≥ 0 and weights of a rule for even functions on the line like ρ(s) e^{-cs²}.

    It is the trapezoidal rule in t, s = √(2N) sinh t. Its error is exponentially small, because the integrand is
    entire and vanishes at both ends. It resolves the spacing π/√(2N) of eigenvalues in the bulk, and reaches the
    maximum of the tail at s² = (N-1)/(2·decay), however far, with a number of nodes that grows like its logarithm.

    Parameters
    ----------
    size
        N ≥ 1.
    decay
        ½ + c, as above.

    Returns
    -------
    tuple of ndarray
        s and w, each (n,), with ∫ f = Σ w f(s) for even f.
    """
    edge = math.sqrt(2 * size)
    reach = max(edge + 9, math.sqrt((size - 1) / (2 * decay)) + math.sqrt(45 / decay))
    step = 1 / (2.5 * size + 10)
    t = step * np.arange(math.ceil(math.asinh(reach / edge) / step) + 1)
    w = 2 * step * edge * np.cosh(t)
    w[0] /= 2  # the node s = 0 has no mirror image
    return edge * np.sinh(t), w


def hermite_functions(s: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """φ_j(s), j < count: orthonormal on the line.

    Parameters
    ----------
    s
        Any shape.
    count
        The number of functions, at least 1; accurate to about 700, where φ_0 underflows at the edge of the bulk.

    Returns
    -------
    ndarray
        (count, *s.shape).
    """
    phi = np.zeros((count, *s.shape))
    phi[0] = math.pi**-0.25 * np.exp(-(s**2) / 2)
    # √((j+1)/2) φ_{j+1} = s φ_j - √(j/2) φ_{j-1}
    for j in range(count - 1):
        phi[j + 1] = math.sqrt(2 / (j + 1)) * s * phi[j] - math.sqrt(j / (j + 1)) * (phi[j - 1] if j else 0)
    return phi
