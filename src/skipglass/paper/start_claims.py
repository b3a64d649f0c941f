"""The claims about where the ensemble starts, and what sets its depths: claims 1 and 3, Fig. 1(a-c), dense nets."""

import math
from functools import partial

import numpy as np

from skipglass.paper.finding import Claim, Finding, Recordings, by_setting, growth, listed, mean_and_spread
from skipglass.paper.network_claims import SAMPLES as MEDIAN
from skipglass.paper.resnet_group import NAMES, alike, groups
from skipglass.paper.sweep_map import NAME, WORDS, map_of

__all__ = ["START_CLAIMS"]

SHALLOW = 0.25
"""The part of the depth below which an ensemble counts as extremely shallow: our choice, the paper names none."""


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


def starts_in_resnets(recordings: Recordings, *, below: float) -> Finding:
    """The effective depth over the number of blocks before the first step, at λ = 1."""
    parts, names = {}, {}
    for same in alike(groups(recordings), "decay_scales"):  # decay does nothing before the first step
        group = same[0]
        if group.attrs["normalized"]:
            blocks = group.data.sizes["block"]
            parts[group.label] = group.values(MEDIAN)[:, 0] / blocks
            network = f"ResNet-{group.attrs['depth']} × {group.attrs['width']:g}"
            names[group.label] = f"{NAMES[group.attrs['dataset']]} {network}, {blocks} blocks"
    return _starts(parts, names, below)


def starts_in_map(recordings: Recordings, *, below: float) -> Finding:
    """The same for the small networks of the map, by normalisation and number of layers."""
    data, parts = map_of(recordings), {}
    start = data.effective_depth.isel(epoch=0).transpose("cell", "seed").values.astype(float)
    for variant in dict.fromkeys(data.variant.values.tolist()):
        for layers in sorted(set(data.depth.values.tolist())):
            rows = (data.variant.values == variant) & (data.depth.values == layers)
            if rows.any() and np.isfinite(data.multiplier.isel(cell=np.flatnonzero(rows), epoch=0)).all():
                parts[f"{WORDS[variant]} ({layers} layers)"] = start[rows].mean(axis=0) / (layers - 1)
    return _starts(parts, {}, below)


def _starts(parts: dict[str, np.ndarray], names: dict[str, str], below: float) -> Finding:
    """Whether each part lies below a bound; settings are shown by their longer names where they have one."""
    if not parts:
        return Finding("not testable: no network has λ", "nothing was recorded", "none")
    rows = by_setting({names.get(name, name): mean_and_spread(part).removeprefix("+") for name, part in parts.items()})
    found = growth({name: below - part for name, part in parts.items()}, "")
    return Finding(found.verdict, f"effective depth over the number of blocks, λ = 1, untrained: {rows}", found.seeds)


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
    Claim("Claim 3, start", "With λ = 1 the ensemble starts at less than half the depth.",
          partial(starts_in_resnets, below=0.5), "resnet-"),
    Claim("Claim 3, start, map", "The same in the small networks of the map.",
          partial(starts_in_map, below=0.5), NAME),
    Claim("Claim 3, shallow", "With λ = 1 it starts extremely shallow: at less than a quarter (our reading).",
          partial(starts_in_resnets, below=SHALLOW), "resnet-"),
    Claim("Claim 3, shallow, map", "The same in the small networks of the map.",
          partial(starts_in_map, below=SHALLOW), NAME),
    Claim("Sec. 6, short paths", "Dense nets offer many more short paths.", dense_short_paths, "theorems"),
)  # fmt: skip
