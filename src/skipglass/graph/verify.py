"""The check on every call: the parts of a gradient sum to the gradient that autograd gives."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from skipglass.errors import DecompositionError, InputError
from skipglass.graph.engine import explain, fire
from skipglass.graph.nodes import Graph, Place, Target
from skipglass.graph.read import as_targets
from skipglass.graph.regions import Regions
from skipglass.graph.stopped import Unplaced

__all__ = [
    "BOUNDS",
    "HALF",
    "Captured",
    "bound",
    "capture",
    "finite",
    "inner",
    "judge",
    "reference",
    "relative",
    "require_finite",
    "size",
    "verify",
    "wide",
]

BOUNDS = {torch.float64: 1e-12, torch.complex128: 1e-12, torch.float32: 1e-5, torch.complex64: 1e-5}
"""Largest error ‖Σ g_r - g‖/Σ ‖g_r‖ of each precision; 2e-2 for the half precisions."""
HALF = 2e-2

Captured = dict[Place, Tensor]
"""The whole gradient at some places."""


def reference(loss: Tensor, x: Target) -> list[Tensor]:
    """Return g = ∂loss/∂x from autograd, one tensor for each of x.

    Raises
    ------
    InputError
        If the graph was freed or overwritten, or g holds NaN or infinity.
    """
    return finite(_pulled(loss, as_targets(x)))


def capture(loss: Tensor, graph: Graph, regions: Regions) -> tuple[list[Tensor], Captured]:
    """Return g and, from the same backward pass, the gradient wherever a region ends.

    Raises
    ------
    InputError
        If the graph was freed or overwritten, or g holds NaN or infinity.
    """
    ends = {end for h in regions.heads for end in regions.ends(graph, h)}
    places = sorted(ends | {*graph.targets, (0, graph.loss.output_nr)})
    values = _pulled(loss, [GradientEdge(graph.nodes[node], output) for node, output in places])
    captured = dict(zip(places, values, strict=True))
    g = finite([captured[target] for target in graph.targets])
    # on its way further down a fork's gradient is captured before its hooks
    for node, output in regions.hooked & set(captured):
        if node in regions.forks:
            captured[node, output] = fire(graph, node, output, captured[node, output])
    return g, captured


def _pulled(loss: Tensor, ends: Sequence[Tensor] | Sequence[GradientEdge]) -> list[Tensor]:
    """The gradient of the loss at some ends."""
    require_finite(loss)
    try:
        return list(torch.autograd.grad(loss, ends, torch.ones_like(loss), retain_graph=True))
    except RuntimeError as error:
        raise explain(error) from error


def require_finite(loss: Tensor) -> None:
    """Refuse a loss that is NaN or infinity, or has no value.

    Raises
    ------
    InputError
        If it is; its gradient may look sound all the same, as where a ReLU drops a NaN.
    """
    if loss.is_meta:
        raise InputError("the loss is a tensor without data, on the device meta; run the model on another device")
    if not torch.isfinite(loss).all():
        raise InputError(
            "the loss is NaN or infinity; its gradient describes no network: look for NaN in the inputs and the "
            "parameters, or for an overflow on the way"
        )


def finite(g: list[Tensor]) -> list[Tensor]:
    """Return a gradient without NaN or infinity.

    Raises
    ------
    InputError
        If it holds either.
    """
    if not all(torch.isfinite(part).all() for part in g):
        advice = "no sum of paths explains that: look for a root or a quotient at zero, or for an overflow"
        raise Unplaced("not finite", "the gradient holds NaN or infinity", advice)
    return g


def inner(a: list[Tensor], b: list[Tensor]) -> float:
    """⟨a, b⟩ over lists of tensors, real and in float64."""
    return sum(float(torch.real(torch.sum(wide(u).conj() * wide(v)))) for u, v in zip(a, b, strict=True))


def size(*a: Tensor) -> float:
    """‖a‖ in float64, of all tensors together."""
    return math.hypot(*map(_norm, a))


def _norm(a: Tensor) -> float:
    norm = float(torch.linalg.vector_norm(a, dtype=_wide(a)))
    if 1e-150 < norm < 1e150 or not a.numel():
        return norm
    # its square may have left the range
    peak = float(a.abs().max())
    return peak * float(torch.linalg.vector_norm(wide(a) / peak)) if 0 < peak < math.inf else norm


def wide(a: Tensor) -> Tensor:
    """Return the tensor in double precision."""
    return a.to(_wide(a))


def _wide(a: Tensor) -> torch.dtype:
    return torch.complex128 if a.is_complex() else torch.float64


def bound(graph: Graph) -> float:
    """The largest error that the lowest precision of a graph allows."""
    return max(BOUNDS.get(kind, HALF) for kind in graph.dtypes if kind.is_floating_point or kind.is_complex)


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
    lengths = sum(size(p) for part in parts for p in part)
    return judge(graph, relative(size(*difference), lengths))


def relative(gap: float, scale: float) -> float:
    """gap/scale; where the scale is zero, 0 for no gap and infinity for any."""
    return gap / scale if scale else (math.inf if gap else 0.0)


def judge(graph: Graph, error: float, where: str = "") -> float:
    """Return an error that is within the bound of a graph.

    Raises
    ------
    DecompositionError
        If it is not.
    """
    if not error <= bound(graph):
        raise DecompositionError(
            f"the parts of the gradient do not sum to it{where}: error {error:.1e}, bound {bound(graph):g}; possible "
            "causes are a backward pass that is not linear (hooks, gradient clipping, quantised gradients), hooks "
            "on an operation where paths meet, or a gradient that cancels to rounding error, as behind a norm whose "
            "eps is tiny"
        )
    return error
