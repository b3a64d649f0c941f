"""Contractions written out: a signal meets a weight entry by entry, and what comes of it is summed.

Two forms are looked for. A product with parameters, summed over an axis along which they differ, with nothing but
linear operations in between: Σ_i x_i W_oi; or one that lies between two Fourier transforms. And a signal that is
spread along an axis of what it meets, whatever that is, and reduced over an axis in any way later: Σ_i (x_i - W_oi)²,
max_i (x_i + W_oi).
"""

from collections.abc import Sequence
from math import prod

from torch import nn
from torch.autograd.graph import Node

from skipglass.graph.operations import PICKS
from skipglass.graph.saved import carried, dimensions, saved_tensor

__all__ = ["SUMS", "VIEWS", "users_of", "written_out"]

SUMS = {"Sum", "Mean", "Nansum"}
VIEWS = {"View", "UnsafeView", "Reshape", "ReshapeAlias", "ReshapeCopy", "MkldnnReshape"}
KEEPING = PICKS | {"Cat", "Stack", "Glu"}
"""Operations along an axis that change its length and add nothing up."""

# for each operand of an operation that spreads its operands: (the other, where it is saved)
MEETINGS: dict[str, dict[int, tuple[int, str]]] = {
    "Mul": {0: (1, "other"), 1: (0, "self")},
    "Div": {0: (1, "other")},
    "Addcmul": {1: (2, "tensor2"), 2: (1, "tensor1")},
    "Addcdiv": {1: (2, "tensor2")},
} | {name: {0: (1, ""), 1: (0, "")} for name in ("Add", "Sub", "Rsub")}
PRODUCTS = {"Mul", "Div", "Addcmul", "Addcdiv"}

Edges = Sequence[Sequence[tuple[int, int, int]]]


def written_out(nodes: Sequence[Node], operations: Sequence[str], roles: Sequence[str], edges: Edges) -> list[int]:
    """Find the nodes at which a signal meets a weight to be summed over later.

    Parameters
    ----------
    nodes, operations, roles, edges
        As in `Graph`.

    Returns
    -------
    list of int
        Their numbers.
    """
    starts = [i for i, name in enumerate(operations) if name in MEETINGS and len(edges[i]) == 1]
    met = {i: way for i in starts if (way := _met(nodes, operations[i], i, edges[i][0]))}
    if not met:
        return []
    users = users_of(edges)

    def sums(i: int) -> bool:
        spread, size, saved = met[i]
        if not _reduced(nodes, operations, roles, edges, users, i, size, spread):
            return False
        if not saved:
            return True
        constant = saved_tensor(nodes[i], saved)  # read last, as a checkpoint computes it anew
        if not spread and not any(isinstance(t, nn.Parameter) for t in (constant, getattr(constant, "_base", None))):
            return False
        return constant is None or _reduced(nodes, operations, roles, edges, users, i, tuple(constant.shape), spread)

    return [i for i in met if sums(i)]


def users_of(edges: Edges) -> list[list[int]]:
    """The nodes above each node, one entry an edge."""
    users: list[list[int]] = [[] for _ in edges]
    for i, out in enumerate(edges):
        for _, to, _ in out:
            users[to].append(i)
    return users


def _met(
    nodes: Sequence[Node], name: str, i: int, edge: tuple[int, int, int]
) -> tuple[bool, tuple[int, ...], str] | None:
    """Whether the signal is spread, the largest shape of what it meets, and where that is saved if it is a constant."""
    slot, to, output = edge
    node, whole = nodes[i], tuple(nodes[i]._input_metadata[0].shape)
    other, saved = MEETINGS[name].get(slot, (len(node.next_functions), ""))
    if other >= len(node.next_functions):  # a number, or an operand that is only added
        return None
    signal = _aligned(tuple(nodes[to]._input_metadata[output].shape), len(whole))
    spread = any(own == 1 < wide for own, wide in zip(signal, whole, strict=True))
    if not spread and name not in PRODUCTS:
        return None
    after, at = node.next_functions[other]
    return (spread, whole, saved) if after is None else (spread, tuple(after._input_metadata[at].shape), "")


def _aligned(size: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    return (1,) * (ndim - len(size)) + size


def _reduced(
    nodes: Sequence[Node],
    operations: Sequence[str],
    roles: Sequence[str],
    edges: Edges,
    users: list[list[int]],
    start: int,
    size: tuple[int, ...],
    spread: bool,
) -> bool:
    """Whether an axis along which this size differs is summed over, or reduced in any way if the signal was spread."""
    whole = _aligned(size, len(nodes[start]._input_metadata[0].shape))
    places = frozenset(d for d, wide in enumerate(whole) if wide > 1)
    fourier = operations[edges[start][0][1]].startswith("Fft")
    ways, seen = [(start, places)], set()
    while ways:
        at, axes = ways.pop()
        if not spread and len(users[at]) > 1:  # a norm written by hand sums what a gain has scaled
            continue
        for v in set(users[at]):
            if any(to != at for _, to, _ in edges[v]) or roles[v] in {"weight", "constant", "custom"}:
                continue
            old, new = (tuple(nodes[i]._input_metadata[0].shape) for i in (at, v))
            name = operations[v]
            dims = dimensions(nodes[v], max(len(old), 1)) if name != "Unsqueeze" else set()
            lost = name in SUMS or (fourier and name.startswith("Fft"))
            lost |= spread and name not in KEEPING and (new != old or name == "Cumsum")
            if dims & axes and lost:
                return True
            if roles[v] != "linear" and not (spread and new == old):
                continue
            way = (v, frozenset(_carried(nodes[v], name, old, new, set(axes), dims)))
            if way[1] and way not in seen:
                seen.add(way)
                ways.append(way)
    return False


def _carried(
    node: Node, name: str, old: tuple[int, ...], new: tuple[int, ...], axes: set[int], dims: set[int]
) -> set[int]:
    """Where these axes are after an operation that has not reduced them."""
    if name in VIEWS:
        return {k for k, size in enumerate(new) if size > 1 and any(_meet(old, d, new, k) for d in axes)}
    places = {carried(node, name, old, new, d, dims) for d in axes}
    return {k for k in places if k is not None and (len(new) < len(old) or new[k] > 1)}


def _meet(old: tuple[int, ...], d: int, new: tuple[int, ...], k: int) -> bool:
    """Whether two axes share entries of what is only viewed anew: whether their strides overlap."""
    low, high = prod(old[d + 1 :]), prod(old[d:])
    return low < prod(new[k:]) and prod(new[k + 1 :]) < high
