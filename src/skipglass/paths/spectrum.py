"""The spectrum of a gradient: the part g_r of it that flows along paths of each length r (MATH.md §6).

Give every counted step one power of t, a weight or a residual branch; the gradient of the loss becomes
g(t) = Σ_r g_r tʳ, and its coefficients are carried down the backward pass exactly. They sum to g:

    share_r = ⟨g_r, g⟩/‖g‖²,    Σ_r share_r = 1,    effective depth = Σ_r r·share_r.

Shares are signed: parts may cancel, and κ = Σ ‖g_r‖/‖g‖ says by how much.
"""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skipglass import check
from skipglass.paths.graph import Target
from skipglass.paths.outline import PathGraph, outline
from skipglass.paths.verify import inner, reference, verify, wide
from skipglass.paths.walk import Graded, partition, walk

__all__ = ["Spectrum", "spectrum"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The parts g_r of a gradient by path length, R lengths for N samples.

    Attributes
    ----------
    lengths
        r, (R,), consecutive.
    norm
        ‖g_r‖, (R,).
    share
        ⟨g_r, g⟩/‖g‖², (R,); NaN where the gradient is zero. Sums to 1 unless ``max_length`` cut it.
    effective_depth
        Σ_r r·share_r.
    share_per_sample, effective_depth_per_sample
        The same for each sample alone, along the first dimension of x: (R, N) and (N,).
    error
        ‖Σ g_r - g‖/Σ ‖g_r‖, at most 1e-12, 1e-5 or 2e-2 in float64, float32 or half precision.
    cancellation
        κ = Σ ‖g_r‖/‖g‖.
    independent_samples
        False where batch norm in training mode mixes samples.
    gradients
        The g_r, (R, *x.shape), a tuple of them for a tuple x; None unless kept.
    unit
        "weights" or "blocks".
    graph
        What was found in the network.
    """

    lengths: NDArray[np.int64]
    norm: Array
    share: Array
    effective_depth: float
    share_per_sample: Array
    effective_depth_per_sample: Array
    error: float
    cancellation: float
    independent_samples: bool
    gradients: Tensor | tuple[Tensor, ...] | None
    unit: str
    graph: PathGraph

    def __repr__(self) -> str:
        lo, hi = int(self.lengths[0]), int(self.lengths[-1])
        depth = "gradient zero, shares undefined" if np.isnan(self.share).all() else f"{self.effective_depth:.3g}"
        return f"Spectrum({self.unit} {lo}..{hi}, effective depth {depth}, error {self.error:.0e})"


def spectrum(
    loss: Tensor,
    x: Target,
    unit: str = "weights",
    max_length: int | None = None,
    keep: bool = False,
    model: nn.Module | None = None,
) -> Spectrum:
    """Split ∂loss/∂x by path length, exactly: Σ_r g_r = g.

    Parameters
    ----------
    loss
        A scalar, or one logit, with a live graph; the graph stays usable.
    x
        The tensor, or tuple of tensors, whose gradient is split; its first dimension counts samples.
    unit
        "weights", the paper's r, or "blocks", residual branches (Veit et al., 2016).
    max_length
        Longer paths are carried together and not reported.
    keep
        Whether to keep the g_r themselves.
    model
        Names the blocks; see `outline`.

    Returns
    -------
    Spectrum
        The parts by length.

    Raises
    ------
    InputError
        If there is no graph from the loss to x, it was freed, or an argument is out of range.
    DecompositionError
        If the parts do not sum to autograd's gradient.

    Examples
    --------
    >>> from skipglass.models import ResidualMLP
    >>> model, x = ResidualMLP(5, depth=4, width=8), torch.ones(2, 5, requires_grad=True)
    >>> s = spectrum(model(x).sum(), x)
    >>> s.lengths, bool(abs(s.share.sum() - 1) < 1e-6)
    (array([1, 2, 3, 4]), True)
    """
    if max_length is not None:
        check.integer("max_length", max_length)
    found = outline(loss, x, model)
    counted = found.counted(unit)
    g = reference(loss, x)

    def cross(graded: Graded) -> Graded:
        crossed: Graded = {}
        for r, v in sorted(graded.items()):
            to = r + 1 if max_length is None else min(r + 1, max_length + 1)
            crossed[to] = crossed[to] + v if to in crossed else v
        return crossed

    parts = walk(found.graph, partition(found.graph, counted), counted, cross)
    error = verify(found.graph, [list(part.values()) for part in parts], g)
    live = {r for part in parts for r in part if max_length is None or r <= max_length}
    lengths = np.arange(min(live, default=0), max(live, default=0) + 1)
    rows = [[part.get(int(r), torch.zeros_like(whole)) for part, whole in zip(parts, g, strict=True)] for r in lengths]
    norm = np.array([math.sqrt(inner(row, row)) for row in rows])
    size = math.sqrt(inner(g, g))
    cancellation = float(norm.sum() / size) if size else math.nan
    precision = max(torch.finfo(whole.dtype).eps for whole in g)
    if cancellation > 1 / math.sqrt(precision):
        warnings.warn(f"the parts cancel {cancellation:.0e}-fold: shares keep few digits", stacklevel=2)
    products = np.stack([_per_sample(row, g) for row in rows])
    share_per_sample = _over(products, _per_sample(g, g))
    share = _over(products.sum(axis=1), np.array(size**2))
    kept = tuple(torch.stack(column) for column in zip(*rows, strict=True)) if keep else None
    return Spectrum(
        lengths,
        norm,
        share,
        float(lengths @ share),
        share_per_sample,
        lengths @ share_per_sample,
        error,
        cancellation,
        _independent(found),
        kept[0] if kept and isinstance(x, Tensor) else kept,
        unit,
        found,
    )


def _per_sample(a: list[Tensor], b: list[Tensor]) -> Array:
    """⟨a, b⟩ for each sample, (N,); one sample where the tensors have no first dimension in common."""
    sizes = {u.shape[0] if u.ndim else 1 for u in a}
    n = sizes.pop() if len(sizes) == 1 else 1
    if n == 0 or len(sizes) > 0:
        return np.array([inner(a, b)])
    total = np.zeros(n)
    for u, v in zip(a, b, strict=True):
        total += torch.real(wide(u).conj() * wide(v)).reshape(n, -1).sum(dim=1).cpu().numpy()
    return total


def _over(a: Array, b: Array) -> Array:
    """a/b, NaN where b is zero."""
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b != 0)


def _independent(found: PathGraph) -> bool:
    return not any(
        "BatchNorm" in name and bool(getattr(node, "_saved_training", True))
        for node, name in zip(found.graph.nodes, found.graph.operations, strict=True)
    )
