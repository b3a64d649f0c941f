"""What becomes of signals that were put side by side: a sum, where the axis that tells them apart is summed over.

The axis is followed through whatever keeps signals plain. Nothing becomes of signals that a weight reads side by
side, as in a dense net, that are picked apart again, or that a nonlinearity or the loss's own sum meets first.
"""

from enum import Enum
from math import prod

from skipglass.graph.broadcasts import SUMS, VIEWS
from skipglass.graph.operations import PICKS
from skipglass.graph.read import Graph
from skipglass.graph.saved import axis, carried, dimensions

__all__ = ["Fate", "fate"]


class Fate(Enum):
    """Whether signals side by side are added up, may be, or stay apart."""

    SUMMED = 1
    UNSURE = 2
    APART = 3


def fate(graph: Graph, users: list[list[int]], node: int) -> Fate:
    """Say what becomes of the signals that a Stack or a Cat puts side by side.

    Parameters
    ----------
    graph
        Where they are.
    users
        The nodes above each node.
    node
        The Stack or the Cat.

    Returns
    -------
    Fate
        SUMMED where each has one place along the axis, and all of them are added and nothing else.
    """
    shape = graph.nodes[node]._input_metadata[0].shape
    place = axis(graph.nodes[node]._saved_dim, len(shape))  # type: ignore[attr-defined]
    each = graph.operations[node] == "Stack" or all(
        graph.nodes[e.to]._input_metadata[e.output].shape[place] == 1 for e in graph.edges[node]
    )
    ways, seen, found = [(node, place)], set(), []
    while ways:
        at, place = ways.pop()
        for v in users[at]:
            step = _step(graph, at, v, place, each)
            if isinstance(step, Fate):
                found.append(step)
            elif (v, step) not in seen:
                seen.add((v, step))
                ways.append((v, step))
    if found == [Fate.SUMMED] and each:
        return Fate.SUMMED
    return Fate.UNSURE if {Fate.SUMMED, Fate.UNSURE} & set(found) else Fate.APART


def _step(graph: Graph, below: int, v: int, place: int, each: bool) -> Fate | int:
    """Where the axis is after one operation, or what becomes of it there."""
    if len(graph.edges[v]) > 1 or graph.roles[v] == "weight":
        return Fate.APART
    node, name, plain = graph.nodes[v], graph.operations[v], graph.roles[v] in {"linear", "norm"}
    old, new = (tuple(graph.nodes[i]._input_metadata[0].shape) for i in (below, v))
    if name in VIEWS:
        return _viewed(old, new, place, each)
    dims = dimensions(node, len(old)) if name != "Unsqueeze" else set()
    if name in SUMS and not dims:
        return Fate.APART  # the loss's own
    if place in dims:
        if name in SUMS:
            return Fate.SUMMED
        reduces = (each or plain) and name not in PICKS and not name.endswith("Softmax")
        return Fate.UNSURE if reduces else Fate.APART
    if not plain:
        return Fate.UNSURE if graph.roles[v] == "constant" and each else Fate.APART
    after = carried(node, name, old, new, place, dims)
    if after is None:
        return Fate.APART
    kept = len(new) < len(old) or new[after] == old[place]
    return after if kept else Fate.UNSURE if each and name not in PICKS else Fate.APART


def _viewed(old: tuple[int, ...], new: tuple[int, ...], place: int, each: bool) -> Fate | int:
    """The dimension with as many entries before it, as long as the axis or, of a Cat, a part of it."""
    for k, size in enumerate(new):
        fits = size == old[place] if each else 1 < size <= old[place] and old[place] % size == 0
        if fits and prod(new[:k]) == prod(old[:place]):
            return k
    return Fate.APART
