"""The density of the k-th smallest eigenvalue of a GOE matrix, exactly.

Given an eigenvalue at s, the others have the density ∝ |Δ(y)| Π |y_i - s| e^{-y_i²/2}. If each one below s is
weighted by z, the normalisation is a polynomial in z, whose coefficients are in the ratio of the densities
of the 0th, 1st, … eigenvalue at s. By de Bruijn's formula (1955) it is, for n = N-1 even, the Pfaffian of

    A_ij(z) = z² L_ij + z (l_i r_j - r_i l_j) + R_ij,
    R_ij = ∫∫ sgn(v-u) f_i(u) f_j(v),  r_i = ∫ f_i over u, v > s,

with f_i(u) = |u-s| φ_i(u), and L, l the same over u, v < s; for n odd A has one more row and column, z l + r.
The coefficients come from the values of the polynomial on the unit circle. Nothing is sampled. Rounding leaves each
coefficient an absolute error of about 1e-14 of their sum; those below it are set to 0 and given an upper bound.
"""

import math

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from skipglass.theory.goe import hermite_functions

__all__ = ["index_shares", "log_pfaffian"]

Matrix = NDArray[np.float64]


def index_shares(s: NDArray[np.float64], size: int) -> tuple[Matrix, Matrix]:
    """P(an eigenvalue at s has k others below it), k = 0..N-1: ρ_k(s)/ρ(s).

    Parameters
    ----------
    s
        (n,) places, in the scale of goe.py.
    size
        N ≥ 1.

    Returns
    -------
    shares, errors : ndarray
        (n, N) each; rows of shares sum to 1.
    """
    n = size - 1
    if n == 0:
        return np.ones((s.size, 1)), np.zeros((s.size, 1))
    # The polynomial has real coefficients, so that its values on the upper half of the unit circle determine it.
    z = np.exp(2j * np.pi * np.arange(size // 2 + 1) / size)
    rule = _rule(math.ceil(1.3 * math.sqrt(2 * n) * _reach(n)) + 40)
    shares, errors = np.empty((s.size, size)), np.empty((s.size, size))
    for i, place in enumerate(s):
        logs = log_pfaffian(_matrices(place, n, z, rule))
        # At z = 1, the first value, the polynomial is the sum of its coefficients: shares are relative to it.
        shares[i], errors[i] = _without_noise(np.fft.hfft(np.exp(logs - logs[0]), size) / size)
    return shares, errors


def _without_noise(shares: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Set shares below the noise to zero, and bound them by continuing the others as a geometric series.

    The bound assumes that the number of eigenvalues below a point is log-concave: its shares fall faster than
    geometrically on both sides of the mode. The noise, N² ε/4, is above all that the tests have seen.
    """
    noise = shares.size**2 * np.finfo(float).eps / 4
    mode = int(shares.argmax())
    kept, error = shares.copy(), np.full(shares.size, noise)
    for outward in (slice(mode, None), slice(mode, None, -1)):
        # Views that start at the mode and go up, then down: what is assigned to them is kept.
        share, kept_there, error_there = shares[outward], kept[outward], error[outward]
        low = np.flatnonzero(share < 10 * noise)
        if low.size:
            last = low[0] - 1  # the last share above the noise
            ratio = share[last] / share[last - 1] if last else 10 * noise
            kept_there[last + 1 :] = 0
            error_there[last + 1 :] = share[last] * ratio ** np.arange(1, share.size - last)
    return kept, error


def _reach(n: int) -> float:
    return math.sqrt(2 * n) + 8  # φ_{n-1} is below 1e-17 beyond


def _rule(m: int) -> tuple[NDArray[np.float64], Matrix, Matrix]:
    """Gauss-Legendre nodes x (m,), weights w (m,) and J (m, m), (J f)_a = ∫_{-1}^{x_a} f below degree m."""
    x, w = legendre.leggauss(m)
    # f = Σ_k c_k P_k with c_k = (k + ½) Σ_b w_b P_k(x_b) f(x_b), and J integrates each P_k.
    coefficients = (np.arange(m) + 0.5)[:, None] * legendre.legvander(x, m - 1).T * w
    return x, w, legendre.legvander(x, m) @ legendre.legint(np.eye(m), lbnd=-1) @ coefficients


def _matrices(s: float, n: int, z: NDArray[np.complex128], rule: tuple) -> NDArray[np.complex128]:
    """A(z), (z, m, m) with m = n or n+1 even; f is divided by 1+|s| to stay moderate far outside."""
    reach = _reach(n)
    L, l = _half_line(s, min(-reach, s - 6), min(s, reach), n, rule)
    R, r = _half_line(s, max(s, -reach), max(reach, s + 6), n, rule)
    z = z[:, None, None]
    A = z**2 * L + z * (np.outer(l, r) - np.outer(r, l)) + R
    if n % 2:
        A = np.pad(A, [(0, 0), (0, 1), (0, 1)])
        A[:, :n, n] = z[:, 0] * l + r
        A[:, n, :n] = -A[:, :n, n]
    return A


def _half_line(s: float, lo: float, hi: float, n: int, rule: tuple) -> tuple[Matrix, NDArray[np.float64]]:
    """∫∫ sgn(v-u) f_i(u) f_j(v) and ∫ f_i over lo..hi."""
    x, w, J = rule
    half = (hi - lo) / 2
    u = lo + half * (x + 1)  # the rule moved from -1..1 to lo..hi
    f = hermite_functions(u, n) * np.abs(u - s) / (1 + abs(s))
    whole = half * f @ w
    # ∫ sgn(v-u) f_i(u) du is the integral of f_i below v minus that above v.
    running = half * f @ J.T
    skew = half * (2 * running - whole[:, None]) @ (f * w).T
    return (skew - skew.T) / 2, whole  # antisymmetric also after rounding


def log_pfaffian(A: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """ln Pf A of antisymmetric matrices, by Gaussian elimination with pivoting (Parlett, Reid 1970).

    Parameters
    ----------
    A
        (batch, m, m), m even.

    Returns
    -------
    ndarray
        (batch,) complex logarithms.
    """
    A = np.array(A, dtype=complex)
    batch = np.arange(len(A))
    total = np.zeros(len(A), complex)
    while A.shape[1]:
        # Exchange the second row and column of each matrix for those with the largest entry in the first column.
        pivot = 1 + np.abs(A[:, 1:, 0]).argmax(axis=1)
        for B in (A, A.transpose(0, 2, 1)):
            B[batch, 1], B[batch, pivot] = B[batch, pivot].copy(), B[batch, 1].copy()
        # Pf A is a_01 times the Pfaffian of what elimination leaves; an exchange changes the sign.
        first, second = A[:, 0, 1], A[:, 2:, 1]
        total += np.log(first) + np.where(pivot == 1, 0, 1j * np.pi)
        ratio = A[:, 2:, 0] / -first[:, None]
        A = A[:, 2:, 2:] + (ratio[:, :, None] * second[:, None, :] - second[:, :, None] * ratio[:, None, :])
    return total
