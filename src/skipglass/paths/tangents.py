"""The products ⟨B_l, F_l⟩ of each block, without forward-mode differentiation, from the graph of a loss that is there.

B_l is the gradient on the edge from the sum of block l into its branch, F_l = J_l g the tangent at the branch's output
when x moves along g. There are three ways to them, tried in this order:

- *pushed*: g is pushed forward from node to node (`pushforward`);
- *differentiated*: z(u) = Σ_l J_lᵀ u_l, a backward pass that starts at all branches, is linear in u, so that
  F_l = ∂⟨z(u), g⟩/∂u_l by a second differentiation;
- *one by one*: ⟨J_lᵀ B_l, g⟩, one backward pass for each block.

Each is checked by z = Σ_l J_lᵀ B_l: ⟨z, g⟩ = Σ_l ⟨B_l, F_l⟩, sample by sample where samples are independent. The same
pass can tell whether they are: each sample enters it multiplied by a scale of its own, at the branches and at the top
of the network, and ⟨z, g⟩ + ⟨g, g⟩ of each must leave it at that scale.
"""

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

from skipglass.graph import Edge, Graph, Trace, as_targets
from skipglass.graph.engine import FAINT, call
from skipglass.graph.samples import HALF, Start, at_own_scale, layouts, scales
from skipglass.graph.shares import norms, per_sample
from skipglass.graph.verify import bound, finite, relative, require_finite, size, wide
from skipglass.paths.cost import announce
from skipglass.paths.pushforward import push

__all__ = ["Backward", "Products", "backward", "products"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Backward:
    """What one backward pass gives: g at x, B_l on the live edge into the branch of each block, and its time."""

    graph: Graph
    targets: tuple[Tensor, ...]
    edges: list[Edge]
    g: list[Tensor]
    B: list[Tensor]
    seconds: float

    @property
    def ends(self) -> list[GradientEdge]:
        """The output of each branch, where B_l enters it."""
        return [GradientEdge(self.graph.nodes[edge.to], edge.output) for edge in self.edges]

    def at_x(self, starts: Sequence[GradientEdge], values: Sequence[Tensor]) -> list[Tensor]:
        """Return what reaches x of values that enter the backward pass at these places."""
        if not starts:
            return [torch.zeros_like(v) for v in self.g]
        z = torch.autograd.grad(starts, self.targets, values, retain_graph=True, allow_unused=True)
        return _filled(z, self.g)

    def within_range(self) -> "Backward":
        """Return g and B_l at a scale at which their products neither vanish nor overflow: no share depends on it."""
        peak = max((float(part.abs().max()) for part in self.g if part.numel()), default=0.0)
        if peak == 0 or FAINT <= peak <= 1 / FAINT:
            return self
        most = math.frexp(torch.finfo(self.g[0].dtype).max)[1] - 8
        scale = 2.0 ** max(-most, min(-math.frexp(peak)[1], most))
        return replace(self, g=[part * scale for part in self.g], B=[part * scale for part in self.B])


@dataclass(frozen=True, eq=False)
class Products:
    """⟨B_l, F_l⟩ of each block.

    Attributes
    ----------
    blocks, rows
        For each block, (L,), and for each of its samples, (L, N), if known.
    depth_rows
        Their sum over blocks for each sample, (N,), by another way.
    error
        How far the sums by the two ways differ.
    way
        "pushed", "differentiated" or "one by one"; see the module.
    apart
        Whether the check has shown that samples are independent; False says nothing.
    """

    blocks: Array
    rows: Array | None
    depth_rows: Array
    error: float
    way: str
    apart: bool = False


def backward(trace: Trace) -> Backward:
    """Run the one backward pass from the loss that gives g, and B_l for each block."""
    require_finite(trace.loss)
    graph, targets = trace.graph, as_targets(trace.x)
    branches = [(m.node, m.branch) for b in trace.outline.blocks for m in b.merges if m.branch is not None]
    uses = Counter([e.place for edges in graph.edges for e in edges])
    # where the branch's output is used elsewhere too, the gradient is taken above the sum, which is then called by hand
    places = [e.place if uses[e.place] == 1 else (node, 0) for node, e in branches]
    edges = {place: GradientEdge(graph.nodes[place[0]], place[1]) for place in places}
    wanted = [*map(get_gradient_edge, targets), *edges.values()]
    begin = time.perf_counter()
    gradients = torch.autograd.grad(trace.loss, wanted, torch.ones_like(trace.loss), retain_graph=True)
    seconds = time.perf_counter() - begin
    g, arriving = finite(list(gradients[: len(targets)])), dict(zip(edges, gradients[len(targets) :], strict=True))
    with torch.no_grad():
        B = [
            arriving[place] if place != (node, 0) else _leaving(graph, node, e, arriving[place])
            for place, (node, e) in zip(places, branches, strict=True)
        ]
    return Backward(graph, targets, [e for _, e in branches], g, B, seconds)


def _leaving(graph: Graph, node: int, edge: Edge, entering: Tensor) -> Tensor:
    """The gradient on one edge out of a node, as the engine would pass it on, hooks of the node's output included."""
    place = GradientEdge(graph.nodes[node], 0)
    (entering,) = torch.autograd.grad(place, place, entering, retain_graph=True)
    return call(graph, node, {0: {0: entering}})[graph.edges[node].index(edge)][0]


def products(passed: Backward, *, hooked: bool, tops: Sequence[Start] = ()) -> Products:
    """Return the products in the fastest of the three ways that passes the check.

    Parameters
    ----------
    passed
        g and B_l.
    hooked
        Whether hooks change gradients: they are not seen where g is pushed.
    tops
        The top of the network (`skipglass.graph.samples.uppermost`), for the check to tell whether samples are
        independent.
    """
    ways = [lambda: _pushed(passed, tops), lambda: _differentiated(passed)]
    for way in ways[1:] if hooked and passed.B else ways:
        try:
            found = way()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # an operation on the way cannot be differentiated (twice)
            continue
        # also missed where a second derivative is NaN (the standard deviation of a constant, 0·∞), or wrong (a custom
        # function whose backward pass is not recorded)
        if found is not None and found.error <= bound(passed.graph):
            return found
    announce("participation", len(passed.B) + 1, passed.seconds)
    return _one_by_one(passed)


def _pushed(passed: Backward, tops: Sequence[Start]) -> Products | None:
    """All tangents by pushing g forward; None where that cannot be done."""
    graph, g, B = passed.graph, passed.g, passed.B
    if B and any(kind.is_complex for kind in graph.dtypes):
        return None
    tangents = push(graph, [e.place for e in passed.edges], g)
    if tangents is None:
        return None
    F = _filled(tangents, B)  # zero where x does not reach a branch
    if tops and (found := _at_own_scales(passed, F, tops)) is not None:
        return found
    return _multiplied(passed, F, per_sample(passed.at_x(passed.ends, B), g), "pushed")


def _at_own_scales(passed: Backward, F: list[Tensor], tops: Sequence[Start]) -> Products | None:
    """The products where each sample leaves the backward pass at the scale at which it has entered, None elsewhere."""
    g = passed.g
    n = len(g[0])
    entering = [*zip(passed.ends, passed.B, strict=True), *tops]
    if not all(layouts(v.shape, n) for _, v in entering):
        return None
    z = passed.at_x([e for e, _ in entering], [at_own_scale(v, n, layouts(v.shape, n)[0]) for _, v in entering])
    # z = scale·(Σ_l J_lᵀ B_l + g) for each sample, as what enters at the top is g's own backward pass
    squares = per_sample(g, g)
    found = _multiplied(passed, F, per_sample(z, g) / scales(n).numpy() - squares, "pushed", squares)
    return found if found.apart and found.error <= bound(passed.graph) else None


def _differentiated(passed: Backward) -> Products:
    """All tangents by differentiating the backward pass."""
    # z(u) = Σ_l J_lᵀ u_l at u = B, which is z; then F_l = ∂⟨z(u), g⟩/∂u_l
    u = [b.detach().requires_grad_() for b in passed.B]
    z = torch.autograd.grad(passed.ends, passed.targets, u, create_graph=True, allow_unused=True)
    reached = [(part, v) for part, v in zip(z, passed.g, strict=True) if part is not None and part.requires_grad]
    F = torch.autograd.grad([part for part, _ in reached], u, [v for _, v in reached], allow_unused=True)
    with torch.no_grad():
        depth = per_sample(_filled(z, passed.g), passed.g)
    return _multiplied(passed, _filled(F, passed.B), depth, "differentiated")


def _one_by_one(passed: Backward) -> Products:
    """The products from J_lᵀ B_l, one backward pass for each block."""
    # the share of block l is that of what its own branch passes down to x
    parts = [passed.at_x([end], [b]) for end, b in zip(passed.ends, passed.B, strict=True)]
    depth = per_sample(passed.at_x(passed.ends, passed.B), passed.g)
    rows = np.stack([per_sample(part, passed.g) for part in parts])
    scale = sum(size(*part) for part in parts) * size(*passed.g)
    error = relative(abs(float(rows.sum() - depth.sum())), scale)
    return Products(rows.sum(axis=1), rows, depth, error, "one by one")


def _filled(found: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor]:
    """Tensors, with zeros where there is none."""
    return [torch.zeros_like(v) if part is None else part for part, v in zip(found, like, strict=True)]


@torch.no_grad()
def _multiplied(passed: Backward, F: list[Tensor], depth: Array, way: str, squares: Array | None = None) -> Products:
    """⟨B_l, F_l⟩, of each sample too where their sums over blocks agree with ``depth``, those by way of z.

    With ‖g‖² of each sample, ``squares``, the sums are held to what rounding allows.
    """
    n = len(depth)
    shapes = [_layout(b, n) for b in passed.B]
    faint = any(0 < norm < FAINT for norm in norms(passed.g))  # squares of single precision would vanish
    # all blocks' ⟨B, F⟩, ‖B‖ and ‖F‖ go to the CPU together: one transfer, however deep the network
    inner, left, right = [], [], []
    for b, f, shape in zip(passed.B, F, shapes, strict=True):
        b, f = (_rows(wide(t) if faint else t, shape, n) for t in (b, f))
        inner.append(torch.linalg.vecdot(b, f).real)
        left.append(torch.linalg.vector_norm(b, dim=1))
        right.append(torch.linalg.vector_norm(f, dim=1))
    rows, lengths, others = _table([*inner, *left, *right], n).reshape(3, len(shapes), n)
    # Σ_l ‖B_l‖‖F_l‖ says how large a gap between the two sums rounding may leave
    sizes = lengths * others
    error = relative(abs(float(rows.sum() - depth.sum())), float(sizes.sum()))
    gaps, scale = np.abs(rows.sum(axis=0) - depth), sizes.sum(axis=0)
    # where a row of the two sums differs, its shape does not count the samples, or they are not independent
    known = None not in shapes and bool((gaps <= math.sqrt(bound(passed.graph)) * scale).all())
    apart = False
    if squares is not None:
        scale = scale + squares
        apart = known and bool((gaps <= min(bound(passed.graph), HALF) * (scale + scale.max())).all())
    return Products(rows.sum(axis=1), rows if known else None, depth, error, way, apart)


def _table(rows: Sequence[Tensor], n: int) -> Array:
    """Rows of n values or of one, on whatever device, one below the other."""
    if not rows:
        return np.zeros((0, n))
    padded = [row if len(row) == n else torch.nn.functional.pad(row, (0, n - len(row))) for row in rows]
    return torch.stack([row.to(rows[0].device) for row in padded]).cpu().double().numpy()


def _rows(t: Tensor, shape: tuple[int, ...] | None, n: int) -> Tensor:
    """One row for each sample, in single precision at least; a single row where nothing counts them."""
    t = t.float() if t.dtype in {torch.float16, torch.bfloat16} else t
    if shape is None or shape[0] == n:
        return t.reshape(n if shape else 1, -1)
    return t.reshape(shape).movedim(shape.index(n), 0).flatten(1)


def _layout(b: Tensor, n: int) -> tuple[int, ...] | None:
    """The shape in which one dimension counts the n samples; they may be folded into the first (windows, tokens)."""
    if n in b.shape:
        return (*b.shape, 1)
    return (n, -1) if b.ndim and b.shape[0] % n == 0 else None
