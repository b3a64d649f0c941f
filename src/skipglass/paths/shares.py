"""Shares of a gradient, of the whole batch and of each sample, and whether samples mix."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skipglass.paths.graph import Graph
from skipglass.paths.verify import inner, wide

__all__ = ["batch_norm_trains", "over", "per_sample"]

Array = NDArray[np.float64]


def per_sample(a: list[Tensor], b: list[Tensor], leading: int = 1) -> Array:
    """⟨a, b⟩ over all but the first dimensions, (N,) or (N, T); one number where the tensors do not share them."""
    sizes = {u.shape[:leading] for u in a}
    if len(sizes) > 1 or any(len(s) < leading or 0 in s for s in sizes):
        return np.array([inner(a, b)]).reshape((1,) * leading)
    shape = sizes.pop()
    total = np.zeros(shape)
    for u, v in zip(a, b, strict=True):
        total += torch.real(wide(u).conj() * wide(v)).reshape(*shape, -1).sum(dim=-1).cpu().numpy()
    return total


def over(a: Array, b: Array) -> Array:
    """a/b, NaN where b is zero."""
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b != 0)


def batch_norm_trains(graph: Graph) -> bool:
    """Whether a batch norm takes its statistics from the batch, and so mixes samples."""
    return any(
        "BatchNorm" in name and bool(getattr(node, "_saved_training", True))
        for node, name in zip(graph.nodes, graph.operations, strict=True)
    )
