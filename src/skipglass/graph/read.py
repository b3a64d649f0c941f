"""Read the backward pass from a loss down to x, as PyTorch has recorded it, and say what each operation does there."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

from skipglass.errors import InputError
from skipglass.graph.broadcasts import written_out
from skipglass.graph.nodes import Edge, Graph, Meta, Place, Target, leaves
from skipglass.graph.operations import contraction, facts, operation, role
from skipglass.graph.saved import saved_parameter

__all__ = ["Edge", "Graph", "Meta", "Target", "as_targets", "leaves", "read"]

Operand = tuple[int, Node, int]
"""(slot, node, output)"""


def as_targets(x: Target) -> tuple[Tensor, ...]:
    """Check x, a tensor or a tuple of tensors whose gradient is defined.

    Raises
    ------
    InputError
        If x is no tensor, holds integers or nothing, or requires no gradient.
    """
    targets = tuple(x) if isinstance(x, (tuple, list)) else (x,)
    if not targets:
        raise InputError("x must be a tensor or a tuple of tensors, found an empty one")
    for t in targets:
        if not isinstance(t, Tensor):
            raise InputError(f"x must be a tensor or a tuple of tensors, not {type(t).__name__}")
        if not (t.is_floating_point() or t.is_complex()):
            kind = str(t.dtype).removeprefix("torch.")
            raise InputError(f"x holds {kind}s, which have no gradient; pass the output of the input embedding")
        if not t.requires_grad:
            raise InputError("x requires no gradient; call x.requires_grad_() before the forward pass")
    if not any(t.numel() for t in targets):
        raise InputError(f"x holds no entries, found the shape {tuple(targets[0].shape)}; give at least one sample")
    return targets


def read(loss: Tensor, x: Target) -> Graph:
    """Read the graph that leads from ``loss`` down to ``x``.

    Raises
    ------
    InputError
        If the loss is not a scalar with a graph, x is not reached, or a piece of the network is hidden.
    """
    if torch.is_inference_mode_enabled():
        raise InputError("torch.inference_mode() is on, which hides graphs; measure outside it")
    ends = [get_gradient_edge(t) for t in as_targets(x)]
    _check_loss(loss)
    root = get_gradient_edge(loss)
    wanted = {(e.node, e.output_nr) for e in ends}
    live = _live(root.node, wanted)
    if not live[root.node] and (root.node, root.output_nr) not in wanted:
        raise InputError("the loss does not depend on x; pass the tensor that the network was called with")
    if any(end.node not in live for end in ends):
        raise InputError("the loss does not depend on one of the tensors in x; leave it out")
    # nodes without a live operand that are no end carry no signal
    at_end = {e.node for e in ends}
    nodes = [node for node in reversed(live) if live[node] or node in at_end]
    number = {node: i for i, node in enumerate(nodes)}
    names = [operation(node) for node in nodes]
    for name in names:
        if advice := facts(name).hidden:
            raise InputError(f"a part of the network {advice}: paths inside it cannot be seen")
    edges = [[Edge(slot, number[after], output) for slot, after, output in live.pop(node)] for node in nodes]
    roles = [_role(node, name, {e.slot for e in out}) for node, name, out in zip(nodes, names, edges, strict=True)]
    targets: list[Place] = [(number[e.node], e.output_nr) for e in ends]
    graph = Graph(nodes, names, roles, edges, root, targets)
    for i in graph.writes:
        roles[i] = "linear"
    for i in written_out(graph):
        roles[i] = "opaque"
    return graph


def _check_loss(loss: Tensor) -> None:
    if not isinstance(loss, Tensor):
        raise InputError(f"loss must be a tensor, not {type(loss).__name__}")
    if loss.numel() != 1:
        raise InputError(f"loss must be a scalar, found the shape {tuple(loss.shape)}; sum it or pick one entry")
    if loss.is_complex():
        raise InputError("loss is complex, which has no gradient; take its real part, or its abs()")
    if loss.grad_fn is None:
        raise InputError("loss has no graph; compute it from x outside torch.no_grad()")


def _live(root: Node, wanted: set[tuple[Node, int]]) -> dict[Node, Sequence[Operand]]:
    """The live operands of every node below ``root``, each node after those it leads to.

    No recursion, as graphs are deep; and ``next_functions`` is read twice, as keeping it would cost more: Python's
    garbage collector looks at everything that is kept.
    """
    live: dict[Node, Sequence[Operand]] = {}
    entered: set[Node] = set()
    stack = [root]
    while stack:
        node = stack[-1]
        # first visit: everything below comes first
        if node not in entered:
            entered.add(node)
            if operands := node.next_functions:
                stack += [after for after, _ in reversed(operands) if after is not None and after not in entered]
                continue
        # second visit: whether x can be reached from each operand is known
        stack.pop()
        if node not in live:
            live[node] = [
                (slot, after, output)
                for slot, (after, output) in enumerate(node.next_functions)
                if after is not None and (live[after] or (after, output) in wanted)
            ] or ()
    return live


def _role(node: Node, name: str, signals: set[int]) -> str:
    """What a node does to the signals that enter by these operands; see `Graph`."""
    if name in {"IndexReduce", "ScatterReduce"} and node._saved_reduce not in {"sum", "mean"}:  # type: ignore[attr-defined]
        return "nonlinear"
    if name == "CopySlices":  # in place on a view; with one operand alone it can hold neither a weight nor a sum
        return "opaque" if sum(after is not None for after, _ in node.next_functions) > 1 else "nonlinear"
    if (way := contraction(name, signals)) is not None:
        _, other, saved = way
        traced = node.next_functions[other][0] is not None
        return "weight" if traced or isinstance(saved_parameter(node, saved), torch.nn.Parameter) else "constant"
    kind = role(name, signals)
    if kind == "nonlinear" and _may_hold_a_weight(node, name, signals):
        return "opaque"
    return "custom" if name.startswith("custom ") else kind


def _may_hold_a_weight(node: Node, name: str, signals: set[int]) -> bool:
    """Whether an operation that is not understood takes a matrix computed from parameters alone."""
    known = facts(name)
    if known.entrywise or known.role == "norm":
        return False
    return any(
        after is not None and slot not in signals and any(leaf.ndim > 1 for leaf in leaves(after))
        for slot, (after, _) in enumerate(node.next_functions[: known.reads])
    )
