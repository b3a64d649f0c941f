"""Every node that adds signals, or may stand for a sum of them, and what it is: block, parallel sum or doubtful.

A sum of two signals is what `verdicts` says. Of more than two, or where signals are not plainly added (a maximum, a
write in place of entries, an operation that no table knows), none can say which is the shortcut: it is doubtful if any
two of them would make a block. A difference that only says how far two signals are apart is no block either.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from skipglass.graph.forms import (
    FACTORED,
    INTERPOLATED,
    interpolations,
    is_factored,
    is_one_of,
    scales_its_shortcut,
)
from skipglass.graph.joins import between, ends, is_x, weighs
from skipglass.graph.joins import joins as joins_of
from skipglass.graph.nodes import Edge, Graph
from skipglass.graph.operations import TABLE, facts
from skipglass.graph.reasons import are_steps, nearest_weights, skips_over
from skipglass.graph.sides import Side, Way, ways
from skipglass.graph.stacks import fate
from skipglass.graph.verdicts import decide

__all__ = ["TOLD", "Merge", "classify", "one_branch", "sums_around"]

TOLD = {"a custom function is on its shortcut"}
"""Reasons of doubt that are said of another operation already."""
GATE = "an interpolation by a signal"
"""Of torch.lerp with a signal for a weight: a gated shortcut in one operation."""
PRODUCT = "x + x f(x) written as a product"
"""Of x (1 + f(x)), where no two signals are added."""
RECURRENCE = "a recurrence"
"""Why a sum of a weight of the state and a weight of the input is no block."""
SUMMING = {"linear", "weight", "constant"}
"""Roles of the operations that add their signals, if they have several."""


@dataclass(frozen=True)
class Merge:
    """A node in which two signals meet or more.

    Attributes
    ----------
    node
        Its number in the graph.
    join
        The number of the join; the number of nodes stands for x itself.
    verdict
        "block"; "parallel", a sum that is none; "doubtful", what may be one; or "apart", signals that are not added.
    reason
        Why, in a few fixed words; of a block what its shortcut is: "identity", "projected", "mixing".
    branch, shortcut
        The live edges of a block; None for all else.
    likely
        Of a doubtful sum of two signals the edges that would be branch and shortcut.
    constants
        Contractions with a constant that decide what is the branch: whether each is a weight cannot be seen.
    by_form
        Where the same function written otherwise would have another verdict, in which ways it may be written.
    skips
        Whether it looks like a skip connection, though it is not counted.
    """

    node: int
    join: int
    verdict: str = "parallel"
    reason: str = ""
    branch: Edge | None = None
    shortcut: Edge | None = None
    likely: tuple[Edge, Edge] | None = None
    constants: frozenset[int] = frozenset()
    by_form: str = ""
    skips: bool = False

    @property
    def plainly(self) -> bool:
        """Whether the signals are added, if at all, without a product."""
        return self.reason not in {GATE, PRODUCT}

    @property
    def projected(self) -> bool:
        """Whether the shortcut crosses a weight."""
        return self.reason == "projected"

    @property
    def unsure(self) -> bool:
        """Whether it may be a block, though it is not counted."""
        return self.verdict == "doubtful"


def classify(graph: Graph) -> list[Merge]:
    """Every node in which signals are added or may be, from the loss down."""
    join = joins_of(graph)
    several = [i for i, edges in enumerate(graph.edges) if len(edges) > 1]
    merges = [merge for i in several if (merge := _merge(graph, i, join)) is not None]
    # differences that only say how far two signals are apart
    sums = {merge.node: merge for merge in merges}
    by_form: set[int] = set()
    for merge in merges:
        reason = _only_a_difference(graph, merge, sums, by_form)
        if reason:
            sums[merge.node] = Merge(merge.node, join[merge.node], "parallel", reason)
    for node in _first_steps(graph, list(sums.values())):
        sums[node] = Merge(node, join[node], "parallel", RECURRENCE)
    return [replace(merge, by_form=INTERPOLATED) if merge.node in by_form else merge for merge in sums.values()]


def _first_steps(graph: Graph, merges: Sequence[Merge]) -> Iterator[int]:
    """The sums with a projected shortcut that are first steps of a recurrence, whose state is constant as yet.

    The weight of the shortcut is then that of the input at the later steps.
    """
    later = [(m.node, e, m.join) for m in merges if m.reason == RECURRENCE for e in graph.edges[m.node]]
    weights = {p for node, e, join in later for p in nearest_weights(graph, node, e, join)}
    for m in merges if weights else ():
        if m.projected and m.shortcut is not None and nearest_weights(graph, m.node, m.shortcut, m.join) & weights:
            yield m.node


def _merge(graph: Graph, node: int, joins: Sequence[int]) -> Merge | None:
    """What becomes of the signals that meet in a node; None where they are not summed."""
    edges, adds, join = graph.edges[node], graph.roles[node] in SUMMING, joins[node]
    kind = _kind(graph, node)
    if is_factored(graph, node):
        return Merge(node, join, "parallel", PRODUCT, by_form=FACTORED, skips=True)
    # two signals that are added: the one case that can be a block
    if adds and len(edges) == 2 and kind in {"sum", "difference", "fused"}:
        return _of_two(graph, node, edges, joins)
    if kind == "gated":
        return Merge(node, join, "parallel", GATE, by_form=INTERPOLATED, skips=_skips(graph, node, joins))
    # whether one of several signals, or of those that are not plainly added, is a shortcut is a matter of view
    pairs: Iterable[Sequence[Edge]] = combinations(edges, 2) if kind else ()
    if kind == "fused":
        pairs = [(edges[0], e) for e in edges[1:]]
    for pair in pairs:
        found = decide(graph, node, pair, joins).kind
        may_be = found == "block" or (found == "doubtful" and len(edges) == 2) or _decisive(graph, node, pair, joins)
        if may_be and not _pools(graph, node, pair, join, kind):
            return Merge(node, join, "doubtful", _doubt(graph, node, kind))
    return Merge(node, join, "parallel" if kind else "apart", _beside(kind)) if adds else None


def _skips(graph: Graph, node: int, joins: Sequence[int]) -> bool:
    """Whether an interpolation by a signal looks like a skip connection: with a number in its place it is a block."""
    between_two = [e for e in graph.edges[node] if e.slot < 2]
    found = decide(graph, node, between_two, joins) if len(between_two) == 2 else None
    if found is None or found.branch is None or found.shortcut is None or found.kind != "block":
        return False
    branch, shortcut = (Side(graph, node, e, joins[node]) for e in (found.branch, found.shortcut))
    return any(skips_over(graph, node, branch, shortcut, place) for place in ends(graph, found.join))


def _pools(graph: Graph, node: int, pair: Sequence[Edge], join: int, kind: str) -> bool:
    """Whether what may add signals up averages one: steps of a recurrence, or pieces of a tensor put together again."""
    if len(graph.edges[node]) > 2 and are_steps(graph, node, join):
        return True
    if kind != "alike" or graph.operations[node] != "Cat":
        return False
    # pieces of one signal that both come back plainly
    sides = [Side(graph, node, e, join).weightless for e in pair]
    first, second = ({p for p in ends(graph, join) if one.kinds(p) & ways(Way.PLAIN)} for one in sides)
    # outputs of one operation are pieces of what it splits; two tensors of x are two signals
    return any(p == q or (p[0] == q[0] and not {p, q} <= set(graph.targets)) for p in first for q in second)


def _of_two(graph: Graph, node: int, edges: Sequence[Edge], joins: Sequence[int]) -> Merge:
    found = decide(graph, node, edges, joins)
    likely = None if found.branch is None or found.shortcut is None else (found.branch, found.shortcut)
    constants = _decisive(graph, node, edges, joins)
    if found.kind == "block":
        scales = likely is not None and scales_its_shortcut(graph, *likely)
        form = FACTORED if scales else ""
        return Merge(node, found.join, "block", found.reason, found.branch, found.shortcut, None, constants, form)
    by_form = INTERPOLATED if found.reason == "a gated shortcut" else ""
    return Merge(
        node,
        joins[node],
        found.kind,
        found.reason,
        likely=likely,
        constants=constants,
        by_form=by_form,
        skips=found.skips,
    )


def _doubt(graph: Graph, node: int, kind: str) -> str:
    """Why signals that may be added are doubtful."""
    if kind == "gated sum":
        return "a gated dense connection"
    if kind == "overwritten":
        return "entries of one signal in the place of another's"
    if graph.operations[node] not in TABLE:
        return "an operation that is not known"
    return "it may stand for a sum" if len(graph.edges[node]) == 2 else "a sum of several signals"


def _beside(kind: str) -> str:
    return {"overwritten": "entries of one signal in the place of another's", "": "side by side"}.get(
        kind, "no side is plain"
    )


def _kind(graph: Graph, node: int) -> str:
    """How a node merges its signals: as `Operation.merges` says, but for signals side by side that are summed later."""
    name = graph.operations[node]
    known = facts(name)
    if known.joins or name == "Complex":
        return fate(graph, node)
    if node in graph.writes:
        write = graph.writes[node]
        return ("sum" if write.whole else "alike") if write.adds else ("" if write.fresh else "overwritten")
    if name == "CopySlices" or (name not in TABLE and not name.startswith("custom ")):
        return "alike"
    kind = known.merges
    if kind == "fused":
        return kind if graph.edges[node][0].slot == 0 else ""
    if kind in {"sum", "difference"} and graph.roles[node] not in SUMMING:
        return "gated" if graph.roles[node] == "product" else "alike"
    return kind


def _decisive(graph: Graph, node: int, edges: Sequence[Edge], joins: Sequence[int]) -> frozenset[int]:
    """The contractions with a constant that decide what is the branch, by whether those of each side are weights."""
    if not graph.constants:
        return frozenset()
    own = []
    for one in [Side(graph, node, e, joins[node]) for e in edges]:
        crossed = [*one.nodes, node] if one.own_step else one.nodes
        own.append({v for v in crossed if graph.roles[v] == "constant"})
    either = own[0] | own[1]
    # the verdict if all of them are weights, and if those of one side or both are none
    branches = set()
    for fixed in (set(), *own, either) if either else ():
        found = decide(graph, node, edges, joins, fixed)
        branches.add(found.branch if found.kind == "block" else None)
    return frozenset(either) if len(branches) > 1 else frozenset()


def _only_a_difference(graph: Graph, merge: Merge, sums: Mapping[int, Merge], by_form: set[int]) -> str:
    """Why a block is only a subtraction that says how far two signals are apart; nothing where it is more than that.

    The sums whose verdict depends on how an interpolation is written are noted in ``by_form``.
    """
    if merge.branch is None or facts(graph.operations[merge.node]).merges != "difference":
        return ""
    for over, gated in interpolations(graph, merge.node):
        outer = sums.get(over)
        if gated:
            by_form.add(over)
        if gated or (outer is not None and outer.shortcut is not None and is_one_of(graph, outer.shortcut, merge.node)):
            return "an interpolation"
    return "a measured difference" if _is_measured(graph, merge) else ""


def _is_measured(graph: Graph, merge: Merge) -> bool:
    """Whether the loss takes the size of a difference between x and what all weights together make of it."""
    if merge.branch is None or not is_x(graph, merge.join):
        return False
    if not _takes_the_size(graph, merge.node):
        return False
    # all weights of the network are in the branch: nothing is predicted beside it
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


def one_branch(residual: Sequence[Merge], graph: Graph) -> list[tuple[Merge, ...]]:
    """Put together the blocks whose branch is one signal, written to several streams."""
    same: dict[object, list[Merge]] = {}
    for merge in residual:
        same.setdefault(_written(graph, merge), []).append(merge)
    return [tuple(merges) for merges in same.values()]


def _written(graph: Graph, merge: Merge) -> object:
    """The signal that a branch is, but for plain operations on it alone that give entry for entry."""
    if merge.branch is None or graph.contracts(merge.node, merge.branch):
        return merge.node
    place = merge.branch.place
    node = place[0]
    while graph.roles[node] == "linear" and len(graph.edges[node]) == 1 and facts(graph.operations[node]).entrywise:
        place = graph.edges[node][0].place
        node = place[0]
    return place


def sums_around(graph: Graph, merges: Sequence[Merge], weights: Mapping[int, str], wanted: set[str]) -> list[Merge]:
    """The sums one side of which crosses exactly the wanted weights, by name, with that side as the branch.

    Of sums inside one another the innermost is taken; a module that is used again has several.
    """
    around: list[tuple[Merge, list[int]]] = []
    for merge in merges:
        if merge.reason == PRODUCT:
            continue
        for e in graph.edges[merge.node]:
            one = Side(graph, merge.node, e, merge.join)
            crossed = [*one.nodes, merge.node] if one.own_step else one.nodes
            if wanted and {weights[v] for v in crossed if v in weights} == wanted:
                other = next(other for other in graph.edges[merge.node] if other != e)
                around.append((replace(merge, branch=e, shortcut=other), one.nodes))
    return [merge for merge, inside in around if not any(other.node in inside for other, _ in around)]
