"""Whether a sum of two signals is a residual block, and which of them is the branch.

Let the *join* of a sum be the first node that every path from it to x passes (see `joins`). The sum is a *block* when
one side, the *shortcut*, reaches a signal by a plain path, one that crosses no weight, no nonlinearity and no product
of two signals, while the other side, the *branch*, reads the same piece of it over a weight and not plainly. That
signal is the join, or the nearest one that the branch reads of all that the shortcut carries, its *stream*. A maximum
over windows picks entries and changes none: on a shortcut it is as good as plain.

Three more forms are blocks. The shortcut crosses weights as well, but nothing else, and the branch is not as plain: it
is *projected*. It reaches the join by contractions with something that is computed from the join over weights: it is
*mixing*. And it is plain, while the branch reads another piece of the join, in a *coupling*: one of both is carried on.

Every other sum of two signals is *parallel*, with a reason; or *doubtful*, where it has almost one of these forms.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from skipglass.graph.joins import ends, is_x, plain_source
from skipglass.graph.nodes import Edge, Graph, Place
from skipglass.graph.operations import facts
from skipglass.graph.pieces import WHOLE, Shared, shared
from skipglass.graph.reasons import (
    carried_on,
    into_attention,
    is_condition,
    is_coupled,
    is_noise,
    is_of_the_loss,
    is_preactivated,
    recurs,
    skips_over,
    starts_at,
    weighs_above,
)
from skipglass.graph.sides import EVERY, Side, Way, Ways, ways
from skipglass.graph.sources import added_to

__all__ = ["Verdict", "decide"]

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


def decide(
    graph: Graph, node: int, edges: Sequence[Edge], joins: Sequence[int], fixed: Collection[int] = ()
) -> Verdict:
    """Say what a sum of two signals is, by the joins of all nodes; contractions in ``fixed`` count as no weights."""
    join = joins[node]
    sides = [Side(graph, node, e, join, fixed=fixed) for e in edges]
    # pieces are followed only where some are taken: most networks have none
    if any(_takes_pieces(graph, v) for one in sides for v in (*one.weightless.nodes, join)):
        sides = [Side(graph, node, e, join, True, fixed) for e in edges]
        # pieces of what was put side by side just below are told apart there
        while _is_apart(graph, sides, join):
            join = joins[join]
            sides = [Side(graph, node, e, join, True, fixed) for e in edges]
    verdict = _of(Sum(graph, node, joins, join, (sides[0], sides[1])))
    if verdict.reason == OVERLAP and (piece := added_to(graph, node)) != WHOLE:
        # of what is carried, only the entries that something is added to
        sides = [Side(graph, node, e, join, True, fixed, piece=WHOLE if e.slot else piece) for e in edges]
        there = _of(Sum(graph, node, joins, join, (sides[0], sides[1])))
        return there if there.kind == "block" else verdict
    return verdict


def _of(s: Sum) -> Verdict:
    """The verdict of the first form that a sum has."""
    for form in (_weightless, _around_the_join, _around_a_stream, _projected, _mixing, _almost):
        if (verdict := form(s)) is not None:
            return verdict
    return _beside(s)


def _takes_pieces(graph: Graph, node: int) -> bool:
    if node == len(graph.nodes):
        return False
    known = facts(graph.operations[node])
    return known.picks or known.joins or node in graph.writes or graph.operations[node] == "Complex"


def _is_apart(graph: Graph, sides: Sequence[Side], join: int) -> bool:
    """Whether both sides carry pieces of a join that only puts signals side by side, or takes such, and other ones."""
    if join == len(graph.nodes) or join in graph.at_end or graph.roles[join] != "linear":
        return False
    first, second = ({place: one.weightless.piece(place, UNBENT) for place in ends(graph, join)} for one in sides)
    if not any(piece is not None for piece in first.values()) or not any(
        piece is not None for piece in second.values()
    ):
        return False
    pairs = ((a, second[place]) for place, a in first.items())
    return not any(a is not None and b is not None and shared(a, b) is not Shared.NOTHING for a, b in pairs)


def _weightless(s: Sum) -> Verdict | None:
    """No branch: nothing is crossed by a weight."""
    if any(one.weighs for one in s.sides):
        return None
    plain = all(s.at_join(one, UNBENT) for one in s.sides)
    return s.parallel("both plain" if plain else "no weight", any(_mixes(s, *order) for order in s.orders))


def _mixes(s: Sum, branch: Side, shortcut: Side) -> bool:
    """Whether one side is the join itself, and the other mixes its entries without a weight: averages, transforms."""
    if facts(s.graph.operations[s.node]).merges == "difference" or not s.at_join(shortcut, PLAIN):
        return False
    if any(not facts(s.graph.operations[v]).entrywise for v in shortcut.nodes) or s.at_join(branch, GATED):
        return False
    mixing = (facts(s.graph.operations[v]) for v in branch.nodes)
    return any(known.role == "norm" or known.pools or known.transforms or known.contracts for known in mixing)


def _around_the_join(s: Sum) -> Verdict | None:
    """One side is plain down to the join, the other is not and weighs."""
    for branch, shortcut in s.orders:
        if not branch.weighs or not s.at_join(shortcut, UNBENT) or s.at_join(branch, PLAIN):
            continue
        if is_of_the_loss(s.graph, s.node):
            return s.parallel("terms of a loss")
        # the branch reads the very piece that the shortcut carries, or one that is carried on past the sum
        both = s.shared_at_join(branch, shortcut, UNBENT)
        if both is Shared.ONE or (both is Shared.NOTHING and carried_on(s.graph, s.node, branch, s.ends)):
            return s.verdict("block", "identity", branch, shortcut)
        if both is Shared.SOME:
            return s.verdict("doubtful", OVERLAP, branch, shortcut)
    return None


def _around_a_stream(s: Sum) -> Verdict | None:
    """One side is plain down to a nearer signal, which the other reads over a weight."""
    for branch, shortcut in s.orders:
        met = None if shortcut.own_step else _meeting(branch, shortcut, UNBENT)
        # a branch is no stream of its own, as the second of two that come together is
        if met is None or s.at_join(branch, ways(Way.GATED)):
            continue
        place, both = met
        # a stream beside it may be a shift, or a condition that was added before: neither is skipped
        if _modulates(s, branch, shortcut, place):
            return s.parallel("modulation")
        if is_condition(s.graph, s.node, branch, shortcut, place):
            return s.parallel("different signals")
        if both is Shared.ONE:
            return s.verdict("block", "identity", branch, shortcut, place[0])
        return s.verdict("doubtful", OVERLAP, branch, shortcut, place[0])
    return None


def _meeting(
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


def _modulates(s: Sum, branch: Side, shortcut: Side, place: Place) -> bool:
    """Whether a branch is another stream times a signal, n(h) (1 + a) beside a shift b of the same condition."""
    factors = _factors(s.graph, branch)
    for source in factors:
        scale, shift = branch.piece(source, PLAIN | GATED), shortcut.piece(place, UNBENT)
        apart = scale is not None and shift is not None and shared(scale, shift) is Shared.NOTHING
        if source[0] == place[0] and apart:
            return True
    return any(_runs_beside(s, v, place) for v, _ in factors)


def _runs_beside(s: Sum, v: int, place: Place) -> bool:
    """Whether a node is the last sum of a stream, a chain of blocks, whose first shortcut does not read a signal."""
    first: Edge | None = None
    while len(s.graph.edges[v]) == 2 and facts(s.graph.operations[v]).merges == "sum":
        found = decide(s.graph, v, s.graph.edges[v], s.joins)
        if found.kind != "block" or found.shortcut is None:
            break
        first, v = found.shortcut, plain_source(s.graph, found.shortcut.place)[0]
    return first is not None and not Side(s.graph, v, first, place[0]).kinds(place)


def _factors(graph: Graph, one: Side) -> list[Place]:
    """The signals whose product entry by entry a side is, all but for plain operations on them alone.

    A factor that is a product itself is taken apart once more: a normalisation written out is h times 1/|h|.
    """
    outer = [] if one.own_step else _multiplied(graph, one.edge.place)
    return outer + [inner for factor in outer for inner in _multiplied(graph, factor)]


def _multiplied(graph: Graph, place: Place) -> list[Place]:
    """The operands of a product entry by entry, below plain operations on each alone; none of anything else."""
    top = plain_source(graph, place)[0]
    product = graph.roles[top] == "product" and not facts(graph.operations[top]).contracts
    return [plain_source(graph, e.place) for e in graph.edges[top]] if product else []


def _projected(s: Sum) -> Verdict | None:
    """Both sides weigh, and one is affine down to the join, or to the nearest signal that it is made of alone."""
    for branch, shortcut in s.orders:
        if not (branch.weighs and shortcut.weighs):
            continue
        # the shortcut may be made of a nearer signal alone: that is where the block begins then
        join = _made_of(s, shortcut)
        below = ends(s.graph, join)
        if s.at_join(shortcut, EVERY, below) & ~AFFINE or not s.at_join(branch, EVERY, below) & ~AFFINE:
            continue
        both = s.shared_at_join(branch, shortcut, EVERY, below)
        given = {place for place in below if shortcut.piece(place) is not None}
        own = join == s.join < len(s.graph.nodes) or starts_at(s.graph, s.node, branch, given)
        # from here on both sides weigh and one is affine: what else is written so is ruled out, one by one
        if both is Shared.NOTHING or not own or (join != s.join and _passes_by(s, branch, join)):
            return s.parallel("different signals")
        if join != s.join and _factors(s.graph, branch):
            return s.parallel("modulation")
        if into_attention(s.graph, s.node):
            return s.parallel("attention logits")
        if recurs(s.graph, s.node, branch, shortcut):
            return s.parallel("a recurrence")
        if not _apart_or_carried(branch, shortcut, join, below):
            return s.parallel("both share a weight")
        if is_noise(s.graph, branch):
            return s.parallel("a random sample")
        if is_of_the_loss(s.graph, s.node):
            return s.parallel("terms of a loss")
        if both is Shared.ONE:
            return s.verdict("block", "projected", branch, shortcut, join)
        return s.verdict("doubtful", OVERLAP, branch, shortcut)
    return None


def _passes_by(s: Sum, branch: Side, join: int) -> bool:
    """Whether a branch is a stream that passes a node by and is only updated from there, as WaveNet's next one is."""
    sums = [v for v in branch.nodes if v < join and len(s.graph.edges[v]) == 2 and facts(s.graph.operations[v]).merges]
    found = (decide(s.graph, v, s.graph.edges[v], s.joins) for v in sums)
    return any(one.kind == "block" and one.join > join for one in found)


def _made_of(s: Sum, shortcut: Side) -> int:
    """The nearest node that all paths of a shortcut pass and whose result both sides read over a weight."""
    v = shortcut.edge.to
    while v != s.join and not any(all(one.kinds(p) & WEIGHED for one in s.sides) for p in ends(s.graph, v)):
        v = s.joins[v]
    return v


def _apart_or_carried(branch: Side, shortcut: Side, join: int, ends: Collection[Place]) -> bool:
    """Whether sides read no signal above their join in common, or the nearest is what the shortcut carries plainly.

    The values v of an attention, in softmax(q k) v + W v, are nothing that is skipped; its queries, in
    q + softmax(q k) v, are.
    """
    common = (p for p in shortcut.places if p[0] < join and p not in ends and branch.piece(p) is not None)
    nearest = next(common, None)
    return nearest is None or shortcut.weightless.piece(nearest, UNBENT) is not None


def _mixing(s: Sum) -> Verdict | None:
    """One side contracts a stream with what is computed over weights (hyper-connections)."""
    if into_attention(s.graph, s.node):
        return None
    for branch, shortcut in s.orders:
        met = _meeting(branch, shortcut, UNBENT | MIXED, MIXED)
        # a state that is constant so far is no weight, as in a delta rule
        true = met is not None and any(s.graph.roles[v] == "weight" for v in branch.nodes if v < met[0][0])
        if met is None or not true or not shortcut.weighs:
            continue
        if not is_condition(s.graph, s.node, branch, shortcut, met[0]):
            return s.verdict("block", "mixing", branch, shortcut, met[0][0])
    return None


def _almost(s: Sum) -> Verdict | None:
    """What would be a block but for one thing."""
    if _is_from_a_target(s) or is_of_the_loss(s.graph, s.node) or into_attention(s.graph, s.node):
        return None
    for branch, shortcut in s.orders:
        if branch.weighs and (reason := _what_is_amiss(s, branch, shortcut)) is not None:
            return s.verdict("doubtful", reason, branch, shortcut)
    return None


def _is_from_a_target(s: Sum) -> bool:
    """Whether a difference says how far what all weights make of x is from x, or from a function of it."""
    difference = facts(s.graph.operations[s.node]).merges == "difference"
    return difference and is_x(s.graph, s.join) and not weighs_above(s.graph, s.node)


def _what_is_amiss(s: Sum, branch: Side, shortcut: Side) -> str | None:
    """Why a sum is no block that has almost the form of one."""
    if s.at_join(shortcut, UNBENT) and _is_plain_in_part(s, branch):
        return "a part of its branch is plain"
    if _meeting(branch, shortcut, UNBENT | UNKNOWN, UNKNOWN) is not None:
        custom = any(s.graph.roles[v] == "custom" for v in shortcut.weightless.nodes)
        return "a custom function is on its shortcut" if custom else "an operation on its shortcut is not known"
    # a stream that the shortcut bends: a gate on it is none, a lone nonlinearity may have been meant as one
    met = _meeting(branch, shortcut, ways() & ~MIXED, alike=PLAIN)
    if met is not None and not shortcut.kinds(met[0]) & WEIGHED:
        gated = not shortcut.kinds(met[0]) & ways(Way.BENT, Way.BENT) and shortcut.weighs
        gated = gated or _is_a_product(s, shortcut, contracted=True)
        own = met[0] not in s.ends and s.at_join(branch, ways(Way.GATED))  # a stream of its own, as above
        apart = gated or own or is_condition(s.graph, s.node, branch, shortcut, met[0])
        return None if apart else "a nonlinearity is on its shortcut"
    if not shortcut.weighs or any(_is_a_product(s, one) for one in s.sides):
        return None
    together = s.shared_at_join(branch, shortcut, EVERY) is not Shared.NOTHING
    if together and is_preactivated(s.graph, shortcut, branch):
        return "it may have a projected shortcut"
    # an affine side is no update, and of two depths of one stream both carry it
    if not s.at_join(branch) & ~AFFINE or _both_carry(s):
        return None
    return "it may update one stream by another" if is_coupled(s.graph, s.node, branch, shortcut) else None


def _both_carry(s: Sum) -> bool:
    """Whether both sides carry one signal plainly."""
    first, second = (one.weightless for one in s.sides)
    pieces = ((first.piece(place, UNBENT), second.piece(place, UNBENT)) for place in first.places)
    return any(a is not None and b is not None and shared(a, b) is not Shared.NOTHING for a, b in pieces)


def _is_plain_in_part(s: Sum, branch: Side) -> bool:
    """Whether a branch puts signals side by side of which one is plain and another weighs and is not."""
    below = next((v for v in branch.nodes if len(s.graph.edges[v]) > 1), None)
    if below is None or not (facts(s.graph.operations[below]).joins or below in s.graph.writes):
        return False
    parts = [Side(s.graph, below, e, s.join) for e in s.graph.edges[below]]
    plain = [bool(s.at_join(part, PLAIN)) for part in parts]
    return any(plain) and any(part.weighs and not own for part, own in zip(parts, plain, strict=True))


def _beside(s: Sum) -> Verdict:
    """Why a sum is none of these."""
    if _both_carry(s):
        return s.parallel("both plain")
    if into_attention(s.graph, s.node):
        return s.parallel("attention logits")
    if is_of_the_loss(s.graph, s.node):
        return s.parallel("terms of a loss")
    for branch, shortcut in s.orders:
        if branch.weighs and (place := _gated(s, branch, shortcut)) is not None:
            return s.parallel("a gated shortcut", skips_over(s.graph, s.node, branch, shortcut, place))
    if not any(s.at_join(one) & ~AFFINE for one in s.sides):
        return s.parallel("both affine")
    if not any(_overlap(s, place) for place in s.sides[0].places):
        return s.parallel("different signals")
    if any(_is_a_product(s, one) for one in s.sides):
        return s.parallel("modulation")
    return s.parallel("no side is plain")


def _gated(s: Sum, branch: Side, shortcut: Side) -> Place | None:
    """The signal that a shortcut would carry plainly but for products entry by entry with another signal.

    A gate that both sides share, as t and 1 - t of a highway, may be nearer: then the branch must start at the signal.
    """
    part, within = shortcut.weightless, branch.weightless
    if not s.at_join(branch, UNBENT | GATED):
        met = next((place for place in part.places if place in s.ends and part.kinds(place) & GATED), None)
        if met is not None:
            return met
    nearer = False
    for place in part.places:
        own, read = part.piece(place, GATED), branch.piece(place)
        if own is None or read is None or shared(own, read) is Shared.NOTHING:
            continue
        weighed, alike = branch.piece(place, WEIGHED), within.piece(place, UNBENT | GATED)
        fits = weighed is not None and shared(own, weighed) is not Shared.NOTHING
        fits = fits and (alike is None or shared(own, alike) is Shared.NOTHING)
        if fits and (not nearer or starts_at(s.graph, s.node, branch, [place])):
            return place
        nearer = True
    return None


def _overlap(s: Sum, place: Place) -> bool:
    a, b = (one.piece(place) for one in s.sides)
    return a is not None and b is not None and shared(a, b) is not Shared.NOTHING


def _is_a_product(s: Sum, one: Side, contracted: bool = False) -> bool:
    """Whether a side is a product of two signals, if asked for a contraction, but for operations on it alone."""
    top = next((v for v in one.nodes if len(s.graph.edges[v]) > 1), None)
    if top is None or s.graph.roles[top] != "product":
        return False
    return bool(facts(s.graph.operations[top]).contracts) or not contracted
