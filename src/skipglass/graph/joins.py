"""Where paths that part at a node of the graph meet again, and what lies in between."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from skipglass.graph.nodes import Edge, Graph, Place

__all__ = ["PLAIN", "Side", "between", "joins", "plainly_reached", "reached", "side", "weighs"]

PLAIN = {"linear", "norm"}
"""Roles of the operations that keep a signal *plain*: no weight, no nonlinearity and no product of two signals."""


@dataclass(frozen=True)
class Side:
    """One of the signals that a sum adds.

    Attributes
    ----------
    edge
        The edge by which it comes.
    nodes
        The nodes between the edge and the join, in topological order.
    own_step
        Whether the sum itself contracts it with a weight, as Addmm does with its second and third operand.
    weighs
        Whether it crosses a weight.
    """

    edge: Edge
    nodes: list[int]
    own_step: bool
    weighs: bool


def joins(graph: Graph) -> list[int]:
    """For each node its *join*, the first node that all its paths to x pass: its immediate postdominator.

    The number of nodes, len(graph.nodes), stands for the end of every path (Cooper, Harvey & Kennedy, 2001).
    """
    end = len(graph.nodes)
    join = [end] * (end + 1)
    for i in range(end - 1, -1, -1):
        following = [e.to for e in graph.edges[i]] + ([end] if i in graph.at_end else [])
        # the joins of all lower nodes are known: walk down them until the two walks meet
        met = following[0]
        for other in following[1:]:
            while met != other:
                if met < other:
                    met = join[met]
                else:
                    other = join[other]
        join[i] = met
    return join


def between(graph: Graph, edge: Edge, join: int, stops: Collection[int] = ()) -> list[int]:
    """The nodes between an edge and a join, in topological order; the join and the ``stops`` are left out."""
    met = {join, *stops}
    if edge.to in met:
        return []
    inside, stack = [edge.to], [edge.to]
    met.add(edge.to)
    while stack:
        for e in graph.edges[stack.pop()]:
            if e.to not in met:
                met.add(e.to)
                inside.append(e.to)
                stack.append(e.to)
    return sorted(inside)


def side(graph: Graph, node: int, edge: Edge, join: int) -> Side:
    """Return what a sum adds by one of its edges, down to a join."""
    inside, own_step = between(graph, edge, join), graph.contracts(node, edge)
    return Side(edge, inside, own_step, own_step or any(weighs(graph, v) for v in inside))


def weighs(graph: Graph, node: int) -> bool:
    """Tell whether a node contracts the signal with a weight, or may do so inside."""
    if graph.roles[node] == "opaque":
        return graph.operations[node] != "CopySlices"
    return graph.roles[node] in {"weight", "constant"}


def reached(graph: Graph, edge: Edge, nodes: Sequence[int], passes: Callable[[int], bool]) -> set[Place]:
    """The places that an edge leads to by those of the nodes, in topological order, that ``passes`` lets through.

    The place (len(graph.nodes), 0) stands for x.
    """
    places, heads = {edge.place}, {edge.to}
    # in topological order: whether a node is reached is known before its turn
    for v in nodes:
        if v not in heads:
            continue
        if v in graph.at_end:
            places.add((len(graph.nodes), 0))
        if passes(v):
            places.update(e.place for e in graph.edges[v])
            heads.update(e.to for e in graph.edges[v])
    return places


def plainly_reached(graph: Graph, edge: Edge, nodes: Sequence[int]) -> set[Place]:
    """The places that an edge leads to by plain paths."""
    return reached(graph, edge, nodes, lambda v: graph.roles[v] in PLAIN)
