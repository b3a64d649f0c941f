"""The panels of a gradient by path length and by block; they take plain arrays, as several results share them."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skipglass.graph.shares import over, quantiles, squared
from skipglass.report import Axis, Panel, Rule, Series, Table
from skipglass.theory import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "blocks_table",
    "draw_map",
    "evenly",
    "fractions",
    "map_panel",
    "norms_panel",
    "participation_panel",
    "shares_panel",
    "spectrum_panel",
]

Array = NDArray[np.float64]
Lengths = NDArray[np.int64]
FAINT = 1e-4  # our choice: lengths with less of every curve than this part of its largest are left out
QUARTILES = 0.25, 0.5, 0.75
CURVES = 16  # blocks drawn in the map, at equal distances: what sequential colours tell apart


def spectrum_panel(lengths: Lengths, norm: Array, share: Array, unit: str, note: str) -> Panel:
    """Squared norms and shares by length, side by side."""
    return Panel(
        "spectrum",
        "The gradient by path length",
        "Each bar is the part of the gradient that flows along paths of one length: by its own size (squared norm, all "
        "lengths together 1), and by what it adds to the whole (share, signed, summing to 1); mass further right means "
        "that deeper paths carry the gradient.",
        _length_axis(unit),
        Axis("part of the gradient", zero=True),
        (Series("‖g_r‖²/Σ‖g_r‖²", lengths, fractions(norm)), Series("share ⟨g_r, g⟩/‖g‖²", lengths, share)),
        marks="bar",
        note=note,
    )


def norms_panel(lengths: Lengths, norm: Array, fits: Sequence[Fit], unit: str, shown: Collection[int]) -> Panel:
    """‖g_r‖² by length beside the fitted models; only lengths in ``shown`` are drawn."""
    # every curve on the measured lengths; a model says nothing of lengths without paths
    curves = {"measured": np.nan_to_num(fractions(norm))}
    for fit in fits:
        predicted = curves[f"{fit.reading}, {fit.letter} = {fit.beta:.3g}"] = np.zeros(lengths.size)
        predicted[np.isin(lengths, fit.lengths)] = fit.predicted
    seen = _visible(*curves.values()) & np.isin(lengths, list(shown))
    r = lengths[seen]
    return Panel(
        "norms",
        "Squared norm by length",
        "Each bar is the part of Σ ‖g_r‖² on paths of length r; weight further right means longer paths. The lines are "
        "the two models of the theory, each with its best β: the smaller the divergence, the better the model fits.",
        _length_axis(unit),
        Axis("‖g_r‖² / Σ ‖g_r‖²", zero=True),
        tuple(
            Series(name, r, curve[seen], marks=_line(r) if k else "bar")
            for k, (name, curve) in enumerate(curves.items())
        ),
        note="; ".join(fit.headline() for fit in fits),
    )


def shares_panel(lengths: Lengths, share: Array, per_sample: Array, unit: str, shown: Collection[int]) -> Panel:
    """The share by length, in the batch and in each sample; only lengths in ``shown`` are drawn."""
    seen = _visible(share, *quantiles(per_sample, *QUARTILES)) & np.isin(lengths, list(shown))
    r, depth = lengths[seen], float(lengths @ share)
    return Panel(
        "shares",
        "Share of the gradient by length",
        "Each bar is ⟨g_r, g⟩/‖g‖², the part of the batch's gradient on paths of length r; the bars sum to 1 and may "
        "be negative where paths cancel. Points are the median over samples, each by its own gradient, with quartiles.",
        _length_axis(unit),
        Axis("share", zero=True),
        _with_samples(r, share[seen], per_sample[seen]),
        rules=(Rule(depth, f"effective depth {depth:.3g}", "x"),) if r[0] <= depth <= r[-1] else (),
    )


def participation_panel(participation: Array, per_sample: Array) -> Panel:
    """Each block's part of the gradient, in the batch and in each sample."""
    return Panel(
        "participation",
        "Participation of each block",
        "Each bar is the part of the batch's gradient that passes the block's branch; the bars sum to the effective "
        "depth in blocks. Higher means that more of the gradient flows through; near 0, the block is skipped.",
        Axis("block, from input to output"),
        Axis("participation", zero=True),
        _with_samples(np.arange(1, len(participation) + 1), participation, per_sample),
    )


def _with_samples(x: Lengths, batch: Array, per_sample: Array) -> tuple[Series, ...]:
    """Bars of the batch, and points of the median over its samples with quartiles."""
    bars = Series("batch", x, np.nan_to_num(batch), marks="bar")
    low, middle, high = quantiles(per_sample, *QUARTILES)
    if per_sample.shape[1] < 2 or np.isnan(middle).all():
        return (bars,)
    return bars, Series("median over samples", x, middle, low, high, "points")


def map_panel(norm_at_blocks: Array, unit: str) -> Panel:
    """The norm of g_r at the input of some blocks, one curve per block."""
    chosen = evenly(len(norm_at_blocks), CURVES)
    curves = fractions(norm_at_blocks)[chosen]
    seen = _visible(*curves)
    r = np.flatnonzero(seen)
    return Panel(
        "map",
        "Squared norm by length at the input of each block",
        "Each curve is one block: how the gradient that arrives at its input spreads over paths from the loss. Curves "
        "of lower blocks lie further right the more the gradient uses the blocks above them.",
        Axis(f"path length from the loss ({unit})"),
        Axis("fraction of Σ ‖g_r‖²", zero=True),
        tuple(
            Series(f"{l + 1}", r, np.nan_to_num(curve[seen]), marks=_line(r))
            for l, curve in zip(chosen, curves, strict=True)
        ),
        color=Axis("block") if len(chosen) > 1 else None,
    )


def draw_map(norm_at_blocks: Array, unit: str, ax: "Axes") -> None:
    """Draw the norm of g_r at the input of every block as a map, (block × length)."""
    from matplotlib.colors import PowerNorm

    curves = fractions(norm_at_blocks)
    last = int(np.flatnonzero(_visible(*curves))[-1])
    mesh = ax.pcolormesh(
        np.arange(last + 2) - 0.5,
        np.arange(len(curves) + 1) + 0.5,
        curves[:, : last + 1],
        norm=PowerNorm(0.5, vmin=0),  # the top block has all at one length, the lowest spreads over many
        rasterized=True,
    )
    ax.grid(False)
    ax.set_title("Squared norm by length at each block's input", loc="left", fontsize="medium")
    ax.set(xlabel=f"path length from the loss ({unit})", ylabel="block, from input to output")
    ax.locator_params(integer=True)
    ax.figure.colorbar(mesh, ax=ax, label="fraction of Σ ‖g_r‖²")


def blocks_table(names: Sequence[str], participation: Array, per_sample: Array) -> Table:
    """The blocks by number and name."""
    middle = quantiles(per_sample, 0.5)[0]
    rows = zip(names, participation.tolist(), middle.tolist(), strict=True)
    return Table(
        "blocks",
        "The blocks",
        "One row per residual block, from input to output: its part of the batch's gradient and, each sample "
        "by its own gradient, the median.",
        ("block", "name", "batch", "median"),
        [(str(l), *row) for l, row in enumerate(rows, 1)],
    )


def fractions(norm: Array, axis: int = -1) -> Array:
    """‖g_r‖² over its sum along an axis; NaN where all are zero."""
    square = squared(norm)
    return over(square, square.sum(axis=axis, keepdims=True))


def evenly(number: int, most: int) -> Lengths:
    """Return which of so many to show: at equal distances, the first and the last among them."""
    return np.unique(np.linspace(0, number - 1, min(number, most)).round().astype(np.int64))


def _length_axis(unit: str) -> Axis:
    return Axis(f"path length r ({unit})")


def _visible(*curves: Array) -> NDArray[np.bool_]:
    """From the first to the last length where any curve is not faint; all where all is."""
    stacked = np.nan_to_num(np.abs(np.stack(curves)))
    some = np.flatnonzero((stacked > FAINT * stacked.max(axis=1, keepdims=True)).any(axis=0))
    shown = np.zeros(stacked.shape[1], dtype=bool)
    shown[slice(some[0], some[-1] + 1) if some.size else slice(None)] = True
    return shown


def _line(r: Lengths) -> str:
    return "line" if r.size > 1 else "points"
