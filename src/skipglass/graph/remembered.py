"""A verdict on a sum that is asked for again is remembered: sums ask about the sums below them, and those about theirs.

Without it the number of questions doubles from each level of a U-Net to the next.
"""

from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import TypeVar

from skipglass.graph.nodes import Edge, Graph

__all__ = ["remembered"]

Answer = TypeVar("Answer")


def remembered(
    decide: Callable[[Graph, int, Sequence[Edge], Sequence[int], Collection[int]], Answer],
) -> Callable[..., Answer]:
    """Ask a function about each pair of edges of a graph's node only once, as long as the graph lives.

    Parameters
    ----------
    decide
        A function of (graph, node, edges, joins, fixed), where the joins are those of the graph; the last argument is
        empty if it is not given.

    Returns
    -------
    Callable
        The function with a memory, which the graph holds.
    """

    @wraps(decide)
    def asked(
        graph: Graph, node: int, edges: Sequence[Edge], joins: Sequence[int], fixed: Collection[int] = ()
    ) -> Answer:
        question = decide, node, tuple(edges), frozenset(fixed)
        if question not in graph.answers:
            graph.answers[question] = decide(graph, node, edges, joins, fixed)
        return graph.answers[question]

    return asked
