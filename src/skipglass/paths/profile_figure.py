"""A profile as panels: the figure of `Profile.plot`, and what a page shows of it."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skipglass.graph.shares import squared
from skipglass.paths.display import evenly
from skipglass.report import Axis, Panel, Rule, Series, Table, draw
from skipglass.report.axes import SIZE, STYLE
from skipglass.theory import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from skipglass.paths.profile import Profile

__all__ = ["blocks_table", "figure", "length_panels", "map_panel", "participation_panel"]

Array = NDArray[np.float64]
FAINT = 1e-4  # our choice: lengths with less of every curve than this part of its largest are left out of the figure
CURVES = 16  # blocks drawn in the page's map, evenly spaced: what sequential colours tell apart


def figure(profile: "Profile") -> "Figure":
    """Draw norms beside both readings, shares, participation and the (block × length) map.

    Returns
    -------
    matplotlib.figure.Figure
        Two panels, or four where there are blocks; pyplot does not know of it.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    flat = list(length_panels(profile))
    if profile.blocks:
        flat.append(participation_panel(profile))
    rows = (len(flat) + 1) // 2
    with mpl.rc_context(STYLE):
        drawn = Figure(figsize=(2 * SIZE[0], rows * SIZE[1]), layout="constrained")
        for k, panel in enumerate(flat):
            draw(panel, drawn.add_subplot(rows, 2, k + 1)).locator_params(axis="x", integer=True)
        if profile.blocks:
            _draw_map(profile, drawn.add_subplot(rows, 2, 4))
        drawn.suptitle(
            f"{profile.model}: {profile.mode} mode, {profile.samples} samples, loss: {profile.loss}", size=11
        )
    return drawn


def length_panels(profile: "Profile") -> tuple[Panel, Panel]:
    """‖g_r‖² by length beside both fitted readings, and the share by length in the batch and in each sample."""
    measured = squared(profile.norm)
    total = float(measured.sum())
    measured = measured / total if total else np.zeros(profile.norm.size)
    middle, low, high = _quartiles(profile.share_per_sample)
    fitted = {fit.reading: _on(profile.lengths, fit.lengths, fit.predicted) for fit in profile.fits}
    seen = _visible(measured, middle, low, high, profile.share, *fitted.values())
    seen &= np.array([int(r) in profile.census for r in profile.lengths])
    r = profile.lengths[seen]
    x = Axis(f"path length r ({profile.unit})")
    norms = Panel(
        "norms",
        "Squared norm by length",
        "Each bar is the part of Σ ‖g_r‖² on paths of length r; weight further right means longer paths. The lines are "
        "the two readings of the theory, each with its best β: the smaller the distance, the better it describes them.",
        x,
        Axis("‖g_r‖² / Σ ‖g_r‖²", zero=True),
        (
            Series("measured", r, measured[seen], marks="bar"),
            *(Series(_reading(fit), r, fitted[fit.reading][seen], marks=_line(r)) for fit in profile.fits),
        ),
        note="; ".join(fit.headline() for fit in profile.fits),
    )
    several = profile.samples > 1
    shares = Panel(
        "shares",
        "Share of the gradient by length",
        "Each bar is ⟨g_r, g⟩/‖g‖², the part of the batch's gradient on paths of length r; the bars sum to 1 and may "
        "be negative where paths cancel. Points are the median over samples, each by its own gradient, with quartiles.",
        x,
        Axis("share", zero=True),
        (
            Series("batch", r, np.nan_to_num(profile.share[seen]), marks="bar"),
            *([Series("median over samples", r, middle[seen], low[seen], high[seen], "points")] if several else []),
        ),
        rules=() if np.isnan(profile.effective_depth) else _depth_rule(profile, r),
    )
    return norms, shares


def participation_panel(profile: "Profile") -> Panel:
    """Each block's part of the gradient, in the batch and in each sample."""
    l = np.arange(1, len(profile.blocks) + 1)
    middle, low, high = _quartiles(profile.participation_per_sample)
    several = profile.samples > 1 and not np.isnan(middle).all()
    return Panel(
        "participation",
        "Participation of each block",
        "Each bar is the part of the batch's gradient that passes the block's branch; the bars sum to the effective "
        "depth in blocks. Higher means that more of the gradient flows through; near 0, the block is skipped.",
        Axis("block, from input to output"),
        Axis("participation", zero=True),
        (
            Series("batch", l, np.nan_to_num(profile.participation), marks="bar"),
            *([Series("median over samples", l, middle, low, high, "points")] if several else []),
        ),
    )


def map_panel(profile: "Profile") -> Panel:
    """The norm of g_r at the input of some blocks, one curve a block."""
    L = len(profile.blocks)
    chosen = evenly(L, CURVES)
    fractions = map_fractions(profile)[chosen]
    seen = _visible(*fractions)
    r = np.arange(fractions.shape[1])[seen]
    return Panel(
        "map",
        "Squared norm by length at the input of each block",
        "Each curve is one block: how the gradient that arrives at its input spreads over paths from the loss. Curves "
        "of lower blocks lie further right the more the gradient uses the blocks above them.",
        Axis(f"path length from the loss ({profile.unit})"),
        Axis("fraction of Σ ‖g_r‖²", zero=True),
        tuple(
            Series(f"{l + 1}", r, np.nan_to_num(row[seen]), marks=_line(r))
            for l, row in zip(chosen, fractions, strict=True)
        ),
        color=Axis("block") if len(chosen) > 1 else None,
    )


def blocks_table(profile: "Profile") -> Table:
    """The blocks by number and name."""
    middle = _quartiles(profile.participation_per_sample)[0]
    return Table(
        "blocks",
        "The blocks",
        "One row a residual block, from input to output: its part of the batch's gradient and, each sample "
        "by its own gradient, the median.",
        ("block", "name", "batch", "median"),
        [
            (str(l + 1), name, float(profile.participation[l]), float(middle[l]))
            for l, name in enumerate(profile.blocks)
        ],
    )


def map_fractions(profile: "Profile") -> Array:
    """‖g_r‖² at each block's input over its sum, (L, M); NaN where no gradient arrives."""
    square = profile.norm_at_blocks**2
    total = square.sum(axis=1, keepdims=True)
    return np.divide(square, total, out=np.full(square.shape, np.nan), where=total > 0)


def _draw_map(profile: "Profile", ax: "Axes") -> None:
    from matplotlib.colors import PowerNorm

    fractions = map_fractions(profile)
    last = int(np.flatnonzero(_visible(*fractions))[-1])
    L = len(profile.blocks)
    mesh = ax.pcolormesh(
        np.arange(last + 2) - 0.5,
        np.arange(L + 1) + 0.5,
        fractions[:, : last + 1],
        norm=PowerNorm(0.5, vmin=0),  # the top block has all at one length, the lowest spreads over many
        rasterized=True,
    )
    ax.grid(False)
    ax.set_title("Squared norm by length at each block's input", loc="left")
    ax.set(xlabel=f"path length from the loss ({profile.unit})", ylabel="block, from input to output")
    ax.locator_params(integer=True)
    ax.figure.colorbar(mesh, ax=ax, label="fraction of Σ ‖g_r‖²")


def _quartiles(values: Array) -> tuple[Array, Array, Array]:
    """Median and quartiles along the samples that are defined; NaN where none is."""
    defined = values[:, ~np.isnan(values).any(axis=0)]
    if not defined.size:
        return (np.full(values.shape[0], np.nan),) * 3
    low, middle, high = np.quantile(defined, [0.25, 0.5, 0.75], axis=1)
    return middle, low, high


def _visible(*curves: Array) -> NDArray[np.bool_]:
    """From the first to the last length where any curve is not faint; all where all is."""
    stacked = np.nan_to_num(np.abs(np.stack(curves)))
    some = np.flatnonzero((stacked > FAINT * stacked.max(axis=1, keepdims=True)).any(axis=0))
    shown = np.zeros(stacked.shape[1], dtype=bool)
    shown[slice(some[0], some[-1] + 1) if some.size else slice(None)] = True
    return shown


def _on(lengths: NDArray[np.int64], some: NDArray[np.int64], values: Array) -> Array:
    """Values on some of the lengths, zero on the others."""
    placed = np.zeros(lengths.size)
    placed[np.isin(lengths, some)] = values
    return placed


def _line(r: NDArray[np.int64]) -> str:
    return "line" if r.size > 1 else "points"


def _reading(fit: Fit) -> str:
    letter = "β" if fit.reading == "coherent" else "b"
    return f"{fit.reading}, {letter} = {fit.beta:.3g}"


def _depth_rule(profile: "Profile", r: NDArray[np.int64]) -> tuple[Rule, ...]:
    """The effective depth, where the figure shows that length."""
    depth = profile.effective_depth
    return (Rule(depth, f"effective depth {depth:.3g}", "x"),) if r[0] <= depth <= r[-1] else ()
