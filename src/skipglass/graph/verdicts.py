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

from skipglass.graph.doubts import almost, beside, gated
from skipglass.graph.joins import ends, plain_source
from skipglass.graph.modulations import MODULATION, factors, modulation
from skipglass.graph.nodes import Edge, Graph, Place
from skipglass.graph.operations import facts
from skipglass.graph.pieces import WHOLE, Shared, shared
from skipglass.graph.reasons import (
    are_attention_weights,
    carried_on,
    into_attention,
    is_condition,
    is_noise,
    is_of_the_loss,
    reads_zeros,
    recurs,
    starts_at,
)
from skipglass.graph.remembered import remembered
from skipglass.graph.sides import EVERY, Side, Way, ways
from skipglass.graph.sources import added_to
from skipglass.graph.sums import AFFINE, GATED, MIXED, OVERLAP, PLAIN, UNBENT, WEIGHED, Sum, Verdict, meeting

__all__ = ["decide"]


@remembered
def decide(
    graph: Graph, node: int, edges: Sequence[Edge], joins: Sequence[int], fixed: Collection[int] = ()
) -> Verdict:
    """Say what a sum of two signals is, by the joins of all nodes; contractions in ``fixed`` count as no weights."""
    join = joins[node]
    sides = [Side(graph, node, e, join, fixed=fixed) for e in edges]
    # pieces are followed only where some are taken: most networks have none
    if any(_takes_pieces(graph, v) for one in sides for v in (*one.weightless.nodes, join)):
        sides = [Side(graph, node, e, join, True, fixed) for e in edges]
        # pieces of what was put side by side just below are told apart there, not those of a stream behind a block
        while _is_apart(graph, sides, join) and not _is_a_block(graph, join, joins):
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
    for form in (_of_nothing, _weightless, _around_the_join, _around_a_stream, _projected, _mixing, almost):
        if (verdict := form(s)) is not None:
            return verdict
    return beside(s)


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


def _is_a_block(graph: Graph, node: int, joins: Sequence[int]) -> bool:
    edges = graph.edges[node]
    adds = len(edges) == 2 and facts(graph.operations[node]).merges in {"sum", "difference"}
    return adds and decide(graph, node, edges, joins).kind == "block"


def _of_nothing(s: Sum) -> Verdict | None:
    """One side adds nothing of x: a recurrence's state while it is zero, or entries that x does not reach."""
    if any(reads_zeros(s.graph, one.edge) for one in s.sides):
        return s.parallel("one side is zero")
    # where pieces are followed a side may end above the join: of signals put side by side it takes a constant
    return None if all(s.at_join(one) for one in s.sides) else s.parallel("one side is constant")


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
        met = None if shortcut.own_step else meeting(branch, shortcut, UNBENT)
        # a branch is no stream of its own, as the second of two that come together is
        if met is None or s.at_join(branch, ways(Way.GATED)):
            continue
        place, both = met
        # a stream beside it may be a shift, or a condition that was added before: neither is skipped
        if _modulates(s, branch, shortcut, place):
            return s.parallel(MODULATION)
        if is_condition(s.graph, s.node, branch, shortcut, place):
            return s.parallel("different signals")
        if both is Shared.ONE:
            return s.verdict("block", "identity", branch, shortcut, place[0])
        return s.verdict("doubtful", OVERLAP, branch, shortcut, place[0])
    return None


def _modulates(s: Sum, branch: Side, shortcut: Side, place: Place) -> bool:
    """Whether a branch is another stream times a signal, n(h) (1 + a) beside a shift b of the same condition."""
    scaled = factors(s.graph, branch)
    for source in scaled:
        scale, shift = branch.piece(source, PLAIN | GATED), shortcut.piece(place, UNBENT)
        apart = scale is not None and shift is not None and shared(scale, shift) is Shared.NOTHING
        if source[0] == place[0] and apart:
            return True
    return any(_runs_beside(s, v, place) for v, _ in scaled)


def _runs_beside(s: Sum, v: int, place: Place) -> bool:
    """Whether a node is the last sum of a stream, a chain of blocks, whose first shortcut does not read a signal."""
    first: Edge | None = None
    while len(s.graph.edges[v]) == 2 and facts(s.graph.operations[v]).merges == "sum":
        found = decide(s.graph, v, s.graph.edges[v], s.joins)
        if found.kind != "block" or found.shortcut is None:
            break
        first, v = found.shortcut, plain_source(s.graph, found.shortcut.place)[0]
    return first is not None and not Side(s.graph, v, first, place[0]).kinds(place)


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
            return gated(s, coupled=True) or s.parallel("different signals")
        if join != s.join and factors(s.graph, branch):
            return gated(s, coupled=True) or s.parallel(MODULATION)
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
        # a scale beside a shift, or what may be one
        reason = modulation(s, branch) if join == s.join else ""
        if reason == MODULATION:
            return s.parallel(MODULATION)
        if reason:
            return s.verdict("doubtful", reason, branch, shortcut)
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
        met = meeting(branch, shortcut, UNBENT | MIXED, MIXED)
        # a state that is constant so far is no weight, as in a delta rule
        true = met is not None and any(s.graph.roles[v] == "weight" for v in branch.nodes if v < met[0][0])
        if met is None or not true or not shortcut.weighs:
            continue
        # the weights of an attention are no stream: two kinds of values are averaged by them
        if are_attention_weights(s.graph, met[0]):
            return s.parallel("values of one attention")
        if is_condition(s.graph, s.node, branch, shortcut, met[0]):
            continue
        # a V + a E is a (V + E): either may be a shortcut then, or neither
        if not branch.kinds(met[0]) & ~AFFINE:
            return s.verdict("doubtful", "its branch is as linear as its shortcut", branch, shortcut)
        return s.verdict("block", "mixing", branch, shortcut, met[0][0])
    return None
