"""Homogeneous polynomials of Λ variables in packed form: one number for each monomial.

A monomial of order s is a sorted tuple i_1 ≤ … ≤ i_s. In *colexicographic* order (the last index counts most)
the monomials whose last index is k form one block, and dropping that index leaves the first
C(k+s-1, s-1) monomials of order s-1: every block is a multiple of a prefix of the order below,

    m_s = [w_0 m_{s-1}[:n_0], w_1 m_{s-1}[:n_1], …],   n_k = C(k+s-1, s-1),

so that no table of indices is needed, here or in the derivatives.
"""

import math
from typing import Any

import torch
from torch import Tensor

__all__ = ["array", "block_sizes", "gradient", "hessian", "monomials", "multiplicities", "number"]


def array(t: Tensor) -> Any:
    """On the CPU, the same memory as a NumPy array, whose slices cost a tenth of torch's; else the tensor."""
    return t.detach().numpy() if t.device.type == "cpu" else t


def number(size: int, order: int) -> int:
    """Return C(Λ+s-1, s), how many monomials of order s there are in Λ variables."""
    return math.comb(size + order - 1, order)


def block_sizes(size: int, order: int) -> list[int]:
    """Return n_k, the sizes of the blocks of order s ≥ 1, one for each last index k."""
    return [number(k + 1, order - 1) for k in range(size)]


def monomials(w: Tensor, order: int) -> list[Tensor]:
    """Return m_0, …, m_s at w (..., Λ), each (..., number)."""
    size = w.shape[-1]
    # the block of last index k is w_k times the first n_k monomials of the order below
    powers = [w.new_ones(()).expand(*w.shape[:-1], 1), w][: order + 1]
    for s in range(2, order + 1):
        powers.append(w.new_empty(*w.shape[:-1], number(size, s)))
        points, below, filled = map(array, (w, powers[-2], powers[-1]))
        start = 0
        for k, n in enumerate(block_sizes(size, s)):
            filled[..., start : start + n] = below[..., :n] * points[..., k, None]
            start += n
    return powers


def gradient(a: Tensor, w: Tensor, powers: list[Tensor], order: int) -> Tensor:
    """Return the gradients of polynomials of one order.

    With the block of last index k read as a polynomial q_k of order s-1, the polynomial is Σ_k w_k q_k(w), and its
    gradient is (q_0, q_1, …) + ∇(Σ_k w_k q_k) with the factors w_k held: one order lower.

    Parameters
    ----------
    a
        (..., R, number), the coefficients of R polynomials for each point.
    w
        (..., Λ).
    powers
        m_0, …, m_{s-1} at w.
    order
        s.

    Returns
    -------
    Tensor
        (..., R, Λ).
    """
    size = w.shape[-1]
    if order == 0:
        return a.new_zeros(*a.shape[:-1], size)
    if order == 1:
        return a
    below = a.new_zeros(*a.shape[:-1], number(size, order - 1))
    explicit = a.new_empty(*a.shape[:-1], size)
    coefficients, points, m, sums, values = map(array, (a, w, powers[order - 1], below, explicit))
    start = 0
    for k, n in enumerate(block_sizes(size, order)):
        block = coefficients[..., start : start + n]
        values[..., k] = (block @ m[..., :n, None])[..., 0]
        sums[..., :n] += block * points[..., k, None, None]
        start += n
    # explicit holds q_k(w); below holds the coefficients of Σ_k w_k q_k, w_k held
    return explicit + gradient(below, w, powers, order - 1)


def hessian(a: Tensor, w: Tensor, powers: list[Tensor], order: int) -> Tensor:
    """Return the Hessian of one polynomial a (..., number) for each point w: (..., Λ, Λ).

    With q_k as in `gradient`, ∂_a∂_b Σ_k w_k q_k = ∂_b q_a + ∂_a q_b + Σ_k w_k ∂_a∂_b q_k.
    """
    size = w.shape[-1]
    if order < 2:
        return a.new_zeros(*a.shape[:-1], size, size)
    # row k holds q_k, padded with zeros to the monomials of order s-1
    rows = a.new_zeros(*a.shape[:-1], size, number(size, order - 1))
    for k, block in enumerate(a.split(block_sizes(size, order), -1)):
        rows[..., k, : block.shape[-1]] = block
    mixed = gradient(rows, w, powers, order - 1)
    below = (w[..., None, :] @ rows).squeeze(-2)
    return mixed + mixed.mT + hessian(below, w, powers, order - 1)


def multiplicities(size: int, order: int) -> tuple[Tensor, Tensor]:
    """Return, for each monomial of order s, ln(s!/Π m_i!) and how often its last index occurs."""
    logs, runs = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for s in range(1, order + 1):
        new_logs, new_runs = [], []
        for k, n in enumerate(block_sizes(size, s)):
            # of the prefix that the block multiplies by w_k, those from ``first`` on end in k already
            first = number(k, s - 1) if s > 1 else n
            run = torch.ones(n, dtype=torch.float64)
            run[first:] += runs[first:n]
            new_runs.append(run)
            new_logs.append(logs[:n] + math.log(s) - run.log())
        logs, runs = torch.cat(new_logs), torch.cat(new_runs)
    return logs, runs
