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
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skipglass import check
from skipglass.errors import DecompositionError, InputError, warn
from skipglass.graph.engine import FAINT, Arrived, Graded
from skipglass.graph.outline import PathGraph
from skipglass.graph.read import Target
from skipglass.graph.regions import Counted, Regions
from skipglass.graph.shares import Shares, norms, squared
from skipglass.graph.trace import Trace, as_trace
from skipglass.graph.verify import size, verify
from skipglass.paths.cost import announce, backwards
from skipglass.paths.display import bars, blocks_table, table
from skipglass.paths.locate import locate
from skipglass.paths.walk import walk

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from skipglass.report import Panel

__all__ = ["Spectrum", "spectrum"]

Array = NDArray[np.float64]
PER = {"sample": 1, "token": 2}


@dataclass(frozen=True, eq=False)
class Spectrum:
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
    norm_per_sample, share_per_sample, effective_depth_per_sample
        The same for each sample alone, along the first dimension of x: (R, N), (R, N) and (N,). With
        ``per="token"`` for each token: (R, N, T), (R, N, T) and (N, T).
    error
        ‖Σ g_r - g‖/Σ ‖g_r‖, at most 1e-12, 1e-5 or 2e-2 in float64, float32 or half precision.
    cancellation
        κ = Σ ‖g_r‖/‖g‖.
    independent_samples
        False where samples mix: by batch norm in training mode, or by anything else in the network that reads across
        the batch; and where the tensors of x do not share their first dimension. A loss may mix them (a contrastive
        one): each sample's paths are its own all the same.
    gradients
        The g_r, (R, *x.shape), a tuple of them for a tuple x; None unless kept.
    unit
        "weights" or "blocks".
    graph
        What was found in the network.
    at_blocks
        ‖g_r‖ at the input of each block, (L, 1 + last length): rows in the order of ``graph.blocks``, columns
        r = 0, 1, …; None unless asked for.
    """

    lengths: NDArray[np.int64]
    norm: Array
    share: Array
    effective_depth: float
    share_per_sample: Array
    effective_depth_per_sample: Array
    error: float
    cancellation: float
    independent_samples: bool
    gradients: Tensor | tuple[Tensor, ...] | None
    unit: str
    graph: PathGraph
    norm_per_sample: Array
    at_blocks: Array | None = None

    @property
    def median_share(self) -> Array:
        """The median of the samples' shares (tokens', where asked), (R,); those without gradient are left out."""
        flat = self.share_per_sample.reshape(len(self.lengths), -1)
        flat = flat[:, ~np.isnan(flat).any(axis=0)]
        return np.median(flat, axis=1) if flat.size else np.full(len(self.lengths), np.nan)

    def __repr__(self) -> str:
        lo, hi = int(self.lengths[0]), int(self.lengths[-1])
        depth = "gradient zero, shares undefined" if np.isnan(self.share).all() else f"{self.effective_depth:.3g}"
        return f"Spectrum({self.unit} {lo}..{hi}, effective depth {depth}, error {self.error:.0e})"

    def __str__(self) -> str:
        lo, hi = int(self.lengths[0]), int(self.lengths[-1])
        if np.isnan(self.share).all():
            return f"path lengths in {self.unit}, {lo}..{hi}: gradient zero, shares undefined"
        per = "token" if self.share_per_sample.ndim > 2 else "sample"
        depths = self.effective_depth_per_sample[~np.isnan(self.effective_depth_per_sample)]
        mixed = "" if self.independent_samples else ", samples mix"
        return (
            f"path lengths in {self.unit}, {lo}..{hi}: effective depth {self.effective_depth:.4g}, "
            f"median per {per} {np.median(depths):.4g}\n"
            f"error {self.error:.0e}, cancellation {self.cancellation:.3g}{mixed}\n"
            + table(self.lengths, self.norm**2, {"share": self.share, f"per {per}": self.median_share})
            + ("" if self.at_blocks is None else blocks_table([b.name for b in self.graph.blocks], self.at_blocks))
        )

    def to_xarray(self) -> "xr.Dataset":
        """Return norms and shares by length, sample and, where asked for, token and block.

        Returns
        -------
        xarray.Dataset
            Along ``length``, ``sample``, ``token``, ``block`` and ``block_length``; the rest as attributes.
        """
        import xarray as xr

        each = ("length", "sample", "token")[: self.share_per_sample.ndim]
        data: dict[str, object] = {
            "norm": ("length", self.norm, {"long_name": "‖g_r‖"}),
            "share": ("length", self.share, {"long_name": "⟨g_r, g⟩/‖g‖²"}),
            "norm_per_sample": (each, self.norm_per_sample, {"long_name": "‖g_r‖ of each sample"}),
            "share_per_sample": (each, self.share_per_sample, {"long_name": "share within each sample"}),
            "effective_depth_per_sample": (each[1:], self.effective_depth_per_sample, {"long_name": "Σ r·share_r"}),
        }
        coordinates: dict[str, object] = {
            "length": ("length", self.lengths, {"long_name": f"path length ({self.unit})"})
        }
        if self.at_blocks is not None:
            data["norm_at_block"] = (("block", "block_length"), self.at_blocks, {"long_name": "‖g_r‖ at its input"})
            coordinates["block"] = [b.name for b in self.graph.blocks]
            coordinates["block_length"] = np.arange(self.at_blocks.shape[1])
        attributes = {
            "unit": self.unit,
            "effective_depth": self.effective_depth,
            "error": self.error,
            "cancellation": self.cancellation,
            "independent_samples": int(self.independent_samples),
        }
        return xr.Dataset(data, coords=coordinates, attrs=attributes)

    def panel(self) -> "Panel":
        """The spectrum as a panel of a report."""
        note = f"effective depth {self.effective_depth:.3g}, cancellation {self.cancellation:.2g}"
        return bars(self.lengths, squared(self.norm), self.share, self.unit, note)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw squared norms, normalised, and shares against the length.

        Parameters
        ----------
        ax
            Where to draw; a new figure if None.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from skipglass.report import draw

        return draw(self.panel(), ax)


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
) -> Spectrum:
    """Split ∂loss/∂x by path length, exactly: Σ_r g_r = g.

    Costs about R/2 backward passes for R lengths, see `cost`; a call that will take longer than a minute says so
    on the log "skipglass.paths". Hooks on tensors of the graph fire on every part; they must be linear.

    Parameters
    ----------
    loss
        A scalar, or one logit, with a live graph; the graph stays usable.
    x
        The tensor, or tuple of tensors, whose gradient is split; its first dimension counts samples.
    unit
        "weights", the paper's r, or "blocks", residual branches (Veit et al., 2016).
    max_length
        Longer paths are carried together and not reported: the shares, and the effective depth, are of the others.
    keep
        Whether to keep the g_r themselves.
    model
        Names the blocks; see `outline`.
    at
        "blocks": also the norm of g_r at the input of every block.
    per
        "sample", or "token": shares along the first two dimensions of x, (samples, tokens, features).
    blocks
        What to count as blocks instead; see `outline`.

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
    leading = PER[check.choice("per", per, PER)]
    trace = as_trace(loss, x, model, blocks)
    if per == "token":
        _require_tokens(trace.x)
    if at is not None:
        check.choice("at", at, ["blocks"])
    found, counted = trace.outline, trace.counted(unit)
    visitor = _AtBlocks(found) if at else None
    with trace.measuring():
        regions = trace.regions(unit, visitor.joins if visitor else ())
        begin = time.perf_counter()
        g = trace.gradient
        number = backwards(found.graph, regions, counted, max_length)
        announce("spectrum", number, time.perf_counter() - begin, "" if max_length else "; max_length shortens it")

        def cross(graded: Graded) -> Graded:
            return _longer(graded, max_length)

        parts = walk(found.graph, regions, counted, cross, visitor)
        if visitor:
            visitor.finish(parts)
        error = _verified(trace, regions, counted, parts)
        independent = trace.independent_samples
    return _reduced(found, unit, parts, g, error, trace.x, max_length, keep, leading, visitor, independent)


def _require_tokens(x: Target) -> None:
    shapes = [tuple(getattr(t, "shape", ())) for t in (x if isinstance(x, tuple) else (x,))]
    if any(len(shape) != 3 for shape in shapes) or len({shape[:2] for shape in shapes}) > 1:
        found = ", ".join(map(str, shapes))
        raise InputError(
            f"per='token' needs an x of shape (samples, tokens, features), found {found}; use per='sample'"
        )


def _longer(graded: Graded, max_length: int | None) -> Graded:
    """Every length one longer; those above ``max_length`` together."""
    crossed: Graded = {}
    for r, v in sorted(graded.items()):
        to = r + 1 if max_length is None else min(r + 1, max_length + 1)
        crossed[to] = crossed[to] + v if to in crossed else v
    return crossed


def _verified(trace: Trace, regions: Regions, counted: Counted, parts: list[Graded]) -> float:
    try:
        return verify(trace.graph, [list(part.values()) for part in parts], trace.gradient)
    except DecompositionError as failed:
        where = locate(trace, regions, counted)
        raise DecompositionError(f"{failed}{where}") from None


class _AtBlocks:
    """Notes the norms of what arrives at the input of each block, the join of its merge."""

    def __init__(self, found: PathGraph) -> None:
        self.rows = [b.merge.join for b in found.blocks]
        self.end = len(found.graph.nodes)
        self.joins = set(self.rows) - {self.end}
        self.norms: dict[int, dict[int, float]] = {}

    def __call__(self, h: int, at: Arrived) -> None:
        if h in self.joins:
            self.norms[h] = _norms(list(at.values()))

    def finish(self, parts: list[Graded]) -> None:
        """Where blocks meet only at a tuple x, their input is x."""
        self.norms[self.end] = _norms(parts)

    def table(self, last: int) -> Array:
        norms = [[self.norms.get(join, {}).get(r, 0.0) for r in range(last + 1)] for join in self.rows]
        return np.array(norms).reshape(len(self.rows), last + 1)


def _norms(parts: list[Graded]) -> dict[int, float]:
    return {
        r: math.hypot(*(_norm(part[r]) for part in parts if r in part)) for r in {r for part in parts for r in part}
    }


def _norm(v: Tensor) -> float:
    """‖v‖ in its own precision, which is faster, unless its square might leave the range."""
    norm = float(torch.linalg.vector_norm(v))
    return norm if FAINT < norm < 1 / FAINT else size(v)


def _reduced(
    found: PathGraph,
    unit: str,
    parts: list[Graded],
    g: list[Tensor],
    error: float,
    x: Target,
    max_length: int | None,
    keep: bool,
    leading: int,
    visitor: _AtBlocks | None,
    independent: bool,
) -> Spectrum:
    """Norms and shares of the parts."""
    live = {r for part in parts for r in part if max_length is None or r <= max_length}
    lengths = np.arange(min(live, default=0), max(live, default=0) + 1)
    rows = [[part.get(int(r), torch.zeros_like(whole)) for part, whole in zip(parts, g, strict=True)] for r in lengths]
    norm = np.array([size(*row) for row in rows])
    whole = size(*g)
    cancellation = float(norm.sum() / whole) if whole else math.nan
    precision = max(torch.finfo(part.dtype).eps for part in g)
    if cancellation > 1 / math.sqrt(precision):
        warn(f"the parts cancel {cancellation:.0e}-fold: shares keep few digits")
    all_of_it = Shares(g, leading)
    shares = np.stack([all_of_it.of(row) for row in rows])
    share = np.array([all_of_it.total(each) for each in shares])
    kept = tuple(torch.stack(column) for column in zip(*rows, strict=True)) if keep else None
    return Spectrum(
        lengths,
        norm,
        share,
        float(lengths @ share),
        shares,
        np.tensordot(lengths, shares, axes=1),
        error,
        cancellation,
        independent,
        kept[0] if kept and isinstance(x, Tensor) else kept,
        unit,
        found,
        np.stack([norms(row, leading) for row in rows]),
        visitor.table(int(lengths[-1])) if visitor else None,
    )
