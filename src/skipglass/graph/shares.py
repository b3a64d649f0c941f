"""Shares of a gradient, of the whole batch and of each sample, whatever the gradient's scale."""

import math
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.graph import Node

from skipglass.graph.nodes import Graph
from skipglass.graph.operations import facts
from skipglass.graph.verify import wide

__all__ = ["Shares", "batch_norm_trains", "norms", "over", "per_sample", "quantiles", "squared"]

Array = NDArray[np.float64]
Exponents = NDArray[np.int32]


class Shares:
    """The inner products ⟨a, g⟩/‖g‖² with a gradient g, of the batch and of each sample.

    Each sample has a scale of its own, a power of two, at which squares neither vanish nor overflow: no share
    depends on the scale.
    """

    def __init__(self, g: list[Tensor], leading: int = 1) -> None:
        self.g, self.leading = g, leading
        self.exponents, self.zero = _exponents(g, leading)
        self.squares = per_sample(g, g, leading, self.exponents)
        top = self.exponents[~self.zero].max(initial=-10_000)
        self.parts = np.where(self.zero, 0.0, np.ldexp(self.squares, 2 * np.minimum(self.exponents - top, 0)))

    def of(self, a: list[Tensor]) -> Array:
        """For each sample, (N,) or (N, T); NaN where its gradient is zero."""
        return over(per_sample(a, self.g, self.leading, self.exponents), self.squares)

    def total(self, each: Array) -> float:
        """The share of the whole batch, from those of the samples: their mean, weighted by each one's ‖g‖²."""
        whole = float(self.parts.sum())
        return float(np.where(self.zero, 0.0, each * self.parts).sum()) / whole if whole else math.nan


def norms(a: list[Tensor], leading: int = 1) -> Array:
    """‖a‖ of each sample, (N,) or (N, T)."""
    exponents, _ = _exponents(a, leading)
    return np.ldexp(np.sqrt(per_sample(a, a, leading, exponents)), exponents)


def squared(norm: Array) -> Array:
    """Norms squared, all of them at the power of two at which the largest is near 1."""
    return np.ldexp(norm, -np.frexp(np.max(norm, initial=0.0))[1]) ** 2


def per_sample(a: list[Tensor], b: list[Tensor], leading: int = 1, exponents: Exponents | int = 0) -> Array:
    """⟨a, b⟩/4ᵉ over all but the first dimensions, (N,) or (N, T); one number where the tensors do not share them."""
    shape = _rows(a, leading)
    total: Array = np.zeros(shape)
    for u, v in zip(a, b, strict=True):
        rows = (wide(t).reshape(*(shape if prod(shape) > 1 else ()), -1) for t in (u, v))
        # at the sample's own power of two no square vanishes or overflows
        lifted = [_lift(t, exponents) for t in rows]
        total = total + torch.real(lifted[0].conj() * lifted[1]).sum(dim=-1).cpu().numpy()
    return total


def _rows(a: list[Tensor], leading: int) -> tuple[int, ...]:
    """The first dimensions that tensors share, or ones."""
    sizes = {tuple(u.shape[:leading]) for u in a}
    shape = next(iter(sizes), ())
    return shape if len(sizes) == 1 and len(shape) == leading and 0 not in shape else (1,) * leading


def _lift(rows: Tensor, exponents: Exponents | int) -> Tensor:
    """Entries times 2⁻ᵉ."""
    if not np.any(exponents):
        return rows
    factor = torch.as_tensor(np.ldexp(1.0, -np.asarray(exponents)), device=rows.device)
    return rows * (factor.reshape(()) if factor.numel() == 1 else factor.unsqueeze(-1))


def _exponents(a: list[Tensor], leading: int) -> tuple[Exponents, NDArray[np.bool_]]:
    """For each sample the power of two just above its largest entry, and whether it is all zeros."""
    shape = _rows(a, leading)
    peak: Array = np.zeros(shape)
    for u in a:
        if u.numel():
            rows = u.detach().abs().reshape(*(shape if prod(shape) > 1 else ()), -1)
            peak = np.maximum(peak, rows.amax(dim=-1).double().cpu().numpy())
    return np.clip(np.frexp(peak)[1], -1000, 1000), peak == 0


def over(a: Array, b: Array) -> Array:
    """a/b, NaN where b is zero."""
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b != 0)


def quantiles(rows: Array, *q: float) -> Array:
    """Quantiles of each row, (R, N) or (R, N, T), over the samples (or tokens) at which all rows are defined.

    Returns
    -------
    numpy.ndarray
        (len(q), R); NaN where no sample is defined.
    """
    flat = rows.reshape(len(rows), prod(rows.shape[1:]))
    defined = flat[:, ~np.isnan(flat).any(axis=0)]
    return np.quantile(defined, q, axis=1) if defined.size else np.full((len(q), len(rows)), np.nan)


def batch_norm_trains(graph: Graph) -> bool:
    """Whether a batch norm takes its statistics from a batch of several samples, and so mixes them.

    An instance norm is one over a single sample, whose channels are those of all samples.
    """
    return any(
        facts(name).over_samples and _trains(node) and metas[0].shape[:1] != (1,)
        for node, name, metas in zip(graph.nodes, graph.operations, graph.metas, strict=True)
    )


def _trains(node: Node) -> bool:
    """Whether a batch norm, or the gradient of one, was told to take its own statistics."""
    return bool(getattr(node, "_saved_training", getattr(node, "_saved_train", True)))
