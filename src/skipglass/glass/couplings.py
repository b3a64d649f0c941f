"""The couplings of one order r, packed, and the one pass over them.

For r ≥ 2 a coupling belongs to a sorted tuple (I, j, k), I the r-2 smallest indices. A *band* holds those of a few
neighbouring j: a matrix A with a row for each j of the band and each k, and a column for each I, so that energy
and gradient are products of a matrix without gaps, for one point or many. With m_I the monomial of I,

    Y_jk = Σ_I A[jk,I] m_I          E = Σ_{j≤k} w_j w_k Y_jk
    v_I  = Σ_{j≤k} w_j w_k A[jk,I]  ∇E = (Y + Yᵀ) w + ∇(Σ_I v_I m_I)

and, with X[b,I] = Σ_{k≥b} w_k A[bk,I] + Σ_{j≤b} w_j A[jb,I] and Z_ba = ∂_a Σ_I X[b,I] m_I,

    ∇²E = Y + Yᵀ + Z + Zᵀ + ∇²(Σ_I v_I m_I).

There are C(Λ+r-1, r) couplings, up to r! times fewer than Λ^r. Within a band a few places belong to no sorted
tuple (k < j, or an index of I above j); they hold zeros, about r/Λ of the couplings for each j in a band. Bands of one
j waste nothing, but at p = 3, Λ = 200 the calls then take longer than the arithmetic.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, combinations_with_replacement
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from skipglass.glass import polynomial

__all__ = ["Couplings", "draw_couplings", "index_tuples"]

PADDING = 1 / 16  # our choice: the share of zeros that bands may hold
SMALL = 1 << 16  # numbers, half a megabyte
IN_CACHE = 1 << 19  # bytes that a core's own cache holds


class _Band(NamedTuple):
    """The rows start ≤ j < stop, k ≥ start, and the number of columns I of indices below stop."""

    start: int
    stop: int
    columns: int


@lru_cache(maxsize=64)
def _bands(order: int, size: int) -> list[_Band]:
    """Return the bands of order r ≥ 2."""
    width = max(1, int(PADDING * size / order))
    stops = [*range(width, size, width), size]
    return [_Band(i, j, polynomial.number(j, order - 2)) for i, j in zip([0, *stops], stops, strict=False)]


@dataclass(frozen=True)
class Couplings:
    """Couplings of order r in packed form, of one glass or of a stack of them.

    Attributes
    ----------
    order, size : int
        r and Λ.
    values : Tensor
        (*samples, stored): the bands one after the other; Λ numbers at r = 1.
    """

    order: int
    size: int
    values: Tensor

    def __reduce__(self) -> tuple[type, tuple[int, int, Tensor]]:
        return Couplings, (self.order, self.size, self.values)  # without views and buffers

    @cached_property
    def bands(self) -> list[Tensor]:
        """The bands, views of shape (*samples, j, k, I) with k from the band's first j on."""
        shapes = [(band.stop - band.start, self.size - band.start, band.columns) for band in self._layout]
        pieces = self.values.split([math.prod(shape) for shape in shapes], -1)
        return [piece.unflatten(-1, shape) for piece, shape in zip(pieces, shapes, strict=True)]

    def blocks(self) -> Iterator[Tensor]:
        """Yield the couplings of each j, views of shape (*samples, k ≥ j, I ≤ j)."""
        for A, band in zip(self.bands, self._layout, strict=True):
            for t in range(band.stop - band.start):
                yield A[..., t, t:, : polynomial.number(band.start + t + 1, self.order - 2)]

    def coefficients(self) -> Tensor:
        """Return the couplings alone, (*samples, C(Λ+r-1, r)), in the order of `index_tuples`."""
        return self.values if self.order == 1 else torch.cat([block.flatten(-2) for block in self.blocks()], -1)

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
            field = self.values[..., None, :].expand_as(w)
            return [(w * field).sum(-1), field, w.new_zeros(*w.shape, self.size)][: number + 1]
        if self.order == 2:
            curvature = self._matrix()
            slope = w @ curvature
            return [(slope * w).sum(-1) / 2, slope, curvature[..., None, :, :].expand(*w.shape, self.size)][
                : number + 1
            ]
        # the monomials m_I are those of order r-2, the last of the powers
        powers = polynomial.monomials(w, self.order - 2)
        Y, v, X = self._pass(w, powers[-1], number)
        explicit = (Y @ w[..., None] + Y.mT @ w[..., None]).squeeze(-1)  # (Y + Yᵀ) w, without a copy of Y
        results = [(explicit * w).sum(-1) / 2]
        if number:
            results.append(explicit + polynomial.gradient(v[..., None, :], w, powers, self.order - 2).squeeze(-2))
        if number == 2:
            mixed = Y + polynomial.gradient(X, w, powers, self.order - 2)  # Y + Z
            results.append(mixed + mixed.mT + polynomial.hessian(v, w, powers, self.order - 2))
        return results

    def at_one_point(self, x: Any) -> tuple[Any, Any]:
        """Return energy and ambient gradient of one point on the CPU, as descent asks for them; all are NumPy's."""
        w = torch.from_numpy(x)
        if not self._has_buffers:
            energy, gradient = self.derivatives(w[None], 1)
            return energy[0].numpy(), gradient[0].numpy()
        try:
            buffers = self._spare.pop()  # atomic: no two threads get the same ones
        except IndexError:
            buffers = _OnePoint(self)
        powers = [w] if self.order == 3 else polynomial.monomials(w, self.order - 2)
        energy, explicit, v = buffers.run(x, powers[-1].numpy())
        self._spare.append(buffers)
        if self.order > 3:  # at order 3 v is its own gradient
            v = polynomial.gradient(torch.from_numpy(v)[None], w, powers, self.order - 2)[0].numpy()
        return energy, explicit + v

    @property
    def _layout(self) -> list[_Band]:
        return _bands(self.order, self.size)

    @cached_property
    def _arrays(self) -> list[Any]:
        return [polynomial.array(band) for band in self.bands]

    @cached_property
    def _has_buffers(self) -> bool:
        """Whether S of `_OnePoint` is no larger than the couplings, or small."""
        if self.order < 3:
            return False
        return self.size * polynomial.number(self.size, self.order - 2) <= max(self.values.numel(), SMALL)

    @cached_property
    def _spare(self) -> "list[_OnePoint]":
        return []

    def _matrix(self) -> Tensor:
        """The symmetric matrix (*samples, Λ, Λ) of the quadratic form: order 2, where a band has one column."""
        Y = self.values.new_zeros(*self.values.shape[:-1], self.size, self.size)
        upper = polynomial.array(Y)
        for A, (i, j, _) in zip(self._arrays, self._layout, strict=True):
            upper[..., i:j, i:] = A[..., 0]
        return Y + Y.mT

    def _pass(self, w: Tensor, m: Tensor, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return Y (…, Λ, Λ), v (…, columns) and X (…, Λ, columns), the last two zero where not asked for."""
        points = w.shape[:-1]
        columns_of = w.new_zeros(*points, self.size if number == 2 else 0, m.shape[-1])
        tensors = w.new_zeros(*w.shape, self.size), torch.zeros_like(m), columns_of
        # NumPy and torch read the lines below alike; on the CPU NumPy's slices cost a tenth
        w, m, pairs, Y, v, X = map(polynomial.array, (w, m, w[..., :, None] * w[..., None, :], *tensors))
        for A, (i, j, n) in zip(self._arrays, self._layout, strict=True):
            # (j, k) as one index of rows, so that every product is one of matrices
            *samples, width, rows, _ = A.shape
            matrix = A.reshape(*samples, width * rows, n)
            Y[..., i:j, i:] = (m[..., :n] @ matrix.mT).reshape(*points, width, rows)
            if number:
                v[..., :n] += pairs[..., i:j, i:].reshape(*points, -1) @ matrix
            if number == 2:
                # b as the smaller of the two large indices, j, then as the larger one, k
                X[..., i:j, :n] += (w[..., None, None, i:] @ A[..., None, :, :, :])[..., 0, :]
                X[..., i:, :n] += (w[..., i:j] @ A.reshape(*samples, width, -1)).reshape(*points, rows, n)
        return tensors


class _OnePoint:
    """Buffers of the pass for one point with the views of them: making these anew took half of the time.

    In place of v itself its terms are kept, S_jI = Σ_k w_k A[jk,I]: then E = Σ_jI w_j S_jI m_I and v = wᵀS, and a
    band takes two calls for each part of it that stays in a cache between them.
    """

    def __init__(self, couplings: Couplings) -> None:
        size, order, dtype = couplings.size, couplings.order, couplings.values.dtype
        columns = polynomial.number(size, order - 2)
        self.w, self.m = (torch.zeros(n, dtype=dtype).numpy() for n in (size, columns))
        self.Y, self.S = (torch.zeros(size, n, dtype=dtype).numpy() for n in (size, columns))
        self.steps = []
        for A, (start, stop, _) in zip(couplings._arrays, couplings._layout, strict=True):
            # as many j as stay in the cache until the second product reads them again
            together = max(1, IN_CACHE // A[0].nbytes)
            for i in range(start, stop, together):
                j = min(i + together, stop)
                n = polynomial.number(j, order - 2)
                part = A[i - start : j - start, i - start :, :n]
                self.steps.append((part, self.m[:n], self.w[i:], self.Y[i:j, i:], self.S[i:j, :n]))

    def run(self, w: Any, m: Any) -> tuple[Any, Any, Any]:
        """Return E, the gradient's part (Y + Yᵀ) w, and v."""
        self.w[:], self.m[:] = w, m
        for A, m_I, w_k, Y, S in self.steps:
            np.matmul(A, m_I, Y)
            np.matmul(w_k, A, S)
        # Y w = S m, and v = wᵀS
        along = self.S @ self.m
        return along @ self.w, along + self.w @ self.Y, self.w @ self.S


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
    stored = sum((stop - start) * (size - start) * columns for start, stop, columns in _bands(order, size))
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
