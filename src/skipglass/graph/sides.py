"""What a sum adds by one of its edges: which signals lie below it, by which kinds of path, and which pieces of them.

A path is known by two things. Whether it *weighs*: crosses a weight. And the least plain of the operations that it
crosses, its `Way`; it is *plain* if none of them bends the signal. Both are followed from the sum down to its join, one
operation at a time, together with the piece of each signal that is read.
"""

import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from skipglass.graph.joins import weighs
from skipglass.graph.nodes import Edge, Graph, Place
from skipglass.graph.operations import TABLE, facts
from skipglass.graph.pieces import WHOLE, Piece, together
from skipglass.graph.sources import source

__all__ = ["Side", "Way", "crossed", "side", "ways"]


class Way(IntEnum):
    """The least plain operation of a path."""

    PLAIN = 0  # linear operations, with numbers, and normalisations
    LARGEST = 1  # and some that take the largest entries
    MIXED = 2  # and contractions with another signal
    UNKNOWN = 3  # and some that no table knows, custom functions among them
    GATED = 4  # and products with another signal, entry by entry
    BENT = 5  # and any other nonlinearity


Ways = int
"""A set of kinds of path, as bits: one for each way, and the same again for paths that weigh."""
WEIGHED = len(Way)
FEW = 8  # our choice: of more pieces of one signal, those read by the same kinds of path are put together


def ways(upto: Way = Way.BENT, since: Way = Way.PLAIN, weighed: bool = False) -> Ways:
    """The kinds of path from one way to another."""
    bits = sum(1 << way for way in Way if since <= way <= upto)
    return bits << WEIGHED if weighed else bits


@cache
def _cross(kinds: Ways, way: Way, weight: bool) -> Ways:
    """The kinds of path after one more operation."""
    after = 0
    for old in Way:
        for weighed in (False, True):
            if kinds >> (old + WEIGHED * weighed) & 1:
                after |= 1 << (max(old, way) + WEIGHED * (weighed or weight))
    return after


def crossed(graph: Graph, node: int, edge: Edge, fixed: Collection[int] = ()) -> tuple[Way, bool]:
    """The way of an operation for what comes by one of its edges, and whether it weighs it.

    The nodes in ``fixed`` are contractions with constants that count as no weights.
    """
    name, role = graph.operations[node], graph.roles[node]
    known = facts(name)
    if role in {"weight", "constant"}:
        return Way.PLAIN, node not in fixed and graph.contracts(node, edge)
    if role in {"linear", "norm"}:
        return Way.PLAIN, False
    if role == "opaque":
        return Way.BENT, weighs(graph, node)
    if role == "product" and known.factors is not None:
        if not any(edge.slot in group for group in known.factors):
            return Way.PLAIN, False
        return (Way.MIXED if known.contracts or _contracts(graph, node, edge) else Way.GATED), False
    if role == "custom" or name not in TABLE:
        return Way.UNKNOWN, False
    if name == "Div" and edge.slot == 0:
        return Way.GATED, False
    return (Way.LARGEST if known.largest else Way.BENT), False


def _contracts(graph: Graph, node: int, edge: Edge) -> bool:
    """Whether a product entry by entry is a contraction written out: broadcast along one axis, summed over another."""
    own, whole = graph.shape(*edge.place), graph.shape(node)
    own = (1,) * (len(whole) - len(own)) + own
    spread = any(size == 1 < wide for size, wide in zip(own, whole, strict=True))
    above = graph.users[node]
    if not spread or len(above) != 1 or not facts(graph.operations[above[0]]).sums:
        return False
    saved = getattr(graph.nodes[above[0]], "_saved_dim", ())
    dims = {d % len(whole) if d < 2**63 else (d - 2**64) % len(whole) for d in saved}
    return any(own[d] > 1 for d in dims)


@dataclass(frozen=True)
class Side:
    """One of the signals that a sum adds.

    Attributes
    ----------
    edge
        The edge by which it comes.
    nodes
        The nodes between the edge and the join, in topological order.
    reads
        For each signal between the edge and the join, that of the join included, the kinds of path to each piece of it.
    own_step
        Whether the sum itself contracts it with a weight, as Addmm does with its second and third operand.
    weighs
        Whether any path of it crosses a weight.
    """

    edge: Edge
    nodes: list[int]
    reads: dict[Place, dict[Piece, Ways]]
    own_step: bool
    weighs: bool

    def kinds(self, place: Place) -> Ways:
        """All kinds of path to a signal."""
        kinds = 0
        for some in self.reads.get(place, {}).values():
            kinds |= some
        return kinds

    def piece(self, place: Place, among: Ways) -> Piece | None:
        """The piece of a signal that is read by some kinds of path; None where nothing is."""
        found: Piece | None = None
        for piece, kinds in self.reads.get(place, {}).items():
            if kinds & among:
                found = piece if found is None else together(found, piece)
        return found


def side(
    graph: Graph, node: int, edge: Edge, join: int, pieces: bool = False, fixed: Collection[int] = ()
) -> Side:
    """Return what a sum adds by one of its edges, down to a join.

    Parameters
    ----------
    graph, node, edge
        The sum, and which of its signals.
    join
        The join of the sum; the number of nodes stands for the end of all paths.
    pieces
        Whether to follow pieces; without, every signal counts as whole.
    fixed
        See `crossed`.
    """
    own_step = node not in fixed and graph.contracts(node, edge)
    start = _cross(ways(Way.PLAIN), Way.PLAIN, own_step)
    arrived: dict[int, dict[int, dict[Piece, Ways]]] = {edge.to: {edge.output: {WHOLE: start}}}
    queue, nodes, weighed = [edge.to], [], own_step
    # in topological order: when the turn of a node comes, every path to it is known
    while queue:
        v = heapq.heappop(queue)
        if v == join:
            continue
        nodes.append(v)
        for e in graph.edges[v]:
            way, weight = crossed(graph, v, e, fixed)
            weighed = weighed or weight
            below = _below(graph, v, e, arrived[v], way, weight, pieces)
            if not below:
                continue
            if e.to not in arrived:
                arrived[e.to] = {}
                heapq.heappush(queue, e.to)
            _gather(arrived[e.to].setdefault(e.output, {}), below)
    reads = {(v, output): read for v, outputs in arrived.items() for output, read in outputs.items()}
    return Side(edge, nodes, reads, own_step, weighed)


def _below(
    graph: Graph,
    node: int,
    edge: Edge,
    arrived: dict[int, dict[Piece, Ways]],
    way: Way,
    weight: bool,
    pieces: bool,
) -> dict[Piece, Ways]:
    """What is read of one operand of a node, from what is read of its results."""
    below: dict[Piece, Ways] = {}
    for output, read in arrived.items():
        for piece, kinds in read.items():
            own = source(graph, node, output, piece, edge) if pieces else WHOLE
            if own is not None:
                below[own] = below.get(own, 0) | _cross(kinds, way, weight)
    return below


def _gather(into: dict[Piece, Ways], read: dict[Piece, Ways]) -> None:
    """Add what is read of a signal by another path."""
    for piece, kinds in read.items():
        into[piece] = into.get(piece, 0) | kinds
    if len(into) > FEW:
        alike: dict[Ways, Piece] = {}
        for piece, kinds in into.items():
            alike[kinds] = together(alike[kinds], piece) if kinds in alike else piece
        into.clear()
        for kinds, piece in alike.items():
            into[piece] = into.get(piece, 0) | kinds
