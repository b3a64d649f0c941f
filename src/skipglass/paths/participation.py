"""Participation: each residual block's part in the gradient, all blocks at once (MATH.md §6).

Let g be the gradient at x, B_l the gradient on the edge from branch l into its addition, and F_l the tangent
at that branch's output when x moves along g. With J_l the derivative of the branch's output by x,

    F_l = J_l g,    s_l = ⟨B_l, F_l⟩/‖g‖² = ⟨J_lᵀ B_l, g⟩/‖g‖²,

the share of the gradient that passes branch l, and Σ_l s_l is the effective depth in blocks.

The tangents come from the graph that is there, for the backward pass is linear in what enters it:
z = Σ_l J_lᵀ u_l is one backward pass that starts at all branches, and ∂⟨z, g⟩/∂u_l = J_l g one backward pass
through that. Started from u_l = B_l, z also certifies the result, as ⟨z, g⟩ = Σ_l ⟨B_l, F_l⟩, sample by sample
where samples do not mix.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn.attention import SDPBackend, sdpa_kernel

from skipglass.errors import DecompositionError, InputError
from skipglass.paths.forward import LossFunction, forward
from skipglass.paths.graph import Edge, Graph, Target, as_targets
from skipglass.paths.outline import PathGraph, outline
from skipglass.paths.verify import BOUNDS, HALF, inner, wide
from skipglass.paths.walk import _call, explain

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["Participation", "participation", "participation_of"]

Array = NDArray[np.float64]
Branch = tuple[int, Edge]
"""The addition, and the live edge from it into the branch."""


@dataclass(frozen=True, eq=False)
class Participation:
    """Each residual block's share s_l of the gradient, L blocks and N samples; prints as a table.

    Attributes
    ----------
    blocks
        Their names, in forward order.
    share
        s_l, (L,); it may be negative or above 1. NaN where the gradient is zero.
    effective_depth
        Σ_l s_l, the mean number of blocks that the gradient passes.
    share_per_sample
        The same for each sample alone, (L, N); NaN where samples mix or a branch has no rows of its own for each.
    effective_depth_per_sample
        (N,), exact in either case.
    error
        |Σ_l ⟨B_l, F_l⟩ - ⟨z, g⟩| / Σ_l ‖B_l‖‖F_l‖.
    independent_samples
        False where samples mix, as batch norm in training mode makes them.
    graph
        What was found in the network.
    """

    blocks: tuple[str, ...]
    share: Array
    effective_depth: float
    share_per_sample: Array
    effective_depth_per_sample: Array
    error: float
    independent_samples: bool
    graph: PathGraph

    def __repr__(self) -> str:
        return f"Participation({len(self.blocks)} blocks, effective depth {self.effective_depth:.3g})"

    def __str__(self) -> str:
        width = max([len(name) for name in self.blocks] + [5])
        lines = [f"{'block':{width}}   share  median over samples"]
        for name, share, median in zip(self.blocks, self.share, self._medians(), strict=True):
            lines.append(f"{name:{width}}  {share:6.3f}  {median:6.3f}")
        lines.append(f"effective depth {self.effective_depth:.4g} of {len(self.blocks)} blocks, error {self.error:.0e}")
        if not self.independent_samples:
            lines.append("samples mix: shares of single samples are undefined")
        return "\n".join(lines)

    def _medians(self) -> Array:
        """Over the samples whose shares are defined."""
        defined = self.share_per_sample[:, ~np.isnan(self.share_per_sample).any(axis=0)]
        return np.median(defined, axis=1) if defined.size else np.full(len(self.blocks), np.nan)

    def to_xarray(self) -> "xr.Dataset":
        """Return the shares as a dataset over (block, sample)."""
        import xarray as xr

        return xr.Dataset(
            {
                "share": ("block", self.share, {"long_name": "share of the gradient", "units": "1"}),
                "share_per_sample": (("block", "sample"), self.share_per_sample, {"units": "1"}),
                "effective_depth_per_sample": ("sample", self.effective_depth_per_sample, {"units": "blocks"}),
            },
            {"block": list(self.blocks), "sample": np.arange(self.share_per_sample.shape[1])},
            {
                "effective_depth": self.effective_depth,
                "error": self.error,
                "independent_samples": int(self.independent_samples),
            },
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the share of each block, and its median over samples.

        Parameters
        ----------
        ax
            Where to draw; a new figure if None.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1] if ax is None else ax
        places = np.arange(len(self.blocks))
        ax.bar(places, self.share, label="batch", color="#9ecae1")
        medians = self._medians()
        if not np.isnan(medians).all():
            ax.plot(places, medians, "o", color="#08519c", label="median over samples")
            ax.legend()
        shown = places[:: max(1, math.ceil(len(places) / 24))]
        ax.set_xticks(shown, [self.blocks[l] for l in shown], rotation=90, fontsize="small")
        ax.axhline(0, color="black", linewidth=0.8)
        ax.set(ylabel="share of the gradient", title=f"effective depth {self.effective_depth:.3g} blocks")
        return ax


def participation(
    model: nn.Module, inputs: object, targets: object = None, loss_fn: LossFunction | None = None
) -> Participation:
    """Measure each residual block's share of the gradient, with one forward and about three backward passes.

    Attention runs by its plain formula (PyTorch's "math" kernel): the fused ones cannot be differentiated twice.

    Parameters
    ----------
    model
        Any module; it is left as found.
    inputs
        A tensor, tuple or mapping; token ids are split at the input embedding. See `forward`.
    targets
        Passed on to the loss.
    loss_fn
        loss_fn(outputs, targets); the default is in `forward`.

    Returns
    -------
    Participation
        Shares by block.

    Raises
    ------
    InputError
        If the model cannot be run or split.
    DecompositionError
        If the backward pass is not linear.

    Examples
    --------
    >>> from skipglass.models import ResidualMLP
    >>> p = participation(ResidualMLP(5, depth=4, width=8), torch.ones(2, 5))
    >>> p.blocks, p.share.shape
    (('layers.1', 'layers.2', 'layers.3'), (3,))
    """
    with sdpa_kernel(SDPBackend.MATH), forward(model, inputs, targets, loss_fn) as run:
        return participation_of(run.loss, run.x, run.model)


def participation_of(loss: Tensor, x: Target, model: nn.Module | None = None) -> Participation:
    """Measure each residual block's share of ∂loss/∂x on a graph that is there; see `participation`.

    Where an operation on the way cannot be differentiated twice (fused attention, custom functions), each block
    takes a backward pass of its own.

    Parameters
    ----------
    loss
        A scalar with a live graph; the graph stays usable.
    x
        The tensor, or tuple of tensors, whose gradient is shared out; its first dimension counts samples.
    model
        Names the blocks; see `outline`.

    Returns
    -------
    Participation
        Shares by block.

    Raises
    ------
    InputError
        If there is no graph from the loss to x, or it was freed.
    DecompositionError
        If the backward pass is not linear.

    Examples
    --------
    >>> x = torch.ones(2, 3, requires_grad=True)
    >>> h = x + 2 * x @ torch.nn.Parameter(torch.eye(3))
    >>> participation_of(h.sum(), x).share.round(6)
    array([0.666667])
    """
    found = outline(loss, x, model)
    targets, graph = as_targets(x), found.graph
    branches = [(b.merge.node, b.merge.branch) for b in found.blocks if b.merge.branch is not None]
    with torch.enable_grad():
        try:
            g, B = _gradients(graph, loss, targets, branches)
            shared = _at_once(graph, targets, branches, g, B) or _one_by_one(graph, targets, branches, g, B)
        except RuntimeError as complaint:
            raise explain(complaint) from complaint
    totals, rows, depth_rows, error = shared
    if not error <= _bound(graph):
        raise DecompositionError(
            f"the blocks' shares do not sum to the effective depth: error {error:.1e}, bound {_bound(graph):g}; the "
            "backward pass is not linear (hooks, gradient clipping, quantised gradients)"
        )
    square, squares = inner(g, g), _per_sample(g, g)
    independent = rows is not None and not _batch_norm_trains(graph)
    if rows is None or not independent:
        rows = np.full((len(branches), len(squares)), np.nan)
    share = _over(totals, np.array(square))
    return Participation(
        tuple(b.name for b in found.blocks),
        share,
        float(share.sum()) if square else math.nan,
        _over(rows, squares),
        _over(depth_rows, squares),
        error,
        independent,
        found,
    )


Shared = tuple[Array, Array | None, Array, float]
"""⟨B_l, F_l⟩ for each block; for each sample of it; their sum over blocks for each sample; the error."""


def _gradients(
    graph: Graph, loss: Tensor, targets: tuple[Tensor, ...], branches: list[Branch]
) -> tuple[list[Tensor], list[Tensor]]:
    """g, and B_l for each branch, in one backward pass; the additions are then called by hand."""
    nodes = sorted({node for node, _ in branches})
    ends = [*map(get_gradient_edge, targets), *(GradientEdge(graph.nodes[node], 0) for node in nodes)]
    found = torch.autograd.grad(loss, ends, torch.ones_like(loss), retain_graph=True)
    g, arriving = list(found[: len(targets)]), dict(zip(nodes, found[len(targets) :], strict=True))
    for part in g:
        if not torch.isfinite(part).all():
            raise InputError("the gradient holds NaN or infinity, which no sum of paths explains")
    with torch.no_grad():
        return g, [_leaving(graph, node, edge, arriving[node]) for node, edge in branches]


def _leaving(graph: Graph, node: int, edge: Edge, entering: Tensor) -> Tensor:
    """The gradient on one edge out of a node, as the engine would pass it on."""
    return _call(graph, node, {0: {0: entering}})[graph.edges[node].index(edge)][0]


def _bound(graph: Graph) -> float:
    """The largest error that the graph's lowest precision allows."""
    kinds = {meta.dtype for node in graph.nodes for meta in node._input_metadata}
    return max(BOUNDS.get(k, HALF) for k in kinds if k.is_floating_point or k.is_complex)


def _at_once(
    graph: Graph, targets: tuple[Tensor, ...], branches: list[Branch], g: list[Tensor], B: list[Tensor]
) -> Shared | None:
    """All tangents by differentiating the backward pass; None where an operation does not allow it."""
    if not branches:
        return np.zeros(0), np.zeros((0, len(_per_sample(g, g)))), np.zeros(len(_per_sample(g, g))), 0.0
    starts = [GradientEdge(graph.nodes[edge.to], edge.output) for _, edge in branches]
    u = [b.detach().clone().requires_grad_() for b in B]
    try:
        z = torch.autograd.grad(starts, targets, u, create_graph=True, allow_unused=True)
        reached = [(part, v) for part, v in zip(z, g, strict=True) if part is not None and part.requires_grad]
        ends, values = [part for part, _ in reached], [v for _, v in reached]
        F = torch.autograd.grad(ends, u, values, allow_unused=True)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        return None
    tangents = [torch.zeros_like(b) if f is None else f.detach() for b, f in zip(B, F, strict=True)]
    if not all(torch.isfinite(f).all() for f in tangents):
        return None  # such as the standard deviation of a constant: 0·∞ in its second derivative
    whole = [torch.zeros_like(v) if part is None else part.detach() for part, v in zip(z, g, strict=True)]
    totals = np.array([inner([b], [f]) for b, f in zip(B, tangents, strict=True)])
    size = sum(math.sqrt(inner([b], [b]) * inner([f], [f])) for b, f in zip(B, tangents, strict=True))
    error = abs(float(totals.sum()) - inner(whole, g)) / size if size else 0.0
    if not error <= _bound(graph):
        return None  # a custom function whose backward pass is not recorded
    depth = _per_sample(whole, g)
    return totals, _rows(B, tangents, depth, math.sqrt(_bound(graph))), depth, error


def _one_by_one(
    graph: Graph, targets: tuple[Tensor, ...], branches: list[Branch], g: list[Tensor], B: list[Tensor]
) -> Shared:
    """The same from J_lᵀ B_l, one backward pass a block."""

    def down(starts: list[Branch], values: list[Tensor]) -> list[Tensor]:
        edges = [GradientEdge(graph.nodes[edge.to], edge.output) for _, edge in starts]
        found = torch.autograd.grad(edges, targets, values, retain_graph=True, allow_unused=True)
        return [torch.zeros_like(v) if part is None else part for part, v in zip(found, g, strict=True)]

    parts = [down([branch], [b]) for branch, b in zip(branches, B, strict=True)]
    z = down(branches, B)
    rows = np.stack([_per_sample(part, g) for part in parts])
    size = sum(math.sqrt(inner(part, part) * inner(g, g)) for part in parts)
    error = abs(float(rows.sum()) - inner(z, g)) / size if size else 0.0
    return rows.sum(axis=1), rows, _per_sample(z, g), error


def _rows(B: list[Tensor], F: list[Tensor], depth: Array, tolerance: float) -> Array | None:
    """⟨B_l, F_l⟩ for each sample, (L, N), if their sums over blocks say that samples do not mix."""
    layouts = [_layout(b, len(depth)) for b in B]
    products = [torch.real(wide(b).conj() * wide(f)) for b, f in zip(B, F, strict=True)]
    if any(layout is None for layout in layouts):
        return None
    rows, sizes = (
        np.stack(
            [
                p.reshape(layout).movedim(layout.index(len(depth)), 0).flatten(1).sum(dim=1).cpu().numpy()
                for p, layout in zip(values, layouts, strict=True)
                if layout is not None
            ]
        )
        for values in (products, [p.abs() for p in products])
    )
    agree = np.abs(rows.sum(axis=0) - depth) <= tolerance * sizes.sum(axis=0)
    return rows if bool(agree.all()) else None


def _layout(b: Tensor, n: int) -> tuple[int, ...] | None:
    """The shape in which one dimension counts the n samples; they may be folded into the first (windows, tokens)."""
    if n in b.shape:
        return (*b.shape, 1)
    return (n, -1) if b.ndim and b.shape[0] % n == 0 else None


def _per_sample(a: list[Tensor], b: list[Tensor]) -> Array:
    """⟨a, b⟩ for each sample, (N,); one sample where the tensors have no first dimension in common."""
    sizes = {u.shape[0] if u.ndim else 1 for u in a}
    n = sizes.pop() if len(sizes) == 1 else 0
    if n == 0:
        return np.array([inner(a, b)])
    total = np.zeros(n)
    for u, v in zip(a, b, strict=True):
        total += torch.real(wide(u).conj() * wide(v)).reshape(n, -1).sum(dim=1).cpu().numpy()
    return total


def _over(a: Array, b: Array) -> Array:
    """a/b, NaN where b is zero."""
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b != 0)


def _batch_norm_trains(graph: Graph) -> bool:
    return any(
        "BatchNorm" in name and bool(getattr(node, "_saved_training", True))
        for node, name in zip(graph.nodes, graph.operations, strict=True)
    )
