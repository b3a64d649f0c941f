"""Whether the samples of a batch stay apart: one more backward pass, in which each has a scale of its own.

It starts at the uppermost weights and blocks: what couples samples above is the loss's own (a contrastive one), and
each sample's paths are its own all the same. Where nothing couples the samples, the gradient of each arrives at x at
its own scale, whatever the shapes in between; and what leaves a weight whose shape counts no samples reaches one
sample alone.

A *start* is a place and the gradient that arrives there. A *layout* says where a shape counts the samples.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from skipglass.graph.nodes import Graph, Place
from skipglass.graph.outline import PathGraph
from skipglass.graph.shares import batch_norm_trains, norms
from skipglass.graph.verify import bound

__all__ = ["HALF", "Start", "apart", "at_own_scale", "layouts", "scales", "told_at_once", "uppermost"]

Start = tuple[GradientEdge, Tensor]
Layout = tuple[int, bool]
"""The dimension that counts samples, and where each has several rows there, whether they are in turn or together."""
GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples, modulo 1, are all different and neighbours far apart
OCTAVES = 6  # our choice: scales from 1/8 to 8, within half precision; powers of two, which no rounding sees
HALF = 2e-3  # our choice, for half precision: a quarter of bfloat16's eps


def apart(loss: Tensor, outline: PathGraph, g: list[Tensor], hooked: set[Place]) -> bool:
    """Tell whether no sample's gradient passes through another sample in the network, to within rounding.

    Parameters
    ----------
    loss, outline
        Whose gradient it is.
    g
        For each tensor of x, its gradient; the first dimension counts samples.
    hooked
        Where hooks would fire a second time.

    Returns
    -------
    bool
        False where the tensors of x do not share their first dimension, so that nothing counts samples.
    """
    if (told := told_at_once(outline, g)) is not None:
        return told
    graph, n = outline.graph, len(g[0])
    starts = uppermost(loss, outline, n, hooked)
    shown = [start for start in starts if layouts(start[1].shape, n)]
    hidden = [start for start in starts if not layouts(start[1].shape, n)]
    # all places whose shape counts the samples in one pass; if that fails, place by place in every layout
    if shown and not _arrive_scaled(graph, shown, g, None if hidden else g):
        hidden = uppermost(loss, outline, n, hooked)
    return all(_keeps_apart(graph, start, g) for start in hidden)


def told_at_once(outline: PathGraph, g: list[Tensor]) -> bool | None:
    """The answer of `apart` where it takes no backward pass; None elsewhere."""
    sizes = {part.shape[0] if part.ndim else 1 for part in g}
    if len(sizes) > 1 or batch_norm_trains(outline.graph):
        return False
    return True if sizes.pop() < 2 else None


def uppermost(loss: Tensor, outline: PathGraph, n: int, hooked: set[Place]) -> list[Start]:
    """The uppermost places of the network, and the gradient that arrives at each."""
    places = [GradientEdge(outline.graph.nodes[v], output) for v, output in _uppermost(outline, n, hooked)]
    arriving = torch.autograd.grad(loss, places, torch.ones_like(loss), retain_graph=True, allow_unused=True)
    return [(place, v) for place, v in zip(places, arriving, strict=True) if v is not None]


def _uppermost(outline: PathGraph, n: int, hooked: set[Place]) -> list[Place]:
    """The uppermost places of the network whose shape counts n samples, and weights and blocks above any such."""
    graph = outline.graph
    weights = {m.node for b in outline.blocks for m in b.merges} | {
        i for i, role in enumerate(graph.roles) if role == "weight"
    }
    network = weights | {i for i, role in enumerate(graph.roles) if role in {"constant", "opaque", "custom"}}
    top = 0, graph.loss.output_nr
    if 0 in weights and top not in hooked:
        return [top]
    # go down from the loss, and remember of each way whether it has entered the network
    places: dict[Place, None] = {}
    ends, seen, stack = set(graph.targets), set(), [(0, 0 in network)]
    while stack:
        v, above = stack.pop()
        for e in graph.edges[v]:
            inside = above or e.to in network
            shown = e.to in weights or (inside and layouts(graph.metas[e.to][e.output].shape, n))
            if (shown and e.place not in hooked) or e.place in ends:
                places[e.place] = None
            elif (e.to, inside) not in seen:
                seen.add((e.to, inside))
                stack.append((e.to, inside))
    return list(places) or list(ends)


def layouts(shape: Sequence[int], n: int) -> list[Layout]:
    """The ways in which a shape may count n samples."""
    exact = [(k, False) for k, length in enumerate(shape) if length == n]
    folded = [(k, turns) for turns in (False, True) for k, length in enumerate(shape) if length > n and not length % n]
    return exact + folded


def scales(n: int) -> Tensor:
    """A scale for each sample."""
    return 2.0 ** (torch.round(OCTAVES * (GOLDEN * torch.arange(n, dtype=torch.float64) % 1)) - OCTAVES // 2)


def at_own_scale(v: Tensor, n: int, layout: Layout) -> Tensor:
    """Rows times their sample's scale."""
    axis, turns = layout
    rows = v.shape[axis] // n
    factor = scales(n).repeat(rows) if turns else scales(n).repeat_interleave(rows)
    return v * factor.to(v.device, v.real.dtype).view(-1, *[1] * (v.ndim - axis - 1))


def _arrive_scaled(
    graph: Graph, starts: list[Start], like: list[Tensor], whole: list[Tensor] | None = None, choice: int = 0
) -> bool:
    """Whether gradients that start with a scale for each sample arrive at x at that scale; the starts are used up.

    Those of a large vocabulary are the largest tensors of a pass: no more than one lives twice.
    """
    n = len(like[0])
    whole = _arriving(graph, starts, like) if whole is None else whole
    scaled = []
    while starts:
        place, v = starts.pop(0)
        scaled.append((place, at_own_scale(v, n, layouts(v.shape, n)[choice])))
        del v
    expected = [at_own_scale(part, n, (0, False)) for part in whole]
    gap = norms([a - b for a, b in zip(_arriving(graph, scaled, like), expected, strict=True)])
    size, tolerance = norms(expected), min(bound(graph), HALF)
    return bool((gap <= tolerance * (size + size.max())).all())


def _keeps_apart(graph: Graph, start: Start, like: list[Tensor]) -> bool:
    """The same for one place, in any layout; what leaves it may also reach one sample alone."""
    whole = _arriving(graph, [start], like)
    if np.count_nonzero(norms(whole)) < 2:
        return True
    ways = range(len(layouts(start[1].shape, len(like[0]))))
    return any(_arrive_scaled(graph, [start], like, whole, choice) for choice in ways)


def _arriving(graph: Graph, starts: list[Start], like: list[Tensor]) -> list[Tensor]:
    """What arrives at each tensor of x from some starts."""
    ends = [GradientEdge(graph.nodes[v], output) for v, output in graph.targets]
    places, values = zip(*starts, strict=True)
    parts = torch.autograd.grad(places, ends, values, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(v) if part is None else part for part, v in zip(parts, like, strict=True)]
