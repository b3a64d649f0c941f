"""The products ⟨B_l, F_l⟩ of each branch, without forward-mode differentiation, from the graph of a loss that is there.

B_l is the gradient on the edge from the sum of block l into its branch, F_l = J_l g the tangent at the branch's output
when x moves along g. There are three ways to them, tried in this order:

- *pushed*: g is pushed forward from node to node (`pushforward`);
- *differentiated*: z(u) = Σ_l J_lᵀ u_l, a backward pass that starts at all branches, is linear in u, so that
  F_l = ∂⟨z(u), g⟩/∂u_l by a second differentiation (where nodes cannot be called by hand: hooks, checkpoints);
- *one by one*: ⟨J_lᵀ B_l, g⟩, one backward pass for each branch (where a node cannot be differentiated, as fused
  attention).

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

from skipglass.errors import UserError
from skipglass.graph import Edge, Graph, Trace, as_targets
from skipglass.graph.engine import FAINT, call
from skipglass.graph.samples import HALF, Start, at_own_scale, layouts, scales
from skipglass.graph.saved import axis, saved_tensor
from skipglass.graph.shares import norms, per_sample
from skipglass.graph.verify import bound, finite, relative, require_finite, wide
from skipglass.paths.cost import announce
from skipglass.paths.outline import branches
from skipglass.paths.pushforward import push

__all__ = ["Backward", "Products", "backward", "products"]

Array = NDArray[np.float64]
Pairs = tuple[list[Tensor], list[Tensor]]
"""For each branch two tensors whose inner product is ⟨B_l, F_l⟩: B_l and F_l, or J_lᵀ B_l and g."""


@dataclass(frozen=True, eq=False)
class Backward:
    """What one backward pass gives: g at x, B_l on the live edge into each branch, and its time.

    ``samples`` says of a branch that is added to some samples alone which they are, and is None for the others.
    """

    graph: Graph
    targets: tuple[Tensor, ...]
    edges: list[Edge]
    g: list[Tensor]
    B: list[Tensor]
    samples: list[Tensor | None]
    seconds: float

    @property
    def starts(self) -> list[Start]:
        """The output of each branch, and B_l that enters it."""
        return [(GradientEdge(self.graph.nodes[e.to], e.output), b) for e, b in zip(self.edges, self.B, strict=True)]

    def at_x(self, starts: Sequence[Start], **options: bool) -> list[Tensor]:
        """Return what reaches x of values that enter the backward pass at some places."""
        z: Sequence[Tensor | None] = [None] * len(self.g)
        if starts:
            places, values = zip(*starts, strict=True)
            z = torch.autograd.grad(places, self.targets, values, retain_graph=True, allow_unused=True, **options)
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
    """⟨B_l, F_l⟩ of each branch.

    Attributes
    ----------
    branches, rows
        For each branch, (L,), and for each of its samples, (L, N), if known.
    depth_rows
        Their sum over branches for each sample, (N,), by another way.
    error
        How far the sums by the two ways differ.
    way
        "pushed", "differentiated" or "one by one"; see the module.
    apart
        Whether the check has shown that samples are independent; False says nothing.
    """

    branches: Array
    rows: Array | None
    depth_rows: Array
    error: float
    way: str
    apart: bool = False


def backward(trace: Trace) -> Backward:
    """Run the one backward pass from the loss that gives g, and B_l for each branch."""
    require_finite(trace.loss)
    graph, targets = trace.graph, as_targets(trace.x)
    edges = [branch for block in trace.outline.blocks for branch in branches(block)]
    uses = Counter([e.place for leaving in graph.edges for e in leaving])
    # where the branch's output is used elsewhere too, the gradient is taken above the sum, which is then called by hand
    above = [e.place if uses[e.place] == 1 else (node, 0) for node, e in edges]
    places = list(dict.fromkeys(above))
    wanted = [*map(get_gradient_edge, targets), *(GradientEdge(graph.nodes[node], k) for node, k in places)]
    begin = time.perf_counter()
    gradients = torch.autograd.grad(trace.loss, wanted, torch.ones_like(trace.loss), retain_graph=True)
    seconds = time.perf_counter() - begin
    g, arriving = finite(list(gradients[: len(targets)])), dict(zip(places, gradients[len(targets) :], strict=True))
    with torch.no_grad():
        B = [
            arriving[place] if place == e.place else _leaving(graph, node, e, arriving[place])
            for place, (node, e) in zip(above, edges, strict=True)
        ]
    samples = [_samples_of(graph, node, e, len(g[0]) if g[0].ndim else 1) for node, e in edges]
    return Backward(graph, targets, [e for _, e in edges], g, B, samples, seconds)


def _samples_of(graph: Graph, node: int, edge: Edge, n: int) -> Tensor | None:
    """The samples that a branch is added to, where it is added by their numbers (index_add) and not to all in turn."""
    if graph.operations[node] != "IndexAdd" or edge.slot != 1 or graph.shape(node)[:1] != (n,):
        return None
    along = axis(graph.nodes[node]._saved_dim, len(graph.shape(node)))  # type: ignore[attr-defined]
    return saved_tensor(graph.nodes[node], "index") if along == 0 else None


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
    ways = {"pushed": _pushed, "differentiated": _differentiated}
    if hooked and passed.B:
        del ways["pushed"]
    for name, way in ways.items():
        try:
            found = _checked(passed, way(passed), name, tops)
        except (UserError, torch.OutOfMemoryError):
            raise
        except Exception:  # an operation on the way cannot be differentiated (twice); a custom one may raise anything
            continue
        # also missed where a second derivative is NaN (the standard deviation of a constant, 0·∞), or wrong (a custom
        # function whose backward pass is not recorded)
        if found.error <= bound(passed.graph):
            return found
    announce("participation", len(passed.B) + 1, passed.seconds)
    return _checked(passed, _one_by_one(passed), "one by one")


def _pushed(passed: Backward) -> Pairs:
    """All tangents by pushing g forward."""
    unfit = passed.B and any(kind.is_complex for kind in passed.graph.dtypes)
    tangents = None if unfit else push(passed.graph, [e.place for e in passed.edges], passed.g)
    if tangents is None:
        raise RuntimeError("g cannot be pushed along complex numbers, nor through checkpoints")
    return passed.B, _filled(tangents, passed.B)  # zero where x does not reach a branch


def _differentiated(passed: Backward) -> Pairs:
    """All tangents by differentiating the backward pass."""
    # z(u) = Σ_l J_lᵀ u_l is linear: wherever u is taken, F_l = ∂⟨z(u), g⟩/∂u_l
    u = [b.detach().requires_grad_() for b in passed.B]
    z = passed.at_x([(place, v) for (place, _), v in zip(passed.starts, u, strict=True)], create_graph=True)
    reached = [(part, v) for part, v in zip(z, passed.g, strict=True) if part.requires_grad]
    F = torch.autograd.grad([part for part, _ in reached], u, [v for _, v in reached], allow_unused=True)
    return passed.B, _filled(F, passed.B)


def _one_by_one(passed: Backward) -> Pairs:
    """The share of a branch as that of what it passes down to x alone."""
    n = len(per_sample(passed.g, passed.g))
    g, *parts = [
        torch.cat([wide(part).reshape(n, -1) for part in at_x], 1)
        for at_x in (passed.g, *(passed.at_x([start]) for start in passed.starts))
    ]
    return parts, [g] * len(parts)


def _filled(found: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor]:
    """Tensors, with zeros where there is none."""
    return [torch.zeros_like(v) if part is None else part for part, v in zip(found, like, strict=True)]


@torch.no_grad()
def _checked(passed: Backward, pairs: Pairs, way: str, tops: Sequence[Start] = ()) -> Products:
    """The products, of each sample too where their sums over branches agree with those by way of z."""
    g, tolerance = passed.g, bound(passed.graph)
    squares = per_sample(g, g)
    n = len(squares)
    faint = any(0 < norm < FAINT for norm in norms(g))  # squares of single precision would vanish
    samples = [None] * len(pairs[0]) if way == "one by one" else passed.samples

    def judged(depth: Array, *, scaled: bool, last: bool = False) -> Products:
        rows, left, right = _multiplied(pairs, samples, n, faint, last)
        # Σ_l ‖B_l‖‖F_l‖ says how large a gap between the two sums rounding may leave
        sizes = left * right
        error = relative(abs(float(rows.sum() - depth.sum())), float(sizes.sum()))
        gaps, scale = np.abs(rows.sum(axis=0) - depth), sizes.sum(axis=0)
        # where a row of the two sums differs, its shape does not count the samples, or they are not independent
        known = rows.shape[1] == n and bool((gaps <= math.sqrt(tolerance) * scale).all())
        scale = scale + squares
        apart = scaled and known and bool((gaps <= min(tolerance, HALF) * (scale + scale.max())).all())
        return Products(rows.sum(axis=1), rows if known else None, depth, error, way, apart)

    entering = [*passed.starts, *tops]
    if tops and all(layouts(v.shape, n) for _, v in entering):
        z = passed.at_x([(place, at_own_scale(v, n, layouts(v.shape, n)[0])) for place, v in entering])
        # z = scale·(Σ_l J_lᵀ B_l + g) for each sample, as what enters at the top is g's own backward pass
        found = judged(per_sample(z, g) / scales(n).numpy() - squares, scaled=True)
        if found.apart and found.error <= tolerance:
            return found
    depth = per_sample(passed.at_x(passed.starts), g)
    found = judged(depth, scaled=False)
    # as many samples as tokens or units: the other dimension of that length may be the one that counts them
    if found.rows is None and any(tuple(a.shape).count(n) > 1 for a in pairs[0]):
        return judged(depth, scaled=False, last=True)
    return found


def _multiplied(pairs: Pairs, samples: Sequence[Tensor | None], n: int, faint: bool, last: bool) -> Array:
    """⟨a, b⟩, ‖a‖ and ‖b‖ of each pair and sample, (3, L, N); where not all shapes count the samples, (3, L, 1).

    A dimension as long as there are samples counts them, the first or the ``last`` of several.
    """
    axes = [_axis_of_samples(a.shape, own, n, last) for a, own in zip(pairs[0], samples, strict=True)]
    columns = []
    for a, b, own, along in zip(*pairs, samples, axes, strict=True):
        number = n if own is None else len(own)
        rows = [_rows(wide(t) if faint else t, number, None if None in axes else along) for t in (a, b)]
        values = [torch.linalg.vecdot(*rows).real, *(torch.linalg.vector_norm(t, dim=1) for t in rows)]
        if own is not None and None not in axes:  # the samples that it is not added to have zero
            values = [value.new_zeros(n).index_add(0, own, value) for value in values]
        columns += values
    if not columns:
        return np.zeros((3, 0, n))
    # all go to the CPU together: one transfer, however deep the network
    table = torch.stack([column.to(columns[0].device) for column in columns]).cpu().double().numpy()
    return table.reshape(len(axes), 3, -1).swapaxes(0, 1)


def _axis_of_samples(shape: Sequence[int], own: Tensor | None, n: int, last: bool) -> int | None:
    """The dimension that counts samples; None where none does."""
    if own is not None:
        return 0
    exact = [k for k, length in enumerate(shape) if length == n]
    ways = exact or [k for k, _ in layouts(shape, n)]
    return (ways[-1] if last and exact else ways[0]) if ways else None


def _rows(t: Tensor, n: int, axis: int | None) -> Tensor:
    """One row for each of n samples, in single precision at least; a single row where nothing counts them."""
    t = t.float() if t.dtype in {torch.float16, torch.bfloat16} else t
    return t.reshape(1, -1) if axis is None else t.unflatten(axis, (n, -1)).movedim(axis, 0).flatten(1)
