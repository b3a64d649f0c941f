"""What autograd's nodes have saved: operands, and the dimensions that an operation was told of."""

from torch import Tensor
from torch.autograd.graph import Node

__all__ = ["axis", "carried", "dimensions", "saved_parameter", "saved_tensor"]


def axis(saved: int, ndim: int) -> int:
    """A dimension as a node has saved it: a negative one may stand there as 2⁶⁴ less."""
    return (saved - 2**64 if saved >= 2**63 else saved) % ndim


def dimensions(node: Node, ndim: int) -> set[int]:
    """The dimensions that an operation works along; none where it was told of none."""
    saved = getattr(node, "_saved_dim", None)
    if isinstance(saved, int):
        return {axis(saved, ndim)}
    return {axis(d, ndim) for d in saved} if isinstance(saved, tuple) else set()


def carried(
    node: Node, name: str, old: tuple[int, ...], new: tuple[int, ...], place: int, dims: set[int]
) -> int | None:
    """Where a dimension is after an operation along ``dims`` that is no view; None if it is there no longer."""
    if name == "Unsqueeze":
        return place + (axis(node._saved_dim, len(new)) <= place)  # type: ignore[attr-defined]
    if name in {"T", "Transpose", "Permute"}:
        return _order(node, name, len(old)).index(place)
    if len(new) >= len(old):  # broadcast
        return place + len(new) - len(old)
    gone = dims or {d for d, size in enumerate(old) if size == 1}
    after = place - sum(d < place for d in gone)
    return after if place not in gone and after < len(new) else None  # two places may be a complex number now


def _order(node: Node, name: str, ndim: int) -> list[int]:
    """For each dimension above a T, Transpose or Permute the one below."""
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
