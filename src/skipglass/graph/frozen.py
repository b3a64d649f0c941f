"""Frozen weights that were cast on the way to their operation, as autocast does: a copy leaves no trace in the graph.

What a model is given for can tell: the constant has the values of one of its parameters.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from skipglass.graph.operations import CONTRACTIONS
from skipglass.graph.read import Graph
from skipglass.graph.saved import saved_parameter

__all__ = ["recognise"]


def recognise(graph: Graph, parameters: Iterable[Tensor]) -> dict[int, Tensor]:
    """Find the contractions with a constant that has a parameter's values, and call them weights.

    Parameters
    ----------
    graph
        Its role of such a contraction becomes "weight".
    parameters
        Those of the model.

    Returns
    -------
    dict of int to Tensor
        Node to parameter.
    """
    constants = [i for i, role in enumerate(graph.roles) if role == "constant"]
    if not constants:
        return {}
    by_shape: dict[torch.Size, list[Tensor]] = {}
    for p in parameters:
        by_shape.setdefault(p.shape, []).append(p)
    found = {}
    for i in constants:
        constant = _constant(graph, i)
        if constant is not None:
            same = next((p for p in by_shape.get(constant.shape, ()) if _is_a_copy(constant, p)), None)
            if same is not None:
                found[i], graph.roles[i] = same, "weight"
    return found


def _constant(graph: Graph, i: int) -> Tensor | None:
    """What a contraction takes besides the signal."""
    live = {e.slot for e in graph.edges[i]}
    ways = CONTRACTIONS[graph.operations[i]]
    return next(saved_parameter(graph.nodes[i], s) for own, other, s in ways if own in live and other not in live)


@torch.no_grad()
def _is_a_copy(constant: Tensor, p: Tensor) -> bool:
    """Whether a tensor holds a parameter's values, in any type; the first row alone tells most others apart."""
    if not constant.numel() or constant.device != p.device or {constant.layout, p.layout} != {torch.strided}:
        return False
    if p.is_complex() and not constant.is_complex():
        return False
    return all(torch.equal(c, q.to(c.dtype)) for c, q in ((constant[:1], p[:1]), (constant, p)))
