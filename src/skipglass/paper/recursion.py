"""Sec. 4.1's recursion E[N_{l+1}²] = 1 + E[N_l²] for untrained units, by way of normalising (docs/mathematics.md §5).

It takes two things: the branch has second moment 1, and does not correlate with what it is added to. Eq. 22 as printed
has neither: it divides by a standard deviation, not a root mean square, and a ReLU's output has a positive mean.
"""

from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from skipglass.paper.arrays import by_setting, series_by
from skipglass.paper.claim import Claim, Recordings
from skipglass.paper.rules import agrees
from skipglass.report import Axis, Panel

__all__ = ["CLAIMS", "VARIANTS", "recursion_panel", "second_moments"]


def _deviation(z: Tensor) -> Tensor:
    """σ_l of Eq. 22: the mean over units of the standard deviation over samples."""
    return z / z.std(dim=1).mean()


def _root_mean_square(z: Tensor) -> Tensor:
    return z / z.square().mean().sqrt()


def _batch_norm(z: Tensor) -> Tensor:
    return (z - z.mean(dim=1, keepdim=True)) / z.std(dim=1, correction=0, keepdim=True)


VARIANTS: dict[str, Callable[[Tensor], Tensor]] = {
    "Eq. 22 as printed": lambda z: _deviation(z.relu()),
    "Eq. 22, σ a root mean square": lambda z: _root_mean_square(z.relu()),
    "batch norm before the ReLU": lambda z: _batch_norm(z).relu(),
    "batch norm after the ReLU": lambda z: _batch_norm(z.relu()),
    "linear branch, σ a standard deviation": _deviation,
    "linear branch, σ a root mean square": _root_mean_square,
}
"""Name → what the branch makes of W_lᵀN_{l-1}, (units, samples), at λ = 1."""


def second_moments(seeds: int = 5, depth: int = 10, width: int = 1000, samples: int = 500) -> xr.Dataset:
    """Return E[N_l²] over units and samples, l = 1..depth, of untrained networks.

    Parameters
    ----------
    seeds, depth, width, samples
        How many networks, and of what size. Inputs and weights are normal, with variances 1 and 1/fan-in.

    Returns
    -------
    xarray.Dataset
        ``second_moment`` (variant, seed, depth).
    """
    values = np.empty((len(VARIANTS), seeds, depth))
    for v, branch in enumerate(VARIANTS.values()):
        for seed in range(seeds):
            draw = torch.Generator().manual_seed(seed)
            h = torch.randn(width, samples, generator=draw)
            for l in range(depth):
                w = torch.randn(width, width, generator=draw) / width**0.5
                h = branch(w @ h) + (h if l else 0)  # the first layer has no shortcut
                values[v, seed, l] = h.square().mean()
    return xr.Dataset(
        {"second_moment": (("variant", "seed", "depth"), values)},
        {"variant": list(VARIANTS), "seed": np.arange(seeds), "depth": np.arange(1, depth + 1)},
        {"width": width, "samples": samples},
    )


def recursion_panel(data: xr.Dataset) -> Panel:
    """Return the second moments by layer and way of normalising."""
    return Panel(
        "second-moments",
        "Second moment of untrained units by layer (Sec. 4.1)",
        "A rise means that deeper units are larger, and deep branches weigh less beside what they are added to. By the "
        "paper's recursion a curve passes through l at layer l: three do, one upon another.",
        Axis("layer l"),
        Axis("E[N_l²]", log=True),
        series_by("{variant}", data.second_moment, "seed"),
        note=f"λ = 1, width {data.attrs['width']}, {data.attrs['samples']} samples, {data.sizes['seed']} networks.",
    )


PRINTED = next(iter(VARIANTS))


def rises(recordings: Recordings) -> dict[str, NDArray]:
    """The mean rise of the second moment from layer to layer, minus 1, by way of normalising."""
    moments = recordings["second_moments"].second_moment
    return by_setting("{variant}", moments.diff("depth").mean("depth") - 1)


CLAIMS = (
    Claim(
        "Sec. 4.1", "E[N_{l+1}²] = 1 + E[N_l²] at λ = 1 for Eq. 22.",
        "Sec. 4.1: “providing that units in the same layer have equal variance σ_l, the recursive relation "
        "E[N_{l+1}(x)_j²] = 1 + E[N_l(x)_j²] holds for any unit j in layer l.”",
        "mean rise of the second moment from layer to layer, minus 1", lambda r: {PRINTED: rises(r)[PRINTED]},
        agrees(0.05), "second_moments", figure="second-moments",
        beside={"normalised otherwise": lambda r: {k: v for k, v in rises(r).items() if k != PRINTED}},
        note="the recursion needs a branch with second moment 1 that is uncorrelated with the shortcut; a ReLU's "
        "output divided by its standard deviation has neither",
    ),
)  # fmt: skip
