"""What autograd's nodes have saved: operands, and the axes that an operation works along.

An *axis* is a dimension of what a node has computed, counted from 0. It is followed upwards, from a signal to what an
operation makes of it.
"""

from torch import Tensor
from torch.autograd.graph import Node

from skipglass.graph.operations import facts

__all__ = ["axis", "carried", "dimensions", "saved_parameter", "saved_tensor"]

Shape = tuple[int, ...]


def axis(saved: int, ndim: int) -> int:
    """An axis as a node has saved it: a negative one may stand there as 2⁶⁴ less."""
    return (saved - 2**64 if saved >= 2**63 else saved) % ndim


def dimensions(node: Node, ndim: int) -> set[int]:
    """The axes of a signal that an operation works along; none where it was told of none."""
    if node.name().startswith("Unsqueeze"):  # what it was told of is an axis of the result
        return set()
    saved = getattr(node, "_saved_dim", None)
    if isinstance(saved, int):
        return {axis(saved, ndim)}
    return {axis(d, ndim) for d in saved} if isinstance(saved, tuple) else set()


def carried(node: Node, name: str, old: Shape, new: Shape, dim: int, dims: set[int]) -> int | None:
    """Where an axis is after an operation along ``dims`` that is no view; None if it is there no longer."""
    if name == "Unsqueeze":
        return dim + (axis(node._saved_dim, len(new)) <= dim)  # type: ignore[attr-defined]
    if facts(name).permutes:
        return _order(node, name, len(old)).index(dim)
    if len(new) >= len(old):  # broadcast: new axes come first
        return dim + len(new) - len(old)
    # axes that were reduced are gone, or those of length 1 that were squeezed
    gone = dims or {d for d, size in enumerate(old) if size == 1}
    after = dim - sum(d < dim for d in gone)
    return after if dim not in gone and after < len(new) else None  # two entries may be a complex number now


def _order(node: Node, name: str, ndim: int) -> list[int]:
    """For each axis of the result of a T, Transpose or Permute the axis that it was before."""
    if name == "Permute":
        return [axis(d, ndim) for d in node._saved_dims]  # type: ignore[attr-defined]
    places = list(range(ndim))
    if name == "T":
        return places[::-1]
    a, b = (axis(d, ndim) for d in (node._saved_dim0, node._saved_dim1))  # type: ignore[attr-defined]
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
