"""The backward pass from a loss down to x, as PyTorch has recorded it.

Only what carries the signal is kept: the *live* edges, from which x can be reached. Nodes are numbered from
the loss (0) downwards, every edge going to a higher number; several nodes may be targets, when x is a tuple.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from skipglass.errors import InputError
from skipglass.graph.broadcasts import written_out
from skipglass.graph.operations import (
    CONTRACTIONS,
    ELEMENTWISE,
    HIDDEN,
    NORMALIZATIONS,
    OPAQUE,
    operation,
    role,
)
from skipglass.graph.saved import saved_parameter

__all__ = ["Edge", "Graph", "Meta", "Target", "as_targets", "leaves", "read"]

Target = Tensor | tuple[Tensor, ...]


class Edge(NamedTuple):
    """One live step of the backward pass: operand ``slot`` of a node to output ``output`` of node ``to``."""

    slot: int
    to: int
    output: int


class Meta(NamedTuple):
    """What autograd knows of a gradient before it is there."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


@dataclass(frozen=True)
class Graph:
    """The live part of an autograd graph, in topological order from the loss.

    Attributes
    ----------
    nodes, operations, roles
        Autograd's nodes, their names and what they do to the signal; the role of a contraction with something
        computed from parameters alone is "weight", and with what leaves no trace of a parameter "constant".
    edges
        The live edges out of each node.
    loss
        Where the backward pass starts.
    targets
        For each tensor of x, its (node, output).
    """

    nodes: list[Node]
    operations: list[str]
    roles: list[str]
    edges: list[list[Edge]]
    loss: GradientEdge
    targets: list[tuple[int, int]]

    @cached_property
    def metas(self) -> list[tuple[Meta, ...]]:
        """What enters each node, by output; one tuple for all that are alike."""
        known: dict[tuple[Meta, ...], tuple[Meta, ...]] = {}
        return [
            known.setdefault(found, found)
            for node in self.nodes
            for found in (tuple([Meta(tuple(m.shape), m.dtype, m.device) for m in node._input_metadata]),)
        ]

    @cached_property
    def dtypes(self) -> set[torch.dtype]:
        """What the gradients on the way consist of."""
        return {meta.dtype for metas in self.metas for meta in metas}


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
    targets = as_targets(x)
    if not isinstance(loss, Tensor):
        raise InputError(f"loss must be a tensor, not {type(loss).__name__}")
    if loss.numel() != 1:
        raise InputError(f"loss must be a scalar, found the shape {tuple(loss.shape)}; sum it or pick one entry")
    if loss.is_complex():
        raise InputError("loss is complex, which has no gradient; take its real part, or its abs()")
    if loss.grad_fn is None:
        raise InputError("loss has no graph; compute it from x outside torch.no_grad()")
    root = get_gradient_edge(loss)
    ends = [get_gradient_edge(t) for t in targets]
    wanted = {(e.node, e.output_nr) for e in ends}
    live = _live(root.node, wanted)
    if not live[root.node] and (root.node, root.output_nr) not in wanted:
        raise InputError("the loss does not depend on x; pass the tensor that the network was called with")
    for end in ends:
        if end.node not in live:
            raise InputError("the loss does not depend on one of the tensors in x; leave it out")
    at_end = {e.node for e in ends}
    nodes = [node for node in reversed(live) if live[node] or node in at_end]
    number = {node: i for i, node in enumerate(nodes)}
    names = [operation(node) for node in nodes]
    for name in names:
        if name in HIDDEN:
            raise InputError(f"a part of the network {HIDDEN[name]}: paths inside it cannot be seen")
    edges = [[Edge(slot, number[after], output) for slot, after, output in live.pop(node)] for node in nodes]
    roles = [_role(node, name, {e.slot for e in out}) for node, name, out in zip(nodes, names, edges, strict=True)]
    for i in written_out(nodes, names, roles, edges):
        roles[i] = "opaque"
    return Graph(nodes, names, roles, edges, root, [(number[e.node], e.output_nr) for e in ends])


def _live(root: Node, wanted: set[tuple[Node, int]]) -> dict[Node, Sequence[tuple[int, Node, int]]]:
    """The live operands, (slot, node, output), of every node below ``root``, each after the nodes it leads to.

    No recursion, as graphs are deep; and ``next_functions`` is read twice, as keeping it would cost more: Python's
    garbage collector looks at everything that is kept.
    """
    live: dict[Node, Sequence[tuple[int, Node, int]]] = {}
    entered: set[Node] = set()
    stack = [root]
    while stack:
        node = stack[-1]
        if node not in entered:
            entered.add(node)
            if operands := node.next_functions:
                stack += [after for after, _ in reversed(operands) if after is not None and after not in entered]
                continue
        stack.pop()
        if node not in live:
            live[node] = [
                (slot, after, output)
                for slot, (after, output) in enumerate(node.next_functions)
                if after is not None and (live[after] or (after, output) in wanted)
            ] or ()
    return live


def _role(node: Node, name: str, signals: set[int]) -> str:
    if name == "CopySlices":  # in place on a view; with one operand alone it can hold neither a weight nor a sum
        return "opaque" if sum(after is not None for after, _ in node.next_functions) > 1 else "nonlinear"
    if name in OPAQUE:
        return "opaque"
    for own, other, saved in CONTRACTIONS.get(name, ()):
        if own in signals and other not in signals:
            following = node.next_functions[other][0]
            return "weight" if following is not None or _is_frozen(node, saved) else "constant"
    if name.startswith("custom "):  # it may be anything
        return "opaque" if _may_hold_a_weight(node, name, signals) else "custom"
    kind = role(name, signals)
    return "opaque" if kind == "nonlinear" and _may_hold_a_weight(node, name, signals) else kind


def _may_hold_a_weight(node: Node, name: str, signals: set[int]) -> bool:
    """Whether an operation that is not understood takes a matrix computed from parameters alone."""
    if name in ELEMENTWISE or name in NORMALIZATIONS:
        return False
    operands = node.next_functions[:3] if name.startswith("ScaledDotProduct") else node.next_functions  # q, k, v, bias
    return any(
        after is not None and slot not in signals and any(leaf.ndim > 1 for leaf in leaves(after))
        for slot, (after, _) in enumerate(operands)
    )


def leaves(root: Node) -> Iterator[Tensor]:
    """Yield the leaf tensors below a node, nearest first."""
    seen, queue = {root}, deque([root])
    while queue:
        node = queue.popleft()
        following = node.next_functions
        if not following and isinstance(variable := getattr(node, "variable", None), Tensor):
            yield variable
        for after, _ in following:
            if after is not None and after not in seen:
                seen.add(after)
                queue.append(after)


def _is_frozen(node: Node, saved: str) -> bool:
    """Whether the operand that was saved is a parameter without gradient, or a view of one."""
    return isinstance(saved_parameter(node, saved), torch.nn.Parameter)
