"""Names: a weight goes by its parameters, a residual block by the module that holds its branch's weights."""

from collections.abc import Collection, Iterable

from torch import Tensor, nn

from skipglass.graph.merges import Merge, span
from skipglass.graph.operations import CONTRACTIONS
from skipglass.graph.read import Graph, leaves
from skipglass.graph.saved import saved_parameter

__all__ = ["common_prefix", "contracts", "name_of_operands", "name_of_weight", "names_of_blocks"]

CONTAINERS = (nn.ModuleList, nn.ModuleDict)  # modules that compute nothing
UNKNOWN = "weight ("  # how the name of a tensor starts that is no parameter of the model


def contracts(graph: Graph, node: int, slot: int) -> bool:
    """Tell whether this edge of a node crosses a weight."""
    if graph.roles[node] != "weight":
        return False
    return any(own == slot for own, _, _ in CONTRACTIONS[graph.operations[node]])


def name_of_weight(graph: Graph, i: int, names: dict[int, str]) -> str:
    """Return the parameters that a weight was computed from, by name, or else by shape."""
    node, live = graph.nodes[i], {e.slot for e in graph.edges[i]}
    for own, other, saved in CONTRACTIONS[graph.operations[i]]:
        if own in live and other not in live:
            following = node.next_functions[other][0]
            if following is not None:
                found = list(leaves(following))
            else:
                frozen = saved_parameter(node, saved)
                found = [] if frozen is None else [frozen]
            return _names_of(found, names) or "weight"
    return "weight"


def _names_of(parameters: Iterable[Tensor], names: dict[int, str]) -> str:
    return "+".join(names.get(id(p), f"weight {tuple(p.shape)}") for p in parameters)


def name_of_operands(graph: Graph, i: int, names: dict[int, str]) -> str:
    """Return the parameters, by name, that an opaque operation takes besides the signal."""
    live = {e.slot for e in graph.edges[i]}
    operands = [after for slot, (after, _) in enumerate(graph.nodes[i].next_functions) if slot not in live and after]
    found = [p for after in operands for p in leaves(after) if id(p) in names]
    return _names_of(found, names)


def names_of_blocks(
    graph: Graph, residual: list[Merge], weights: dict[int, str], modules: dict[str, nn.Module]
) -> list[str]:
    """Name residual merges by the modules of their weights; one that holds a part of a named module, by that part."""
    if not modules:
        return [f"block {number}" for number in range(len(residual))]
    known = {i: name for i, name in weights.items() if name and not name.startswith(UNKNOWN)}
    containers = {name for name, m in modules.items() if type(m) in CONTAINERS}
    nodes = {m.node for m in residual}
    inside = [_inside(graph, merge, known) for merge in residual]
    held = [frozenset(known[v] for v in crossed) for crossed in inside]
    names = [_name(graph, m, nodes, known, containers, v) for m, v in zip(residual, inside, strict=True)]
    alike: dict[str, set[frozenset[str]]] = {}
    for name, own in zip(names, held, strict=True):
        alike.setdefault(name, set()).add(own)
    for k, (name, own) in enumerate(zip(names, held, strict=True)):
        whole = all(own >= other for other in alike[name])
        if not whole and all(weight.startswith(f"{name}.") for weight in own):
            names[k] = _children([known[v] for v in inside[k]], name)
    return _unique(names, inside, held)


def _unique(names: list[str], inside: list[list[int]], held: list[frozenset[str]]) -> list[str]:
    """Number the uses of one module; of others that would share a name the later goes by its place."""
    called: dict[str, list[int]] = {}
    found = []
    for number, name in enumerate(names):
        same = called.setdefault(name, [])
        if name and all(held[k] == held[number] and inside[k] != inside[number] for k in same):
            same.append(number)
            found.append(f"{name}#{len(same)}" if len(same) > 1 else name)
        else:
            found.append(f"block {number}")
    return found


def _span(graph: Graph, merge: Merge, stops: Collection[int] = ()) -> list[int]:
    return [] if merge.branch is None else span(graph, merge.branch, merge.join, stops)


def _inside(graph: Graph, merge: Merge, weights: Collection[int], stops: Collection[int] = ()) -> list[int]:
    """A branch's weights, from the input up; those that lead to the join, without stops."""
    inside = []
    leading = {merge.join} | ({v for v, _ in graph.targets} if merge.join == len(graph.nodes) else set())
    for v in reversed(_span(graph, merge, stops)):
        if stops or v in leading or any(e.to in leading for e in graph.edges[v]):
            leading.add(v)
            inside += [v] if v in weights else []
    own = merge.branch is not None and merge.node in weights and contracts(graph, merge.node, merge.branch.slot)
    return [*inside, merge.node] if own else inside


def _name(
    graph: Graph, merge: Merge, residual: set[int], weights: dict[int, str], containers: set[str], inside: list[int]
) -> str:
    """The module that holds a branch's weights, or those above the next blocks; else the parts, first to last."""
    everything = [weights[v] for v in inside]
    for names in (everything, [weights[v] for v in _inside(graph, merge, weights, residual)]):
        prefix = common_prefix(names)
        if prefix and prefix not in containers:
            return prefix
    return _children(everything, common_prefix(everything)) if everything else ""


def _children(names: list[str], prefix: str = "") -> str:
    """The parts of a module that hold the weights, as "bottom+up", or "down…up" where they are more than three."""
    depth = len(prefix.split(".")) if prefix else 0
    parts = list(dict.fromkeys(name.split("+")[0].split(".")[depth] for name in names))
    listed = "+".join(parts) if len(parts) < 4 else f"{parts[0]}…{parts[-1]}"
    return f"{prefix}.{listed}" if prefix else listed


def common_prefix(names: list[str]) -> str:
    """Return the longest common dotted prefix of the modules of weights, each of its nearest parameter."""
    modules = [name.split("+")[0].split(".")[:-1] for name in names]
    if not modules:
        return ""
    prefix = []
    for parts in zip(*modules, strict=False):
        if len(set(parts)) > 1:
            break
        prefix.append(parts[0])
    return ".".join(prefix)
