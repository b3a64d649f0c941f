"""Which sums of two signals are residual, and which of the two is the branch.

Let the *join* of a sum be the first node that every path from it to x passes (see `joins`). The sum is a *residual
merge* when one side, the *shortcut*, reaches the join by a *plain* path, one that crosses no weight, no nonlinearity
and no product of two signals, while the other side, the *branch*, has no such path and crosses a weight; or when both
cross weights, exactly one is affine throughout and they share nothing, a projected shortcut (attention scores and
their relative positions share the queries). The two may also meet nearer than at the join: the *stream* is what the
shortcut carries plainly, and the *meeting* the nearest signal of it that the branch reads over a weight. Where both
sides see only pieces of the join, and different ones, there is no common signal to skip (a recurrence; see `pieces`).
Every other sum is a *parallel* one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from skipglass.graph.joins import PLAIN, Side, between, joins, plainly_reached, reached, side, weighs
from skipglass.graph.nodes import Edge, Graph
from skipglass.graph.operations import facts
from skipglass.graph.pieces import Seen, seen
from skipglass.graph.stacks import fate

__all__ = ["Merge", "classify", "sums_around"]

AFFINE = {*PLAIN, "weight", "constant"}
"""A constant is most often a weight that was frozen and then cast or computed: it is taken for one."""
SUMMING = {"linear", "weight", "constant"}
"""Roles of the operations that add their signals, if they have several."""


@dataclass(frozen=True)
class Merge:
    """A node that sums two signals or more.

    Attributes
    ----------
    node
        Its number in the graph.
    join
        The number of the join; the number of nodes stands for x itself.
    branch, shortcut
        The live edges of a residual merge; None for a parallel sum.
    projected
        Whether the shortcut crosses a weight.
    unsure
        Whether it may be residual, though it is not counted.
    constants
        Contractions with a constant that decide what is the branch: whether each is a weight cannot be seen.
    """

    node: int
    join: int
    branch: Edge | None = None
    shortcut: Edge | None = None
    projected: bool = False
    unsure: bool = False
    constants: frozenset[int] = frozenset()


def classify(graph: Graph) -> list[Merge]:
    """Every sum of two signals or more, residual or parallel, from the loss down."""
    join = joins(graph)
    several = [i for i, edges in enumerate(graph.edges) if len(edges) > 1]
    merges = [merge for i in several if (merge := _merge(graph, i, join[i])) is not None]
    residual = [merge for merge in merges if merge.branch is not None]
    return [Merge(m.node, m.join) if _only_a_difference(graph, m, residual) else m for m in merges]


def _merge(graph: Graph, node: int, join: int) -> Merge | None:
    """What becomes of the signals that meet in a node; None where they are not summed."""
    edges, adds = graph.edges[node], graph.roles[node] in SUMMING
    kind = _kind(graph, node)
    if adds and len(edges) == 2 and kind in {"sum", "difference", "fused"}:
        return replace(_verdict(graph, node, edges, join), constants=_decisive(graph, node, edges, join))
    # whether one of several signals, or of those that are not plainly added, is a shortcut is a matter of view
    pairs: Iterable[Sequence[Edge]] = combinations(edges, 2) if kind else ()
    if kind == "fused":
        pairs = [(edges[0], e) for e in edges[1:]]
    unsure = any(
        _verdict(graph, node, pair, join).branch is not None or _decisive(graph, node, pair, join) for pair in pairs
    )
    return Merge(node, join, unsure=unsure) if adds or unsure else None


def _kind(graph: Graph, node: int) -> str:
    """How a node merges its signals: as `Operation.merges` says, but for signals side by side that are summed later."""
    name = graph.operations[node]
    if name in {"Stack", "Cat"}:
        return fate(graph, node)
    kind = facts(name).merges
    if kind == "fused":
        return kind if graph.edges[node][0].slot == 0 else ""
    return "" if kind in {"sum", "difference"} and graph.roles[node] not in SUMMING else kind


def _verdict(graph: Graph, node: int, edges: Sequence[Edge], join: int) -> Merge:
    """Whether a sum of two signals is residual, and which is the branch."""
    sides = [side(graph, node, e, join) for e in edges]
    view = seen(graph, sides, join)
    if view is Seen.APART:
        return Merge(node, join)
    first, second = sides
    plain = {s.edge: _plain(graph, s, join) for s in sides}
    # one side is plain down to the join: it is the shortcut
    for branch, shortcut in ((first, second), (second, first)):
        skips = plain[shortcut.edge] and not plain[branch.edge] and branch.weighs
        if skips and (view is Seen.WHOLE or _meeting(graph, branch, shortcut) is not None):
            return Merge(node, join, branch.edge, shortcut.edge)
    # or it is plain down to where the other meets it
    for branch, shortcut in ((first, second), (second, first)):
        meeting = _meeting(graph, branch, shortcut) if view is Seen.WHOLE and not shortcut.own_step else None
        if meeting is not None:
            return Merge(node, meeting, branch.edge, shortcut.edge)
    # or both cross weights, and one is affine
    affine = [all(graph.roles[v] in AFFINE for v in s.nodes) for s in sides]
    if first.weighs and second.weighs and affine[0] != affine[1] and not {*first.nodes} & {*second.nodes}:
        branch, shortcut = (second, first) if affine[0] else (first, second)
        return Merge(node, join, branch.edge, shortcut.edge, projected=True)
    return Merge(node, join)


def _plain(graph: Graph, s: Side, join: int) -> bool:
    """Whether a side reaches the join by a plain path."""
    if s.own_step:
        return False
    return join in {node for node, _ in plainly_reached(graph, s.edge, s.nodes)}


def _meeting(graph: Graph, branch: Side, shortcut: Side) -> int | None:
    """The node whose result the shortcut carries plainly and the branch reads over a weight, if there is one.

    It may lie nearer than the join: a decoder's stream, or the queries of a cross attention, starts from
    something else than x, and each branch may read x on its own.
    """
    stream = plainly_reached(graph, shortcut.edge, shortcut.nodes)
    common = stream & reached(graph, branch.edge, branch.nodes, lambda v: True)
    common.discard((len(graph.nodes), 0))  # two tensors of x are two signals
    if not common:
        return None
    meeting = min(common)
    # the nodes of the branch that lead there
    leading: set[int] = set()
    for v in reversed(branch.nodes):
        if any(e.place == meeting or e.to in leading for e in graph.edges[v]):
            leading.add(v)
    if branch.own_step:
        return meeting[0]
    # it must lead there over a weight, and not plainly as well
    if any(weighs(graph, v) for v in leading) and meeting not in plainly_reached(graph, branch.edge, sorted(leading)):
        return meeting[0]
    return None


def _decisive(graph: Graph, node: int, edges: Sequence[Edge], join: int) -> frozenset[int]:
    """The contractions with a constant that decide what is the branch, by whether those of each side are weights."""
    if "constant" not in graph.roles:
        return frozenset()
    own = []
    for one in [side(graph, node, e, join) for e in edges]:
        crossed = [*one.nodes, node] if one.own_step else one.nodes
        own.append({v for v in crossed if graph.roles[v] == "constant"})
    either = own[0] | own[1]
    # the verdict if all of them are weights, and if those of one side or both are none
    branches = set()
    for fixed in (set(), *own, either) if either else ():
        roles = ["linear" if v in fixed else role for v, role in enumerate(graph.roles)]
        branches.add(_verdict(replace(graph, roles=roles), node, edges, join).branch)
    return frozenset(either) if len(branches) > 1 else frozenset()


def _only_a_difference(graph: Graph, merge: Merge, residual: Sequence[Merge]) -> bool:
    """Whether a residual merge is a subtraction that only says how far two signals are apart.

    So it is in h + t(f(h) - h), a highway around h, and where a loss takes the size of net(x) - x.
    """
    if merge.branch is None or facts(graph.operations[merge.node]).merges != "difference":
        return False
    around = [outer for outer in residual if outer.join == merge.join and outer.node < merge.node]
    return _is_measured(graph, merge) or any(_holds(graph, outer, merge.node) for outer in around)


def _holds(graph: Graph, outer: Merge, node: int) -> bool:
    """Whether a node lies on a residual merge's branch with no weight in between."""
    if outer.branch is None:
        return False
    branch = between(graph, outer.branch, outer.join)
    return node in {v for v, _ in reached(graph, outer.branch, branch, lambda v: not weighs(graph, v))}


def _is_measured(graph: Graph, merge: Merge) -> bool:
    """Whether the loss takes the size of a difference between x and what all weights together make of it."""
    if merge.branch is None or merge.join not in {len(graph.nodes), *graph.at_end}:
        return False
    if not _takes_the_size(graph, merge.node):
        return False
    branch = set(between(graph, merge.branch, merge.join))
    return all(v in branch for v in range(len(graph.nodes)) if weighs(graph, v))


def _takes_the_size(graph: Graph, node: int) -> bool:
    """Whether all that reads a signal is its square, magnitude or norm, scaled before at most."""
    for v in set(graph.users[node]):
        known, edges = facts(graph.operations[v]), graph.edges[v]
        if graph.roles[v] == "linear":
            scales = len(edges) == 1 and known.homogeneous and known.entrywise
            measured = scales and _takes_the_size(graph, v)
        else:
            measured = known.size and graph.roles[v] != "opaque" and all(e.to == node for e in edges)
        if not measured:
            return False
    return bool(graph.users[node])


def sums_around(graph: Graph, merges: Sequence[Merge], weights: Mapping[int, str], wanted: set[str]) -> list[Merge]:
    """The sums one side of which crosses exactly the wanted weights, by name, with that side as the branch.

    Of sums inside one another the innermost is taken; a module that is used again has several.
    """
    around: list[tuple[Merge, list[int]]] = []
    for merge in merges:
        for e in graph.edges[merge.node]:
            one = side(graph, merge.node, e, merge.join)
            crossed = [*one.nodes, merge.node] if one.own_step else one.nodes
            if wanted and {weights[v] for v in crossed if v in weights} == wanted:
                other = next(other for other in graph.edges[merge.node] if other != e)
                around.append((Merge(merge.node, merge.join, e, other), one.nodes))
    return [merge for merge, inside in around if not any(other.node in inside for other, _ in around)]
