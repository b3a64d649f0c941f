"""The couplings of one order r, packed, and the one pass over them.

For r ≥ 2 a coupling belongs to a sorted tuple (I, j, k), I the r-2 smallest indices. A *band* holds those of a few
neighbouring j: an array with a matrix for each j of the band, which has a row for each k and a column for each I, so
that energy and gradient are products of matrices without gaps, for one point or many. With m_I the monomial of I,

    Y_jk = Σ_I A[jk,I] m_I         E = Σ_{j≤k} w_j w_k Y_jk
    S_jI = Σ_{k≥j} w_k A[jk,I]     ∇E = (Y + Yᵀ) w + ∇(Σ_I v_I m_I),   v = wᵀS held

and, with X[b,I] = S_bI + Σ_{j≤b} w_j A[jb,I] and Z_ba = ∂_a Σ_I X[b,I] m_I,

    ∇²E = Y + Yᵀ + Z + Zᵀ + ∇²(Σ_I v_I m_I).

There are C(Λ+r-1, r) couplings, up to r! times fewer than Λ^r. Within a band a few places belong to no sorted
tuple (k < j, or an index of I above j); they hold zeros, about r/Λ of the couplings for each j in a band. Bands of one
j waste nothing, but at p = 3, Λ = 200 the calls then take longer than the arithmetic.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, combinations_with_replacement
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skipglass.glass import polynomial

__all__ = ["Couplings", "draw_couplings", "index_tuples"]

PADDING = 1 / 16  # our choice: the share of zeros that bands may hold
IN_CACHE = 1 << 16  # numbers that a core's own cache holds


def _bands(order: int, size: int) -> Iterator[tuple[int, int, int]]:
    """The bands of order r ≥ 2: rows start ≤ j < stop, k ≥ start, and the number of columns I of indices below stop."""
    widest, start = max(1, int(PADDING * size / order)), 0
    while start < size:
        # the second product of a pass reads a band again: it shall still be in the cache
        of_one_j = (size - start) * polynomial.number(start + 1, order - 2)
        stop = min(start + max(1, min(widest, IN_CACHE // of_one_j)), size)
        yield start, stop, polynomial.number(stop, order - 2)
        start = stop


def _array(t: Tensor) -> Any:
    """On the CPU, the same memory as a NumPy array, whose slices cost a tenth of torch's; else the tensor."""
    return t.numpy() if t.device.type == "cpu" else t


@dataclass(frozen=True)
class Couplings:
    """Couplings of order r in packed form.

    Attributes
    ----------
    order, size : int
        r and Λ.
    values : Tensor
        (stored,): the bands one after the other; Λ numbers at r = 1.
    """

    order: int
    size: int
    values: Tensor
    _spare: "dict[int, _Buffers]" = field(default_factory=dict, init=False, repr=False)  # by the number of points

    def __reduce__(self) -> tuple[type, tuple[int, int, Tensor]]:
        return Couplings, (self.order, self.size, self.values)  # without views and buffers

    @cached_property
    def bands(self) -> list[tuple[int, Tensor]]:
        """The first j of each band, and the band, a view of shape (j, k, I) with k from the first j on."""
        bands, rest = [], self.values
        for i, j, columns in _bands(self.order, self.size):
            shape = (j - i, self.size - i, columns)
            bands.append((i, rest[: math.prod(shape)].view(shape)))
            rest = rest[math.prod(shape) :]
        return bands

    def blocks(self) -> Iterator[Tensor]:
        """Yield the couplings of each j, views of shape (k ≥ j, I ≤ j)."""
        for i, A in self.bands:
            for t in range(len(A)):
                yield A[t, t:, : polynomial.number(i + t + 1, self.order - 2)]

    def coefficients(self) -> Tensor:
        """Return the couplings alone, (C(Λ+r-1, r),), in the order of `index_tuples`."""
        return self.values if self.order == 1 else torch.cat([block.flatten() for block in self.blocks()])

    def derivatives(self, w: Tensor, number: int) -> list[Tensor]:
        """Return energy, ambient gradient and ambient Hessian, the first ``number`` + 1 of them.

        Parameters
        ----------
        w
            (B, Λ).
        number
            0, 1 or 2.

        Returns
        -------
        list of Tensor
            (B,), then (B, Λ), then (B, Λ, Λ).
        """
        if self.order < 3:
            # a field is its own gradient, a quadratic form has one Hessian everywhere
            slope = self.values.expand_as(w) if self.order == 1 else w @ self._matrix
            curvature = self._matrix if self.order == 2 else w.new_zeros(self.size, self.size)
            energy = (slope * w).sum(-1) / self.order
            return [energy, slope, curvature.expand(*w.shape, self.size)][: number + 1]
        # the monomials m_I are those of order r-2, the last of the powers
        powers = polynomial.monomials(w, self.order - 2)
        buffers = self._spare.pop(len(w), None) or _Buffers(self, len(w))  # atomic: no two threads get the same ones
        Y, S = buffers.fill(w, powers[-1], number)
        explicit = (Y @ w[..., None] + Y.mT @ w[..., None]).squeeze(-1)  # (Y + Yᵀ) w, without a copy of Y
        results = [(explicit * w).sum(-1) / 2]
        if number:
            v = w[:, None] @ S
            results.append(explicit + polynomial.gradient(v, w, powers, self.order - 2)[:, 0])
        if number == 2:
            X = S + self._from_above(w, powers[-1].shape[-1])
            mixed = Y + polynomial.gradient(X, w, powers, self.order - 2)  # Y + Z
            results.append(mixed + mixed.mT + polynomial.hessian(v[:, 0], w, powers, self.order - 2))
        self._spare.clear()  # those of one number of points are enough
        self._spare[len(w)] = buffers
        return results

    @cached_property
    def _matrix(self) -> Tensor:
        """The symmetric matrix (Λ, Λ) of the quadratic form: order 2, where a band has one column."""
        Y = self.values.new_zeros(self.size, self.size)
        for i, A in self.bands:
            Y[i : i + len(A), i:] = A[..., 0]
        return Y + Y.mT

    def _from_above(self, w: Tensor, columns: int) -> Tensor:
        """Σ_{j≤b} w_j A[jb,I], (B, Λ, columns)."""
        total = w.new_zeros(*w.shape, columns)
        for i, A in self.bands:
            total[:, i:, : A.shape[2]] += (w[:, i : i + len(A)] @ A.flatten(1)).view(len(w), *A.shape[1:])
        return total


class _Buffers:
    """What a pass for B points fills, and the views of it for each band: making these anew takes half of the time."""

    def __init__(self, couplings: Couplings, points: int) -> None:
        order, size, values = couplings.order, couplings.size, couplings.values
        columns = polynomial.number(size, order - 2)
        self.w, self.m = values.new_zeros(points, size), values.new_zeros(columns, points)
        self.Y, self.S = values.new_zeros(size, size, points), values.new_zeros(size, points, columns)
        w, m, Y, S = map(_array, (self.w, self.m, self.Y, self.S))
        self.steps = []
        for i, A in couplings.bands:
            j, n = i + len(A), A.shape[2]
            self.steps.append((_array(A), w[:, i:], m[:n], Y[i:j, i:], S[i:j, :, :n]))

    def fill(self, w: Tensor, m: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Return Y (B, Λ, Λ), and S (B, Λ, columns), unless ``number`` is 0: then an earlier one."""
        self.w[:], self.m[:] = w, m.T
        multiply: Any = np.matmul if self.w.device.type == "cpu" else torch.matmul
        for A, w_k, m_I, Y, S in self.steps:
            multiply(A, m_I, out=Y)
            if number:
                multiply(w_k, A, out=S)
        return self.Y.permute(2, 0, 1), self.S.transpose(0, 1)


def draw_couplings(order: int, size: int, power: float, generator: torch.Generator, dtype: torch.dtype) -> Couplings:
    """Draw the couplings of order r: independent normals of variance ε_r² Λ^{-(r-1)} r!/Π m_i!.

    Parameters
    ----------
    order, size
        r and Λ.
    power
        ε_r².
    generator
        Of the order's own normal numbers, on the CPU.
    dtype
        Of the result; the numbers are drawn in float64 and then rounded.

    Returns
    -------
    Couplings
        On the CPU.
    """
    if order == 1:
        values = torch.randn(size, generator=generator, dtype=torch.float64) * math.sqrt(power)
        return Couplings(1, size, values.to(dtype))
    stored = sum((j - i) * (size - i) * columns for i, j, columns in _bands(order, size))
    couplings = Couplings(order, size, torch.zeros(stored, dtype=dtype))
    # ln of the variance of (I, j, k) with k > j, from the multiplicities of (I, j); k = j is one index more of a kind
    logs, runs = polynomial.multiplicities(size, order - 1)
    log_variances = logs + math.log(order) + (math.log(power) - (order - 1) * math.log(size))
    others = (log_variances / 2).exp()
    first = others / (runs + 1).sqrt()
    sizes = polynomial.block_sizes(size, order - 1)
    for block, equal, larger in zip(couplings.blocks(), first.split(sizes), others.split(sizes), strict=True):
        drawn = torch.randn(block.shape, generator=generator, dtype=torch.float64)
        drawn[0] *= equal
        drawn[1:] *= larger
        block.copy_(drawn)
    return couplings


def index_tuples(size: int, order: int) -> Tensor:
    """Return the sorted index tuples, in the order of the packed couplings: (C(Λ+r-1, r), r)."""
    numbers = chain.from_iterable(combinations_with_replacement(range(size), order))
    tuples = np.fromiter(numbers, np.int64).reshape(-1, order)
    # by j, then by k, then by I with its last index first; lexsort takes the keys from the least to the most important
    keys = [*range(order - 2), order - 1, order - 2] if order > 1 else [0]
    return torch.from_numpy(tuples[np.lexsort(tuples.T[keys])])
