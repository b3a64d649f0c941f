"""The claims about the course of training: Fig. 2 from layer to layer, Fig. 3 before the drop, and Sec. 5's order."""

import numpy as np
import xarray as xr

from skipglass.paper import figure2, figure3
from skipglass.paper.finding import Claim, Finding, Recordings, growth
from skipglass.paper.resnet_group import Group, groups
from skipglass.paper.sweep_map import NAME, growths, map_of

__all__ = ["COURSE_CLAIMS"]

RANDOM = 2 / 3
"""The part of turning points in a sequence of independent values (Kendall & Stuart): 1 where it alternates."""


def layers_waver(recordings: Recordings) -> Finding:
    """How often Fig. 2's curve turns from layer to layer, and between the two convolutions of a block."""
    turns, rows = {}, []
    for group in groups(recordings):
        last = group.layers(figure2.VARIABLE)[:, -1]
        steps = np.diff(last, axis=1)
        turned = np.where(np.isfinite(last).all(axis=1), (steps[:, 1:] * steps[:, :-1] < 0).mean(axis=1), np.nan)
        turns[group.label] = turned - RANDOM
        first, second = _pairs(group, last)
        rows.append((second > first).mean())
    found = growth(turns, "share of inner layers at which the curve turns at the end, minus 2/3 (chance)")
    text = f"{found.measured}. A block's second convolution lies above its first in {min(rows):.0%} or more"
    return Finding(found.verdict, text, found.seeds)


def multipliers_grow_before(recordings: Recordings) -> Finding:
    """Until the learning rate drops, it is the λ that grow (App. C, Fig. 3)."""
    changes = {}
    for group in groups(recordings):
        mean = group.scale(figure3.VARIABLE)
        changes[group.label] = group.at(mean, group.drops[0]) / mean[:, 0] - 1
    return growth(changes, "relative change of ‖λ_l‖, mean over layers, start to first drop")


def loss_falls_first(recordings: Recordings) -> Finding:
    """Where the depth grows: how much of the loss's fall is done at the end of each epoch, minus the depth's rise."""
    data = map_of(recordings)
    if data.sizes["seed"] < 2:
        return Finding("not testable with one seed", "no spread", "1 a setting")
    learned, found = growths(data)
    deeper = learned.isel(cell=np.flatnonzero(found["effective_depth"].rises))
    if not deeper.sizes["cell"]:
        return Finding("not testable: the depth grows in no setting", "nothing to order", "none")
    loss, depth = _done(deeper.train_loss), _done(deeper.effective_depth)
    early = int(learned.sizes["epoch"] > 2)  # after the first epoch, or at the end of the only one
    lead = loss[:, early] - depth[:, early]
    ahead = int((lead > 0).sum())
    text = (
        f"in the {len(lead)} settings where the depth grows, part of the loss's fall done after an epoch: median "
        f"{np.median(loss[:, early]):.2f}, of the depth's rise {np.median(depth[:, early]):.2f} (means over seeds); "
        f"the loss is ahead in {ahead}. In all others the depth does not grow, and there is nothing to order"
    )
    if not np.isfinite(lead).all() or early == 0:
        verdict = "not testable: no course to order"
    elif ahead == len(lead):
        verdict = "holds"
    else:
        verdict = f"holds when the setting is one of {ahead} of {len(lead)}" if ahead else "fails"
    return Finding(verdict, text, f"{data.sizes['seed']} a setting")


def _pairs(group: Group, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and the second convolutions of the blocks, (seed, block)."""
    names = [str(name) for name in group.data[figure2.VARIABLE].coords["layer"].values[: values.shape[-1]]]
    ends = [[k for k, name in enumerate(names) if name.endswith(f".conv{c}")] for c in (1, 2)]
    return values[:, ends[0]], values[:, ends[1]]


def _done(course: xr.DataArray) -> np.ndarray:
    """The part of the whole change that is done by epoch, mean over seeds, (cell, epoch)."""
    mean = course.transpose("cell", "epoch", "seed").values.astype(float).mean(axis=2)
    return (mean - mean[:, :1]) / (mean[:, -1:] - mean[:, :1])


COURSE_CLAIMS = (
    Claim("Fig. 2, waver", "Its curves waver from layer to layer, as the convolutions of a block alternate.",
          layers_waver, "resnet-"),
    Claim("Fig. 3, before", "Until the learning rate drops, the multipliers λ grow.",
          multipliers_grow_before, "resnet-"),
    Claim("Sec. 5, order", "By the time the ensemble is deep the loss is already low.", loss_falls_first, NAME),
)  # fmt: skip
