"""Contractions written out: a signal meets a weight entry by entry, and what comes of it is summed.

Two forms are looked for. A product with parameters, summed over an axis along which they differ, with nothing but
linear operations in between: Σ_i x_i W_oi; or one that lies between two Fourier transforms. And a signal that is
*spread*, broadcast along an axis of what it meets, whatever that is, and reduced over an axis in any way later:
Σ_i (x_i - W_oi)², max_i (x_i + W_oi).
"""

from dataclasses import dataclass
from math import prod

from torch import nn

from skipglass.graph.nodes import Edge, Graph
from skipglass.graph.operations import facts
from skipglass.graph.saved import carried, dimensions, saved_tensor

__all__ = ["written_out"]

Axes = frozenset[int]


@dataclass(frozen=True)
class Meeting:
    """A node at which a signal meets another operand entry by entry.

    Attributes
    ----------
    node
        Its number.
    spread
        Whether the signal is broadcast along an axis of what it meets.
    shape
        The largest shape that the other operand may have.
    saved
        The name under which the other operand is saved, if it is a constant.
    """

    node: int
    spread: bool
    shape: tuple[int, ...]
    saved: str


def written_out(graph: Graph) -> list[int]:
    """Find the nodes at which a signal meets a weight to be summed over later."""
    alone = ((i, edges[0]) for i, edges in enumerate(graph.edges) if len(edges) == 1)
    meetings = [meeting for i, edge in alone if (meeting := _meeting(graph, i, edge))]
    return [meeting.node for meeting in meetings if _contracts(graph, meeting)]


def _meeting(graph: Graph, i: int, edge: Edge) -> Meeting | None:
    """What a signal that is the only one in a node meets there; None where that is a number, or is only added."""
    ways = facts(graph.operations[i]).spreads
    operands = graph.nodes[i].next_functions
    other, saved = ways.get(edge.slot, (len(operands), ""))
    if other >= len(operands):
        return None
    whole = graph.shape(i)
    signal = _aligned(graph.shape(*edge.place), len(whole))
    spread = any(own == 1 < wide for own, wide in zip(signal, whole, strict=True))
    if not spread and facts(graph.operations[i]).merges in {"sum", "difference"}:
        return None
    after, output = operands[other]
    if after is None:
        return Meeting(i, spread, whole, saved)
    return Meeting(i, spread, tuple(after._input_metadata[output].shape), "")


def _contracts(graph: Graph, meeting: Meeting) -> bool:
    """Whether what comes of a meeting is summed over an axis of the other operand."""
    if not _reduced(graph, meeting, meeting.shape):
        return False
    if not meeting.saved:
        return True
    # read last, as a checkpoint computes it anew
    constant = saved_tensor(graph.nodes[meeting.node], meeting.saved)
    if constant is None:
        return meeting.spread
    is_weight = meeting.spread or isinstance(constant, nn.Parameter) or isinstance(constant._base, nn.Parameter)
    return is_weight and _reduced(graph, meeting, tuple(constant.shape))


def _reduced(graph: Graph, meeting: Meeting, shape: tuple[int, ...]) -> bool:
    """Whether an axis along which an operand of this shape differs is summed over, or, if spread, reduced at all."""
    differs = frozenset(d for d, size in enumerate(_aligned(shape, len(graph.shape(meeting.node)))) if size > 1)
    fourier = graph.operations[graph.edges[meeting.node][0].to].startswith("Fft")
    ways, seen = [(meeting.node, differs)], set()
    while ways:
        below, axes = ways.pop()
        # a norm written by hand sums what a gain has scaled, and uses it once more
        if not meeting.spread and len(graph.users[below]) > 1:
            continue
        for above in set(graph.users[below]):
            if any(e.to != below for e in graph.edges[above]) or graph.roles[above] in {"weight", "constant", "custom"}:
                continue
            if axes & _worked_along(graph, below, above) and _adds_up(graph, below, above, meeting.spread, fourier):
                return True
            if graph.roles[above] != "linear" and not (meeting.spread and graph.shape(above) == graph.shape(below)):
                continue
            # the axes go on through what is linear, and where the signal is spread through what is entry by entry
            way = above, _after(graph, below, above, axes)
            if way[1] and way not in seen:
                seen.add(way)
                ways.append(way)
    return False


def _adds_up(graph: Graph, below: int, above: int, spread: bool, fourier: bool) -> bool:
    """Whether an operation sums over the axes that it works along, or combines them in any way if ``spread``."""
    name = graph.operations[above]
    if facts(name).sums or (fourier and name.startswith("Fft")):
        return True
    if not spread or facts(name).resizes:
        return False
    return graph.shape(above) != graph.shape(below) or name == "Cumsum"


def _after(graph: Graph, below: int, above: int, axes: Axes) -> Axes:
    """Where axes are after an operation that has not reduced them."""
    old, new = graph.shape(below), graph.shape(above)
    if facts(graph.operations[above]).views:
        long = [k for k, size in enumerate(new) if size > 1]
        return frozenset(k for k in long if any(_overlap(old, d, new, k) for d in axes))
    name, along = graph.operations[above], _worked_along(graph, below, above)
    places = {carried(graph.nodes[above], name, old, new, d, along) for d in axes}
    return frozenset(k for k in places if k is not None and (len(new) < len(old) or new[k] > 1))


def _worked_along(graph: Graph, below: int, above: int) -> set[int]:
    return dimensions(graph.nodes[above], max(len(graph.shape(below)), 1))


def _aligned(shape: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """A shape as broadcasting reads it, with axes of length 1 in front."""
    return (1,) * (ndim - len(shape)) + shape


def _overlap(old: tuple[int, ...], d: int, new: tuple[int, ...], k: int) -> bool:
    """Whether two axes share entries of what is only viewed anew: whether their strides overlap."""
    low, high = prod(old[d + 1 :]), prod(old[d:])
    return low < prod(new[k:]) and prod(new[k + 1 :]) < high
