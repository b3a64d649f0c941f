"""What drives the scales: the drift of every λ_l by one Hessian-vector product (docs/mathematics.md §5).

Write λ_l = a_l λ̂_l, so that a_l = 1 scales a whole layer, as the paper's one λ_l does. With

    D_l = ∂L/∂a_l = Σ_c λ_{l,c} ∂L/∂λ_{l,c},    F_l = Σ_c λ_{l,c} (∂²L/∂λ_{l,c}∂w)·∇_wL,

a step w ← w - μ∇_wL of everything but the scales changes D_l by -μF_l + O(μ²), and the next step of a_l is
-μD_l + μ²F_l: at D_l = 0, |λ_l| grows exactly where F_l > 0. Theorem 3 says what F_l is with fixed statistics, fixed
gates and a loss linear in the output: g_p·(g_m + g_p), with g_p = ∇_w of the part of L on paths through layer l, and
g_m the rest.

The global scale C of the weights, without batch norm, is a row of the same table (Theorem 4):

    D_C = C ∂L/∂C = w·∇L = Σ_r r L_r  (Eq. 21),    F_C = ∇(w·∇L)·∇L = Σ_{r,s} r g_r·g_s  (Eq. 27, without -μ/C).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import nn

from skipglass.graph import LossFunction, arguments, as_found, eager
from skipglass.record import Result, derived, names, number, variable
from skipglass.scales.absorption import Pairs
from skipglass.scales.parameters import GLOBAL, parameters_of
from skipglass.scales.twice import check_finite, inner, linearised, stepping, twice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GLOBAL", "Drift", "drift"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Drift(Result):
    """The force on each of L scales, at one point and on one batch.

    Attributes
    ----------
    scales
        Names, in forward order.
    force
        F_l, (L,); where D_l = 0, |λ_l| grows exactly where it is positive.
    slope
        D_l, (L,): what the theorems assume to be 0.
    norm
        ‖λ_l‖, (L,); C for the global scale.
    gradient
        ‖∇_wL‖.
    loss
        L.
    theorem
        Whether the theorems' assumptions were imposed: statistics kept fixed, a loss linear in the output.
    critical_rate
        |D_l/F_l|, (L,): the learning rate at which the force weighs as much as the slope; 0 where D_l = 0 holds.
    """

    kind = "forces on scales"
    scales: tuple[str, ...] = names("scale")
    force: Array = variable("scale", letter="F", long_name="force F on the scale")
    slope: Array = variable("scale", letter="D = λ·∂L/∂λ", long_name="slope D of the loss along the scale")
    norm: Array = variable("scale", letter="‖λ‖", long_name="norm of the scale")
    gradient: float = number("‖∇_wL‖", long_name="norm of the gradient by the weights")
    loss: float = number("L", long_name="loss")
    theorem: bool = number(of=bool, long_name="statistics fixed and loss linear in the output")

    @property
    @derived(variable("scale", letter="|D/F|", long_name="learning rate at which slope and force weigh the same"))
    def critical_rate(self) -> Array:
        """|D/F|, (L,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.slope == 0, 0.0, np.abs(self.slope / self.force))

    def headline(self) -> str:
        """Return how many scales the force makes grow, and how far the point is from where the theorems hold."""
        growing = int((self.force > 0).sum())
        answer = f"Where the slope D is 0, the force F makes |λ| grow at {growing} of {len(self.scales)} scales."
        if not self.slope.any():
            return answer
        worst = int(np.argmax(self.critical_rate))
        return (
            f"{answer} Here |D| is up to {np.abs(self.slope).max():.1e}; at {self.scales[worst]} it outweighs the "
            f"force for learning rates below {self.critical_rate[worst]:.1e}."
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the force on each scale with matplotlib; return the axes, new ones if ``ax`` is None."""
        ax = super().plot(ax)
        ax.axhline(0, color="black", linewidth=0.8)
        ax.set_title("Above 0 the force makes |λ| grow")
        return ax


def drift(
    model: nn.Module,
    inputs: object,
    targets: object = None,
    loss_fn: LossFunction | None = None,
    *,
    scales: Sequence[str] | Pairs | str | None = None,
    theorem: bool = False,
) -> Drift:
    """Measure the force on every scale of a network: one forward, one backward pass, one Hessian-vector product.

    Parameters
    ----------
    model
        Any module, in the mode that is to be measured; it is left as found. The step of the weights moves the
        parameters that require a gradient, except the scales.
    inputs
        A tensor, tuple or mapping. See `forward`.
    targets
        Passed on to the loss.
    loss_fn
        loss_fn(outputs, targets); the default is in `forward`.
    scales
        Names of parameters (LayerScale's, for instance); the `pairs` of the network, which saves a forward pass; "C",
        the global scale of all weights; or None for the multipliers λ of all batch norms.
    theorem
        Impose what Theorems 3 and 4 assume: the statistics of PyTorch's normalisations kept fixed (those of the batch,
        in training mode) and L ← ⟨∂L/∂Y, Y⟩, linear in the output Y. ReLU's second derivative is 0, so that its gates
        are fixed by themselves; operations with curvature (tanh, softmax) are left as they are: see
        ``two_paths(…).curvature``.

    Returns
    -------
    Drift
        One row per scale.

    Raises
    ------
    InputError
        If the model has no scales or no other parameters that require a gradient, cannot be run or not be
        differentiated twice, or the loss or a derivative is not finite.

    Examples
    --------
    >>> import torch
    >>> from skipglass.models import ResidualMLP
    >>> _ = torch.manual_seed(0)
    >>> model = ResidualMLP(5, 3, depth=3, width=8, normalization="paper")
    >>> forces = drift(model, torch.randn(16, 5), torch.randint(3, (16,)))
    >>> forces.scales, forces.force.shape
    (('layers.0', 'layers.1', 'layers.2'), (3,))
    """
    model = eager(model)
    arguments(inputs)
    with as_found(model):
        chosen = parameters_of(model, inputs, scales)
        weights = list(stepping(model, chosen.values()).values())
        for p in chosen.values():
            p.requires_grad_()
        # the global scale C is that of all weights, which a step moves too
        scaled = list(chosen.values()) or weights
        with linearised(model, inputs, targets, loss_fn, theorem) as (loss, value):
            by_scale, mixed, g = twice(loss, scaled, weights)
    # λ_l = a_l λ̂_l: a derivative by a_l, at a_l = 1, is λ_l times the one by λ_l
    slope, force, square = (
        np.array([inner([p], [other]) for p, other in zip(scaled, others, strict=True)])
        for others in (by_scale, mixed, scaled)
    )
    if not chosen:
        # C = ‖w‖/√N, and D_C = w·∇L is linear in w itself: one more ‖∇_wL‖² in its force
        slope, force = slope.sum(keepdims=True), force.sum(keepdims=True) + inner(g, g)
        square = square.sum(keepdims=True) / sum(w.numel() for w in weights)
    labels = tuple(chosen) or (GLOBAL,)
    check_finite("slope", labels, slope)
    check_finite("force", labels, force)
    return Drift(labels, force, slope, np.sqrt(square), math.sqrt(inner(g, g)), value, theorem)
