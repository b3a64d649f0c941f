"""Follow the axis of a normalisation's channels through the operations beside it.

A factor for each channel commutes with what is linear and treats channels alone (reshaping, average pooling), and
a positive factor also with what is homogeneous of degree one, f(c z) = c f(z) for c > 0: ReLU, maximum pooling.
"""

import math
from dataclasses import dataclass

from skipglass.graph import Graph, carried, dimensions, facts

__all__ = ["Axis", "across"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Axis:
    """Where the channels are: channel c takes the places c·repeat … (c+1)·repeat - 1 of a dimension."""

    place: int
    repeat: int = 1


def across(graph: Graph, node: int, axis: Axis, *, upwards: bool) -> Axis | None:
    """Follow an axis across a node with one signal; None where channels mix or a factor does not commute.

    Parameters
    ----------
    graph, node
        What is crossed.
    axis
        Where the channels are on the near side.
    upwards
        From the input to the output, or the other way.
    """
    (edge,) = graph.edges[node]
    below, above = graph.shape(edge.to, edge.output), graph.shape(node)
    near, far = (below, above) if upwards else (above, below)
    name, saved = graph.operations[node], graph.nodes[node]
    known = facts(name)
    if known.homogeneous and graph.roles[node] == known.role:
        # entry by entry, or within each channel of the second dimension
        within = axis.place == 1 and len(near) == len(far) and near[1] == far[1]
        return axis if (near == far if known.entrywise else known.pools and within) else None
    if known.views or name in {"Squeeze", "Unsqueeze"}:
        return _reshaped(near, far, axis)
    after = None
    if known.permutes:
        places = [carried(saved, name, below, above, place, set()) for place in range(len(below))]
        after = places[axis.place] if upwards else places.index(axis.place)
    elif known.sums and upwards:
        summed = dimensions(saved, len(below))  # none where it is over all
        if summed and axis.place not in summed:
            after = carried(saved, name, below, above, axis.place, summed)
    return None if after is None else Axis(after, axis.repeat)


def _reshaped(near: Shape, far: Shape, axis: Axis) -> Axis | None:
    """The dimension with as many entries before it, that holds all of the old one, and some of what was behind."""
    before, own, behind = math.prod(near[: axis.place]), near[axis.place], math.prod(near[axis.place + 1 :])
    for place, size in enumerate(far):
        k = size // own if own else 0
        if math.prod(far[:place]) == before and k * own == size and k * math.prod(far[place + 1 :]) == behind:
            return Axis(place, axis.repeat * k)
    return None
