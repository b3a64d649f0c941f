"""What else decides about a sum: where its signals go on, what reads it, which weights its sides share.

Each function answers one question, and is asked only where the form of a sum leaves it open.
"""

from collections.abc import Collection, Hashable, Iterator, Mapping, Set

from torch import nn

from skipglass.graph.joins import PLAIN, above, plain_source
from skipglass.graph.nodes import Edge, Graph, Place, leaves
from skipglass.graph.operations import facts
from skipglass.graph.pieces import WHOLE, Piece, Shared, shared
from skipglass.graph.saved import saved_parameter, saved_tensor
from skipglass.graph.sides import Side
from skipglass.graph.sources import source

__all__ = [
    "are_attention_weights",
    "are_steps",
    "carried_on",
    "into_attention",
    "is_condition",
    "is_coupled",
    "is_noise",
    "is_of_the_loss",
    "is_preactivated",
    "nearest_weights",
    "reads_zeros",
    "recurs",
    "skips_over",
    "starts_at",
    "weighs_above",
]

FIRST = 8  # our choice: entries by which two casts of one frozen weight are known to be the same
CONTRACTING = {"weight", "constant"}
"""Roles of what contracts the signal with a weight, or with what may be a frozen one."""
SCALES = {"Exp", "Softplus", "Sqrt"}
"""How a standard deviation is computed."""


def carried_on(graph: Graph, node: int, branch: Side, ends: Collection[Place]) -> bool:
    """Whether a sum of a piece of a signal and a function of another piece updates that signal: a coupling.

    So it does where the other piece is carried on plainly past it, as x₂ is in (x₁ + f(x₂), x₂), or the sum itself is
    and both are pieces of one tensor; and does not where both pieces end there, as in a recurrence and a Res2Net.
    """
    inside = {*branch.nodes, node}
    # the other piece goes on: x₂ beside x₁ + f(x₂)
    pieces = [found for place in _entries(graph, node, branch) if (found := _taken(graph, place, ends)) is not None]
    if any(_goes_on(graph, place, piece, inside) for place, piece in pieces):
        return True
    # or the sum itself does, where both pieces are of one tensor
    tensors = {place for place in ends if place in graph.targets}
    one = len({place[0] for place in ends}) == 1 and len(tensors) < 2
    return one and _goes_on(graph, (node, 0), WHOLE, inside, reduced=True)


def _entries(graph: Graph, node: int, branch: Side) -> set[Place]:
    """The signals that weights and nonlinearities of a branch read."""
    entries = {branch.edge.place} if branch.own_step else set()
    bending = (v for v in branch.nodes if graph.roles[v] not in PLAIN)
    return entries | {e.place for v in bending for e in graph.edges[v]}


def _taken(graph: Graph, place: Place, ends: Collection[Place]) -> tuple[Place, Piece] | None:
    """Which of some signals a signal is a piece of, by plain operations on it alone, and which piece."""
    piece = WHOLE
    while place not in ends:
        node, output = place
        if graph.roles[node] not in PLAIN or len(graph.edges[node]) != 1 or node in graph.at_end:
            return None
        found = source(graph, node, output, piece, graph.edges[node][0])
        if found is None:
            return None
        piece, place = found, graph.edges[node][0].place
    return place, piece


def _goes_on(graph: Graph, start: Place, piece: Piece, inside: Collection[int], reduced: bool = False) -> bool:
    """Whether a piece of a signal reaches a sum, signals side by side or the loss by plain operations on it alone.

    The nodes ``inside`` do not count as such; with ``reduced`` a sum over entries does as well.
    """

    def alone(_: int, user: int) -> bool:
        return graph.roles[user] in PLAIN and len(graph.edges[user]) == 1

    for below, user in above(graph, start[0], alone):
        if user in inside or graph.roles[user] not in PLAIN:
            continue
        ends_here = len(graph.edges[user]) > 1 or user == 0 or (reduced and facts(graph.operations[user]).sums)
        for e in graph.edges[user] if ends_here else ():
            found = _taken(graph, e.place, {start}) if e.to == below else None
            if found is not None and shared(found[1], piece) is Shared.ONE:
                return True
    return False


def is_coupled(graph: Graph, node: int, branch: Side, shortcut: Side) -> bool:
    """Whether a sum may update one stream by a function of another: both are read elsewhere, and the other goes on."""
    inside = {*branch.nodes, node}
    own = plain_source(graph, shortcut.edge.place)
    # the shortcut's own signal is read elsewhere, too
    read = any(
        e.place == own and user not in {node, *shortcut.nodes}
        for user in dict.fromkeys(graph.users[own[0]])
        for e in graph.edges[user]
    )
    sources = {plain_source(graph, place) for place in _entries(graph, node, branch)}
    return read and any(_goes_on(graph, place, WHOLE, inside) for place in sources)


def starts_at(graph: Graph, node: int, branch: Side, places: Collection[Place], ungated: bool = False) -> bool:
    """Whether a branch reads a signal by a path of which nothing is read outside of the branch.

    In W f(h) + U t the one side starts at h, which others read, though it is made of t as well. If ``ungated``,
    then not by a product of it, entry by entry, with a gate.
    """
    inside, wanted = {*branch.nodes, node}, {v for v, _ in places}
    seen, stack = {branch.edge.to}, [branch.edge.to]
    while stack:
        v = stack.pop()
        if v in wanted:
            return True
        # only what the branch alone reads is a way into it
        if inside.issuperset(graph.users[v]):
            below = {e.to for e in graph.edges[v]}
            gated = ungated and graph.roles[v] == "product" and facts(graph.operations[v]).entrywise
            following = set() if gated and below & wanted else below - seen
            seen |= following
            stack += following
    return False


def skips_over(graph: Graph, node: int, branch: Side, shortcut: Side, place: Place) -> bool:
    """Whether a sum of a branch and a signal that is gated looks like a skip connection around the branch.

    So it does where all that enters the sum comes of that signal. Else the branch has to start at the signal, not at a
    multiple of it as a GRU's does, and no weight of it is used at another step: a recurrence gates its state, too,
    along with what enters at each step.
    """
    if _is_scaled_by_zeros(graph, branch.edge):
        return False
    if place[0] == branch.join or (branch.join == len(graph.nodes) and [place] == graph.targets):
        return True
    # the signal itself, or what plain operations on it alone make of it: a copy, a norm
    copies = [(v, 0) for v in shortcut.weightless.nodes if plain_source(graph, (v, 0)) == place]
    if not starts_at(graph, node, branch, [place, *copies], ungated=True):
        return False
    weights = _parameters(graph, node, branch)
    again = any(_used(graph, user) & weights.keys() for _, user in above(graph, node, lambda *_: True))
    return not again and all(len(nodes) == 1 for nodes in weights.values())


def is_condition(graph: Graph, node: int, branch: Side, shortcut: Side, place: Place) -> bool:
    """Whether a signal was added before to what a branch reads, as a time is, and is not where the branch starts."""

    def weightless(_: int, user: int) -> bool:
        return len(graph.edges[user]) == 1 and graph.roles[user] not in {"weight", "constant"}

    below = {*branch.nodes} - {*shortcut.weightless.nodes}
    again = any(
        user in below and len(graph.edges[user]) > 1 and facts(graph.operations[user]).merges == "sum"
        for _, user in above(graph, place[0], weightless)
    )
    return again and not starts_at(graph, node, branch, [place])


def into_attention(graph: Graph, node: int) -> bool:
    """Whether a sum goes into a softmax by linear operations, and from there into a product: logits of an attention."""

    def linear(_: int, user: int) -> bool:
        return graph.roles[user] == "linear"

    return any(
        graph.operations[user].endswith("Softmax")
        and any(graph.roles[over] == "product" for _, over in above(graph, user, linear))
        for _, user in above(graph, node, linear)
    )


def are_attention_weights(graph: Graph, place: Place) -> bool:
    """Whether a signal is the result of a softmax, but for linear operations on it alone, as a dropout or a shift."""
    node = place[0]
    while node < len(graph.nodes) and graph.roles[node] == "linear" and len(graph.edges[node]) == 1:
        node = graph.edges[node][0].to
    return node < len(graph.nodes) and graph.operations[node].endswith("Softmax")


def is_of_the_loss(graph: Graph, node: int) -> bool:
    """Whether a sum adds terms of a loss: each one number or a sum over entries, and no weight reads the sum."""
    terms = list(graph.edges[node])
    while terms:
        e = terms.pop()
        # one number, as the mean of a loss is
        if graph.shape(*e.place) == ():
            continue
        v = e.to
        while len(graph.edges[v]) == 1 and graph.roles[v] == "linear" and facts(graph.operations[v]).entrywise:
            v = graph.edges[v][0].to
        name, known = graph.operations[v], facts(graph.operations[v])
        if known.merges in {"sum", "difference"} and graph.roles[v] == "linear":
            terms += graph.edges[v]
        elif not (known.sums or name.endswith("Loss") or name in {"NllLoss2D", "Norm", "LinalgVectorNorm"}):
            return False
    return not weighs_above(graph, node)


def weighs_above(graph: Graph, node: int) -> bool:
    """Whether a weight reads what comes of a node."""
    weights = {"weight", "constant", "opaque"}
    return any(graph.roles[user] in weights for _, user in above(graph, node, lambda *_: True))


def reads_zeros(graph: Graph, edge: Edge) -> bool:
    """Whether a signal is contracted with a matrix of zeros that is no weight, and goes on by itself from there."""
    # of all contractions of one signal that alone is neither a weight nor a constant
    return any(graph.contraction(v) is not None for v in _alone(graph, edge))


def _is_scaled_by_zeros(graph: Graph, edge: Edge) -> bool:
    """Whether a signal is multiplied by zeros, one for each entry, as a recurrence's state is at first."""
    for v in _alone(graph, edge):
        if graph.operations[v] != "Mul":
            continue
        scales = (saved_tensor(graph.nodes[v], name) for name in ("self", "other"))
        if any(t is not None and tuple(t.shape) == graph.shape(v) and t.ndim and not t.any() for t in scales):
            return True
    return False


def _alone(graph: Graph, edge: Edge) -> Iterator[int]:
    """The plain operations on a signal alone that end in an edge, from the last to the first."""
    v = edge.to
    while graph.roles[v] in PLAIN and len(graph.edges[v]) == 1:
        yield v
        v = graph.edges[v][0].to


def recurs(graph: Graph, node: int, branch: Side, shortcut: Side) -> bool:
    """Whether a sum is a step of a recurrence: an input's weight beside a state's.

    Then both sides cross the input's weight, at several steps; or what comes of the sum reaches the outermost weight of
    the one side again, the state's, before any weight of the other.
    """
    state, given = (_parameters(graph, node, one) for one in (branch, shortcut))
    if any(state[p] != given[p] for p in state.keys() & given.keys()):
        return True
    # an input's weight is used at other steps as well, or what it makes of all steps at once is read there
    constants = _parameters(graph, node, shortcut, CONTRACTING)
    if not _is_read_beside(graph, node, shortcut, constants) and not _is_used_beside(graph, node, shortcut, constants):
        return False
    # a constant may be the state's frozen weight where the input's is used at other steps, as beside no adjacency
    own = _outermost(state)
    if _is_used_beside(graph, node, shortcut, given, {"weight"}):
        own |= _outermost(_parameters(graph, node, branch, CONTRACTING))
    return _comes_first(graph, node, own, constants.keys())


def _is_used_beside(
    graph: Graph, node: int, one: Side, given: Mapping[Hashable, Set[int]], roles: Collection[str] = CONTRACTING
) -> bool:
    """Whether parameters of one side of a sum are used outside of that side as well."""
    outside = {v for v, role in enumerate(graph.roles) if role in roles} - {*one.nodes, node}
    return any(_used(graph, v) & given.keys() for v in outside)


def _is_read_beside(graph: Graph, node: int, one: Side, given: Mapping[Hashable, Set[int]]) -> bool:
    """Whether what the nearest weight of a side makes of its signal is read outside of that side as well."""
    nearest, own = min((v for nodes in given.values() for v in nodes), default=-1), {*one.nodes, node}
    return any(not own.issuperset(graph.users[v]) for v in one.nodes if v <= nearest)


def nearest_weights(graph: Graph, node: int, edge: Edge, join: int) -> set[Hashable]:
    """The parameters of the weight that is nearest to a sum on one of its sides."""
    return _outermost(_parameters(graph, node, Side(graph, node, edge, join)))


def _outermost(parameters: Mapping[Hashable, Set[int]]) -> set[Hashable]:
    """Of the parameters of a side those that are nearest to its sum."""
    nearest = min((v for nodes in parameters.values() for v in nodes), default=None)
    return {p for p, nodes in parameters.items() if nearest in nodes}


def _comes_first(graph: Graph, node: int, own: Set[Hashable], others: Set[Hashable]) -> bool:
    """Whether what comes of a sum reaches some parameters again, and others only after one of those uses.

    A net that is passed twice uses all of its weights again, those of a recurrence in it as well.
    """
    arrived, passed = {node}, set[int]()
    for v in range(node - 1, -1, -1):
        below = {e.to for e in graph.edges[v]}
        if not below & arrived:
            continue
        # the result of this node depends on the sum
        arrived.add(v)
        used = _used(graph, v) if graph.roles[v] in CONTRACTING else set()
        after = bool(below & passed)
        if used & others and not after:
            return False
        if after or used & own:
            passed.add(v)
    return bool(passed)


def are_steps(graph: Graph, node: int, join: int) -> bool:
    """Whether the signals that meet in a node are steps of a recurrence.

    Each crosses some weight another number of times; one that crosses a weight twice, as a branch may, is not enough.
    """
    # for each signal, how often it crosses each weight
    crossed = [_parameters(graph, node, Side(graph, node, e, join)) for e in graph.edges[node]]
    for p in {p for own in crossed for p in own}:
        times = [len(own.get(p, ())) for own in crossed]
        if max(times) > 1 and len(set(times)) == len(times):
            return True
    return False


def _parameters(graph: Graph, node: int, one: Side, roles: Collection[str] = ("weight",)) -> dict[Hashable, set[int]]:
    """For each parameter of a side's weights, or of its constants as well, the nodes that contract with it."""
    found: dict[Hashable, set[int]] = {}
    for v in (*one.nodes, *((node,) if one.own_step else ())):
        for p in _used(graph, v) if graph.roles[v] in roles else ():
            found.setdefault(p, set()).add(v)
    return found


def _used(graph: Graph, node: int) -> Set[Hashable]:
    """The parameters that a weight is computed from: their ids, or for a frozen one that was cast its first entries."""
    way = graph.contraction(node) if node >= 0 else None
    if way is None:
        return set()
    # a live weight is known by its leaf, a frozen one by its value
    operand = graph.nodes[node].next_functions[way[1]][0]
    if operand is not None:
        return {id(p) for p in leaves(operand)}
    frozen = saved_parameter(graph.nodes[node], way[2])
    if frozen is None or isinstance(frozen, nn.Parameter):
        return {id(frozen)} - {id(None)}
    return {(tuple(frozen.shape), *frozen.detach().flatten()[:FIRST].tolist())}


def is_preactivated(graph: Graph, one: Side, other: Side) -> bool:
    """Whether one side is a single weight behind nonlinearities of its own, and the other has more of them."""
    weights = [v for v in one.nodes if graph.roles[v] == "weight"]
    # without a weight that is known, a constant may be a frozen one that was cast
    weights = weights or [v for v in one.nodes if graph.roles[v] == "constant"]
    if len(weights) != 1 or sum(graph.roles[v] in CONTRACTING for v in other.nodes) < 2:
        return False
    behind = [v for v in one.nodes if v != weights[0] and graph.roles[v] not in PLAIN]
    return bool(behind) and all(v > weights[0] and facts(graph.operations[v]).entrywise for v in behind)


def is_noise(graph: Graph, one: Side) -> bool:
    """Whether a side is noise at a scale, ε σ(h) in a sample μ(h) + ε σ(h) of a normal distribution."""
    above, v = one.edge.to, one.edge.to
    while len(graph.edges[v]) == 1 and graph.operations[v] not in SCALES:
        if graph.roles[v] != "linear":
            return False
        above, v = v, graph.edges[v][0].to
    # a constant for every entry is what scales it
    noise = [saved_tensor(graph.nodes[above], name) for name in ("self", "other")]
    return graph.operations[v] in SCALES and any(
        t is not None and t.numel() > 1 and tuple(t.shape) == graph.shape(above) for t in noise
    )
