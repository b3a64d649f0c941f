"""Participation: each residual block's part in the gradient, all blocks at once (docs/mathematics.md §6).

Let g be the gradient at x, B_l the gradient on the edge from branch l into its addition, and F_l the tangent
at that branch's output when x moves along g. With J_l the derivative of the branch's output by x,

    F_l = J_l g,    s_l = ⟨B_l, F_l⟩/‖g‖² = ⟨J_lᵀ B_l, g⟩/‖g‖²,

the share of the gradient that passes branch l, and Σ_l s_l is the effective depth in blocks.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from skipglass.errors import DecompositionError
from skipglass.graph.engine import explain
from skipglass.graph.forward import LossFunction
from skipglass.graph.outline import PathGraph
from skipglass.graph.read import Target, as_targets
from skipglass.graph.samples import apart, told_at_once, uppermost
from skipglass.graph.shares import over, per_sample
from skipglass.graph.trace import Trace, as_trace, trace
from skipglass.graph.verify import bound, inner
from skipglass.paths.cost import announce
from skipglass.paths.locate import require_linear
from skipglass.paths.tangents import at_once, gradients, one_by_one, pushed, within_range

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["Participation", "participation", "participation_of"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Participation:
    """Each residual block's share s_l of the gradient, L blocks and N samples; prints as a table.

    Attributes
    ----------
    blocks
        Their names, in forward order.
    share
        s_l, (L,); it may be negative or above 1. NaN where the gradient is zero.
    effective_depth
        Σ_l s_l, the mean number of blocks that the gradient passes.
    share_per_sample
        The same for each sample alone, (L, N); NaN where samples mix or a branch has no rows of its own for each.
    effective_depth_per_sample
        (N,), exact in either case.
    error
        |Σ_l ⟨B_l, F_l⟩ - ⟨z, g⟩| / Σ_l ‖B_l‖‖F_l‖.
    independent_samples
        As in `Spectrum`.
    graph
        What was found in the network.
    """

    blocks: tuple[str, ...]
    share: Array
    effective_depth: float
    share_per_sample: Array
    effective_depth_per_sample: Array
    error: float
    independent_samples: bool
    graph: PathGraph

    def __repr__(self) -> str:
        return f"Participation({len(self.blocks)} blocks, effective depth {self.effective_depth:.3g})"

    def __str__(self) -> str:
        width = max([len(name) for name in self.blocks] + [5])
        lines = [f"{'block':{width}}   share  median over samples"]
        for name, share, median in zip(self.blocks, self.share, self._medians(), strict=True):
            lines.append(f"{name:{width}}  {share:6.3f}  {median:6.3f}")
        lines.append(f"effective depth {self.effective_depth:.4g} of {len(self.blocks)} blocks, error {self.error:.0e}")
        if not self.independent_samples:
            lines.append("samples mix: shares of single samples are undefined")
        return "\n".join(lines)

    def _medians(self) -> Array:
        """Over the samples whose shares are defined."""
        defined = self.share_per_sample[:, ~np.isnan(self.share_per_sample).any(axis=0)]
        return np.median(defined, axis=1) if defined.size else np.full(len(self.blocks), np.nan)

    def to_xarray(self) -> "xr.Dataset":
        """Return the shares as a dataset over (block, sample)."""
        import xarray as xr

        return xr.Dataset(
            {
                "share": ("block", self.share, {"long_name": "share of the gradient", "units": "1"}),
                "share_per_sample": (("block", "sample"), self.share_per_sample, {"units": "1"}),
                "effective_depth_per_sample": ("sample", self.effective_depth_per_sample, {"units": "blocks"}),
            },
            {"block": list(self.blocks), "sample": np.arange(self.share_per_sample.shape[1])},
            {
                "effective_depth": self.effective_depth,
                "error": self.error,
                "independent_samples": int(self.independent_samples),
            },
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the share of each block, and its median over samples.

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

        ax = plt.subplots()[1] if ax is None else ax
        places = np.arange(len(self.blocks))
        ax.bar(places, self.share, label="batch", color="#9ecae1")
        medians = self._medians()
        if not np.isnan(medians).all():
            ax.plot(places, medians, "o", color="#08519c", label="median over samples")
            ax.legend()
        shown = places[:: max(1, math.ceil(len(places) / 24))]
        ax.set_xticks(shown, [self.blocks[l] for l in shown], rotation=90, fontsize="small")
        ax.axhline(0, color="black", linewidth=0.8)
        ax.set(ylabel="share of the gradient", title=f"effective depth {self.effective_depth:.3g} blocks")
        return ax


def participation(
    model: nn.Module | Trace,
    inputs: object = None,
    targets: object = None,
    loss_fn: LossFunction | None = None,
    blocks: Sequence[str] | None = None,
) -> Participation:
    """Measure each residual block's share of the gradient, with one forward pass and about three backward passes' time.

    Attention runs by its plain formula (PyTorch's "math" kernel): the fused ones cannot be differentiated twice.

    Parameters
    ----------
    model
        Any module; it is left as found. Or a `Trace`, made under the "math" kernel where there is attention.
    inputs
        A tensor, tuple or mapping; token ids are split at the input embedding. See `forward`.
    targets
        Passed on to the loss.
    loss_fn
        loss_fn(outputs, targets); the default is in `forward`.
    blocks
        What to count instead of the residual blocks; see `outline`.

    Returns
    -------
    Participation
        Shares by block.

    Raises
    ------
    InputError
        If the model cannot be run or split.
    DecompositionError
        If the backward pass is not linear.

    Examples
    --------
    >>> import torch
    >>> from skipglass.models import ResidualMLP
    >>> p = participation(ResidualMLP(5, depth=4, width=8), torch.ones(2, 5))
    >>> p.blocks, p.share.shape
    (('layers.1', 'layers.2', 'layers.3'), (3,))
    """
    if isinstance(model, Trace):
        return participation_of(model)
    with sdpa_kernel(SDPBackend.MATH):
        return participation_of(trace(model, inputs, targets, loss_fn, blocks=blocks))


def participation_of(
    loss: Tensor | Trace,
    x: Target | None = None,
    model: nn.Module | None = None,
    blocks: Sequence[str] | None = None,
) -> Participation:
    """Measure each residual block's share of ∂loss/∂x on a graph that is there; see `participation`.

    Where an operation on the way cannot be differentiated twice (fused attention, some custom functions), each
    block takes a backward pass of its own; if that will take longer than a minute, the log "skipglass.paths" says so.

    Parameters
    ----------
    loss
        A scalar with a live graph; the graph stays usable.
    x
        The tensor, or tuple of tensors, whose gradient is shared out; its first dimension counts samples.
    model
        Names the blocks; see `outline`.
    blocks
        What to count instead of the residual blocks; see `outline`.

    Returns
    -------
    Participation
        Shares by block.

    Raises
    ------
    InputError
        If there is no graph from the loss to x, or it was freed.
    DecompositionError
        If the backward pass is not linear.

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(2, 3, requires_grad=True)
    >>> h = x + 2 * x @ torch.nn.Parameter(torch.eye(3))
    >>> participation_of(h.sum(), x).share.round(6)
    array([0.666667])
    """
    run = as_trace(loss, x, model, blocks)
    found, graph, targets = run.outline, run.graph, as_targets(run.x)
    run.counted("blocks")  # warns of what may hide some
    branches = [(b.merge.node, b.merge.branch) for b in found.blocks if b.merge.branch is not None]
    with run.measuring():
        changed = run.hooked
        try:
            begin = time.perf_counter()
            whole, B = gradients(graph, run.loss, targets, branches)
            seconds = time.perf_counter() - begin
            g, B = within_range(whole, B)
            given = graph, targets, branches, g, B
            untold = g is whole and not changed and told_at_once(found, g) is None
            tops = uppermost(run.loss, found, len(g[0]), changed) if untold else []
            products = (None if changed else pushed(*given, tops)) or at_once(*given)
            if slow := products is None:
                announce("participation", len(branches) + 1, seconds)
                products = one_by_one(*given)
            if branches and (changed or slow or any(name.startswith("custom ") for name in graph.operations)):
                require_linear(run, "blocks")
            independent = products.apart or apart(run.loss, found, whole, changed)
        except RuntimeError as complaint:
            raise explain(complaint) from complaint
    if not products.error <= bound(graph):
        raise DecompositionError(
            f"the blocks' shares do not sum to the effective depth: error {products.error:.1e}, bound "
            f"{bound(graph):g}; the backward pass is not linear (hooks, gradient clipping, quantised gradients)"
        )
    square, squares = inner(g, g), per_sample(g, g)
    rows = products.rows if independent else None
    share = over(products.blocks, np.array(square))
    return Participation(
        tuple(b.name for b in found.blocks),
        share,
        float(share.sum()) if square else math.nan,
        over(np.full((len(branches), len(squares)), np.nan) if rows is None else rows, squares),
        over(products.depth_rows, squares),
        products.error,
        independent,
        found,
    )
