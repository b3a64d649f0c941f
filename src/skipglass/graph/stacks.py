"""What becomes of signals that were put side by side: a sum, where the axis that tells them apart is summed over.

The axis is followed upwards through whatever keeps signals plain. Nothing becomes of signals that a weight reads side
by side, as in a dense net, that are picked apart again, or that a nonlinearity or the loss's own sum meets first.
"""

from enum import Enum
from math import prod

from skipglass.graph.nodes import Graph
from skipglass.graph.operations import facts
from skipglass.graph.saved import axis, carried, dimensions

__all__ = ["Fate", "fate"]


class Fate(Enum):
    """Whether signals side by side are added up, may be, or stay apart."""

    SUMMED = 1
    UNSURE = 2
    APART = 3


def fate(graph: Graph, node: int) -> Fate:
    """Say what becomes of the signals that a Stack or a Cat puts side by side.

    Returns
    -------
    Fate
        SUMMED where each has one entry along the axis, and all of them are added and nothing else.
    """
    dim = axis(graph.nodes[node]._saved_dim, len(graph.shape(node)))  # type: ignore[attr-defined]
    each = graph.operations[node] == "Stack" or all(graph.shape(*e.place)[dim] == 1 for e in graph.edges[node])
    ways, seen, fates = [(node, dim)], set(), []
    while ways:
        below, dim = ways.pop()
        for above in graph.users[below]:
            step = _step(graph, below, above, dim, each)
            if isinstance(step, Fate):
                fates.append(step)
            elif (above, step) not in seen:
                seen.add((above, step))
                ways.append((above, step))
    if fates == [Fate.SUMMED] and each:
        return Fate.SUMMED
    return Fate.UNSURE if {Fate.SUMMED, Fate.UNSURE} & set(fates) else Fate.APART


def _step(graph: Graph, below: int, above: int, dim: int, each: bool) -> Fate | int:
    """Where the axis is after one operation, or what becomes of it there.

    ``each`` says that every signal has one entry along the axis.
    """
    if len(graph.edges[above]) > 1 or graph.roles[above] == "weight":
        return Fate.APART
    known, plain = facts(graph.operations[above]), graph.roles[above] in {"linear", "norm"}
    old, new = graph.shape(below), graph.shape(above)
    if known.views:
        return _viewed(old, new, dim, each)
    axes = dimensions(graph.nodes[above], max(len(old), 1))
    if known.sums and (not axes or dim in axes):
        return Fate.SUMMED if axes else Fate.APART  # over all axes: the loss's own sum
    if dim in axes:
        # every other operation along the axis may add up, unless it gives entry for entry or takes some
        reduces = (each or plain) and not known.picks and not graph.operations[above].endswith("Softmax")
        return Fate.UNSURE if reduces else Fate.APART
    if not plain:
        return Fate.UNSURE if graph.roles[above] == "constant" and each else Fate.APART
    after = carried(graph.nodes[above], graph.operations[above], old, new, dim, axes)
    if after is None:
        return Fate.APART
    if len(new) < len(old) or new[after] == old[dim]:
        return after
    return Fate.UNSURE if each and not known.picks else Fate.APART


def _viewed(old: tuple[int, ...], new: tuple[int, ...], dim: int, each: bool) -> Fate | int:
    """The axis with as many entries before it, as long as the old one or, of a Cat, a part of it."""
    for k, size in enumerate(new):
        fits = size == old[dim] if each else 1 < size <= old[dim] and old[dim] % size == 0
        if fits and prod(new[:k]) == prod(old[:dim]):
            return k
    return Fate.APART
