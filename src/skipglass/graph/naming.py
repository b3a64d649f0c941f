"""Names: a weight goes by its parameters, a residual block by the module that holds its branch's weights.

A weight's name is that of a parameter, or of several joined by "+"; one that the model does not know goes by its shape,
"weight (3, 4)".
"""

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from skipglass.graph.joins import between
from skipglass.graph.merges import Merge
from skipglass.graph.nodes import Graph, leaves
from skipglass.graph.operations import facts
from skipglass.graph.saved import saved_parameter

__all__ = [
    "common_prefix",
    "name_of_operands",
    "names_of_blocks",
    "names_of_parameters",
    "names_of_weights",
    "places_of_sums",
]

CONTAINERS = (nn.ModuleList, nn.ModuleDict)  # modules that compute nothing
UNKNOWN = "weight ("
NEAR = 200  # our choice: operations that are looked at around a sum to say where it stands

Names = Mapping[int, str]
"""A name for the id of each parameter."""


def names_of_parameters(model: nn.Module | None) -> dict[int, str]:
    """Return the first name of each parameter of a model, also where several modules share it."""
    names: dict[int, str] = {}
    for name, p in () if model is None else model.named_parameters(remove_duplicate=False):
        names.setdefault(id(p), name)
    return names


def names_of_weights(graph: Graph, model: nn.Module | None, names: Names) -> dict[int, str]:
    """Return the name of every weight, by node in forward order; a constant that copies a parameter becomes one.

    A frozen weight that was cast on its way, as autocast does, leaves no trace in the graph: the values tell.
    """
    by_shape: dict[torch.Size, list[Tensor]] = {}
    for p in model.parameters() if model is not None and "constant" in graph.roles else ():
        by_shape.setdefault(p.shape, []).append(p)
    found: dict[int, str] = {}
    for i in range(len(graph.nodes) - 1, -1, -1):
        role, way = graph.roles[i], graph.contraction(i)
        if way is None or role not in {"weight", "constant"}:
            continue
        # the weight has a node of its own, or was saved where it is frozen
        _, other, saved = way
        operands = graph.nodes[i].next_functions
        operand = operands[other][0] if other < len(operands) else None
        frozen = saved_parameter(graph.nodes[i], saved) if operand is None else None
        if role == "weight":
            parameters = list(leaves(operand)) if operand else [p for p in (frozen,) if p is not None]
            found[i] = _joined(parameters, names) or "weight"
        elif frozen is not None:
            copied = next((p for p in by_shape.get(frozen.shape, ()) if _is_a_copy(frozen, p)), None)
            if copied is not None:
                found[i], graph.roles[i] = names[id(copied)], "weight"
    return found


@torch.no_grad()
def _is_a_copy(constant: Tensor, p: Tensor) -> bool:
    """Whether a tensor holds a parameter's values, in any type; the first row alone tells most others apart."""
    if not constant.numel() or constant.device != p.device or {constant.layout, p.layout} != {torch.strided}:
        return False
    if p.is_complex() and not constant.is_complex():
        return False
    return all(torch.equal(c, q.to(c.dtype)) for c, q in ((constant[:1], p[:1]), (constant, p)))


def name_of_operands(graph: Graph, i: int, names: Names) -> str:
    """Return the parameters, by name, that an operation takes besides the signal."""
    live = {e.slot for e in graph.edges[i]}
    operands = [after for slot, (after, _) in enumerate(graph.nodes[i].next_functions) if slot not in live and after]
    own = [p for after in operands for p in leaves(after) if id(p) in names]
    # a compiled function takes those of several modules: the one that holds them all
    together = common_prefix([names[id(p)] for p in own]) if facts(graph.operations[i]).hidden else ""
    return f"{together}.…" if together else _joined(own, names)


def _joined(parameters: Iterable[Tensor], names: Names) -> str:
    return "+".join(names.get(id(p), f"weight {tuple(p.shape)}") for p in parameters)


def names_of_blocks(
    graph: Graph, residual: Sequence[Merge], weights: Mapping[int, str], modules: Mapping[str, nn.Module]
) -> list[str]:
    """Name residual merges by the modules of their weights; one that holds a part of a named module, by that part."""
    if not modules:
        return [f"block {number}" for number in range(len(residual))]
    known = {i: name for i, name in weights.items() if name and not name.startswith(UNKNOWN)}
    containers = {name for name, m in modules.items() if type(m) in CONTAINERS}
    ends = {m.node for m in residual}
    inside = [_weights_inside(graph, merge, known, _stream(graph, merge) & ends) for merge in residual]
    held = [[known[v] for v in crossed] for crossed in inside]
    uses = Counter(known.values())
    names = [common_prefix(own) for own in held]
    # the module that holds all weights of the branch, or those above the next blocks, or of these the unshared ones
    vague = {k for k, name in enumerate(names) if not name or name in containers}
    nearest = {k: _weights_inside(graph, residual[k], known, ends) for k in vague}
    shared_by = Counter(v for crossed in nearest.values() for v in crossed)
    for k, above in nearest.items():
        alone = [v for v in above if uses[known[v]] == 1 and shared_by[v] == 1]
        prefixes = [common_prefix([known[v] for v in some]) for some in (above, alone)]
        # or else that of its last weight, if others share some
        prefixes += [common_prefix([known[v]]) for v in alone[-1:] if len(alone) < len(above)]
        fits = [prefix for prefix in prefixes if prefix and prefix not in containers]
        names[k] = fits[0] if fits else _parts(held[k], names[k], containers)
    # where several blocks lie in one module, those that hold only some of its weights go by their parts of it
    sharing: dict[str, list[set[str]]] = {}
    for name, own in zip(names, held, strict=True):
        sharing.setdefault(name, []).append(set(own))
    for k, (name, own) in enumerate(zip(names, held, strict=True)):
        whole = all(other <= set(own) for other in sharing[name])
        if not whole and all(weight.startswith(f"{name}.") for weight in own):
            shared = {weight for j, other in enumerate(held) if j != k for weight in other}
            private = common_prefix([weight for weight in own if weight not in shared])
            names[k] = private if private.startswith(f"{name}.") and private not in containers else _parts(own, name)
    places = [name or _place(graph, merge.node, known) for name, merge in zip(names, residual, strict=True)]
    return _unique(names, places, inside, [set(own) for own in held])


def places_of_sums(
    graph: Graph, sums: Sequence[Merge], weights: Mapping[int, str], modules: Mapping[str, nn.Module]
) -> dict[int, str]:
    """Say for each sum in which module it stands, by the nearest weights below and above it."""
    known = {i: name for i, name in weights.items() if name and not name.startswith(UNKNOWN)} if modules else {}
    return {merge.node: _place(graph, merge.node, known) for merge in sums} if known else {}


def _place(graph: Graph, node: int, weights: Mapping[int, str]) -> str:
    """The module that holds the nearest weights around a node, or "after" the one that holds the nearest below."""
    below = [_nearest(weights, e.to, lambda v: [e.to for e in graph.edges[v]]) for e in graph.edges[node]]
    above = _nearest(weights, node, lambda v: [-user for user in graph.users[v]], own=False)
    names = [weights[node], *below] if node in weights else below
    pairs = [(one, other) for one in names for other in (above, *names) if one and other and one is not other]
    # of any two of the weights around it the smallest module that holds both
    if common := max(
        (common_prefix(pair) for pair in pairs), key=lambda name: name.count(".") + bool(name), default=""
    ):
        return common
    told = next((name for name in names if name), "")
    return f"after {_module(told)}" if told else f"before {_module(above)}" if above else ""


def _nearest(
    weights: Mapping[int, str], start: int, following: Callable[[int], Iterable[int]], own: bool = True
) -> str:
    """The name of the first weight that a node leads to, in topological order; upwards numbers are negative."""
    queue = [start] if own else list(following(start))
    heapq.heapify(queue)
    seen = set(queue)
    while queue and len(seen) < NEAR:
        v = abs(heapq.heappop(queue))
        if v in weights:
            return weights[v]
        for after in following(v):
            if after not in seen:
                seen.add(after)
                heapq.heappush(queue, after)
    return ""


def _module(weight: str) -> str:
    return common_prefix([weight]) or weight


def _unique(names: list[str], places: list[str], inside: list[list[int]], held: list[set[str]]) -> list[str]:
    """Number the uses of one module; of others that would share a name the later are numbered as sums of its place."""
    called: dict[str, list[int]] = {}
    taken: Counter[str] = Counter()
    unique = []
    for number, (name, place) in enumerate(zip(names, places, strict=True)):
        same = called.setdefault(name, [])
        taken[place] += 1
        if name and all(held[k] == held[number] and inside[k] != inside[number] for k in same):
            same.append(number)
            unique.append(f"{name}#{len(same)}" if len(same) > 1 else name)
        else:
            unique.append(f"{place} (sum {taken[place]})" if place else f"block {number}")
    return unique


def _weights_inside(graph: Graph, merge: Merge, weights: Collection[int], stops: Collection[int] = ()) -> list[int]:
    """A branch's weights, from the input up: those that lead to the join or to one of the nodes in ``stops``."""
    if merge.branch is None:
        return []
    inside = []
    leading = {merge.join, *stops, *(graph.at_end if merge.join == len(graph.nodes) else ())}
    for v in reversed(between(graph, merge.branch, merge.join, stops)):
        if v in leading or any(e.to in leading for e in graph.edges[v]):
            leading.add(v)
            inside += [v] if v in weights else []
    own_step = merge.node in weights and graph.contracts(merge.node, merge.branch)
    return [*inside, merge.node] if own_step else inside


def _stream(graph: Graph, merge: Merge) -> set[int]:
    """The nodes that the shortcut of a block passes."""
    return set() if merge.shortcut is None else set(between(graph, merge.shortcut, merge.join))


def _parts(names: Sequence[str], prefix: str = "", containers: Collection[str] = ()) -> str:
    """The parts of a module that hold weights, from the input up, as "bottom+up", or "down…up" if more than three.

    Of a list of layers, the last.
    """
    if not names:
        return ""
    depth = len(prefix.split(".")) if prefix else 0
    parts = list(dict.fromkeys(name.split("+")[0].split(".")[depth] for name in names))
    listed = "+".join(parts) if len(parts) < 4 else parts[-1] if prefix in containers else f"{parts[0]}…{parts[-1]}"
    return f"{prefix}.{listed}" if prefix else listed


def common_prefix(names: Sequence[str]) -> str:
    """Return the longest common dotted prefix of the modules of weights, each of its nearest parameter."""
    modules = [name.split("+")[0].split(".")[:-1] for name in names]
    prefix = []
    for parts in zip(*modules, strict=False):
        if len(set(parts)) > 1:
            break
        prefix.append(parts[0])
    return ".".join(prefix)
