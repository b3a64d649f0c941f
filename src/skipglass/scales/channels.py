"""Follow the axis of a normalisation's channels through the operations beside it.

A factor for each channel commutes with what is linear and treats channels alone (reshaping, average pooling), and
a positive factor also with what is homogeneous of degree one, f(c z) = c f(z) for c > 0: ReLU, maximum pooling.
"""

import math
from dataclasses import dataclass

from skipglass.graph.read import Graph

__all__ = ["HOMOGENEOUS", "Axis", "across", "shape_of"]

ELEMENTWISE = frozenset({"Clone", "LazyClone", "Contiguous", "ToCopy", "Alias", "Mul", "Div", "Neg"})
RESHAPES = frozenset({"View", "UnsafeView", "Reshape", "ReshapeAlias", "ReshapeCopy", "Squeeze", "Unsqueeze"})
POOLS = frozenset(
    {"AvgPool2D", "AvgPool3D", "AdaptiveAvgPool1D", "AdaptiveAvgPool2D", "AdaptiveAvgPool3D"}
    | {"MkldnnAdaptiveAvgPool2D", "UpsampleNearest2D", "UpsampleBilinear2D", "UpsampleNearestExact2D"}
)
MAXIMA = frozenset({"MaxPool1D", "MaxPool2DWithIndices", "MaxPool3DWithIndices", "AdaptiveMaxPool2D"})
ACTIVATIONS = frozenset({"Relu", "LeakyRelu", "PreluKernel", "Abs"})
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
    if (name in ELEMENTWISE and graph.roles[node] == "linear") or name in ACTIVATIONS:
        return axis if near == far else None
    if name in POOLS or name in MAXIMA:
        kept = len(near) == len(far) and axis.place == 1 and near[1] == far[1]
        return axis if kept else None
    if name in RESHAPES:
        return _reshaped(near, far, axis)
    if name in {"T", "Transpose", "Permute"}:
        order = _order(graph, node, len(near))
        return Axis(order.index(axis.place) if upwards else order[axis.place], axis.repeat)
    if name in {"Mean", "Sum"} and upwards:
        return _reduced(graph, node, axis, len(near))
    return None


def _reshaped(near: tuple[int, ...], far: tuple[int, ...], axis: Axis) -> Axis | None:
    """The dimension with as many entries before it, that holds all of the old one, and some behind it."""
    before, own, behind = math.prod(near[: axis.place]), near[axis.place], math.prod(near[axis.place + 1 :])
    for place, size in enumerate(far):
        k = size // own if own else 0
        if math.prod(far[:place]) == before and k * own == size and k * math.prod(far[place + 1 :]) == behind:
            return Axis(place, axis.repeat * k)
    return None


def _order(graph: Graph, node: int, dimensions: int) -> list[int]:
    """The dimension of the input that each of the output's is."""
    if graph.operations[node] == "Permute":
        return [_signed(d) % dimensions for d in graph.nodes[node]._saved_dims]  # type: ignore[attr-defined]
    order = list(range(dimensions))
    if graph.operations[node] == "T":
        return order[::-1]
    saved = graph.nodes[node]
    first, second = _signed(saved._saved_dim0) % dimensions, _signed(saved._saved_dim1) % dimensions  # type: ignore[attr-defined]
    order[first], order[second] = second, first
    return order


def _reduced(graph: Graph, node: int, axis: Axis, dimensions: int) -> Axis | None:
    saved = graph.nodes[node]
    if not hasattr(saved, "_saved_dim"):  # of everything
        return None
    dims = {_signed(d) % dimensions for d in saved._saved_dim}
    if axis.place in dims or not dims:
        return None
    return axis if saved._saved_keepdim else Axis(axis.place - sum(d < axis.place for d in dims), axis.repeat)  # type: ignore[attr-defined]


def _signed(dimension: int) -> int:
    """Autograd's nodes show negative dimensions as large unsigned numbers."""
    return dimension - 2**64 if dimension >= 2**63 else dimension
