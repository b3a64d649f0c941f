"""Participation: each residual block's part in the gradient, all blocks at once (docs/mathematics.md §6).

Let g be the gradient at x, B_l the gradient on the edge from branch l into its addition, and F_l the tangent
at that branch's output when x moves along g. With J_l the derivative of the branch's output by x,

    F_l = J_l g,    s_l = ⟨B_l, F_l⟩/‖g‖² = ⟨J_lᵀ B_l, g⟩/‖g‖²,

the share of the gradient that passes branch l, and Σ_l s_l is the effective depth in blocks.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from skipglass.errors import DecompositionError, InputError, asked
from skipglass.graph import LossFunction, PathGraph, Target, Trace, as_trace, trace
from skipglass.graph.engine import explain
from skipglass.graph.operations import foreign
from skipglass.graph.samples import told_at_once, uppermost
from skipglass.graph.shares import over, per_sample, quantiles
from skipglass.graph.verify import bound, inner
from skipglass.paths.answer import least_sentence, provided
from skipglass.paths.attention import must_be_plain
from skipglass.paths.locate import require_linear
from skipglass.paths.outline import branches
from skipglass.paths.tangents import backward, products
from skipglass.record import Result, names, number, text, transient, variable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Participation", "participation", "participation_of", "traced"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Participation(Result):
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
        The same for each sample alone, (L, N); NaN where batch norm couples the samples, or a branch has no rows of
        its own for each.
    effective_depth_per_sample
        (N,), exact in either case.
    error
        |Σ_l ⟨B_l, F_l⟩ - ⟨z, g⟩| / Σ_l ‖B_l‖‖F_l‖ with z = Σ_l J_lᵀ B_l.
    independent_samples
        As in `Spectrum`.
    way
        How the F_l were found: g was "pushed" forward from node to node, the backward pass "differentiated" again, or
        run for each block, "one by one".
    graph
        What was found in the network.
    """

    kind = "participation"

    blocks: tuple[str, ...] = names("block")
    share: Array = variable("block", letter="share", long_name="share of the gradient", units="1")
    effective_depth: float = number(long_name="effective depth", units="blocks")
    share_per_sample: Array = variable(
        "block", "sample", letter="median", long_name="share of each sample's gradient", units="1"
    )
    effective_depth_per_sample: Array = variable("sample", long_name="effective depth of the samples", units="blocks")
    error: float = number(long_name="relative error")
    independent_samples: bool = number(of=bool, long_name="independent samples")
    way: str = text("tangents")
    graph: PathGraph = transient()

    def headline(self) -> str:
        """Say through how many blocks the gradient passes, and which carries least."""
        if math.isnan(self.effective_depth):
            return "The gradient is zero: the blocks' shares are undefined."
        proviso = "" if self.graph is None else provided(self.graph.unsure)
        passes = f"The gradient passes {self.effective_depth:.3g} of {len(self.blocks)} blocks on average{proviso}."
        return passes + least_sentence(self.blocks, self.share)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the share of each block, and its median over samples, into ``ax`` or a new figure; return the axes."""
        ax = super().plot(ax)
        medians = quantiles(self.share_per_sample, 0.5)[0]
        if not np.isnan(medians).all():
            ax.plot(np.arange(len(self.blocks)), medians, "o", color="#08519c", label="median over samples")
            ax.legend()
        return ax


def participation(
    model: nn.Module | Trace,
    inputs: object = None,
    targets: object = None,
    loss_fn: LossFunction | None = None,
    blocks: Sequence[str] | None = None,
) -> Participation:
    """Measure each residual block's share of the gradient, with one forward pass and about three backward passes' time.

    Fused attention is differentiated by its formula, some rows of queries at a time. Where hooks, activation
    checkpoints or dropout inside attention stand in the way, the model runs once more with plain attention (PyTorch's
    "math" kernel).

    Parameters
    ----------
    model
        Any module; it is left as found. Or a `Trace`.
    inputs
        A tensor, tuple or mapping; token ids are split at the input embedding. See `skipglass.measure`.
    targets
        Passed on to the loss.
    loss_fn
        loss_fn(outputs, targets); the default is as in `skipglass.measure`.
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
    with traced(model, inputs, targets, loss_fn, blocks) as run:
        return participation_of(run)


@contextmanager
def traced(
    model: nn.Module | Trace,
    inputs: object,
    targets: object,
    loss_fn: LossFunction | None,
    blocks: Sequence[str] | None,
) -> Iterator[Trace]:
    """Give the trace that was given, or one of the model whose attention can be differentiated as long as it lasts.

    Raises
    ------
    InputError
        If something is given beside a trace, which has its own; or the model cannot be run.
    """
    if isinstance(model, Trace):
        if any(given is not None for given in (inputs, targets, loss_fn, blocks)):
            raise InputError(f"{asked()}: a Trace holds its own inputs, loss and blocks; give those to skipglass.trace")
        yield model
        return
    run = trace(model, inputs, targets, loss_fn, blocks=blocks)
    if not must_be_plain(run):
        yield run
        return
    del run  # and with it the memory of the first forward pass
    with sdpa_kernel(SDPBackend.MATH):  # checkpoints run parts of the model again inside
        yield trace(model, inputs, targets, loss_fn, blocks=blocks)


def participation_of(
    loss: Tensor | Trace,
    x: Target | None = None,
    model: nn.Module | None = None,
    blocks: Sequence[str] | None = None,
) -> Participation:
    """Measure each residual block's share of ∂loss/∂x on a graph that is there; see `participation`.

    Where an operation on the way can be differentiated in none of the ways tried (some custom functions), each block
    takes a backward pass of its own; if that will take longer than a minute, the log "skipglass.paths" says so.

    Parameters
    ----------
    loss
        A scalar with a live graph, which stays usable; or a `Trace`, which has its own x, model and blocks.
    x
        The tensor, or tuple of tensors, whose gradient is shared out; its first dimension counts samples.
    model, blocks
        Names the blocks, and what to count in their place; see `outline`.

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
    trace = as_trace(loss, x, model, blocks)
    outline = trace.outline
    trace.counted("blocks")  # warns of what may hide some
    with trace.measuring():
        try:
            # g and all B_l from one pass; g is the trace's gradient as well
            passed = backward(trace)
            trace.gradient = passed.g
            scaled = passed.within_range()
            # the check of the products can also tell whether samples are independent, unless hooks would fire again
            known = "independent_samples" in vars(trace) or told_at_once(outline, passed.g) is not None
            skipped = known or trace.hooked or scaled is not passed
            tops = [] if skipped else uppermost(trace.loss, outline, len(passed.g[0]), set())
            # ⟨B_l, F_l⟩ for every block, checked against one more pass
            found = products(scaled, hooked=bool(trace.hooked), tops=tops)
            # the check sees what is linear in B_l; whether the pass that gave B_l was linear needs another
            custom = any(foreign(name) for name in trace.graph.operations)
            if outline.blocks and (trace.hooked or found.way == "one by one" or custom):
                require_linear(trace, "blocks")
            if found.apart:
                trace.independent_samples = True
            independent = trace.independent_samples
        except RuntimeError as error:
            raise explain(error) from error
    if not found.error <= bound(trace.graph):
        raise DecompositionError(
            f"the blocks' shares do not sum to the effective depth: error {found.error:.1e}, bound "
            f"{bound(trace.graph):g}; the backward pass is not linear (hooks, gradient clipping, quantised gradients), "
            "or the gradient cancels to rounding error, as behind a norm whose eps is tiny"
        )
    # ‖g‖² of the batch and of each sample, at the scale of the products
    square, squares = inner(scaled.g, scaled.g), per_sample(scaled.g, scaled.g)
    # a block's share is the sum of those of its branches
    owner = [l for l, b in enumerate(outline.blocks) for _ in branches(b)]
    together = np.eye(len(outline.blocks))[:, owner]
    share = over(together @ found.branches, np.array(square))
    undefined = np.full((len(share), len(squares)), math.nan)
    return Participation(
        blocks=tuple(b.name for b in outline.blocks),
        share=share,
        effective_depth=float(share.sum()) if square else math.nan,
        share_per_sample=over(together @ found.rows, squares) if independent and found.rows is not None else undefined,
        effective_depth_per_sample=over(found.depth_rows, squares),
        error=found.error,
        independent_samples=independent,
        way=found.way,
        graph=outline,
    )
