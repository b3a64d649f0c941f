"""Homogeneous polynomials of Λ variables in packed form: one number for each monomial.

A monomial of order s is a sorted tuple i_1 ≤ … ≤ i_s. In *colexicographic* order (the last index counts most)
the monomials whose last index is k form one block, and dropping that index leaves the first C(k+s-1, s-1) monomials of
order s-1. So each monomial is w_k, of its last index, times a monomial of the order below, its *prefix*.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["block_sizes", "gradient", "hessian", "monomials", "multiplicities", "number"]


def number(size: int, order: int) -> int:
    """Return C(Λ+s-1, s), how many monomials of order s there are in Λ variables."""
    return math.comb(size + order - 1, order)


def block_sizes(size: int, order: int) -> list[int]:
    """Return C(k+s-1, s-1), the sizes of the blocks of order s ≥ 1, one for each last index k."""
    return [number(k + 1, order - 1) for k in range(size)]


@lru_cache(maxsize=64)
def _factors(size: int, order: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The last index of each monomial of order s ≥ 1, and the place of its prefix among those of order s-1."""
    sizes = torch.tensor(block_sizes(size, order), device=device)
    last = torch.arange(size, device=device).repeat_interleave(sizes)
    return last, torch.arange(len(last), device=device) - (sizes.cumsum(0) - sizes)[last]


def monomials(w: Tensor, order: int) -> list[Tensor]:
    """Return m_0, …, m_s at w (..., Λ), each (..., number)."""
    powers = [w.new_ones(()).expand(*w.shape[:-1], 1), w][: order + 1]
    for s in range(2, order + 1):
        last, prefix = _factors(w.shape[-1], s, w.device)
        powers.append(w[..., last] * powers[-1][..., prefix])
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
    total = a.new_zeros(*a.shape[:-1], w.shape[-1])
    for s in range(order, 1, -1):
        last, prefix = _factors(w.shape[-1], s, w.device)
        total.index_add_(-1, last, a * powers[s - 1][..., None, prefix])
        # from here on a holds the coefficients of Σ_k w_k q_k, w_k held
        below = a.new_zeros(*a.shape[:-1], number(w.shape[-1], s - 1))
        a = below.index_add_(-1, prefix, a * w[..., None, last])
    return total + a if order else total


def hessian(a: Tensor, w: Tensor, powers: list[Tensor], order: int) -> Tensor:
    """Return the Hessian of one polynomial a (..., number) for each point w: (..., Λ, Λ).

    With q_k as in `gradient`, ∂_a∂_b Σ_k w_k q_k = ∂_b q_a + ∂_a q_b + Σ_k w_k ∂_a∂_b q_k.
    """
    size = w.shape[-1]
    if order < 2:
        return a.new_zeros(*a.shape[:-1], size, size)
    # row k holds q_k, padded with zeros to the monomials of order s-1
    rows = a.new_zeros(*a.shape[:-1], size, number(size, order - 1))
    last, prefix = _factors(size, order, w.device)
    rows[..., last, prefix] = a
    mixed = gradient(rows, w, powers, order - 1)
    below = (w[..., None, :] @ rows).squeeze(-2)
    return mixed + mixed.mT + hessian(below, w, powers, order - 1)


def multiplicities(size: int, order: int) -> tuple[Tensor, Tensor]:
    """Return, for each monomial of order s ≥ 1, ln(s!/Π m_i!) and how often its last index occurs."""
    before, logs = torch.arange(size), torch.zeros(size, dtype=torch.float64)
    runs = torch.ones(size, dtype=torch.float64)
    for s in range(2, order + 1):
        last, prefix = _factors(size, s, before.device)
        # the last index occurs once more than in the prefix, if that ends in it too
        runs = 1 + torch.where(before[prefix] == last, runs[prefix], 0.0)
        before, logs = last, logs[prefix] + math.log(s) - runs.log()
    return logs, runs
