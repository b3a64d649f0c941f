"""Follow the axis of a normalisation's channels through the operations beside it.

A factor for each channel commutes with what is linear and treats channels alone (reshaping, average pooling), and
a positive factor also with what is homogeneous of degree one, f(c z) = c f(z) for c > 0: ReLU, maximum pooling.
"""

import math
from dataclasses import dataclass

from skipglass.graph.read import Graph
from skipglass.graph.saved import carried, dimensions

__all__ = ["HOMOGENEOUS", "Axis", "across", "shape_of"]

# linear, entry by entry: the other operand of a product has one entry per entry of the signal, or is broadcast
ENTRYWISE = frozenset({"Clone", "LazyClone", "Contiguous", "ToCopy", "Alias", "Mul", "Div", "Neg"})
ACTIVATIONS = frozenset({"Relu", "LeakyRelu", "PreluKernel", "Abs"})
RESHAPES = frozenset({"View", "UnsafeView", "Reshape", "ReshapeAlias", "ReshapeCopy", "Squeeze", "Unsqueeze"})
TRANSPOSES = frozenset({"T", "Transpose", "Permute"})
POOLS = frozenset(
    {"AvgPool2D", "AvgPool3D", "AdaptiveAvgPool1D", "AdaptiveAvgPool2D", "AdaptiveAvgPool3D"}
    | {"MkldnnAdaptiveAvgPool2D", "UpsampleNearest2D", "UpsampleBilinear2D", "UpsampleNearestExact2D"}
)
MAXIMA = frozenset({"MaxPool1D", "MaxPool2DWithIndices", "MaxPool3DWithIndices", "AdaptiveMaxPool2D"})
HOMOGENEOUS = MAXIMA | ACTIVATIONS
"""Operations with which only a positive factor commutes."""


@dataclass(frozen=True)
class Axis:
    """Where the channels are: channel c takes the places c·repeat … (c+1)·repeat - 1 of a dimension."""

    place: int
    repeat: int = 1


def shape_of(graph: Graph, node: int, output: int = 0) -> tuple[int, ...]:
    """Return the shape of what a node computed."""
    return tuple(graph.nodes[node]._input_metadata[output].shape)


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
    below, above = shape_of(graph, edge.to, edge.output), shape_of(graph, node)
    near, far = (below, above) if upwards else (above, below)
    name = graph.operations[node]
    if (name in ENTRYWISE and graph.roles[node] == "linear") or name in ACTIVATIONS:
        return axis if near == far else None
    if name in POOLS or name in MAXIMA:
        return axis if len(near) == len(far) and axis.place == 1 and near[1] == far[1] else None
    if name in RESHAPES:
        return _reshaped(near, far, axis)
    saved, after = graph.nodes[node], None
    if name in TRANSPOSES:
        places = [carried(saved, name, below, above, place, set()) for place in range(len(below))]
        after = places[axis.place] if upwards else places.index(axis.place)
    elif name in {"Mean", "Sum"} and upwards:
        summed = dimensions(saved, len(below))  # none where it is over all
        if summed and axis.place not in summed:
            after = carried(saved, name, below, above, axis.place, summed)
    return None if after is None else Axis(after, axis.repeat)


def _reshaped(near: tuple[int, ...], far: tuple[int, ...], axis: Axis) -> Axis | None:
    """The dimension with as many entries before it, that holds all of the old one, and some of what was behind."""
    before, own, behind = math.prod(near[: axis.place]), near[axis.place], math.prod(near[axis.place + 1 :])
    for place, size in enumerate(far):
        k = size // own if own else 0
        if math.prod(far[:place]) == before and k * own == size and k * math.prod(far[place + 1 :]) == behind:
            return Axis(place, axis.repeat * k)
    return None
