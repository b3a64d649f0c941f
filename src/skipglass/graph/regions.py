"""The graph of a backward pass, cut into regions that each run as one call of autograd's engine.

A region is entered at one node, its *head*: the loss, a counted step, and wherever two regions meet. It ends at
the heads below. A node whose operands lead apart, a *fork*, is a region of its own and is called by hand.
"""

from collections.abc import Collection
from dataclasses import dataclass

from skipglass.graph.nodes import Graph

__all__ = ["Counted", "Regions", "partition"]

Counted = set[tuple[int, int]]
"""Counted steps: (node, slot) of an edge."""


@dataclass(frozen=True)
class Regions:
    """A partition of a graph.

    Attributes
    ----------
    heads
        In topological order from the loss.
    forks
        The heads that are called by hand.
    exits
        For each other head, the (node, output) by which its region ends.
    head
        The head of each node's region.
    hooked
        The (node, output) where hooks change what arrives.
    """

    heads: list[int]
    forks: set[int]
    exits: dict[int, list[tuple[int, int]]]
    head: list[int]
    hooked: set[tuple[int, int]]

    def ends(self, graph: Graph, h: int) -> list[tuple[int, int]]:
        """The (node, output) of every way out of a region."""
        return [(e.to, e.output) for e in graph.edges[h]] if h in self.forks else self.exits[h]


def partition(
    graph: Graph, counted: Counted, stops: Collection[int] = (), hooked: Collection[tuple[int, int]] = ()
) -> Regions:
    """Cut the graph into single-entry regions whose ends do not lead to one another.

    Requested ends that lead to one another would each include what flows through the other, so where they
    do, the forks they spread from become heads of their own. Heads with hooks become forks, as a region that
    started there would fire them a second time.

    Parameters
    ----------
    graph
        What to cut.
    counted
        The counted steps.
    stops
        More nodes that shall be heads.
    hooked
        The (node, output) where hooks change the gradient.
    """
    special = {node for node, _ in graph.targets} | {node for node, _ in counted} | set(stops)
    forks = {i for i, _ in counted if len(graph.edges[i]) > 1}
    below = _reachable(graph)
    hooks = {node for node, _ in hooked}
    while True:
        head = _heads(graph, forks, special)
        heads = sorted({i for i, h in enumerate(head) if h == i})
        exits, spread = _exits(graph, head, forks, below)
        spread = spread or {h for h in heads if h in hooks and graph.edges[h]} - forks
        if not spread:
            left = {h: list(ends) for h, ends in exits.items() if h not in forks}
            return Regions(heads, forks, left, head, set(hooked))
        forks |= spread


def _exits(
    graph: Graph, head: list[int], forks: set[int], below: list[int]
) -> tuple[dict[int, dict[tuple[int, int], None]], set[int]]:
    """The ends of each region, and the nodes from which they spread to ends that lead to one another."""
    exits: dict[int, dict[tuple[int, int], None]] = {h: {} for i, h in enumerate(head) if h == i}
    ends: list[int] = [0] * len(head)  # bit sets of the heads each node leads to, within its region
    spread = set()
    for i in range(len(head) - 1, -1, -1):
        for e in graph.edges[i]:
            if head[e.to] == e.to:
                exits[head[i]][e.to, e.output] = None
                ends[i] |= 1 << e.to
            else:
                ends[i] |= ends[e.to]
        if len(graph.edges[i]) > 1 and i not in forks and _some_lead_to_others(ends[i], below):
            spread.add(i)
    return exits, spread


def _heads(graph: Graph, forks: set[int], special: set[int]) -> list[int]:
    """The head of each node's region."""
    head = [-1] * len(graph.nodes)
    head[0] = 0
    for i, edges in enumerate(graph.edges):
        if i in special or i in forks:
            head[i] = i
        for e in edges:
            came = e.to if i in forks else head[i]
            head[e.to] = came if head[e.to] in {-1, came} else e.to
    return head


def _reachable(graph: Graph) -> list[int]:
    """For each node the bit set of the nodes below it."""
    below = [0] * len(graph.nodes)
    for i in range(len(below) - 1, -1, -1):
        for e in graph.edges[i]:
            below[i] |= below[e.to] | 1 << e.to
    return below


def _some_lead_to_others(ends: int, below: list[int]) -> bool:
    if ends & (ends - 1) == 0:
        return False
    rest = ends
    while rest:
        lowest = rest & -rest
        if below[lowest.bit_length() - 1] & ends:
            return True
        rest ^= lowest
    return False
