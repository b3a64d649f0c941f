"""Tangents without forward-mode differentiation, from the graph of a loss that is there.

F_l = J_l g is pushed forward from node to node (`pushforward`). z = Σ_l J_lᵀ B_l, one backward pass that starts at all
branches, is the check on it: ⟨z, g⟩ = Σ_l ⟨B_l, F_l⟩, sample by sample where samples do not mix. Where g cannot be
pushed, z is differentiated: the backward pass is linear in what enters it, so that F_l = ∂⟨z(u), g⟩/∂u_l.

Whether samples mix is told by the same pass: each sample enters it at a scale of its own, at the branches and at the
top of the network, and must leave it at that scale, ⟨z, g⟩ + ⟨g, g⟩ for each.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

from skipglass.graph.engine import FAINT, call
from skipglass.graph.read import Edge, Graph
from skipglass.graph.samples import HALF, Start, at_own_scale, layouts, scales
from skipglass.graph.shares import norms, per_sample
from skipglass.graph.verify import bound, finite, require_finite, size, wide
from skipglass.paths.pushforward import push

__all__ = ["Branch", "Products", "at_once", "gradients", "one_by_one", "pushed", "within_range"]

Array = NDArray[np.float64]
Branch = tuple[int, Edge]
"""A sum, and the live edge from it into the branch."""


@dataclass(frozen=True, eq=False)
class Products:
    """⟨B_l, F_l⟩ for each block; for each sample of it, if known; their sum over blocks by another way; the error.

    Apart: whether samples were seen not to mix; it was not looked for otherwise.
    """

    blocks: Array
    rows: Array | None
    depth_rows: Array
    error: float
    apart: bool = False


def gradients(
    graph: Graph, loss: Tensor, targets: tuple[Tensor, ...], branches: list[Branch]
) -> tuple[list[Tensor], list[Tensor]]:
    """Return g, and B_l for each branch, in one backward pass.

    Where the branch's output has other uses as well, its sum is called by hand: their gradients do not count.
    """
    require_finite(loss)
    uses = Counter([(to, output) for edges in graph.edges for _, to, output in edges])
    places = [(e.to, e.output) if uses[e.to, e.output] == 1 else (node, 0) for node, e in branches]
    edges = {place: GradientEdge(graph.nodes[place[0]], place[1]) for place in places}
    found = torch.autograd.grad(
        loss, [*map(get_gradient_edge, targets), *edges.values()], torch.ones_like(loss), retain_graph=True
    )
    g, arriving = finite(list(found[: len(targets)])), dict(zip(edges, found[len(targets) :], strict=True))
    with torch.no_grad():
        B = [
            arriving[place] if place != (node, 0) else _leaving(graph, node, e, arriving[place])
            for place, (node, e) in zip(places, branches, strict=True)
        ]
    return g, B


def within_range(g: list[Tensor], B: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Scale both where their products would vanish or overflow; no share depends on the scale."""
    peak = max((float(part.abs().max()) for part in g if part.numel()), default=0.0)
    if peak == 0 or FAINT <= peak <= 1 / FAINT:
        return g, B
    most = math.frexp(torch.finfo(g[0].dtype).max)[1] - 8
    scale = 2.0 ** max(-most, min(-math.frexp(peak)[1], most))
    return [part * scale for part in g], [part * scale for part in B]


def _leaving(graph: Graph, node: int, edge: Edge, entering: Tensor) -> Tensor:
    """The gradient on one edge out of a node, as the engine would pass it on, hooks of the node's output included."""
    place = GradientEdge(graph.nodes[node], 0)
    (entering,) = torch.autograd.grad(place, place, entering, retain_graph=True)
    return call(graph, node, {0: {0: entering}})[graph.edges[node].index(edge)][0]


def pushed(
    graph: Graph,
    targets: tuple[Tensor, ...],
    branches: list[Branch],
    g: list[Tensor],
    B: list[Tensor],
    tops: Sequence[Start] = (),
) -> Products | None:
    """All tangents by pushing g forward; None where that fails the check.

    Given the top of the network, see `samples.uppermost`, the check also tells whether samples are apart.
    """
    if any(kind.is_complex for kind in graph.dtypes):
        return None
    ends = [(edge.to, edge.output) for _, edge in branches]
    try:
        F = push(graph, ends, g)
        if F is None:
            return None
        tangents = _without_gaps(F, B)
        if tops and (found := _lifted(graph, targets, branches, g, B, tangents, tops)) is not None:
            return found
        z = _down(graph, targets, branches, B, g)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        return None
    with torch.no_grad():
        found = _multiplied(graph, B, tangents, per_sample(z, g), g)
    return found if found.error <= bound(graph) else None


def _lifted(
    graph: Graph,
    targets: tuple[Tensor, ...],
    branches: list[Branch],
    g: list[Tensor],
    B: list[Tensor],
    F: list[Tensor],
    tops: Sequence[Start],
) -> Products | None:
    """The products where each sample leaves the backward pass at the scale at which it has entered, None elsewhere."""
    n = len(g[0])
    entering = [*((GradientEdge(graph.nodes[e.to], e.output), b) for (_, e), b in zip(branches, B, strict=True)), *tops]
    if not all(layouts(v.shape, n) for _, v in entering):
        return None
    values = [at_own_scale(v, n, layouts(v.shape, n)[0]) for _, v in entering]
    z = torch.autograd.grad([place for place, _ in entering], targets, values, retain_graph=True, allow_unused=True)
    with torch.no_grad():
        own = per_sample(g, g)
        depth = per_sample(_without_gaps(z, g), g) / scales(n).numpy() - own
        found = _multiplied(graph, B, F, depth, g, own)
    return found if found.apart and found.error <= bound(graph) else None


def at_once(
    graph: Graph, targets: tuple[Tensor, ...], branches: list[Branch], g: list[Tensor], B: list[Tensor]
) -> Products | None:
    """All tangents by differentiating the backward pass; None where an operation does not allow it."""
    starts = [GradientEdge(graph.nodes[edge.to], edge.output) for _, edge in branches]
    u = [b.detach().requires_grad_() for b in B]
    try:
        z = torch.autograd.grad(starts, targets, u, create_graph=True, allow_unused=True) if u else g[:0]
        reached = [(part, v) for part, v in zip(z, g, strict=False) if part is not None and part.requires_grad]
        ends, values = [part for part, _ in reached], [v for _, v in reached]
        F = torch.autograd.grad(ends, u, values, allow_unused=True) if u else ()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        return None
    with torch.no_grad():
        whole = _without_gaps(z or [None] * len(g), g)
        found = _multiplied(graph, B, _without_gaps(F, B), per_sample(whole, g), g)
    # NaN: such as the standard deviation of a constant, 0·∞ in its second derivative;
    # large: a custom function whose backward pass is not recorded
    return found if found.error <= bound(graph) else None


def one_by_one(
    graph: Graph, targets: tuple[Tensor, ...], branches: list[Branch], g: list[Tensor], B: list[Tensor]
) -> Products:
    """The same from J_lᵀ B_l, one backward pass a block."""
    parts = [_down(graph, targets, [branch], [b], g) for branch, b in zip(branches, B, strict=True)]
    depth = per_sample(_down(graph, targets, branches, B, g), g)
    rows = np.stack([per_sample(part, g) for part in parts])
    whole = size(*g)
    scale = sum(size(*part) * whole for part in parts)
    gap = abs(float(rows.sum() - depth.sum()))
    error = gap / scale if scale else (math.inf if gap else 0.0)
    return Products(rows.sum(axis=1), rows, depth, error)


def _without_gaps(found: Sequence[Tensor | None], like: list[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(v) if part is None else part for part, v in zip(found, like, strict=True)]


def _down(
    graph: Graph, targets: tuple[Tensor, ...], starts: list[Branch], values: list[Tensor], like: list[Tensor]
) -> list[Tensor]:
    """Σ J_lᵀ u_l at each of the targets."""
    edges = [GradientEdge(graph.nodes[edge.to], edge.output) for _, edge in starts]
    if not edges:
        return [torch.zeros_like(v) for v in like]
    return _without_gaps(torch.autograd.grad(edges, targets, values, retain_graph=True, allow_unused=True), like)


def _multiplied(
    graph: Graph, B: list[Tensor], F: list[Tensor], depth: Array, g: list[Tensor], own: Array | None = None
) -> Products:
    """⟨B_l, F_l⟩, and for each sample where their sums over blocks, ``depth``, say that samples do not mix.

    With ‖g‖² of each sample, ``own``, the sums are held to what rounding allows.
    """
    n = len(depth)
    shapes = [_layout(b, n) for b in B]
    faint = any(0 < norm < FAINT for norm in norms(g))  # squares of single precision would vanish
    inner, left, right = [], [], []
    for b, f, layout in zip(B, F, shapes, strict=True):
        b, f = (_rows(wide(t) if faint else t, layout, n) for t in (b, f))
        inner.append(torch.linalg.vecdot(b, f).real)
        left.append(torch.linalg.vector_norm(b, dim=1))
        right.append(torch.linalg.vector_norm(f, dim=1))
    products, lengths, others = _table([*inner, *left, *right], n).reshape(3, len(B), n)
    sizes = lengths * others
    scale = float(sizes.sum())
    gap = abs(float(products.sum() - depth.sum()))
    error = gap / scale if scale else (math.inf if gap else 0.0)
    gaps, whole = np.abs(products.sum(axis=0) - depth), sizes.sum(axis=0)
    known = None not in shapes and bool((gaps <= math.sqrt(bound(graph)) * whole).all())
    apart = False
    if own is not None:
        whole = whole + own
        apart = known and bool((gaps <= min(bound(graph), HALF) * (whole + whole.max())).all())
    return Products(products.sum(axis=1), products if known else None, depth, error, apart)


def _table(rows: Sequence[Tensor], n: int) -> Array:
    """Rows of n values or of one, on whatever device, one below the other."""
    if not rows:
        return np.zeros((0, n))
    padded = [row if len(row) == n else torch.nn.functional.pad(row, (0, n - len(row))) for row in rows]
    return torch.stack([row.to(rows[0].device) for row in padded]).cpu().double().numpy()


def _rows(t: Tensor, layout: tuple[int, ...] | None, n: int) -> Tensor:
    """One row for each sample; a single row where nothing counts them."""
    t = _at_least_single(t)
    if layout is None or layout[0] == n:
        return t.reshape(n if layout else 1, -1)
    return t.reshape(layout).movedim(layout.index(n), 0).flatten(1)


def _at_least_single(t: Tensor) -> Tensor:
    return t.float() if t.dtype in {torch.float16, torch.bfloat16} else t


def _layout(b: Tensor, n: int) -> tuple[int, ...] | None:
    """The shape in which one dimension counts the n samples; they may be folded into the first (windows, tokens)."""
    if n in b.shape:
        return (*b.shape, 1)
    return (n, -1) if b.ndim and b.shape[0] % n == 0 else None
