"""Where paths that part at a node of the graph meet again, and what lies in between."""

from collections.abc import Callable, Collection, Iterator

from skipglass.graph.nodes import Edge, Graph, Place

__all__ = ["PLAIN", "above", "between", "ends", "is_x", "joins", "plain_source", "weighs"]

PLAIN = {"linear", "norm"}
"""Roles of the operations that keep a signal *plain*: no weight, no nonlinearity and no product of two signals."""


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


def ends(graph: Graph, join: int) -> set[Place]:
    """The signals of a join: what its node computes, or the tensors of x."""
    if join == len(graph.nodes):
        return set(graph.targets)
    return {(join, k) for k in range(len(graph.nodes[join]._input_metadata))}


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


def above(graph: Graph, node: int, passes: Callable[[int, int], bool]) -> Iterator[tuple[int, int]]:
    """Yield what reads a node's result, as (what is read, what reads it), and on from all that ``passes`` lets through.

    ``passes`` is asked for the same pair, once for each.
    """
    seen, stack = {node}, [node]
    while stack:
        below = stack.pop()
        for user in dict.fromkeys(graph.users[below]):
            yield below, user
            if user not in seen and passes(below, user):
                seen.add(user)
                stack.append(user)


def weighs(graph: Graph, node: int) -> bool:
    """Tell whether a node contracts the signal with a weight, or may do so inside."""
    if graph.roles[node] == "opaque":
        return graph.operations[node] != "CopySlices"
    return graph.roles[node] in {"weight", "constant"}


def plain_source(graph: Graph, place: Place) -> Place:
    """The signal that a signal is, but for plain operations on it alone."""
    node, _ = place
    while graph.roles[node] in PLAIN and len(graph.edges[node]) == 1 and place not in graph.targets:
        place = graph.edges[node][0].place
        node, _ = place
    return place


def is_x(graph: Graph, join: int) -> bool:
    """Whether a join is x, but for plain operations on it alone."""
    if join == len(graph.nodes) or join in graph.at_end:
        return True
    return plain_source(graph, (join, 0)) in graph.targets
