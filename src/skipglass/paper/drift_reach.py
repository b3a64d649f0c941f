"""What the recordings of `drift_runs` say about Theorem 3, by seed and layer: pure arithmetic on recordings.

Layer 0 has no shortcut; the theorem's second part speaks of the others. Growth is the loss's part alone, without that of
weight decay, which the theorem leaves out.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import rankdata

__all__ = ["PREDICTIONS", "by_epoch", "condition", "correlation", "decay_share", "predictions", "right", "runs_of"]

Array = NDArray[np.float64]
PREFIX = "drift-"

PREDICTIONS = {
    "slope": "Theorem 3's force and the change of ∂L/∂λ_l as the weights step",
    "true": "the true force and that change",
    "first order": "the Hessian along the step really taken and the change of ∂L/∂λ_l over it",
    "step": "Theorem 3's force and the growth of |λ_l| in the step",
    "epoch": "Theorem 3's force and the growth of |λ_l| over the epoch",
}
"""Name → which two things are compared."""


def runs_of(recordings: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Return {setting: recording} of the networks in training."""
    return {name.removeprefix(PREFIX): data for name, data in recordings.items() if name.startswith(PREFIX)}


def predictions(data: xr.Dataset) -> dict[str, tuple[Array, Array]]:
    """Return {name: (predicted, actual)} for `PREDICTIONS`, (seed, time, layer) each."""
    force, growth = by_epoch(data)
    value = {name: data[name].transpose("seed", "measurement", "layer").values for name in data if _is_step(data, name)}
    return {
        "slope": (value["theorem_force"], value["push"]),
        "true": (value["live_force"], value["push"]),
        "first order": (value["push_predicted"], value["push_step"]),
        "step": (value["theorem_force"], value["growth"] - value["growth_decay"]),
        "epoch": (force, growth),
    }


def by_epoch(data: xr.Dataset) -> tuple[Array, Array]:
    """Return the mean of Theorem 3's force over an epoch's measured steps, and the epoch's growth, (seed, epoch, layer)."""
    epoch = np.floor(data.when.values).astype(int)
    force = data.theorem_force.transpose("seed", "measurement", "layer").values
    means = np.stack([force[:, epoch == e].mean(axis=1) for e in range(data.sizes["epoch"])], axis=1)
    return means, (data.epoch_growth - data.epoch_decay).transpose("seed", "epoch", "layer").values


def right(predicted: Array, actual: Array) -> Array:
    """Return the share of times at which a force has the sign of what came, (seed, layer)."""
    return (np.sign(predicted) == np.sign(actual)).mean(axis=1)


def correlation(predicted: Array, actual: Array) -> Array:
    """Return Spearman's rank correlation over time, (seed, layer): forces have heavy tails."""
    a, b = (rankdata(values, axis=1) for values in (predicted, actual))
    a, b = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (a, b))
    with np.errstate(invalid="ignore"):  # no spread: no correlation
        return (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))


def condition(data: xr.Dataset) -> tuple[Array, Array, Array]:
    """Return how often ‖g_p‖² + g_p·g_m > 0 and how often |λ_l| grew, (seed, layer), and ‖g_p‖ > ‖g_m‖, (seed,)."""
    value = predictions(data)["step"]
    met, grew = ((part > 0).mean(axis=1) for part in value)
    return met, grew, (data.norm_p > data.norm_m).mean(["block", "epoch"]).values


def decay_share(data: xr.Dataset) -> Array:
    """Return the part that weight decay has in the fall of those λ_l with a shortcut that shrank, (seed,)."""
    total = data.epoch_growth.sum("epoch").transpose("seed", "layer").values[:, 1:]
    decay = data.epoch_decay.sum("epoch").transpose("seed", "layer").values[:, 1:]
    fell = total < 0
    with np.errstate(invalid="ignore", divide="ignore"):  # none fell: no share
        return (decay * fell).sum(axis=1) / (total * fell).sum(axis=1)


def _is_step(data: xr.Dataset, name: object) -> bool:
    return set(data[name].dims) == {"seed", "measurement", "layer"}
