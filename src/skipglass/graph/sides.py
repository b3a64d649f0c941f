"""What a sum adds by one of its edges: which signals lie below it, by which kinds of path, and which pieces of them.

A path is known by two things. Whether it *weighs*: crosses a weight. And the least plain of the operations that it
crosses, its `Way`; it is *plain* if none of them bends the signal. Both are followed from the sum down to its join, one
operation at a time, together with the piece of each signal that is read.
"""

import heapq
from collections.abc import Collection
from enum import IntEnum
from functools import cache, cached_property

from skipglass.graph.joins import weighs
from skipglass.graph.nodes import Edge, Graph, Place
from skipglass.graph.operations import TABLE, facts
from skipglass.graph.pieces import WHOLE, Piece, together
from skipglass.graph.sources import source

__all__ = ["EVERY", "Side", "Way", "Ways", "crossed", "ways"]


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


EVERY: Ways = (1 << 2 * WEIGHED) - 1


@cache
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
    # a contraction with a weight is linear in the signal: plain, but it weighs
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
    # the gradient of an operation is linear in what enters it, and a gate for the rest
    if known.nonlinear_in and edge.slot not in known.nonlinear_in:
        return (Way.GATED if known.entrywise else Way.MIXED), False
    return (Way.LARGEST if known.largest else Way.BENT), False


def _contracts(graph: Graph, node: int, edge: Edge) -> bool:
    """Whether a product entry by entry is a contraction written out: broadcast along one axis, summed over another."""
    own, whole = graph.shape(*edge.place), graph.shape(node)
    own = (1,) * (len(whole) - len(own)) + own
    spread = any(size == 1 < wide for size, wide in zip(own, whole, strict=True))
    above = graph.users[node]
    if not spread or len(above) != 1 or not facts(graph.operations[above[0]]).sums:
        return False
    # the sum is over an axis along which the signal itself varies
    saved = getattr(graph.nodes[above[0]], "_saved_dim", ())
    dims = {d % len(whole) if d < 2**63 else (d - 2**64) % len(whole) for d in saved}
    return any(own[d] > 1 for d in dims)


class Side:
    """One of the signals that a sum adds, followed down to the join only as far as it is asked about.

    Attributes
    ----------
    edge
        The edge by which it comes.
    own_step
        Whether the sum itself contracts it with a weight, as Addmm does with its second and third operand.
    join
        The number of the node where it ends; that of all nodes stands for the end of every path.
    pieces
        Whether pieces are followed.
    """

    def __init__(
        self,
        graph: Graph,
        node: int,
        edge: Edge,
        join: int,
        pieces: bool = False,
        fixed: Collection[int] = (),
        weighs: bool = True,
        piece: Piece = WHOLE,
    ) -> None:
        """Begin at a sum.

        Parameters
        ----------
        graph, node, edge, join
            The sum, which of its signals, and where to end.
        pieces
            Whether to follow pieces; without, every signal counts as whole.
        fixed
            See `crossed`.
        weighs
            Whether to follow paths that weigh.
        piece
            The piece of the signal that is asked about.
        """
        self.graph, self.edge, self.join = graph, edge, join
        self.own_step = node not in fixed and graph.contracts(node, edge)
        self._given = graph, node, edge, join, pieces, fixed, False, piece
        self.pieces, self._fixed, self._among = pieces, fixed, EVERY if weighs else ways()
        start = _cross(ways(Way.PLAIN), Way.PLAIN, self.own_step) & self._among
        # what is read of each signal that was reached, by node and output; the nodes whose turn has come, and will come
        self._read: dict[int, dict[int, dict[Piece, Ways]]] = (
            {edge.to: {_signal(graph, edge): {piece: start}}} if start else {}
        )
        self._passed: list[int] = []
        self._queue = list(self._read)
        self._weighed = self.own_step

    @cached_property
    def weightless(self) -> "Side":
        """The same, by paths that cross no weight."""
        return Side(*self._given)

    @property
    def nodes(self) -> list[int]:
        """The nodes between the edge and the join, in topological order."""
        self._follow(self.join)
        return self._passed

    @property
    def weighs(self) -> bool:
        """Whether any path crosses a weight."""
        while not self._weighed and self._queue:
            self._step()
        return self._weighed

    @property
    def places(self) -> list[Place]:
        """The signals down to the join, that of the join included, the nearest first."""
        self._follow(self.join)
        return sorted((v, output) for v, outputs in self._read.items() for output in outputs)

    def kinds(self, place: Place) -> Ways:
        """The kinds of path that lead to a signal."""
        kinds = 0
        for some in self._of(place).values():
            kinds |= some
        return kinds

    def piece(self, place: Place, among: Ways = EVERY) -> Piece | None:
        """The piece of a signal that is read by some kinds of path; None where nothing is."""
        found: Piece | None = None
        for piece, kinds in self._of(place).items():
            if kinds & among:
                found = piece if found is None else together(found, piece, self.graph.shape(*place))
        return found

    def _of(self, place: Place) -> dict[Piece, Ways]:
        self._follow(place[0])
        return self._read.get(place[0], {}).get(place[1], {})

    def _follow(self, node: int) -> None:
        """Go down until every path to a node is known: nodes come in topological order."""
        while self._queue and self._queue[0] < node:
            self._step()

    def _step(self) -> None:
        """Pass the next node."""
        v = heapq.heappop(self._queue)
        # nothing is followed past the join
        if v == self.join:
            return
        self._passed.append(v)
        for e in self.graph.edges[v]:
            way, weight = crossed(self.graph, v, e, self._fixed)
            self._weighed = self._weighed or weight
            below = self._below(v, e, way, weight)
            if below and e.to not in self._read:
                self._read[e.to] = {}
                heapq.heappush(self._queue, e.to)
            if below:
                _gather(self._read[e.to].setdefault(_signal(self.graph, e), {}), below, self.graph, e.place)

    def _below(self, node: int, edge: Edge, way: Way, weight: bool) -> dict[Piece, Ways]:
        """What is read of one operand of a node, from what is read of its results."""
        below: dict[Piece, Ways] = {}
        for output, read in self._read[node].items():
            for piece, kinds in read.items():
                own = _source(self.graph, node, output, piece, edge) if self.pieces else WHOLE
                after = _cross(kinds, way, weight) & self._among
                if own is not None and after:
                    below[own] = below.get(own, 0) | after
        return below


def _signal(graph: Graph, edge: Edge) -> int:
    """Which of the results of a node an edge leads to: those of a fused addition and norm are one signal."""
    return 0 if edge.output and facts(graph.operations[edge.to]).merges else edge.output


def _source(graph: Graph, node: int, output: int, piece: Piece, edge: Edge) -> Piece | None:
    """See `sources`; it is asked of each sum around a node."""
    asked = node, output, edge.slot, piece
    if asked not in graph.known:
        graph.known[asked] = source(graph, node, output, piece, edge)
    return graph.known[asked]


def _gather(into: dict[Piece, Ways], read: dict[Piece, Ways], graph: Graph, place: Place) -> None:
    """Add what is read of a signal by another path."""
    for piece, kinds in read.items():
        into[piece] = into.get(piece, 0) | kinds
    if len(into) > FEW:
        # too many pieces to follow each: those that are read alike become one
        alike: dict[Ways, Piece] = {}
        shape = graph.shape(*place)
        for piece, kinds in into.items():
            alike[kinds] = together(alike[kinds], piece, shape) if kinds in alike else piece
        into.clear()
        for kinds, piece in alike.items():
            into[piece] = into.get(piece, 0) | kinds
