"""Tangents pushed forward along the graph of a loss, node by node.

A node of the backward pass applies Jᵀ, the transpose of its operation's derivative; here each applies J. There are
three ways to it: an operation that works entry by entry has a diagonal J and a softmax a symmetric one, so that the
node itself is called with the tangent; contractions and normalisations have J in closed form, from what the node has
saved; any other node is differentiated by the gradient that enters it, which it is linear in.
"""

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node

from skipglass.graph import Graph, Place, facts
from skipglass.graph.engine import call
from skipglass.graph.hooks import Heard, Silence
from skipglass.graph.nodes import Meta
from skipglass.paths.attention import FUSED, attention

__all__ = ["CLOSED_FORMS", "push"]

Operands = Mapping[int, Tensor]
"""The tangent of each operand, by slot."""


def push(graph: Graph, ends: list[Place], g: list[Tensor]) -> list[Tensor | None] | None:
    """Return the tangent at each of some places when x moves along g; None where x does not reach one.

    Parameters
    ----------
    graph
        Of real numbers, and without hooks that change a gradient: they are not seen here.
    ends
        Where to give the tangent.
    g
        For each tensor of x, its direction.

    Returns
    -------
    list of torch.Tensor, or None
        None for all where a node's saved tensors are computed when asked for, as checkpoints do: once for every
        node of the checkpoint would be too often.
    """
    needed = _leading_to(graph, ends)
    try:
        with Silence():  # a checkpoint computes its saved tensors when they are looked at
            for i in needed:
                _saved(graph.nodes[i], CLOSED_FORMS.get(graph.operations[i], (None, ""))[1])
    except Heard:
        return None
    # each place is used by the nodes above it, and once more where its tangent is wanted: then it can be let go
    uses = Counter([e.place for i in needed for e in graph.edges[i]] + ends)
    known: dict[Place, Tensor] = {}

    def add(place: Place, tangent: Tensor) -> None:
        known[place] = known[place] + tangent if place in known else tangent

    for target, direction in zip(graph.targets, g, strict=True):
        add(target, direction)
    with torch.no_grad(), torch.autocast(g[0].device.type, enabled=False):
        for i in needed:
            # from x up: the tangents of all operands are complete
            operands = {}
            for e in graph.edges[i]:
                uses[e.place] -= 1
                if (tangent := known.get(e.place) if uses[e.place] else known.pop(e.place, None)) is not None:
                    operands[e.slot] = tangent
            for output, tangent in (_step(graph, i, operands) if operands else {}).items():
                add((i, output), _fit(tangent, graph.metas[i][output]))
    return [known.get(end) for end in ends]


def _leading_to(graph: Graph, ends: list[Place]) -> list[int]:
    """The nodes on the way from x to some places, from x up."""
    seen = {node for node, _ in ends}
    stack = list(seen)
    while stack:
        below = {e.to for e in graph.edges[stack.pop()]} - seen
        seen |= below
        stack += below
    return sorted(seen, reverse=True)


def _saved(node: Node, names: str) -> list[Any]:
    return [getattr(node, f"_saved_{name}") for name in names.split()]


def _step(graph: Graph, i: int, operands: Operands) -> dict[int, Tensor]:
    """The tangents of a node's outputs, in the cheapest way that it allows."""
    node, name = graph.nodes[i], graph.operations[i]
    # J = Jᵀ, then J in closed form, then the derivative of the node by the gradient that enters it
    if facts(name).self_adjoint:
        return {0: _applied(node, graph.metas[i], operands)}
    rule, names = CLOSED_FORMS.get(name, (None, ""))
    if rule is None or (own := rule(operands, *_saved(node, names))) is None:
        return _transposed(graph, i, operands)
    return {0: own}


def _fit(tangent: Tensor, meta: Meta) -> Tensor:
    """Broadcast and cast, as the operation has done."""
    if tangent.shape != meta.shape:
        tangent = tangent.expand(meta.shape)
    return tangent if tangent.dtype == meta.dtype else tangent.to(meta.dtype)


def _applied(node: Node, metas: tuple[Meta, ...], operands: Operands) -> Tensor:
    """J where each operand's part of it is its own transpose: what the node, which applies Jᵀ, makes of the tangent."""
    call: Any = node
    rest = [None] * (len(metas) - 1)
    parts: list[Tensor] = []
    for slot, tangent in operands.items():
        leaving = call(_fit(tangent, metas[0]), *rest)
        parts.append(leaving[slot] if isinstance(leaving, tuple) else leaving)
    return functools.reduce(torch.add, parts)


def _transposed(graph: Graph, i: int, operands: Operands) -> dict[int, Tensor]:
    """J of any node, as the derivative of what it passes on by what enters it."""
    with torch.enable_grad():
        # the node is linear in the gradient v that enters it: wherever that is taken, ∂⟨Jᵀv, t⟩/∂v = J t
        entering = {
            k: torch.zeros((), dtype=m.dtype, device=m.device).expand(m.shape).requires_grad_()
            for k, m in enumerate(graph.metas[i])
            if m.dtype.is_floating_point
        }
        leaving = call(graph, i, {k: {0: v} for k, v in entering.items()})
    # ⟨what it passes on, tangents⟩ differentiated by what entered
    pairs = [
        (graded[0], operands[e.slot])
        for e, graded in zip(graph.edges[i], leaving, strict=True)
        if e.slot in operands and 0 in graded and graded[0].requires_grad
    ]
    if not pairs:
        return {}
    passed, tangents = zip(*pairs, strict=True)
    found = torch.autograd.grad(passed, list(entering.values()), tangents, allow_unused=True)
    return {k: v for k, v in zip(entering, found, strict=True) if v is not None}


def _product(multiply: Callable[[Tensor, Tensor], Tensor], first: int = 0) -> Callable[..., Tensor]:
    """J of a product of two matrices, the operands ``first`` and ``first + 1``, and of a bias before them if any."""

    def rule(t: Operands, left: Any, right: Any, alpha: float = 1, beta: float = 1) -> Tensor:
        # d(beta·b + alpha·L R) = beta·db + alpha·dL R + alpha·L dR
        terms = [(alpha, multiply(t[first], right))] if first in t else []
        terms += [(alpha, multiply(left, t[first + 1]))] if first + 1 in t else []
        terms += [(beta, t[0])] if first and 0 in t else []
        return functools.reduce(torch.add, [term if factor == 1 else term * factor for factor, term in terms])

    return rule


def _convolution(t: Operands, weight: Tensor, *settings: Any) -> Tensor | None:
    return torch.convolution(t[0], weight, None, *settings) if set(t) == {0} else None


def _batch_norm(t: Operands, x: Tensor, weight: Tensor | None, *settings: Any) -> Tensor | None:
    """J of a normalisation is Jᵀ with the gain on the other side, as its centring and scaling are symmetric."""
    if set(t) != {0}:
        return None
    plain = torch.ops.aten.native_batch_norm_backward(t[0], x, None, *settings, [True, False, False])[0]
    return plain if weight is None else plain.mul_(weight.view(-1, *[1] * (x.ndim - 2)))


def _layer_norm(t: Operands, x: Tensor, weight: Tensor | None, *settings: Any) -> Tensor | None:
    if set(t) != {0}:
        return None
    plain = torch.ops.aten.native_layer_norm_backward(t[0], x, *settings, None, None, [True, False, False])[0]
    return plain if weight is None else plain.mul_(weight)


CLOSED_FORMS: dict[str, tuple[Callable[..., Tensor | None], str]] = {
    "Mm": (_product(torch.mm), "self mat2"),
    "Bmm": (_product(torch.bmm), "self mat2"),
    "Addmm": (_product(torch.mm, 1), "mat1 mat2 alpha beta"),
    "Baddbmm": (_product(torch.bmm, 1), "batch1 batch2 alpha beta"),
    "Convolution": (_convolution, "weight stride padding dilation transposed output_padding groups"),
    "NativeBatchNorm": (_batch_norm, "input weight running_mean running_var result1 result2 training eps"),
    "NativeLayerNorm": (_layer_norm, "input weight normalized_shape result1 result2"),
    **{kernel: (attention, saved) for kernel, saved in FUSED.items()},
}
"""For an operation, J in closed form (None for operands that it does not cover), and the saved values it takes."""
