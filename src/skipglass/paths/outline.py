"""An outline of a network as its gradient sees it: weights, residual blocks, parallel sums, what stays opaque."""

import warnings
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from torch import Tensor, nn

from skipglass import check
from skipglass.errors import InputError
from skipglass.paths.graph import Edge, Graph, Target, leaves, read, saved_parameter
from skipglass.paths.merges import Merge, classify, span
from skipglass.paths.operations import CONTRACTIONS
from skipglass.paths.walk import Counted

__all__ = ["UNITS", "Block", "PathGraph", "outline"]

UNITS = ("weights", "blocks")
CONTAINERS = (nn.ModuleList, nn.ModuleDict)  # modules that compute nothing


@dataclass(frozen=True)
class Block:
    """One residual block.

    Attributes
    ----------
    name
        The module that holds its weights, the modules ("bottom+up") where it is none alone, or "block 3" (forward
        order) where no model names them. "step#2" is the second use of a module.
    side
        Which operand of the addition is the branch: 0 the first, 1 the second.
    shortcut
        "identity" or "projected".
    merge
        Where it is in the graph.
    """

    name: str
    side: int
    shortcut: str
    merge: Merge


@dataclass(frozen=True)
class PathGraph:
    """What was found between a loss and x, in forward order; prints as a table.

    Attributes
    ----------
    blocks
        The residual merges.
    weights
        The name of each contraction with something computed from parameters alone.
    sums
        Parallel sums, as "operation (number of signals)"; not counted.
    norms
        The normalisations that are one operation.
    opaque
        Operations that may hide weights or nonlinearities, and contractions with a constant: a frozen weight that
        was cast or computed leaves no trace of its parameter.
    graph
        The live part of the autograd graph.
    """

    blocks: tuple[Block, ...]
    weights: tuple[str, ...]
    sums: tuple[str, ...]
    norms: tuple[str, ...]
    opaque: tuple[str, ...]
    graph: Graph

    def counted(self, unit: str) -> Counted:
        """Return the counted steps, (node, slot), of a unit; warn where operations may hide weights."""
        check.choice("unit", unit, UNITS)
        if unit == "blocks":
            hidden = sum(
                i == "CopySlices" and len(e) > 1 for i, e in zip(self.graph.operations, self.graph.edges, strict=True)
            )
            if hidden:
                warnings.warn(
                    f"{hidden} sums written in place on a slice (CopySlices) may be residual, and are not counted",
                    stacklevel=3,
                )
            return {(b.merge.node, b.merge.branch.slot) for b in self.blocks if b.merge.branch}
        if self.opaque:
            what = ", ".join(dict.fromkeys(self.opaque))
            warnings.warn(f"what these operations may hold is not counted as weights: {what}", stacklevel=3)
        return {
            (i, e.slot) for i in _weights(self.graph) for e in self.graph.edges[i] if _contracts(self.graph, i, e.slot)
        }

    def __str__(self) -> str:
        width = max([len(b.name) for b in self.blocks] + [5])
        lines = [f"{'block':{width}}  branch  shortcut"]
        lines += [f"{b.name:{width}}  {('first', 'second')[b.side]:6}  {b.shortcut}" for b in self.blocks]
        for what in ("weights", "sums", "norms", "opaque"):
            found = getattr(self, what)
            names = list(dict.fromkeys(found))
            shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
            lines.append(f"{what}: {len(found)}{f' ({shown})' if names else ''}")
        return "\n".join(lines)


def outline(loss: Tensor, x: Target, model: nn.Module | None = None) -> PathGraph:
    """Read the network between ``loss`` and ``x``: its weights, residual blocks and parallel sums.

    Parameters
    ----------
    loss
        A scalar with a live graph.
    x
        The tensor, or tuple of tensors, that the paths lead to.
    model
        Names the weights; without it blocks are numbered.

    Returns
    -------
    PathGraph
        Everything in forward order.

    Raises
    ------
    InputError
        If there is no graph from the loss to x, a piece of it is hidden, or the model is no module.

    Examples
    --------
    >>> import torch
    >>> from skipglass.models import ResidualMLP
    >>> model, x = ResidualMLP(5, depth=3, width=4), torch.ones(2, 5, requires_grad=True)
    >>> print(outline(model(x).sum(), x, model))
    block     branch  shortcut
    layers.1  first   identity
    layers.2  first   identity
    weights: 3 (layers.0.weight, layers.1.weight, layers.2.weight)
    sums: 0
    norms: 0
    opaque: 0
    """
    if model is not None and not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    graph = read(loss, x)
    names = {} if model is None else {id(p): name for name, p in model.named_parameters()}
    weights = {i: _name_of_weight(graph, i, names) for i in reversed(_weights(graph))}
    hidden = {i: _name_of_operands(graph, i, names) for i, role in enumerate(graph.roles) if role == "opaque"}
    merges = classify(graph)[::-1]
    blocks = _named(graph, merges, weights | {i: name for i, name in hidden.items() if name}, model)
    backwards = range(len(graph.nodes) - 1, -1, -1)
    return PathGraph(
        blocks,
        tuple(weights.values()),
        tuple(f"{graph.operations[m.node]} ({len(graph.edges[m.node])})" for m in merges if m.branch is None),
        tuple(graph.operations[i] for i in backwards if graph.roles[i] == "norm"),
        tuple(what for i in backwards if (what := _not_understood(graph, i, hidden))),
        graph,
    )


def _not_understood(graph: Graph, i: int, hidden: dict[int, str]) -> str:
    """What may hide a weight: fused operations, and contractions with a constant that is no parameter."""
    name = graph.operations[i]
    if i in hidden:
        module = _common_prefix([hidden[i]]) if hidden[i] else ""
        return f"{name} ({module})" if module else name
    return f"{name} with a constant" if name in CONTRACTIONS and graph.roles[i] == "linear" else ""


def _weights(graph: Graph) -> list[int]:
    return [i for i, role in enumerate(graph.roles) if role == "weight"]


def _contracts(graph: Graph, node: int, slot: int) -> bool:
    """Whether this edge of a node crosses a weight."""
    if graph.roles[node] != "weight":
        return False
    return any(own == slot for own, _, _ in CONTRACTIONS[graph.operations[node]])


def _name_of_weight(graph: Graph, i: int, names: dict[int, str]) -> str:
    """The parameters that a weight was computed from, by name, or else by shape."""
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


def _name_of_operands(graph: Graph, i: int, names: dict[int, str]) -> str:
    """The parameters, by name, that an opaque operation takes besides the signal."""
    live = {e.slot for e in graph.edges[i]}
    operands = [after for slot, (after, _) in enumerate(graph.nodes[i].next_functions) if slot not in live and after]
    found = [p for after in operands for p in leaves(after) if id(p) in names]
    return _names_of(found, names)


def _named(graph: Graph, merges: list[Merge], weights: dict[int, str], model: nn.Module | None) -> tuple[Block, ...]:
    """The blocks, each by the module of its weights; an inner one of the same module by its own weights."""
    residual = {m.node for m in merges if m.branch is not None}
    containers = set() if model is None else {name for name, m in model.named_modules() if type(m) in CONTAINERS}
    blocks: list[Block] = []
    for merge in merges:
        if merge.branch is None or merge.shortcut is None:
            continue
        name = _name(graph, merge, merge.branch, residual, weights, containers) if model else ""
        inside = set(span(graph, merge.branch, merge.join))
        for k, inner in enumerate(blocks):
            if name and inner.name == name and inner.merge.node in inside and inner.merge.branch:
                blocks[k] = replace(
                    inner, name=_children(_inside(graph, inner.merge, inner.merge.branch, weights), name)
                )
        taken = sum(b.name.split("#")[0] == name for b in blocks)
        side = 0 if merge.branch.slot < merge.shortcut.slot else 1
        shown = (f"{name}#{taken + 1}" if taken else name) or f"block {len(blocks)}"
        blocks.append(Block(shown, side, "projected" if merge.projected else "identity", merge))
    return tuple(blocks)


def _inside(
    graph: Graph, merge: Merge, branch: Edge, weights: dict[int, str], stops: Collection[int] = ()
) -> list[str]:
    """The names of a branch's weights, from the input up; of those that lead to the join."""
    inside = []
    leading = {merge.join} | ({v for v, _ in graph.targets} if merge.join == len(graph.nodes) else set())
    for v in reversed(span(graph, branch, merge.join, stops)):
        if stops or v in leading or any(e.to in leading for e in graph.edges[v]):
            leading.add(v)
            inside += [weights[v]] if v in weights else []
    return [*inside, weights[merge.node]] if _contracts(graph, merge.node, branch.slot) else inside


def _name(
    graph: Graph, merge: Merge, branch: Edge, residual: set[int], weights: dict[int, str], containers: set[str]
) -> str:
    """The module that holds a branch's weights, or those above the next blocks; else the parts, first to last."""
    everything = _inside(graph, merge, branch, weights)
    for names in (everything, _inside(graph, merge, branch, weights, residual)):
        prefix = _common_prefix(names)
        if prefix and prefix not in containers:
            return prefix
    return _children(everything, _common_prefix(everything))


def _children(names: list[str], prefix: str = "") -> str:
    """The parts of a module that hold the weights, as "bottom+up", or "down…up" where they are more than three."""
    depth = len(prefix.split(".")) if prefix else 0
    parts = list(dict.fromkeys(name.split("+")[0].split(".")[depth] for name in names))
    listed = "+".join(parts) if len(parts) < 4 else f"{parts[0]}…{parts[-1]}"
    return f"{prefix}.{listed}" if prefix else listed


def _common_prefix(names: list[str]) -> str:
    """The longest common dotted prefix of weights' names, each by its nearest parameter and without its last part."""
    modules = [name.split("+")[0].split(".")[:-1] for name in names]
    if not modules:
        return ""
    prefix = []
    for parts in zip(*modules, strict=False):
        if len(set(parts)) > 1:
            break
        prefix.append(parts[0])
    return ".".join(prefix)
