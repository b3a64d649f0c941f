"""The two-path split of Theorem 3: the gradient that passes a residual block, and the one that goes around it.

L = L_m + L_p (Eq. 23): paths that skip a block, and paths through it. Multiply the block's branch by a = 1. With
s = ⟨∂L/∂Y, Y⟩, the coefficient held, and all statistics held (docs/mathematics.md §5),

    s_p = ∂s/∂a,    g_p = ∇_w s_p,    g_m = ∇_wL - g_p,

as ReLU's second derivative is 0. At ∂L/∂a = 0 a step w - μ∇_wL turns ∂L/∂a into -μ g_p·(g_m + g_p), so |a|, and every
scale that multiplies the whole branch, grows exactly when ‖g_p‖² + g_p·g_m > 0 (Eq. 25); a scale that no path skips
feels ‖g_m + g_p‖² (Eq. 24).
"""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from skipglass.graph.forward import LossFunction, eager
from skipglass.graph.state import as_found
from skipglass.paths.lesion import scaled
from skipglass.scales.twice import check_finite, check_values, inner, linearised, second, slopes, stepping

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["TwoPaths", "two_paths"]


@dataclass(frozen=True, eq=False)
class TwoPaths:
    """The gradient through a block and around it; prints as a table.

    Attributes
    ----------
    block
        Its name.
    slope
        s_p = ∂L/∂a, which Theorem 3 assumes to be 0.
    norm_p, norm_m
        ‖g_p‖ and ‖g_m‖.
    product
        g_p·g_m.
    curvature
        ∂²L/∂a² of the loss linear in the output, which is 0 where all operations behind the block are piecewise linear.
    g_p, g_m
        {name of the parameter: its part of the gradient}.
    """

    block: str
    slope: float
    norm_p: float
    norm_m: float
    product: float
    curvature: float
    g_p: dict[str, Tensor] = field(repr=False)
    g_m: dict[str, Tensor] = field(repr=False)

    @property
    def skipped(self) -> float:
        """‖g_p‖² + g_p·g_m, the force on a scale inside the block (Eq. 25)."""
        return self.norm_p**2 + self.product

    @property
    def unskipped(self) -> float:
        """‖g_m + g_p‖², the force on a scale that no path skips (Eq. 24)."""
        return self.norm_m**2 + self.norm_p**2 + 2 * self.product

    def __str__(self) -> str:
        grows = "grows" if self.skipped > 0 else "shrinks"
        bent = f"\nthe paths assume ∂²L/∂a² = 0; here it is {self.curvature:.2e}: operations behind the block bend"
        return (
            f"block     ‖g_p‖      ‖g_m‖      g_p·g_m     force\n{self.block}  {self.norm_p:.3e}  {self.norm_m:.3e}  "
            f"{self.product:+.3e}  {self.skipped:+.3e}\nat ∂L/∂a = 0 its scale {grows}; here ∂L/∂a = {self.slope:.2e}"
            + (bent if self.curvature else "")
        )

    def to_xarray(self) -> "xr.Dataset":
        """Return the numbers, without the gradients, as a dataset of scalars."""
        import xarray as xr

        names = ("slope", "norm_p", "norm_m", "product", "curvature", "skipped", "unskipped")
        return xr.Dataset({name: getattr(self, name) for name in names}, attrs={"block": self.block})

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the four terms beside the force; return the axes."""
        import matplotlib.pyplot as plt

        ax = plt.subplots(layout="constrained")[1] if ax is None else ax
        terms = {"‖g_p‖²": self.norm_p**2, "‖g_m‖²": self.norm_m**2, "g_p·g_m": self.product, "force": self.skipped}
        ax.bar(list(terms), list(terms.values()))
        ax.axhline(0, color="black", linewidth=0.8)
        ax.set(ylabel="squared norm of the gradient", title=f"Two paths at {self.block}")
        return ax


def two_paths(
    model: nn.Module,
    inputs: object,
    targets: object = None,
    loss_fn: LossFunction | None = None,
    *,
    block: str,
) -> TwoPaths:
    """Split the gradient into the part that passes a residual block and the part that goes around it.

    Exact for networks of ReLUs and other piecewise linear operations; elsewhere the activation's curvature joins g_p.
    A weight behind the block counts by the whole path, from input to output.

    Parameters
    ----------
    model
        Any module with residual blocks; left as found. The statistics of PyTorch's normalisations are held
        constant, batch norm's at those of the batch in training mode.
    inputs, targets, loss_fn
        As for `drift`.
    block
        A name as in ``outline(...).blocks`` or ``participation(...).blocks``.

    Returns
    -------
    TwoPaths
        The parts, their norms, and the forces of Theorem 3.

    Raises
    ------
    InputError
        If no such block can be skipped, no parameter steps, or the network cannot be differentiated twice.

    Examples
    --------
    >>> from skipglass.models import ResidualMLP
    >>> _ = torch.manual_seed(0)
    >>> model, x, y = ResidualMLP(5, 3, depth=3, width=8), torch.randn(16, 5), torch.randint(3, (16,))
    >>> found = two_paths(model, x, y, block="layers.1")
    >>> found.norm_p > 0 and found.norm_m > 0
    True
    """
    model = eager(model)
    check_values(model)
    with as_found(model):
        own = stepping(model)
        first = next(iter(own.values()))
        a = torch.ones((), dtype=first.dtype, device=first.device, requires_grad=True)
        with scaled(model, block, a), linearised(model, inputs, targets, loss_fn, True) as (s, _):
            s_p, *g = slopes(s, [a, *own.values()])
            *g_p, curvature = (part.detach() for part in second([s_p], [*own.values(), a], [None]))
            g_m = [(whole - part).detach() for whole, part in zip(g, g_p, strict=True)]
            found = TwoPaths(
                block, float(s_p.detach()), math.sqrt(inner(g_p, g_p)), math.sqrt(inner(g_m, g_m)), inner(g_p, g_m),
                float(curvature), dict(zip(own, g_p, strict=True)), dict(zip(own, g_m, strict=True)),
            )  # fmt: skip
    check_finite("slope", [block], [found.slope])
    check_finite("force", [block], [found.skipped])
    return found
