"""The claims about where the ensemble starts, and what sets its depths: claims 1 and 3, Fig. 1(a-c), dense nets."""

import math

import numpy as np

from skipglass.paper.finding import Claim, Finding, Recordings, by_setting, growth, listed, mean_and_spread

__all__ = ["START_CLAIMS"]



def histograms_shift(recordings: Recordings) -> Finding:
    """Fig. 1(a-c): the peak of ε_r at p = 100 for β = 0.1, 0.5 and 2."""
    data = recordings["theorems"]
    peak = data.peak_share.sel(depth=100).sortby("beta").values
    outside = data.outside.sel(depth=100).sortby("beta").values
    deeper = bool((np.diff(peak) > 0).all()) and peak[0] < 0.5 < peak[-1]
    rows = ", ".join(f"{100 * v:.0f} at β = {b:g}" for v, b in zip(peak, np.sort(data.beta), strict=True))
    text = (
        f"argmax ε_r at p = 100: {rows}; from below half the depth to above it. Σ ε_r² further than "
        f"{data.attrs['band']:.0%} from the peak: {listed([f'{v:.2g}' for v in outside])}"
    )
    return Finding("holds" if deeper else "fails", text, "exact")


def scale_sets_depths(recordings: Recordings) -> Finding:
    """Claim 1: on networks, the mean length of the paths by their part in the output's variance rises with C."""
    data = recordings["readings"].sortby("beta")
    power = data.power.transpose("network", "beta", "seed", "length")
    mean = (power * data.length).sum("length", skipna=False) / power.sum("length", skipna=False)
    least = mean.diff("beta").mean("seed", skipna=False).min("beta", skipna=False)
    changes = {str(n): (mean.isel(beta=-1) - mean.isel(beta=0)).sel(network=n).values for n in data.network.values}
    found = growth(changes, f"growth of the mean length of {data.attrs['depth']} layers from β = "
                   f"{float(data.beta[0]):g} to {float(data.beta[-1]):g}")  # fmt: skip
    rises = bool((least > 0).all()) or found.verdict != "holds"
    text = f"{found.measured}. Between neighbouring β it rises by at least {float(least.min()):.2g}"
    return Finding(found.verdict if rises else "fails", text, found.seeds)


def dense_short_paths(recordings: Recordings) -> Finding:
    """Sec. 6: dense nets offer many more short paths than residual nets."""
    data = recordings["theorems"]
    length, counted = data.length.values, data.dense_paths.values
    if not np.isfinite(counted).all():
        return Finding("not testable: a count is not finite", "nothing to compare", "none")
    fixed = int(length[np.flatnonzero(counted)[0]]) if counted.any() else 0
    free = int(length[-1]) - fixed
    residual = np.array([math.comb(free, r - fixed) if r >= fixed else 0 for r in length])
    short = length < fixed + free / 2
    dense, chain = int(counted[short].sum()), int(residual[short].sum())
    text = (
        f"paths that take less than half of the {free} layers that can be left out: {dense:,} in a dense net, "
        f"{chain:,} in a residual net with a shortcut around each of {free} layers, of {int(counted.sum()):,} and "
        f"{int(residual.sum()):,}; a chain has one path. Each set of layers is one path in both, so that a dense net "
        "has more short paths than a chain, or than shortcuts around blocks of several layers, and more long ones"
    )
    return Finding("holds" if dense > chain else "fails", text, "exact")


START_CLAIMS = (
    Claim("Fig. 1(a-c)", "At p = 100 a larger β moves the ε_r from shallow to deep.", histograms_shift, "theorems"),
    Claim("Claim 1", "The scale C of the weights sets the depths of the ensemble.", scale_sets_depths, "readings"),
    Claim("Sec. 6, short paths", "Dense nets offer many more short paths.", dense_short_paths, "theorems"),
)  # fmt: skip
