"""What becomes of signals that were put side by side: a sum, where the axis that tells them apart is summed over.

The axis is followed upwards through whatever keeps signals plain, and through products with another signal. Nothing
becomes of signals that a weight reads side by side, as in a dense net, that are picked apart again, or that a
nonlinearity or the loss's own sum meets first.
"""

from dataclasses import dataclass, replace
from math import prod

from torch import Tensor

from skipglass.graph.nodes import Graph
from skipglass.graph.operations import facts
from skipglass.graph.saved import axis, carried, dimensions, saved_tensor

__all__ = ["GATED", "fate"]

SUMMED, UNSURE, GATED, APART = "sum", "alike", "gated sum", ""
"""What becomes of them, in the words of `Operation.merges`: all are added up, they may be, they stay apart."""


@dataclass(frozen=True)
class Along:
    """The axis of a signal along which others stand side by side.

    Attributes
    ----------
    node
        What has computed the signal.
    dim
        The axis; past the last one the real and imaginary parts of a complex signal.
    each
        Whether every signal has one entry along it.
    mingled
        Whether the entries of another axis stand between them.
    gated
        Whether the signal was multiplied by another.
    """

    node: int
    dim: int
    each: bool = True
    mingled: bool = False
    gated: bool = False


def fate(graph: Graph, node: int) -> str:
    """Say what becomes of the signals that a Stack or a Cat puts side by side, or the parts of a complex number.

    Returns
    -------
    str
        "sum" where each has one entry along the axis, and all of them are added and nothing else; "alike" where they
        may be added, "gated sum" where they are after a product with another signal, and "" where they stay apart.
    """
    ndim, name = len(graph.shape(node)), graph.operations[node]
    dim = ndim if name == "Complex" else axis(graph.nodes[node]._saved_dim, ndim)  # type: ignore[attr-defined]
    start = Along(node, dim, name != "Cat" or all(graph.shape(*e.place)[dim] == 1 for e in graph.edges[node]))
    ways, seen, fates = [start], set(), []
    while ways:
        below = ways.pop()
        for above in graph.users[below.node]:
            after = _after(graph, below, above, node)
            if isinstance(after, str):
                fates.append(GATED if below.gated and after == SUMMED else after)  # the way ends here
            elif after not in seen:
                seen.add(after)
                ways.append(after)
    if fates == [SUMMED] and start.each:
        return SUMMED
    if {SUMMED, UNSURE} & set(fates):
        return UNSURE
    return GATED if GATED in fates else APART


def _after(graph: Graph, below: Along, above: int, start: int) -> str | Along:
    """Where the axis is after one operation, or what becomes of it there."""
    role, known = graph.roles[above], facts(graph.operations[above])
    old, new = graph.shape(below.node), graph.shape(above)
    if role == "product" and not below.mingled:
        return _multiplied(graph, below, above)
    if known.reads == 3:
        return _attended(graph, below, above)
    if len(graph.edges[above]) > 1 or role == "weight":
        return APART
    if below.dim == len(old):  # parts of a complex number
        if graph.operations[above] == "ViewAsReal":
            return replace(below, node=above)
        kept = known.copies or known.views or known.permutes or known.picks or (known.along and role == "linear")
        return replace(below, node=above, dim=len(new)) if kept else UNSURE
    if known.views:
        return _viewed(below, above, old, new)
    if role == "constant":
        return UNSURE if below.each or _adds(graph, below, above, start) else APART
    if below.mingled and known.pools and role == "linear":
        return UNSURE
    return _worked(graph, below, above)


def _worked(graph: Graph, below: Along, above: int) -> str | Along:
    """After an operation on this signal alone that is no view."""
    known, plain = facts(graph.operations[above]), graph.roles[above] in {"linear", "norm"}
    old, new = graph.shape(below.node), graph.shape(above)
    axes = dimensions(graph.nodes[above], max(len(old), 1))
    if known.joins:  # constants beside
        return replace(below, node=above, dim=below.dim + (len(new) > len(old) and min(axes) <= below.dim))
    if known.sums and (not axes or below.dim in axes):
        return SUMMED if axes and not below.mingled else APART  # over all axes: the loss's own sum
    if below.dim in axes:
        # every other operation along the axis may add up, unless it gives entry for entry or takes some
        reduces = (below.each or plain) and not known.picks and not graph.operations[above].endswith("Softmax")
        return UNSURE if reduces and not below.mingled else APART
    if not plain:
        return APART
    after = carried(graph.nodes[above], graph.operations[above], old, new, below.dim, axes)
    if after is None:
        return APART
    if len(new) < len(old) or new[after] == old[below.dim]:
        return replace(below, node=above, dim=after)
    return UNSURE if below.each and not below.mingled and not known.picks else APART


def _multiplied(graph: Graph, below: Along, above: int) -> str | Along:
    """After a product with another signal: entry by entry, or a contraction over the axis."""
    name, known = graph.operations[above], facts(graph.operations[above])
    old, new = graph.shape(below.node), graph.shape(above)
    if known.entrywise and known.merges == "":
        return replace(below, node=above, dim=below.dim + len(new) - len(old), gated=True)
    if not known.contracts or name == "Addbmm" or len(old) < 2:
        return APART
    left, right, _ = known.contracts[0]
    slots = {e.slot for e in graph.edges[above] if e.to == below.node}
    over = {len(old) - 1 if slot == left else len(old) - 2 for slot in slots & {left, right}}
    return GATED if below.dim in over else APART


def _attended(graph: Graph, below: Along, above: int) -> str:
    """After an attention in one operation, which adds up its values, each times its share."""
    values = any(e.to == below.node and e.slot == 2 for e in graph.edges[above])
    return GATED if values and below.each and below.dim == len(graph.shape(below.node)) - 2 else APART


def _adds(graph: Graph, below: Along, above: int, start: int) -> bool:
    """Whether a constant matrix adds entries of several of the signals, one of each at most: [1; 1] over a Cat."""
    way, old = graph.contraction(above), graph.shape(below.node)
    matrix: Tensor | None = saved_tensor(graph.nodes[above], way[2]) if way is not None else None
    dim = axis(graph.nodes[start]._saved_dim, len(graph.shape(start)))  # type: ignore[attr-defined]
    sizes = [graph.shape(*e.place)[dim] for e in graph.edges[start]]
    if matrix is None or way is None or matrix.ndim != 2 or below.dim != len(old) - 1 or sum(sizes) != old[-1]:
        return False
    rows = matrix.mT if facts(graph.operations[above]).bias == 2 else matrix
    if rows.shape[0] != old[-1]:
        return False
    entries = [(part != 0).sum(0) for part in rows.split(sizes)]
    return all(bool((count <= 1).all()) for count in entries) and bool((sum(entries) > 1).any())


def _viewed(below: Along, above: int, old: tuple[int, ...], new: tuple[int, ...]) -> str | Along:
    """The axis with as many entries before it, as long as the old one or, of a Cat, a part of it."""
    if below.mingled:
        return APART
    for k, size in enumerate(new):
        fits = size == old[below.dim] if below.each else 1 < size <= old[below.dim] and old[below.dim] % size == 0
        if fits and prod(new[:k]) == prod(old[: below.dim]):
            return replace(below, node=above, dim=k)
    # the last of several axes that are one now
    for k, size in enumerate(new):
        if below.each and prod(new[: k + 1]) == prod(old[: below.dim + 1]) and size % old[below.dim] == 0:
            return replace(below, node=above, dim=k, mingled=True)
    return APART
