"""Whether samples stay apart: one more backward pass, in which each sample's gradient has a scale of its own.

It starts where the batch first shows on the way down from the loss. Where samples do not mix, the gradient of each
arrives at x at its own scale, whatever operations the shapes go through.
"""

import math

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from skipglass.paths.graph import Graph
from skipglass.paths.shares import batch_norm_trains, norms
from skipglass.paths.verify import bound

__all__ = ["apart"]

Place = tuple[int, int]
GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples, modulo 1, are all different and neighbours far apart
OCTAVES = 6.0  # our choice: scales from 1/8 to 8, far above rounding and within half precision


def apart(loss: Tensor, graph: Graph, g: list[Tensor], hooked: set[Place]) -> bool:
    """Tell whether no sample's gradient passes through another sample, to within rounding.

    Parameters
    ----------
    loss, graph
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
    if batch_norm_trains(graph):
        return False
    sizes = {part.shape[0] if part.ndim else 1 for part in g}
    n = sizes.pop()
    if sizes or n < 2:
        return True
    places = [GradientEdge(graph.nodes[v], output) for v, output in _where_samples_show(graph, n, hooked)]
    arriving = torch.autograd.grad(loss, places, torch.ones_like(loss), retain_graph=True, allow_unused=True)
    starts = [(place, v) for place, v in zip(places, arriving, strict=True) if v is not None]
    scales = 2.0 ** (OCTAVES * (GOLDEN * torch.arange(n, dtype=torch.float64) % 1) - OCTAVES / 2)
    scaled = _down(graph, [(place, _scaled(v, n, scales)) for place, v in starts], g)
    whole = g if len(starts) == 1 else _down(graph, starts, g)
    expected = [_scaled(part, n, scales) for part in whole]
    size = norms(expected)
    gap = norms([a - b for a, b in zip(scaled, expected, strict=True)])
    tolerance = bound(graph)
    return bool((gap <= math.sqrt(tolerance) * size + tolerance * size.max()).all())


def _where_samples_show(graph: Graph, n: int, hooked: set[Place]) -> list[Place]:
    """The first places below the loss whose shape counts n samples."""
    found: dict[Place, None] = {}
    ends, seen, stack = set(graph.targets), {0}, [0]
    while stack:
        for e in graph.edges[stack.pop()]:
            shape = graph.nodes[e.to]._input_metadata[e.output].shape
            shows = n in shape or (len(shape) > 0 and shape[0] % n == 0)
            if (shows and (e.to, e.output) not in hooked) or (e.to, e.output) in ends:
                found[e.to, e.output] = None
            elif e.to not in seen:
                seen.add(e.to)
                stack.append(e.to)
    return list(found) or list(ends)


def _scaled(v: Tensor, n: int, scales: Tensor) -> Tensor:
    """Rows times their sample's scale; several rows in turn may belong to one sample."""
    if not v.ndim or (v.shape[0] % n and n not in v.shape):
        return v
    axis = 0 if v.shape[0] % n == 0 else list(v.shape).index(n)
    factor = scales.repeat_interleave(v.shape[axis] // n).to(v.device, v.real.dtype)
    return v * factor.view(-1, *[1] * (v.ndim - axis - 1))


def _down(graph: Graph, starts: list[tuple[GradientEdge, Tensor]], like: list[Tensor]) -> list[Tensor]:
    ends = [GradientEdge(graph.nodes[v], output) for v, output in graph.targets]
    found = torch.autograd.grad(
        [place for place, _ in starts], ends, [v for _, v in starts], retain_graph=True, allow_unused=True
    )
    return [torch.zeros_like(v) if part is None else part for part, v in zip(found, like, strict=True)]
