"""The two-path split of Theorem 3: the gradient that passes a residual block, and the one that goes around it.

L = L_m + L_p (Eq. 23): paths that skip a block, and paths through it. Multiply the block's branch by a = 1. With
s = ⟨∂L/∂Y, Y⟩, the coefficient ∂L/∂Y and all statistics fixed (docs/mathematics.md §5),

    s_p = ∂s/∂a,    g_p = ∇_w s_p,    g_m = ∇_wL - g_p,

as ReLU's second derivative is 0. At ∂L/∂a = 0 a step w - μ∇_wL turns ∂L/∂a into -μ g_p·(g_m + g_p), so |a|, and every
scale that multiplies the whole branch, grows exactly when ‖g_p‖² + g_p·g_m > 0 (Eq. 25); the force on a scale that no
path skips is ‖g_m + g_p‖² (Eq. 24).
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from skipglass.graph import LossFunction, as_found, eager
from skipglass.paths import scaled
from skipglass.record import Result, derived, text, transient, variable
from skipglass.scales.twice import check_finite, inner, linearised, second, slopes, stepping

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TwoPaths", "two_paths"]


@dataclass(frozen=True, eq=False)
class TwoPaths(Result):
    """The gradient through a block and around it.

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
        {name of the parameter: its part of the gradient}; None in a result that was read from a file.
    skipped, unskipped
        ‖g_p‖² + g_p·g_m, the force on a scale inside the block (Eq. 25), and ‖g_m + g_p‖², the force on a scale that no
        path skips (Eq. 24).
    """

    kind = "two paths"
    block: str = text("block")
    slope: float = variable(decode=float, letter="∂L/∂a")
    norm_p: float = variable(decode=float, letter="‖g_p‖, through the block")
    norm_m: float = variable(decode=float, letter="‖g_m‖, around the block")
    product: float = variable(decode=float, letter="g_p·g_m")
    curvature: float = variable(decode=float, letter="∂²L/∂a²")
    g_p: dict[str, Tensor] = transient()
    g_m: dict[str, Tensor] = transient()

    @property
    @derived(variable(letter="‖g_p‖² + g_p·g_m, force on a scale inside the block"))
    def skipped(self) -> float:
        """‖g_p‖² + g_p·g_m."""
        return self.norm_p**2 + self.product

    @property
    @derived(variable(letter="‖g_m + g_p‖², force on a scale that no path skips"))
    def unskipped(self) -> float:
        """‖g_m + g_p‖²."""
        return self.norm_m**2 + self.norm_p**2 + 2 * self.product

    def headline(self) -> str:
        """Return which way the force drives a scale inside the block, and how far the theorem's assumptions hold."""
        grows = "grows" if self.skipped > 0 else "shrinks"
        answer = f"Where ∂L/∂a = 0, a scale inside {self.block} {grows}; here ∂L/∂a = {self.slope:.2e}."
        if not self.curvature:
            return answer
        return (
            f"{answer} Theorem 3 assumes ∂²L/∂a² = 0, and here it is {self.curvature:.2e}: operations behind the block "
            "are not piecewise linear."
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the terms of the force with matplotlib; return the axes, new ones if ``ax`` is None."""
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
        Any module with residual blocks; left as found. The statistics of PyTorch's normalisations are kept fixed,
        batch norm's at those of the batch in training mode.
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
        If there is no such block, no parameter requires a gradient, or the network cannot be differentiated twice.

    Examples
    --------
    >>> from skipglass.models import ResidualMLP
    >>> _ = torch.manual_seed(0)
    >>> model, x, y = ResidualMLP(5, 3, depth=3, width=8), torch.randn(16, 5), torch.randint(3, (16,))
    >>> split = two_paths(model, x, y, block="layers.1")
    >>> split.norm_p > 0 and split.norm_m > 0
    True
    """
    model = eager(model)
    with as_found(model):
        own = stepping(model)
        first = next(iter(own.values()))
        a = torch.ones((), dtype=first.dtype, device=first.device, requires_grad=True)
        with scaled(model, block, a), linearised(model, inputs, targets, loss_fn, True) as (s, _):
            # s is linear in the branch, so that ∂s/∂a is the part of s that passes it
            s_p, *g = slopes(s, [a, *own.values()])
            *g_p, curvature = (part.detach() for part in second([s_p], [*own.values(), a], [None]))
        # what does not pass the block goes around it
        g_m = [(whole - part).detach() for whole, part in zip(g, g_p, strict=True)]
    norm_p, norm_m = math.sqrt(inner(g_p, g_p)), math.sqrt(inner(g_m, g_m))
    parts = dict(zip(own, g_p, strict=True)), dict(zip(own, g_m, strict=True))
    split = TwoPaths(block, float(s_p.detach()), norm_p, norm_m, inner(g_p, g_m), float(curvature), *parts)
    check_finite("slope", [block], [split.slope])
    check_finite("force", [block], [split.skipped])
    return split
