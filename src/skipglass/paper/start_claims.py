"""The claims about where the ensemble starts: claim 3."""

from functools import partial

import numpy as np

from skipglass.paper.finding import Claim, Finding, Recordings, by_setting, growth, mean_and_spread
from skipglass.paper.network_claims import SAMPLES as MEDIAN
from skipglass.paper.resnet_group import NAMES, alike, groups
from skipglass.paper.sweep_map import NAME, WORDS, map_of

__all__ = ["START_CLAIMS"]

SHALLOW = 0.25
"""The part of the depth below which an ensemble counts as extremely shallow: our choice, the paper names none."""


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


START_CLAIMS = (
    Claim("Claim 3, start", "With λ = 1 the ensemble starts at less than half the depth.",
          partial(starts_in_resnets, below=0.5), "resnet-"),
    Claim("Claim 3, start, map", "The same in the small networks of the map.",
          partial(starts_in_map, below=0.5), NAME),
    Claim("Claim 3, shallow", "With λ = 1 it starts extremely shallow: at less than a quarter (our reading).",
          partial(starts_in_resnets, below=SHALLOW), "resnet-"),
    Claim("Claim 3, shallow, map", "The same in the small networks of the map.",
          partial(starts_in_map, below=SHALLOW), NAME),
)  # fmt: skip
