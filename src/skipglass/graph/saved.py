"""What autograd's nodes have saved: operands, and the axes that an operation works along.

An *axis* is a dimension of what a node has computed, counted from 0. It is followed upwards, from a signal to what an
operation makes of it.
"""

from torch import Tensor
from torch.autograd.graph import Node

from skipglass.graph.nodes import Graph

__all__ = ["carried", "saved_axis", "saved_parameter", "saved_tensor", "worked_along"]


def saved_axis(saved: int, ndim: int) -> int:
    """An axis as a node has saved it: a negative one may stand there as 2⁶⁴ less."""
    return (saved - 2**64 if saved >= 2**63 else saved) % ndim


def worked_along(graph: Graph, below: int, above: int) -> set[int]:
    """The axes of a signal that the operation above works along; none where it was told of none."""
    if graph.operations[above] == "Unsqueeze":  # its axis is one of the result
        return set()
    ndim = max(len(graph.shape(below)), 1)
    saved = getattr(graph.nodes[above], "_saved_dim", None)
    if isinstance(saved, int):
        return {saved_axis(saved, ndim)}
    return {saved_axis(d, ndim) for d in saved} if isinstance(saved, tuple) else set()


def carried(graph: Graph, below: int, above: int, axis: int) -> int | None:
    """Where an axis of a signal is after the operation above, which is no view; None if it is there no longer."""
    node, name = graph.nodes[above], graph.operations[above]
    old, new = graph.shape(below), graph.shape(above)
    if name == "Unsqueeze":
        return axis + (saved_axis(node._saved_dim, len(new)) <= axis)  # type: ignore[attr-defined]
    if name in {"T", "Transpose", "Permute"}:
        return order(node, name, len(old)).index(axis)
    if len(new) >= len(old):  # broadcast: new axes come first
        return axis + len(new) - len(old)
    # axes that were reduced are gone, or those of length 1 that were squeezed
    gone = worked_along(graph, below, above) or {d for d, size in enumerate(old) if size == 1}
    after = axis - sum(d < axis for d in gone)
    return after if axis not in gone and after < len(new) else None  # two entries may be a complex number now


def order(node: Node, name: str, ndim: int) -> list[int]:
    """For each axis of the result of a T, Transpose or Permute the axis that it was before."""
    if name == "Permute":
        return [saved_axis(d, ndim) for d in node._saved_dims]  # type: ignore[attr-defined]
    places = list(range(ndim))
    if name == "T":
        return places[::-1]
    a, b = (saved_axis(d, ndim) for d in (node._saved_dim0, node._saved_dim1))  # type: ignore[attr-defined]
    places[a], places[b] = b, a
    return places


def saved_tensor(node: Node, saved: str) -> Tensor | None:
    """Return the tensor saved under a name; None if it cannot be read."""
    try:
        tensor = getattr(node, f"_saved_{saved}", None)
    except RuntimeError:  # freed: the backward pass itself will say so
        return None
    return tensor if isinstance(tensor, Tensor) else None


def saved_parameter(node: Node, saved: str) -> Tensor | None:
    """Return the tensor saved under a name, or the one it is a view of; None if it cannot be read."""
    tensor = saved_tensor(node, saved)
    return tensor if tensor is None or tensor._base is None else tensor._base
