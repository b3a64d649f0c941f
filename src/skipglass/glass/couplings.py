"""The couplings of one order r, packed: C(Λ+r-1, r) numbers, and the one pass over them.

For r ≥ 2 a coupling belongs to a sorted tuple (I, j, k), I the r-2 smallest indices. For each j they are one
matrix C_j with a row for each k ≥ j and a column for each I ≤ j, so that energy and gradient are products of
matrices without gaps, for one point or many:

    Y_jk = Σ_I C_j[k,I] m_I          E = Σ_{j≤k} w_j w_k Y_jk
    v_I  = Σ_{j≤k} w_j w_k C_j[k,I]  ∇E = (Y + Yᵀ) w + ∇(Σ_I v_I m_I)

and, with X[b,I] = Σ_{k≥b} w_k C_b[k,I] + Σ_{j≤b} w_j C_j[b,I] and Z_ba = ∂_a Σ_I X[b,I] m_I,

    ∇²E = Y + Yᵀ + Z + Zᵀ + ∇²(Σ_I v_I m_I).

Each C_j fits in a cache for sizes of interest, so the second and third product with it are nearly free. (A full tensor
would hold up to r! times as many numbers; rows (i ≤ j) against all k, one GEMV, still three times as many at r = 3.)
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skipglass.glass import polynomial

__all__ = ["Couplings", "draw_couplings", "index_tuples"]

_CHUNK = 1 << 20  # numbers drawn at a time: float32 couplings never need a float64 copy of all


@dataclass(frozen=True)
class Couplings:
    """Couplings of order r in packed form, of one glass or of a stack of them.

    Attributes
    ----------
    order, size : int
        r and Λ.
    values : Tensor
        (*samples, C(Λ+r-1, r)), the coefficients of the monomials.
    """

    order: int
    size: int
    values: Tensor

    def blocks(self) -> list[Tensor]:
        """Return the C_j, (*samples, Λ-j, columns), without copying."""
        columns = [polynomial.number(j + 1, self.order - 2) for j in range(self.size)]
        rows = range(self.size, 0, -1)
        pieces = self.values.split([m * n for m, n in zip(rows, columns, strict=True)], -1)
        return [piece.unflatten(-1, (m, n)) for piece, m, n in zip(pieces, rows, columns, strict=True)]

    def derivatives(self, w: Tensor, number: int) -> list[Tensor]:
        """Return energy, ambient gradient and ambient Hessian, the first ``number`` + 1 of them.

        Parameters
        ----------
        w
            (*samples, B, Λ).
        number
            0, 1 or 2.

        Returns
        -------
        list of Tensor
            (*samples, B), then (*samples, B, Λ), then (*samples, B, Λ, Λ).
        """
        if self.order == 1:
            return self._field(w, number)
        powers = polynomial.monomials(w, self.order - 2)
        Y, v, X = self._pass(w, powers[-1], number)
        symmetric = Y + Y.mT
        explicit = (symmetric @ w[..., None]).squeeze(-1)
        found = [(explicit * w).sum(-1) / 2]
        if number:
            inner = polynomial.gradient(v[..., None, :], w, powers, self.order - 2).squeeze(-2)
            found.append(explicit + inner)
        if number == 2:
            mixed = polynomial.gradient(X, w, powers, self.order - 2)
            found.append(symmetric + mixed + mixed.mT + polynomial.hessian(v, w, powers, self.order - 2))
        return found

    def _field(self, w: Tensor, number: int) -> list[Tensor]:
        field = self.values[..., None, :].expand_as(w)
        return [(w * field).sum(-1), field, w.new_zeros(*w.shape, self.size)][: number + 1]

    @cached_property
    def _arrays(self) -> list[Any]:
        return [_array(C) for C in self.blocks()]

    @cached_property
    def _spare(self) -> "list[_Workspace]":
        return []

    def __reduce__(self) -> tuple[type, tuple[int, int, Tensor]]:
        return Couplings, (self.order, self.size, self.values)

    def _pass(self, w: Tensor, m: Tensor, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return Y (…, Λ, Λ) upper triangular, v (…, columns) and X (…, Λ, columns); zero where not asked for."""
        if len(w) == 1 and w.ndim == 2 and w.device.type == "cpu" and number == 1 and self.order > 2:
            return self._pass_of_one_point(w[0], m[0])
        Y = w.new_zeros(*w.shape, self.size)
        v = torch.zeros_like(m)
        X = w.new_zeros(*w.shape[:-1], self.size if number == 2 else 0, m.shape[-1])
        pairs = w[..., :, None] * w[..., None, :]
        self._fill(number, *map(_array, (w, m, pairs, Y, v, X)))
        return Y, v, X

    def _pass_of_one_point(self, w: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        try:
            workspace = self._spare.pop()  # atomic: two threads never get the same one
        except IndexError:
            workspace = _Workspace(self._arrays, w.numpy(), m.numpy())
        Y, v = workspace.run(w.numpy(), m.numpy())
        self._spare.append(workspace)
        return torch.from_numpy(Y)[None], torch.from_numpy(v)[None], w.new_zeros(1, 0, len(m))

    def _fill(self, number: int, w: Any, m: Any, pairs: Any, Y: Any, v: Any, X: Any) -> None:
        """Fill Y, v and X. NumPy and torch read these lines alike; on the CPU NumPy's slices cost a tenth."""
        inner = self.order > 2  # at order 2 the only I is empty, and m_0 = 1
        for j, C in enumerate(self._arrays):
            n = C.shape[-1]
            Y[..., j, j:] = m[..., :n] @ C.mT
            if number and inner:
                v[..., :n] += pairs[..., j, j:] @ C
            if number == 2 and inner:
                X[..., j, :n] += w[..., j:] @ C
                X[..., j:, :n] += w[..., j, None, None] * C[..., None, :, :]


class _Workspace:
    """Buffers for the pass of one point, and the views of them: making 800 views took a fifth of the time."""

    def __init__(self, blocks: list[Any], w: Any, m: Any) -> None:
        self.m, self.pairs, self.Y = (
            np.empty_like(m),
            np.zeros((len(w), len(w)), w.dtype),
            np.zeros((len(w), len(w)), w.dtype),
        )
        self.v, scratch = np.empty_like(m), np.empty_like(m)
        self.steps = []
        for j, C in enumerate(blocks):
            n = C.shape[-1]
            self.steps.append((C, self.m[:n], self.Y[j, j:], self.pairs[j, j:], scratch[:n], self.v[:n]))

    def run(self, w: Any, m: Any) -> tuple[Any, Any]:
        self.m[:] = m
        self.v[:] = 0
        np.multiply.outer(w, w, out=self.pairs)
        for C, m_j, y, pairs, scratch, v in self.steps:
            np.dot(C, m_j, y)
            np.dot(pairs, C, scratch)
            v += scratch
        return self.Y.copy(), self.v.copy()


def draw_couplings(order: int, size: int, power: float, seed: int, dtype: torch.dtype) -> Couplings:
    """Draw the couplings of order r: independent normals of variance ε_r² Λ^{-(r-1)} r!/Π m_i!.

    Parameters
    ----------
    order, size
        r and Λ.
    power
        ε_r².
    seed
        Each order has a stream of its own, made of the seed and r: the orders that a mixture has do not
        change one another.
    dtype
        Of the result; the numbers are drawn in float64 on the CPU and then rounded.

    Returns
    -------
    Couplings
        On the CPU.
    """
    stream = np.random.SeedSequence(seed, spawn_key=(order,)).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(stream) >> 1)
    values = torch.empty(polynomial.number(size, order), dtype=dtype)
    for piece in values.split(_CHUNK):
        piece.copy_(torch.randn(len(piece), generator=generator, dtype=torch.float64))
    couplings = Couplings(order, size, values)
    _scale(couplings, math.log(power) - (order - 1) * math.log(size))
    return couplings


def _scale(couplings: Couplings, log_variance: float) -> None:
    """Multiply each coupling by its standard deviation; C_j's first row has k = j, one index more of a kind."""
    r, size = couplings.order, couplings.size
    if r == 1:
        couplings.values.mul_(math.exp(log_variance / 2))
        return
    logs, runs = polynomial.multiplicities(size, r - 1)
    sizes = polynomial.block_sizes(size, r - 1)
    for C, log, run in zip(couplings.blocks(), logs.split(sizes), runs.split(sizes), strict=True):
        deviation = ((log + math.log(r) + log_variance) / 2).exp()
        C.mul_(deviation.to(C.dtype))
        C[0].div_((run + 1).sqrt().to(C.dtype))


def index_tuples(size: int, order: int) -> Tensor:
    """Return the sorted index tuples, in the order of the packed couplings: (C(Λ+r-1, r), r)."""
    if order == 1:
        return torch.arange(size)[:, None]
    inner = _colex(size, order - 2)
    tuples = []
    for j in range(size):
        I = inner[: polynomial.number(j + 1, order - 2)]
        tuples += [torch.cat([I, torch.tensor([[j, k]]).expand(len(I), 2)], 1) for k in range(j, size)]
    return torch.cat(tuples)


def _colex(size: int, order: int) -> Tensor:
    found = torch.zeros(1, 0, dtype=torch.int64)
    for s in range(1, order + 1):
        sizes = polynomial.block_sizes(size, s)
        found = torch.cat([torch.cat([found[:n], torch.full((n, 1), k)], 1) for k, n in enumerate(sizes)])
    return found


def _array(t: Tensor) -> Any:
    """On the CPU, the same memory as a NumPy array."""
    return t.detach().numpy() if t.device.type == "cpu" else t
