"""Whether the two sides of a sum see the same signal, or only pieces of one: then there may be nothing to skip.

So it is with the steps of a recurrence over a sequence, each of which reads another piece of the input.
"""

from collections.abc import Sequence
from enum import Enum

from skipglass.graph.joins import PLAIN, Side, reached
from skipglass.graph.nodes import Graph, Place
from skipglass.graph.operations import facts

__all__ = ["Seen", "seen"]


class Seen(Enum):
    """What the sides of a sum see of their join."""

    WHOLE = 1  # one side at least sees all of it
    PIECES = 2  # both see pieces, and some piece is in both
    APART = 3  # both see pieces, and different ones


def seen(graph: Graph, sides: Sequence[Side], join: int) -> Seen:
    """Say what the two sides of a sum see of the join."""
    if join == len(graph.nodes):  # x itself, whose pieces are the tensors of a tuple
        tensors = [{target for target in graph.targets if target[0] in side.nodes} for side in sides]
        if not tensors[0] & tensors[1]:
            return Seen.APART
    elif facts(graph.operations[join]).picks:  # an operation each of whose outputs is a piece
        outputs = [_places_of(graph, join, side) for side in sides]
        return Seen.PIECES if outputs[0] & outputs[1] else Seen.APART
    # the picks on plain paths to the join
    leading: set[int] = set()
    for v in sorted({*sides[0].nodes, *sides[1].nodes}, reverse=True):
        if graph.roles[v] in PLAIN and any(e.to == join or e.to in leading for e in graph.edges[v]):
            leading.add(v)
    picks = {v for v in leading if facts(graph.operations[v]).picks}
    # a side that goes around them sees the whole
    if not picks or any(_reaches_around(graph, side, join, picks) for side in sides):
        return Seen.WHOLE
    pieces = [{_piece(graph, v) for v in picks.intersection(side.nodes)} for side in sides]
    return Seen.PIECES if pieces[0] & pieces[1] else Seen.APART


def _places_of(graph: Graph, node: int, side: Side) -> set[Place]:
    """The places of one node that a side reads."""
    edges = [side.edge, *(e for v in side.nodes for e in graph.edges[v])]
    return {e.place for e in edges if e.to == node}


def _reaches_around(graph: Graph, side: Side, join: int, picks: set[int]) -> bool:
    return join in {node for node, _ in reached(graph, side.edge, side.nodes, lambda v: v not in picks)}


def _piece(graph: Graph, node: int) -> tuple[object, ...]:
    """What a pick takes, so that the same piece taken twice is known as one."""
    taken = graph.nodes[node]
    names = [name for name in dir(taken) if name.startswith("_saved_")]
    numbers = [(name, value) for name in names if isinstance(value := getattr(taken, name), int)]
    return (graph.operations[node], *graph.edges[node], *numbers) if numbers else (node,)
