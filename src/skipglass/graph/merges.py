"""Which sums of two signals are residual, and which of the two is the branch.

Let the *join* of a sum be the first node that every path from it to x passes. The sum is a residual merge when
one summand reaches the join by a *plain* path, one that crosses no weight, no nonlinearity and no product of
two signals, while the other has no such path and crosses a weight; or when both cross weights and exactly one
is affine throughout and they share nothing, a projected shortcut (attention scores and their relative positions
share the queries). Where both summands see only pieces of the join, and different
ones, there is no common signal to skip (a recurrence). Every other sum is a parallel one.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from skipglass.graph.broadcasts import users_of
from skipglass.graph.operations import ADDITIONS, ALIKE, FUSED, OVERWRITES, PICKS, SUBTRACTIONS
from skipglass.graph.read import Edge, Graph
from skipglass.graph.stacks import Fate, fate

__all__ = ["Merge", "classify", "joins", "sides", "span"]

SIZES = {"Pow", "Abs", "Mul", "LinalgVectorNorm", "Norm"}
"""What a loss makes of a difference; a Mul of the difference with itself."""
SCALINGS = {"Mul", "Div", "Neg"}
PLAIN = {"linear", "norm"}
CONTRACTING = {"weight", "constant"}
"""A constant is most often a weight that was frozen and then cast or computed: it is taken for one."""
AFFINE = PLAIN | CONTRACTING
SUMMING = {"linear"} | CONTRACTING


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


def joins(graph: Graph) -> list[int]:
    """The first node that all paths from each node to x pass: its immediate postdominator.

    The number of nodes, len(graph.nodes), stands for the end of every path (Cooper, Harvey & Kennedy, 2001).
    """
    end = len(graph.nodes)
    targets = set(graph.targets)
    at_end = {node for node, _ in targets}
    found = [end] * (end + 1)
    for i in range(end - 1, -1, -1):
        following = [e.to for e in graph.edges[i]] + ([end] if i in at_end else [])
        join = following[0]
        for other in following[1:]:
            while join != other:
                if join < other:
                    join = found[join]
                else:
                    other = found[other]
        found[i] = join
    return found


def span(graph: Graph, edge: Edge, join: int, stops: Collection[int] = ()) -> list[int]:
    """The nodes between an edge and a join, in topological order; the join and the ``stops`` are left out."""
    met = {join, *stops}
    if edge.to in met:
        return []
    found, stack = [edge.to], [edge.to]
    met.add(edge.to)
    while stack:
        for _, to, _ in graph.edges[stack.pop()]:
            if to not in met:
                met.add(to)
                found.append(to)
                stack.append(to)
    return sorted(found)


def classify(graph: Graph) -> list[Merge]:
    """Every sum of two signals or more, residual or parallel, from the loss down."""
    join, users = joins(graph), users_of(graph.edges)
    constants = {i for i, role in enumerate(graph.roles) if role == "constant"}
    found = []
    for i, (name, role, edges) in enumerate(zip(graph.operations, graph.roles, graph.edges, strict=True)):
        if len(edges) < 2:
            continue
        become = fate(graph, users, i) if name in {"Stack", "Cat"} else Fate.APART
        fused = name in FUSED and edges[0].slot == 0
        added = role in SUMMING and (name in ADDITIONS or fused or become is Fate.SUMMED)
        if len(edges) == 2 and added:
            decisive = _decisive(graph, i, join[i], edges, constants)
            found.append(replace(_residual(graph, i, join[i], edges), constants=decisive))
        elif added or fused or become is not Fate.APART or name in OVERWRITES | ALIKE:
            pairs = [(edges[0], e) for e in edges[1:]] if fused else combinations(edges, 2)
            ways = [(graph, i, join[i], pair) for pair in pairs]
            may = any(_residual(*way).branch or _decisive(*way, constants) for way in ways)
            if may or role in SUMMING:
                found.append(Merge(i, join[i], unsure=may))
        elif role in SUMMING:
            found.append(Merge(i, join[i]))
    return [_unless_a_difference(graph, users, m, found) for m in found]


def _unless_a_difference(graph: Graph, users: list[list[int]], merge: Merge, found: list[Merge]) -> Merge:
    """A residual merge, or the parallel sum that a subtraction is where it only says how far two signals are apart.

    So it is in h + t(f(h) - h), a highway around h, and where a loss takes the size of net(x) - x.
    """
    if merge.branch is None or graph.operations[merge.node] not in SUBTRACTIONS:
        return merge
    apart = _is_measured(graph, users, merge) or any(
        _holds(graph, outer, merge.node) for outer in found if outer.join == merge.join and outer.node < merge.node
    )
    return Merge(merge.node, merge.join) if apart else merge


def _holds(graph: Graph, outer: Merge, node: int) -> bool:
    """Whether a node lies on a residual merge's branch with no weight in between."""
    if outer.branch is None:
        return False
    inside = span(graph, outer.branch, outer.join)
    return node in {v for v, _ in _reached(graph, outer.branch, inside, lambda v: not _weighs(graph, v))}


def _is_measured(graph: Graph, users: list[list[int]], merge: Merge) -> bool:
    """Whether the loss takes the size of a difference between x and what all weights together make of it."""
    if not _takes_the_size(graph, users, merge.node):
        return False
    at_end = {len(graph.nodes)} | {v for v, _ in graph.targets}
    if merge.join not in at_end or merge.branch is None:
        return False
    inside = set(span(graph, merge.branch, merge.join))
    return all(v in inside for v in range(len(graph.nodes)) if _weighs(graph, v))


def _takes_the_size(graph: Graph, users: list[list[int]], node: int) -> bool:
    """Whether all that reads a signal is its square, magnitude or norm, scaled before at most."""
    for v in set(users[node]):
        edges = graph.edges[v]
        if graph.operations[v] in SCALINGS and graph.roles[v] == "linear" and len(edges) == 1:
            if not _takes_the_size(graph, users, v):
                return False
        elif (
            graph.operations[v] not in SIZES
            or {e.to for e in edges} != {node}
            or (graph.operations[v] == "Mul" and len(edges) == 1)
        ):
            return False
    return bool(users[node])


def sides(graph: Graph, merges: list[Merge], weights: Mapping[int, str], wanted: set[str]) -> list[Merge]:
    """The sums one side of which crosses exactly the wanted weights, by name, with that side as the branch.

    Of sums inside one another the innermost is taken; a module that is used again has several.
    """
    found: list[tuple[Merge, set[int]]] = []
    for merge in merges:
        for e in graph.edges[merge.node]:
            inside = set(span(graph, e, merge.join))
            crossed = inside | ({merge.node} if _own_step(graph, merge.node, e) else set())
            if wanted and {weights[v] for v in crossed if v in weights} == wanted:
                others = [other for other in graph.edges[merge.node] if other != e]
                found.append((Merge(merge.node, merge.join, e, others[0]), inside))
    return [merge for merge, inside in found if not any(other.node in inside for other, _ in found)]


def _residual(graph: Graph, node: int, join: int, sides: Sequence[Edge]) -> Merge:
    own = [_own_step(graph, node, e) for e in sides]
    spans = [span(graph, e, join) for e in sides]
    whole = _see_the_whole(graph, sides, join, spans)
    if whole is None:
        return Merge(node, join)
    plain = [
        not step and _reaches(graph, e, join, s, lambda v: graph.roles[v] in PLAIN)
        for step, e, s in zip(own, sides, spans, strict=True)
    ]
    weighs = [step or any(_weighs(graph, v) for v in s) for step, s in zip(own, spans, strict=True)]

    def meeting(branch: int, shortcut: int) -> int | None:
        ways = sides[branch], sides[shortcut], spans[branch], spans[shortcut]
        return _leaves_the_stream(graph, *ways, own[branch])

    for branch, shortcut in ((0, 1), (1, 0)):
        if (
            plain[shortcut]
            and not plain[branch]
            and weighs[branch]
            and (whole or meeting(branch, shortcut) is not None)
        ):
            return Merge(node, join, sides[branch], sides[shortcut])
    for branch, shortcut in ((0, 1), (1, 0)):
        if whole and not own[shortcut] and (at := meeting(branch, shortcut)) is not None:
            return Merge(node, at, sides[branch], sides[shortcut])
    affine = [all(graph.roles[v] in AFFINE for v in s) for s in spans]
    if all(weighs) and affine[0] != affine[1] and not set(spans[0]) & set(spans[1]):
        shortcut = affine.index(True)
        return Merge(node, join, sides[1 - shortcut], sides[shortcut], projected=True)
    return Merge(node, join)


def _decisive(graph: Graph, node: int, join: int, sides: Sequence[Edge], constants: set[int]) -> frozenset[int]:
    """The contractions with a constant that decide what is the branch, by whether those of each side are weights."""
    if not constants:
        return frozenset()
    parts = [constants.intersection(([node] if e.slot > 0 else []) + span(graph, e, join)) for e in sides]
    if not any(parts):
        return frozenset()
    branches = set()
    for fixed in (set(), *parts, parts[0] | parts[1]):
        roles = ["linear" if v in fixed else role for v, role in enumerate(graph.roles)]
        branches.add(_residual(replace(graph, roles=roles), node, join, sides).branch)
    return frozenset(parts[0] | parts[1]) if len(branches) > 1 else frozenset()


def _own_step(graph: Graph, node: int, edge: Edge) -> bool:
    """Whether the sum itself contracts this operand with a weight, as Addmm does with its second and third."""
    return graph.roles[node] in CONTRACTING and edge.slot > 0


def _weighs(graph: Graph, node: int) -> bool:
    role = graph.roles[node]
    return role in CONTRACTING or (role == "opaque" and graph.operations[node] != "CopySlices")


def _reaches(graph: Graph, edge: Edge, join: int, nodes: list[int], through: Callable[[int], bool]) -> bool:
    """Whether an edge leads to the join by nodes that ``through`` allows."""
    return join in {node for node, _ in _reached(graph, edge, nodes, through)}


def _reached(graph: Graph, edge: Edge, nodes: list[int], through: Callable[[int], bool]) -> set[tuple[int, int]]:
    """The signals, (node, output), that an edge leads to by ``nodes`` that ``through`` allows."""
    at_end = {node for node, _ in graph.targets}
    signals, reached = {(edge.to, edge.output)}, {edge.to}
    for v in nodes:
        if v in reached and v in at_end:
            signals.add((len(graph.nodes), 0))
        if v in reached and through(v):
            signals.update((e.to, e.output) for e in graph.edges[v])
            reached.update(e.to for e in graph.edges[v])
    return signals


def _leaves_the_stream(
    graph: Graph, branch: Edge, shortcut: Edge, inside: list[int], beside: list[int], own_step: bool
) -> int | None:
    """The node whose result the shortcut carries plainly and the branch reads over a weight, if there is one.

    It may lie nearer than the join: a decoder's stream, or the queries of a cross attention, starts from
    something else than x, and each branch may read x on its own.
    """
    stream = _reached(graph, shortcut, beside, lambda v: graph.roles[v] in PLAIN)
    common = stream & _reached(graph, branch, inside, lambda v: True)
    common.discard((len(graph.nodes), 0))  # two tensors of x are two signals
    if not common:
        return None
    meeting = min(common)
    between: set[int] = set()
    for v in reversed(inside):
        if any((e.to, e.output) == meeting or e.to in between for e in graph.edges[v]):
            between.add(v)
    if not own_step and not any(_weighs(graph, v) for v in between):
        return None
    plain = _reached(graph, branch, sorted(between), lambda v: graph.roles[v] in PLAIN)
    return None if meeting in plain and not own_step else meeting[0]


def _see_the_whole(graph: Graph, sides: Sequence[Edge], join: int, spans: list[list[int]]) -> bool | None:
    """Whether a summand sees more than a piece of the join; None where both see but pieces, and different ones.

    So it is with the steps of a recurrence over a sequence.
    """
    if join == len(graph.nodes):  # the pieces are the tensors of a tuple x
        outputs = [{(v, k) for v, k in graph.targets if v in s} for s in spans]
        if not outputs[0] & outputs[1]:
            return None
    elif graph.operations[join] in PICKS:
        outputs = [
            {(e.to, e.output) for e in (side, *(e for v in s for e in graph.edges[v])) if e.to == join}
            for side, s in zip(sides, spans, strict=True)
        ]
        return False if outputs[0] & outputs[1] else None
    if not any(graph.operations[v] in PICKS for s in spans for v in s):
        return True
    leads: set[int] = set()
    for v in sorted(set(spans[0]) | set(spans[1]), reverse=True):
        if graph.roles[v] in PLAIN and any(e.to == join or e.to in leads for e in graph.edges[v]):
            leads.add(v)
    picks = {v for v in leads if graph.operations[v] in PICKS}
    if any(_reaches(graph, e, join, s, lambda v: v not in picks) for e, s in zip(sides, spans, strict=True)):
        return True
    pieces = [{_piece(graph, v) for v in picks.intersection(s)} for s in spans]
    return False if pieces[0] & pieces[1] else None


def _piece(graph: Graph, node: int) -> tuple[object, ...]:
    """What a pick takes, so that the same piece taken twice is known as one."""
    taken = graph.nodes[node]
    names = [name for name in dir(taken) if name.startswith("_saved_")]
    places = [(name, value) for name in names if isinstance(value := getattr(taken, name), int)]
    return (graph.operations[node], *graph.edges[node], *places) if places else (node,)
