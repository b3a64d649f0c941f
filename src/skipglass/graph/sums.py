"""Two signals that are added in a node: the questions that every verdict on them asks, and the verdict itself."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from skipglass.graph.joins import ends
from skipglass.graph.nodes import Edge, Graph, Place
from skipglass.graph.pieces import Shared, shared
from skipglass.graph.sides import EVERY, Side, Way, Ways, ways

__all__ = [
    "AFFINE",
    "GATED",
    "LARGEST",
    "MIXED",
    "OVERLAP",
    "PLAIN",
    "UNBENT",
    "UNKNOWN",
    "WEIGHED",
    "Sum",
    "Verdict",
    "meeting",
]

PLAIN, UNBENT = ways(Way.PLAIN), ways(Way.LARGEST)  # what a branch may not, and a shortcut may cross
AFFINE = UNBENT | ways(Way.LARGEST, weighed=True)
LARGEST, MIXED, UNKNOWN, GATED = (ways(way, way) for way in (Way.LARGEST, Way.MIXED, Way.UNKNOWN, Way.GATED))
WEIGHED = ways(weighed=True)

OVERLAP = "its sides read pieces that overlap"


@dataclass(frozen=True)
class Verdict:
    """What a sum of two signals is.

    Attributes
    ----------
    kind
        "block", "parallel" or "doubtful".
    reason
        Why it is no block, or none for certain; of a block, what its shortcut is.
    join
        The node whose result both sides read.
    branch, shortcut
        The edges of a block, or of what may be one.
    skips
        Whether it looks like a skip connection, though it is parallel.
    """

    kind: str
    reason: str
    join: int
    branch: Edge | None = None
    shortcut: Edge | None = None
    skips: bool = False


@dataclass(frozen=True)
class Sum:
    """Two signals that are added in a node."""

    graph: Graph
    node: int
    joins: Sequence[int]
    join: int
    sides: tuple[Side, Side]

    @property
    def orders(self) -> tuple[tuple[Side, Side], tuple[Side, Side]]:
        """(branch, shortcut) both ways round."""
        first, second = self.sides
        return (first, second), (second, first)

    @cached_property
    def ends(self) -> set[Place]:
        """The signals of the join."""
        return ends(self.graph, self.join)

    def at_join(self, one: Side, among: Ways = EVERY, below: Collection[Place] | None = None) -> Ways:
        """The kinds of path by which a side reaches the join, or signals above it, of those that are asked for."""
        part, kinds = one if among & WEIGHED else one.weightless, 0
        for place in self.ends if below is None else below:
            kinds |= part.kinds(place) & among
        return kinds

    def shared_at_join(
        self, branch: Side, shortcut: Side, among: Ways, below: Collection[Place] | None = None
    ) -> Shared:
        """How much a branch that weighs reads of what the shortcut has of the join by some kinds of path."""
        met = self.ends if below is None else below
        if len(met) == 1 and not branch.pieces:
            return Shared.ONE
        part = shortcut if among & WEIGHED else shortcut.weightless
        pieces = [(part.piece(place, among), branch.piece(place, WEIGHED)) for place in met]
        return max((shared(a, b) for a, b in pieces if a is not None and b is not None), default=Shared.NOTHING)

    def verdict(self, kind: str, reason: str, branch: Side, shortcut: Side, join: int | None = None) -> Verdict:
        """A block, or a sum that may be one."""
        return Verdict(kind, reason, self.join if join is None else join, branch.edge, shortcut.edge)

    def parallel(self, reason: str, skips: bool = False) -> Verdict:
        """A sum that is no block."""
        return Verdict("parallel", reason, self.join, skips=skips)


def meeting(
    branch: Side, shortcut: Side, carried: Ways, by: Ways = EVERY, alike: Ways | None = None
) -> tuple[Place, Shared] | None:
    """The nearest signal that both sides read, the shortcut by some kinds of path, if it makes a block of the sum.

    Some of the shortcut's paths to it must be of the kinds ``by``: a stream that is carried plainly beside another is
    neither mixed nor gated. The branch must read it over a weight, and must not carry it in the same way, or in those
    that are ``alike`` if any are given.
    """
    part, alike = shortcut.weightless, carried & ~LARGEST if alike is None else alike
    for place in part.places:
        own = part.piece(place, carried)
        read = None if own is None else branch.piece(place)
        if own is None or read is None or shared(own, read) is Shared.NOTHING:
            continue
        # the branch must weigh what the shortcut carries, and not carry it likewise
        weighed, plain = branch.piece(place, WEIGHED), branch.piece(place, alike)
        if weighed is None or (plain is not None and shared(own, plain) is not Shared.NOTHING):
            return None
        both = shared(own, weighed)
        return None if both is Shared.NOTHING or not part.kinds(place) & by else (place, both)
    return None
