"""The graph of a backward pass, cut into regions that each run as one call of autograd's engine.

A region is entered at one node, its *head*: the loss, a counted step, and wherever two regions meet. It ends at
the heads below. A node whose operands lead apart, a *fork*, is a region of its own and is called by hand.
"""

from collections.abc import Collection
from dataclasses import dataclass

from skipglass.graph.nodes import Graph, Place

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
        For each other head, the places at which its region ends.
    head
        The head of each node's region.
    hooked
        The places where hooks change what arrives.
    """

    heads: list[int]
    forks: set[int]
    exits: dict[int, list[Place]]
    head: list[int]
    hooked: set[Place]

    def ends(self, graph: Graph, h: int) -> list[Place]:
        """The places of every way out of a region."""
        return [e.place for e in graph.edges[h]] if h in self.forks else self.exits[h]


def partition(graph: Graph, counted: Counted, stops: Collection[int] = (), hooked: Collection[Place] = ()) -> Regions:
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
        The places where hooks change the gradient.
    """
    special = {node for node, _ in counted} | graph.at_end | set(stops)
    hooks = {node for node, _ in hooked}
    forks = {i for i, _ in counted if len(graph.edges[i]) > 1}
    below = _reachable(graph)
    # cut; where ends lead to one another, or hooks would fire twice, cut out what spreads to them; and again
    while True:
        head = _heads(graph, forks, special)
        heads = sorted(set(head))
        exits, spread = _exits(graph, head, forks, below)
        spread = spread or {h for h in heads if h in hooks and graph.edges[h]} - forks
        if not spread:
            left = {h: list(ends) for h, ends in exits.items() if h not in forks}
            return Regions(heads, forks, left, head, set(hooked))
        forks |= spread


def _exits(
    graph: Graph, head: list[int], forks: set[int], below: list[int]
) -> tuple[dict[int, dict[Place, None]], set[int]]:
    """The ends of each region, and the nodes from which they spread to ends that lead to one another."""
    exits: dict[int, dict[Place, None]] = {h: {} for h in head}
    ends: list[int] = [0] * len(head)  # bit sets of the heads each node leads to, within its region
    spread = set()
    # from x up: the ends below each node are known
    for i in range(len(head) - 1, -1, -1):
        for e in graph.edges[i]:
            if head[e.to] == e.to:
                exits[head[i]][e.place] = None
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
        # a node joins the region that it is entered from, unless it is entered from two
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
    """Whether one node of a bit set lies below another."""
    rest = ends if ends & (ends - 1) else 0  # a single one does not
    while rest:
        lowest = rest & -rest
        if below[lowest.bit_length() - 1] & ends:
            return True
        rest ^= lowest
    return False
