"""What drives the scales: the drift of every λ_l by one Hessian-vector product (docs/mathematics.md §5).

Write λ_l = a_l λ̂_l, so that a_l = 1 scales a whole layer, as the paper's one λ_l does. With

    D_l = ∂L/∂a_l = Σ_c λ_{l,c} ∂L/∂λ_{l,c},    F_l = Σ_c λ_{l,c} (∂²L/∂λ_{l,c}∂w)·∇_wL,

a step w ← w - μ∇_wL of everything but the scales changes D_l by -μF_l + O(μ²), and the next step of a_l is
-μD_l + μ²F_l: at D_l = 0, |λ_l| grows exactly where F_l > 0. Theorem 3 says what F_l is where statistics and gates are
held and the loss is linear in the output: g_p·(g_m + g_p), with g_p = ∇_w of the part of L on paths through layer l,
and g_m the rest.

The global scale C of the weights, without batch norm, is a row of the same table (Theorem 4):

    D_C = C ∂L/∂C = w·∇L = Σ_r r L_r  (Eq. 21),    F_C = ∇(w·∇L)·∇L = Σ_{r,s} r g_r·g_s  (Eq. 27, without -μ/C).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skipglass.graph.forward import LossFunction, eager
from skipglass.graph.state import as_found
from skipglass.scales.absorption import Pairs
from skipglass.scales.parameters import GLOBAL, parameters_of
from skipglass.scales.twice import check_finite, check_values, inner, linearised, second, slopes, stepping, twice

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["GLOBAL", "Drift", "drift"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Drift:
    """The force on each of L scales, at one point and on one batch; prints as a table.

    Attributes
    ----------
    scales
        Names, in forward order.
    norm
        ‖λ_l‖, (L,); C for the global scale.
    slope
        D_l, (L,): what the theorems assume to be 0.
    force
        F_l, (L,); where D_l = 0, |λ_l| grows exactly where it is positive.
    gradient
        ‖∇_wL‖.
    loss
        L.
    theorem
        Whether the theorems' assumptions were imposed: statistics held, a loss linear in the output.
    """

    scales: tuple[str, ...]
    norm: Array
    slope: Array
    force: Array
    gradient: float
    loss: float
    theorem: bool

    @property
    def critical_rate(self) -> Array:
        """|D_l/F_l|, (L,): the learning rate at which the force weighs as much as the slope; 0 where D_l = 0 holds."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.slope == 0, 0.0, np.abs(self.slope / self.force))

    def __repr__(self) -> str:
        return f"Drift({len(self.scales)} scales, {int((self.force > 0).sum())} pushed to grow)"

    def __str__(self) -> str:
        width = max([len(name) for name in self.scales] + [5])
        lines = [f"{'scale':{width}}       |λ|  D = λ·∂L/∂λ  force F    |D/F|"]
        for name, *row in zip(self.scales, self.norm, self.slope, self.force, self.critical_rate, strict=True):
            lines.append(f"{name:{width}}  {row[0]:8.4g}  {row[1]:+12.3e}  {row[2]:+.2e}  {row[3]:.1e}")
        how = "statistics held, loss linear in the output" if self.theorem else "the network as it is"
        lines.append(f"loss {self.loss:.4g}, ‖∇_wL‖ {self.gradient:.3g}; {how}")
        if self.slope.any():
            worst = int(np.argmax(self.critical_rate))
            lines.append(
                f"the theorems assume D = 0; here |D| ≤ {np.abs(self.slope).max():.1e}, and at {self.scales[worst]} it "
                f"outweighs the force up to a learning rate of {self.critical_rate[worst]:.1e}"
            )
        return "\n".join(lines)

    def to_xarray(self) -> "xr.Dataset":
        """Return norms, slopes and forces as a dataset over ``scale``."""
        import xarray as xr

        return xr.Dataset(
            {
                "norm": ("scale", self.norm, {"long_name": "‖λ_l‖"}),
                "slope": ("scale", self.slope, {"long_name": "D_l = λ_l·∂L/∂λ_l"}),
                "force": ("scale", self.force, {"long_name": "F_l"}),
            },
            {"scale": list(self.scales)},
            {"gradient": self.gradient, "loss": self.loss, "theorem": int(self.theorem)},
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the force on each scale; above zero it pushes |λ| to grow.

        Parameters
        ----------
        ax
            Where to draw; a new figure if None.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        import matplotlib.pyplot as plt

        ax = plt.subplots(layout="constrained")[1] if ax is None else ax
        places = np.arange(len(self.scales))
        ax.bar(places, self.force, color=np.where(self.force > 0, "#2166ac", "#b2182b"))
        shown = places[:: max(1, math.ceil(len(places) / 24))]
        ax.set_xticks(shown, [self.scales[l] for l in shown], rotation=90, fontsize="small")
        ax.axhline(0, color="black", linewidth=0.8)
        how = "Theorem 3's" if self.theorem and self.scales != (GLOBAL,) else "as the network is"
        ax.set(ylabel="force F_l", title=f"Force on the scales, {how}: above 0, |λ| grows")
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
        Any module, in the mode that is to be measured; it is left as found. Parameters that require no gradient do not
        step.
    inputs
        A tensor, tuple or mapping. See `forward`.
    targets
        Passed on to the loss.
    loss_fn
        loss_fn(outputs, targets); the default is in `forward`.
    scales
        Names of parameters (LayerScale's, for instance); what `pairs` has read, which saves a forward pass; "C", the
        global scale of all weights; or None for the multipliers λ of all batch norms.
    theorem
        Impose what Theorems 3 and 4 assume: the statistics of PyTorch's normalisations held constant (those of the
        batch, in training mode) and L ← ⟨∂L/∂Y, Y⟩, linear in the output Y. Gates are held by ReLU itself, whose second
        derivative is 0; operations that bend (tanh, softmax) are left as they are: see ``two_paths(…).curvature``.

    Returns
    -------
    Drift
        One row a scale.

    Raises
    ------
    InputError
        If the model has no scales or nothing else that steps, cannot be run or not be differentiated twice, or the loss
        or a derivative is not finite.

    Examples
    --------
    >>> from skipglass.models import ResidualMLP
    >>> _ = torch.manual_seed(0)
    >>> model = ResidualMLP(5, 3, depth=3, width=8, normalization="paper")
    >>> found = drift(model, torch.randn(16, 5), torch.randint(3, (16,)))
    >>> found.scales, found.force.shape
    (('layers.0', 'layers.1', 'layers.2'), (3,))
    """
    model = eager(model)
    check_values(model)
    with as_found(model):
        chosen = parameters_of(model, inputs, scales)
        weights = list(stepping(model, chosen.values()).values())
        for p in chosen.values():
            p.requires_grad_()
        with linearised(model, inputs, targets, loss_fn, theorem) as (loss, value):
            rows: dict[str, tuple[float, float, float]] = {}
            if chosen:
                first, mixed, g = twice(loss, list(chosen.values()), weights)
                # λ_l = a_l λ̂_l: a derivative by a_l, at a_l = 1, is λ_l times the one by λ_l
                rows = {
                    name: (math.sqrt(inner([p], [p])), inner([p], [D]), inner([p], [F]))
                    for (name, p), D, F in zip(chosen.items(), first, mixed, strict=True)
                }
            else:
                g, rows[GLOBAL] = _global(loss, weights)
    norm, slope, force = np.array(list(rows.values())).T
    check_finite("slope", list(rows), slope)
    check_finite("force", list(rows), force)
    return Drift(tuple(rows), norm, slope, force, math.sqrt(inner(g, g)), value, theorem)


def _global(loss: Tensor, weights: Sequence[Tensor]) -> tuple[list[Tensor], tuple[float, float, float]]:
    """∇_wL, and the row of C = ‖w‖/√N, N the number of weights."""
    g = slopes(loss, weights)
    C = math.sqrt(inner(weights, weights) / sum(w.numel() for w in weights))
    # D = w·∇L keeps its graph, and is differentiated once more along ∇L
    D = torch.stack([(w * part).sum() for w, part in zip(weights, g, strict=True)]).sum()
    return g, (C, float(D.detach()), inner(second([D], weights, [None]), g))
