"""Mean and variance of the path length, without the spectrum: three channels whatever the depth (MATH.md §6).

With c_k = Σ_r C(r, k) g_r the expansion of g(t) = Σ_r g_r tʳ about t = 1, crossing a counted step maps
c_k ← c_k + c_{k-1}, and in the signed shares ⟨g_r, g⟩/‖g‖²

    mean = ⟨c₁, g⟩/‖g‖²,    variance = 2⟨c₂, g⟩/‖g‖² + mean - mean².
"""

import math
from dataclasses import dataclass

from torch import Tensor, nn

from skipglass.paths.graph import Target
from skipglass.paths.outline import outline
from skipglass.paths.verify import inner, reference, verify
from skipglass.paths.walk import Graded, partition, walk

__all__ = ["Moments", "moments"]

CHANNELS = 3


@dataclass(frozen=True)
class Moments:
    """Mean and variance of the path length.

    Attributes
    ----------
    mean
        Σ_r r·share_r, the effective depth.
    variance
        Of the length under the signed shares; it may be negative, as shares may.
    unit
        "weights" or "blocks".
    error
        ‖c₀ - g‖/‖g‖.
    """

    mean: float
    variance: float
    unit: str
    error: float


def moments(loss: Tensor, x: Target, unit: str = "weights", model: nn.Module | None = None) -> Moments:
    """Return mean and variance of the path length of ∂loss/∂x.

    Parameters
    ----------
    loss
        A scalar with a live graph.
    x
        The tensor, or tuple of tensors, whose gradient is split.
    unit
        "weights" or "blocks".
    model
        Only names things; see `outline`.

    Returns
    -------
    Moments
        NaN where the gradient is zero.

    Raises
    ------
    InputError
        If there is no graph from the loss to x, it was freed, or the unit is unknown.
    DecompositionError
        If the walk does not give back autograd's gradient.

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> moments((torch.nn.Linear(2, 2)(x)).sum(), x)
    Moments(mean=1.0, variance=0.0, unit='weights', error=0.0)
    """
    found = outline(loss, x, model)
    counted = found.counted(unit)
    g = reference(loss, x)
    c = walk(found.graph, partition(found.graph, counted), counted, _cross)
    error = verify(found.graph, [[part[0]] if 0 in part else [] for part in c], g)
    square = inner(g, g)
    if square == 0:
        return Moments(math.nan, math.nan, unit, error)
    first, second = (
        sum(inner([part[k]], [whole]) for part, whole in zip(c, g, strict=True) if k in part) / square for k in (1, 2)
    )
    return Moments(first, 2 * second + first - first**2, unit, error)


def _cross(c: Graded) -> Graded:
    crossed = {}
    for k in range(CHANNELS):
        terms = [c[j] for j in (k, k - 1) if j in c]
        if terms:
            crossed[k] = terms[0] if len(terms) == 1 else terms[0] + terms[1]
    return crossed
