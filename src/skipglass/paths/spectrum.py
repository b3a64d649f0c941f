"""The spectrum of a gradient: the part g_r of it that flows along paths of each length r (docs/mathematics.md §6).

Give every counted step one power of t, a weight or a residual branch; the gradient of the loss becomes
g(t) = Σ_r g_r tʳ, and its coefficients are carried down the backward pass exactly. They sum to g:

    share_r = ⟨g_r, g⟩/‖g‖²,    Σ_r share_r = 1,    effective depth = Σ_r r·share_r.

Shares are signed: parts may cancel, and κ = Σ ‖g_r‖/‖g‖ says by how much.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skipglass import check
from skipglass.errors import InputError, warn
from skipglass.graph import Block, Graph, PathGraph, Target, Trace, as_trace
from skipglass.graph.engine import Arrived, Graded
from skipglass.graph.shares import Shares, norms, over, quantiles
from skipglass.graph.verify import size, verify
from skipglass.paths.answer import depth_sentence
from skipglass.paths.band import LUMPS, narrow, resolved
from skipglass.paths.cost import announce, backwards, reached
from skipglass.paths.locate import located
from skipglass.paths.panels import fractions, spectrum_panel
from skipglass.paths.walk import Algebra, walk
from skipglass.record import Result, coordinate, derived, names, number, text, transient, variable
from skipglass.report import Panel

__all__ = ["Spectrum", "spectrum"]

Array = NDArray[np.float64]
UNEXPECTED = 100  # our choice: lumps at x above so many tolerances are warned of
LEADING = {"sample": 1, "token": 2}
"""What shares are kept for → the first dimensions of x that count it."""


@dataclass(frozen=True, eq=False)
class Spectrum(Result):
    """The parts g_r of a gradient by path length, R lengths for N samples.

    Attributes
    ----------
    lengths
        r, (R,), consecutive.
    norm
        ‖g_r‖, (R,).
    share
        ⟨g_r, g⟩/‖g‖², (R,); NaN where the gradient is zero. Sums to 1 unless ``max_length`` cut it.
    effective_depth
        Σ_r r·share_r.
    energy, energy_depth
        ‖g_r‖² over their sum, (R,), and the mean length that this gives: unlike shares, energies are never negative.
    norm_per_sample, share_per_sample, effective_depth_per_sample
        The same for each sample alone, along the first dimension of x: (R, N), (R, N) and (N,). With
        ``per="token"`` for each token: (R, N, T), (R, N, T) and (N, T).
    error
        ‖Σ g_r - g‖/Σ ‖g_r‖, at most 1e-12, 1e-5 or 2e-2 in float64, float32 or half precision.
    cancellation
        κ = Σ ‖g_r‖/‖g‖.
    independent_samples
        False where batch norm in training mode, or anything else in the network that reads across the batch, couples
        the samples: their values are undefined then; and where the tensors of x do not share their first dimension. A
        loss may couple them (a contrastive one): each sample's paths are its own all the same.
    lumped, tolerance
        ‖g_short‖ + ‖g_long‖, the norms at x of the lengths that were carried together, and the tolerance by which.
    gradients
        The g_r, (R, *x.shape), a tuple of them for a tuple x; None unless kept.
    unit
        "weights" or "blocks".
    graph
        What was found in the network.
    blocks, at_blocks
        The names of the L residual blocks, in forward order, and ‖g_r‖ at the input of each, (L, 1 + last length), with
        columns r = 0, 1, …; None unless asked for.
    """

    kind = "spectrum"

    lengths: NDArray[np.int64] = coordinate("length", letter="r", long_name="path length r ({unit})")
    norm: Array = variable("length", letter="‖g_r‖", long_name="norm of the part of length r")
    share: Array = variable("length", letter="share", long_name="⟨g_r, g⟩/‖g‖²")
    effective_depth: float = number(long_name="effective depth", units="{unit}")
    share_per_sample: Array = variable(
        "length", "sample", "token?", letter="median", long_name="share within each sample, median"
    )
    effective_depth_per_sample: Array = variable(
        "sample", "token?", long_name="effective depth of the samples", units="{unit}"
    )
    error: float = number(long_name="relative error of Σ g_r")
    cancellation: float = number(long_name="cancellation Σ ‖g_r‖/‖g‖")
    independent_samples: bool = number(of=bool, long_name="independent samples")
    gradients: Tensor | tuple[Tensor, ...] | None = transient()
    unit: str = text("unit", shown=False)
    graph: PathGraph = transient()
    norm_per_sample: Array = variable(
        "length", "sample", "token?", letter="‖g_r‖", long_name="norm within each sample", shown=False
    )
    blocks: tuple[str, ...] | None = names("block", default=None)
    at_blocks: Array | None = variable(
        "block",
        "block_length",
        stored="norm_at_block",
        long_name="‖g_r‖ at the block's input",
        shown=False,
        default=None,
    )
    lumped: float = number(long_name="norm of the lumped lengths", shown=False, default=0.0)
    tolerance: float = number(long_name="tolerance of the lumped lengths", shown=False, default=0.0)

    @property
    @derived(variable("length", letter="energy", long_name="‖g_r‖²/Σ ‖g_r‖²"))
    def energy(self) -> Array:
        """‖g_r‖²/Σ_r ‖g_r‖², (R,): never negative, and beside ``share`` it tells size from what adds to the whole."""
        return fractions(self.norm)

    @property
    @derived(number(long_name="mean length by energy", units="{unit}"))
    def energy_depth(self) -> float:
        """Σ_r r·energy_r."""
        return float(self.lengths @ self.energy)

    @property
    def energy_depth_per_sample(self) -> Array:
        """The same for each sample (or token) alone, (N,)."""
        return np.tensordot(self.lengths, fractions(self.norm_per_sample, axis=0), axes=1)

    @property
    def median_share(self) -> Array:
        """The median of the samples' shares (tokens', where asked), (R,); those without gradient are left out."""
        return quantiles(self.share_per_sample, 0.5)[0]

    @property
    @derived(variable("block", letter="mean length above", long_name="mean length from the loss, weighted by ‖g_r‖²"))
    def mean_length_at_blocks(self) -> Array | None:
        """Σ_r r ‖g_r‖²/Σ_r ‖g_r‖² at the input of each block, (L,)."""
        if self.at_blocks is None:
            return None
        square = self.at_blocks**2
        return over(square @ np.arange(square.shape[1]), square.sum(axis=1))

    def headline(self) -> str:
        """Say how long the paths are that carry the gradient."""
        doubtful = 0 if self.graph is None else self.graph.unsure
        return depth_sentence(self.lengths, self.share, self.unit, doubtful=doubtful)

    def panel(self) -> Panel:
        """Squared norms and shares against the length."""
        note = f"effective depth {self.effective_depth:.3g}, cancellation {self.cancellation:.2g}"
        return spectrum_panel(self.lengths, self.norm, self.share, self.unit, note)


def spectrum(
    loss: Tensor | Trace,
    x: Target | None = None,
    unit: str = "blocks",
    max_length: int | None = None,
    keep: bool = False,
    model: nn.Module | None = None,
    at: str | None = None,
    per: str = "sample",
    blocks: Sequence[str] | None = None,
    tolerance: float | None = None,
) -> Spectrum:
    """Split ∂loss/∂x by path length, exactly: Σ_r g_r = g.

    Costs about R/2 backward passes for R lengths, see `cost`; a call that will take longer than a minute says so
    on the log "skipglass.paths". Hooks on tensors of the graph fire on every part; they must be linear.

    Parameters
    ----------
    loss
        A scalar, or one logit, with a live graph, which stays usable; or a `Trace`, which has its own x, model and
        blocks.
    x
        The tensor, or tuple of tensors, whose gradient is split; its first dimension counts samples.
    unit
        "blocks", residual branches (Veit et al., 2016), or "weights", the paper's r.
    max_length
        Longer paths are carried together and not reported: the shares, and the effective depth, are of the others.
    keep
        Whether to keep the g_r themselves.
    model, blocks
        Names the blocks, and what to count in their place; see `outline`.
    at
        "blocks": also the norm of g_r at the input of every block.
    per
        "sample", or "token": shares along the first two dimensions of x, (samples, tokens, features).
    tolerance
        Outer lengths whose norms sum to less than this part of Σ_r ‖g_r‖, in every sample, are carried together and
        reported as ``lumped`` (see `skipglass.paths.band`). By default a quarter of what the most precise type of the
        network resolves, which changes no digit that can be trusted; 0 carries every length.

    Returns
    -------
    Spectrum
        The parts by length.

    Raises
    ------
    InputError
        If there is no graph from the loss to x, it was freed, or an argument is out of range.
    DecompositionError
        If the parts do not sum to autograd's gradient; it says below which operation they first fail to.

    Examples
    --------
    >>> from skipglass.models import ResidualMLP
    >>> model, x = ResidualMLP(5, depth=4, width=8), torch.ones(2, 5, requires_grad=True)
    >>> s = spectrum(model(x).sum(), x, "weights")
    >>> s.lengths, bool(abs(s.share.sum() - 1) < 1e-6)
    (array([1, 2, 3, 4]), True)
    """
    if max_length is not None:
        check.integer("max_length", max_length)
    leading = LEADING[check.choice("per", per, LEADING)]
    if at is not None:
        check.choice("at", at, ["blocks"])
    trace = as_trace(loss, x, model, blocks)
    if per == "token":
        _require_tokens(trace.x)
    outline, counted = trace.outline, trace.counted(unit)
    # the walk carries every g_r down at once; regions also end where a block begins, for its norms to be seen there
    tolerance = resolved(trace.graph.dtypes) if tolerance is None else check.real("tolerance", tolerance, 0, 1)
    lengths = Lengths(max_length, outline.blocks if at else (), tolerance)
    with trace.measuring():
        regions = trace.regions(unit, lengths.inputs)
        begin = time.perf_counter()
        g = trace.gradient
        seconds = time.perf_counter() - begin
        advice = "" if max_length else "; max_length shortens it"
        lengths_at = reached(trace.graph, regions, counted, max_length)
        announce("spectrum", backwards(trace.graph, regions, lengths_at), seconds, advice)
        parts = walk(trace.graph, regions, counted, lengths)
        # the parts must sum to autograd's own gradient; if not, say where they first fail to
        with located(trace, regions, counted):
            error = verify(trace.graph, [list(part.values()) for part in parts], g)
        independent = trace.independent_samples
    # from here on: rows of parts, one for each length, one tensor for each of x
    live = _lengths(trace.graph, lengths_at, max_length)
    r = np.arange(min(live, default=0), max(live, default=0) + 1)
    rows = [[part.get(int(k), torch.zeros_like(v)) for part, v in zip(parts, g, strict=True)] for k in r]
    norm = np.array([size(*row) for row in rows])
    lumped = _lumped(parts, norm, tolerance)
    shares = Shares(g, leading)
    per_sample = np.stack([shares.of(row) for row in rows])
    share = np.array([shares.total(each) for each in per_sample])
    kept = tuple(torch.stack(column) for column in zip(*rows, strict=True)) if keep else None
    return Spectrum(
        lengths=r,
        norm=norm,
        share=share,
        effective_depth=float(r @ share),
        share_per_sample=per_sample,
        effective_depth_per_sample=np.tensordot(r, per_sample, axes=1),
        error=error,
        cancellation=_cancellation(norm, g),
        independent_samples=independent,
        lumped=lumped,
        tolerance=tolerance,
        gradients=kept[0] if kept and isinstance(trace.x, Tensor) else kept,
        unit=unit,
        graph=outline,
        norm_per_sample=np.stack([norms(row, leading) for row in rows]),
        blocks=tuple(b.name for b in outline.blocks) if at else None,
        at_blocks=lengths.at_blocks(parts, int(r[-1])) if at else None,
    )


def _lengths(graph: Graph, reached: Sequence[int], max_length: int | None) -> set[int]:
    """The lengths of the paths that reach x."""
    at_x = 0
    for node, _ in graph.targets:
        at_x |= reached[node]
    return {r for r in range(at_x.bit_length()) if at_x >> r & 1 and (max_length is None or r <= max_length)}


def _lumped(parts: list[Graded], norm: Array, tolerance: float) -> float:
    """The norms of the lumps; a warning where they are more than a tolerance leads one to expect."""
    lumped = sum(size(*(part[k] for part in parts if k in part)) for k in LUMPS)
    if lumped > UNEXPECTED * tolerance * norm.sum():
        warn(
            f"lengths of relative norm {lumped / norm.sum():.1g} were carried together, at a tolerance of "
            f"{tolerance:g}: the network amplifies them on their way to x; ask for a smaller tolerance, or for 0"
        )
    return lumped


def _require_tokens(x: Target) -> None:
    shapes = [tuple(getattr(t, "shape", ())) for t in (x if isinstance(x, tuple) else (x,))]
    if any(len(shape) != 3 for shape in shapes) or len({shape[:2] for shape in shapes}) > 1:
        found = ", ".join(map(str, shapes))
        raise InputError(
            f"per='token' needs an x of shape (samples, tokens, features), found {found}; use per='sample'"
        )


def _cancellation(norm: Array, g: list[Tensor]) -> float:
    """κ, with a warning where it leaves the shares few digits."""
    whole = size(*g)
    cancellation = float(norm.sum() / whole) if whole else math.nan
    precision = max(torch.finfo(part.dtype).eps for part in g)
    if cancellation > 1 / math.sqrt(precision):
        warn(f"the parts cancel {cancellation:.0e}-fold: shares keep few digits")
    return cancellation


class Lengths(Algebra):
    """The algebra of g(t): channel r holds g_r, and crossing a counted step multiplies by t.

    Notes the norms of what arrives at the input of some blocks, the join of their merge.
    """

    def __init__(self, max_length: int | None, blocks: Sequence[Block] = (), tolerance: float = 0.0) -> None:
        self.tolerance, self.carried = tolerance, 0
        self.longest = math.inf if max_length is None else max_length + 1  # the channel of all that is longer
        self.inputs = [b.merge.join for b in blocks]  # past the last node where blocks meet only at a tuple x
        self.norms: dict[int, dict[int, float]] = {}

    def cross(self, graded: Graded) -> Graded:
        """Every length one longer; those above ``max_length`` together."""
        crossed: Graded = {}
        for r, v in sorted(graded.items()):
            # t·g_r tʳ has degree r + 1; what is longer than asked for is summed in the last channel
            to = r if r in LUMPS else int(min(r + 1, self.longest))
            crossed[to] = crossed[to] + v if to in crossed else v
        return crossed

    def visit(self, h: int, at: Arrived) -> None:
        """Note the norms at the input of a block."""
        if self.tolerance:
            self.carried = narrow(at, self.tolerance, self.carried)
        if h in self.inputs:
            self.norms[h] = _norms(list(at.values()))

    def at_blocks(self, parts: list[Graded], last: int) -> Array:
        """The norms noted, (L, 1 + last); where blocks meet only at a tuple x, their input is x."""
        at_x = _norms(parts)
        noted = [self.norms.get(join, at_x) for join in self.inputs]
        return np.array([[norms.get(r, 0.0) for r in range(last + 1)] for norms in noted]).reshape(-1, last + 1)


def _norms(parts: list[Graded]) -> dict[int, float]:
    """‖g_r‖ of all tensors together, by length."""
    lengths = {r for part in parts for r in part}
    return {r: size(*(part[r] for part in parts if r in part)) for r in lengths}
