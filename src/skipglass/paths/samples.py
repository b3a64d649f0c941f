"""Whether samples stay apart: one more backward pass, in which each sample's gradient has a scale of its own.

It starts at the uppermost weights and blocks: what mixes above is the loss's own (a contrastive one), and each sample's
paths are its own all the same. Where samples do not mix, the gradient of each arrives at x at its own scale, whatever
the shapes in between.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from skipglass.paths.graph import Graph
from skipglass.paths.outline import PathGraph
from skipglass.paths.shares import batch_norm_trains, norms
from skipglass.paths.verify import bound

__all__ = ["apart"]

Place = tuple[int, int]
GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples, modulo 1, are all different and neighbours far apart
OCTAVES = 6.0  # our choice: scales from 1/8 to 8, far above rounding and within half precision


def apart(loss: Tensor, found: PathGraph, g: list[Tensor], hooked: set[Place]) -> bool:
    """Tell whether no sample's gradient passes through another sample in the network, to within rounding.

    Parameters
    ----------
    loss, found
        Whose gradient it is.
    g
        For each tensor of x, its gradient; the first dimension counts samples.
    hooked
        Where hooks would fire a second time.

    Returns
    -------
    bool
        True also where the batch shows nowhere between the loss and x.
    """
    graph = found.graph
    if batch_norm_trains(graph):
        return False
    sizes = {part.shape[0] if part.ndim else 1 for part in g}
    n = sizes.pop()
    if sizes or n < 2:
        return True
    places = [GradientEdge(graph.nodes[v], output) for v, output in _where_samples_show(found, n, hooked)]
    arriving = torch.autograd.grad(loss, places, torch.ones_like(loss), retain_graph=True, allow_unused=True)
    starts = [(place, v) for place, v in zip(places, arriving, strict=True) if v is not None]
    scales = 2.0 ** (OCTAVES * (GOLDEN * torch.arange(n, dtype=torch.float64) % 1) - OCTAVES / 2)
    whole = g if len(starts) == 1 else _down(graph, starts, g)
    expected = [_scaled(part, n, scales) for part in whole]
    size, tolerance = norms(expected), bound(graph)

    def kept(choice: int) -> bool:
        scaled = _down(graph, [(place, _scaled(v, n, scales, choice)) for place, v in starts], g)
        gap = norms([a - b for a, b in zip(scaled, expected, strict=True)])
        return bool((gap <= math.sqrt(tolerance) * size + tolerance * size.max()).all())

    # shapes such as (frequencies, samples, units) leave a choice; where samples mix, none keeps the scales
    return any(kept(choice) for choice in range(max((len(_axes(v.shape, n)) for _, v in starts), default=0)))


def _where_samples_show(found: PathGraph, n: int, hooked: set[Place]) -> list[Place]:
    """The uppermost places of the network whose shape counts n samples."""
    graph = found.graph
    network = {b.merge.node for b in found.blocks}
    network |= {i for i, role in enumerate(graph.roles) if role in {"weight", "opaque", "custom"}}
    places: dict[Place, None] = {}
    ends, seen, stack = set(graph.targets), set(), [(0, 0 in network)]
    while stack:
        v, above = stack.pop()
        for e in graph.edges[v]:
            inside = above or e.to in network
            shape = graph.nodes[e.to]._input_metadata[e.output].shape
            if (inside and _axes(shape, n) and (e.to, e.output) not in hooked) or (e.to, e.output) in ends:
                places[e.to, e.output] = None
            elif (e.to, inside) not in seen:
                seen.add((e.to, inside))
                stack.append((e.to, inside))
    return list(places) or list(ends)


def _axes(shape: Sequence[int], n: int) -> list[int]:
    """The dimensions that may count n samples; several rows in turn may belong to one."""
    first = [0] if shape and shape[0] % n == 0 else []
    return first + [k for k, length in enumerate(shape) if k and length == n]


def _scaled(v: Tensor, n: int, scales: Tensor, choice: int = 0) -> Tensor:
    """Rows times their sample's scale."""
    axes = _axes(v.shape, n)
    if not axes:
        return v
    axis = axes[min(choice, len(axes) - 1)]
    factor = scales.repeat_interleave(v.shape[axis] // n).to(v.device, v.real.dtype)
    return v * factor.view(-1, *[1] * (v.ndim - axis - 1))


def _down(graph: Graph, starts: list[tuple[GradientEdge, Tensor]], like: list[Tensor]) -> list[Tensor]:
    ends = [GradientEdge(graph.nodes[v], output) for v, output in graph.targets]
    found = torch.autograd.grad(
        [place for place, _ in starts], ends, [v for _, v in starts], retain_graph=True, allow_unused=True
    )
    return [torch.zeros_like(v) if part is None else part for part, v in zip(found, like, strict=True)]
