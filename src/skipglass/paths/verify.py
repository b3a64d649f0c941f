"""The check on every call: the parts of a gradient sum to the gradient that autograd gives."""

import math

import torch
from torch import Tensor

from skipglass.errors import DecompositionError, InputError
from skipglass.paths.graph import Graph, Target, as_targets
from skipglass.paths.walk import explain

__all__ = ["BOUNDS", "inner", "reference", "verify"]

BOUNDS = {torch.float64: 1e-12, torch.complex128: 1e-12, torch.float32: 1e-5, torch.complex64: 1e-5}
"""Largest error ‖Σ g_r - g‖/Σ ‖g_r‖ of each precision (DESIGN.md); 2e-2 for the half precisions."""
HALF = 2e-2


def reference(loss: Tensor, x: Target) -> list[Tensor]:
    """Return g = ∂loss/∂x from autograd, one tensor for each of x.

    Raises
    ------
    InputError
        If the graph was freed or overwritten, or g holds NaN or infinity.
    """
    targets = as_targets(x)
    try:
        g = torch.autograd.grad(loss, targets, torch.ones_like(loss), retain_graph=True)
    except RuntimeError as error:
        raise explain(error) from error
    for part in g:
        if not torch.isfinite(part).all():
            raise InputError("the gradient holds NaN or infinity, which no sum of paths explains")
    return list(g)


def inner(a: list[Tensor], b: list[Tensor]) -> float:
    """⟨a, b⟩ over lists of tensors, real and in float64."""
    return sum(float(torch.real(torch.sum(wide(u).conj() * wide(v)))) for u, v in zip(a, b, strict=True))


def wide(a: Tensor) -> Tensor:
    """Return the tensor in double precision."""
    return a.to(torch.complex128 if a.is_complex() else torch.float64)


def verify(graph: Graph, parts: list[list[Tensor]], g: list[Tensor]) -> float:
    """Return ‖Σ_r g_r - g‖/Σ_r ‖g_r‖, after comparing it with the bound of the graph's lowest precision.

    Parameters
    ----------
    graph
        What the gradient passed, for its precision.
    parts
        For each tensor of x, its g_r.
    g
        For each tensor of x, its gradient.

    Raises
    ------
    DecompositionError
        If it is above the bound.
    """
    difference = [sum((wide(p) for p in part), -wide(whole)) for part, whole in zip(parts, g, strict=True)]
    lengths = sum(math.sqrt(inner([p], [p])) for part in parts for p in part)
    gap = math.sqrt(inner(difference, difference))
    error = gap / lengths if lengths else (math.inf if gap else 0.0)
    bound = max(
        BOUNDS.get(meta.dtype, HALF)
        for node in graph.nodes
        for meta in node._input_metadata
        if meta.dtype.is_floating_point or meta.dtype.is_complex
    )
    if not error <= bound:
        raise DecompositionError(
            f"the parts of the gradient do not sum to it: error {error:.1e}, bound {bound:g}; possible causes are a "
            "backward pass that is not linear (hooks, gradient clipping, quantised gradients) or hooks on a tensor "
            "where paths meet"
        )
    return error
