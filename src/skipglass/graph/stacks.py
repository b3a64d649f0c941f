"""What becomes of signals that were put side by side: a sum, where the axis that tells them apart is summed over.

The axis is followed upwards through whatever keeps signals plain. Nothing becomes of signals that a weight reads side
by side, as in a dense net, that are picked apart again, or that a nonlinearity or the loss's own sum meets first.
"""

from math import prod

from skipglass.graph.nodes import Graph
from skipglass.graph.operations import facts
from skipglass.graph.saved import axis, carried, dimensions

__all__ = ["fate"]

SUMMED, UNSURE, APART = "sum", "alike", ""
"""What becomes of them, in the words of `Operation.merges`: all are added up, they may be, they stay apart."""


def fate(graph: Graph, node: int) -> str:
    """Say what becomes of the signals that a Stack or a Cat puts side by side.

    Returns
    -------
    str
        "sum" where each has one entry along the axis, and all of them are added and nothing else; "alike" where they
        may be added, and "" where they stay apart.
    """
    dim = axis(graph.nodes[node]._saved_dim, len(graph.shape(node)))  # type: ignore[attr-defined]
    each = graph.operations[node] == "Stack" or all(graph.shape(*e.place)[dim] == 1 for e in graph.edges[node])
    ways, seen, fates = [(node, dim)], set(), []
    while ways:
        below, dim = ways.pop()
        for above in graph.users[below]:
            step = _step(graph, below, above, dim, each)
            if isinstance(step, str):
                fates.append(step)  # the way ends here
            elif (above, step) not in seen:
                seen.add((above, step))
                ways.append((above, step))
    if fates == [SUMMED] and each:
        return SUMMED
    return UNSURE if {SUMMED, UNSURE} & set(fates) else APART


def _step(graph: Graph, below: int, above: int, dim: int, each: bool) -> str | int:
    """Where the axis is after one operation, or what becomes of it there.

    ``each`` says that every signal has one entry along the axis.
    """
    if len(graph.edges[above]) > 1 or graph.roles[above] == "weight":
        return APART
    known, plain = facts(graph.operations[above]), graph.roles[above] in {"linear", "norm"}
    old, new = graph.shape(below), graph.shape(above)
    if known.views:
        return _viewed(old, new, dim, each)
    axes = dimensions(graph.nodes[above], max(len(old), 1))
    if known.sums and (not axes or dim in axes):
        return SUMMED if axes else APART  # over all axes: the loss's own sum
    if dim in axes:
        # every other operation along the axis may add up, unless it gives entry for entry or takes some
        reduces = (each or plain) and not known.picks and not graph.operations[above].endswith("Softmax")
        return UNSURE if reduces else APART
    if not plain:
        return UNSURE if graph.roles[above] == "constant" and each else APART
    after = carried(graph.nodes[above], graph.operations[above], old, new, dim, axes)
    if after is None:
        return APART
    if len(new) < len(old) or new[after] == old[dim]:
        return after
    return UNSURE if each and not known.picks else APART


def _viewed(old: tuple[int, ...], new: tuple[int, ...], dim: int, each: bool) -> str | int:
    """The axis with as many entries before it, as long as the old one or, of a Cat, a part of it."""
    for k, size in enumerate(new):
        fits = size == old[dim] if each else 1 < size <= old[dim] and old[dim] % size == 0
        if fits and prod(new[:k]) == prod(old[:dim]):
            return k
    return APART
