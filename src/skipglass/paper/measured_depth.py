"""The panels that the paper lacks: the effective depth itself, measured while training, and who takes part in it."""

from dataclasses import replace

import numpy as np

from skipglass.paper.resnet_group import Group
from skipglass.paper.scale_panels import banded, drop_rules, shown
from skipglass.report import Axis, Panel, Rule, Series

__all__ = ["CURVES", "depth_dependence", "depth_panel", "participation_panel"]

CURVES = {
    "median, frozen": "effective_depth_median_frozen",
    "median, eval": "effective_depth_median",
    "batch, frozen": "effective_depth_frozen",
    "batch, eval": "effective_depth",
}
"""What is drawn → variable of the recording."""


def depth_panel(group: Group) -> Panel:
    """Return the effective depth against the training step, the first steps in full.

    Parameters
    ----------
    group
        The setting.

    Returns
    -------
    Panel
        Four figures of one quantity: `CURVES`.
    """
    steps = group.data.step.values + 1
    blocks, samples = group.data.sizes["block"], group.data.sizes["sample"]
    scale = float(group.attrs["steps_per_epoch"])
    rules = [replace(r, value=r.value + 1) for r in (Rule(scale, "epoch 1", axis="x"), *drop_rules(group, scale))]
    first, *others = (banded(label, steps, group.values(name)) for label, name in CURVES.items())
    mixed = np.nanmax(np.abs(group.values("effective_depth_train") - group.values("effective_depth_frozen")))
    return Panel(
        f"depth-{group.slug}-{_decay(group)}",
        f"Measured effective depth: {group.title}, {_words(group)}",
        "A rise means that the gradient passes more blocks on average: the ensemble deepens. The paper reads this "
        "from norms; here it is measured.",
        Axis("training step + 1", log=True),
        Axis("effective depth", f"blocks of {blocks}"),
        (first, *(replace(series, low=None, high=None) for series in others)),
        rules=tuple(rules),
        note=f"Probe of N = {samples} training images: the median over them, each with its own gradient; a batch figure"
        " weighs them by their gradients. Frozen: batch norm's statistics are those of the probe, held constant, as in "
        f"train mode but with samples apart (train mode itself: the batch figure to within {mixed:.2f}). Eval mode: "
        f"the running ones, which lag in the first steps. Mean of {group.seeds} seed(s); band: standard deviation.",
    )


def participation_panel(group: Group) -> Panel:
    """Return each block's share of the gradient at growing epochs, the median over samples."""
    values = group.values("participation_median_frozen")
    x = np.arange(1, values.shape[-1] + 1)
    return Panel(
        f"participation-{group.slug}-{_decay(group)}",
        f"Participation of each block: {group.title}, {_words(group)}",
        "The height is the share of the gradient that passes a block, median over samples; a sample's shares add up to "
        "its effective depth. A rise "
        "means that more of the gradient goes through the block, a fall that it goes around it.",
        Axis("block, in forward order"),
        Axis("median share s_l"),
        tuple(banded(f"{group.epochs[row]:.3g}", x, values[:, row]) for row in shown(group)),
        color=Axis("epoch"),
        note=f"Frozen statistics, N = {group.data.sizes['sample']} training images, {group.seeds} seeds.",
    )


def depth_dependence(same: list[Group]) -> Panel:
    """Return the effective depth against the number of blocks, at three moments of the training.

    Parameters
    ----------
    same
        Settings that differ in depth only, at least two.

    Returns
    -------
    Panel
        Points with the spread over seeds.
    """
    ordered = sorted(same, key=lambda group: group.attrs["depth"])
    moments = {"initialisation": 0.0, "after one epoch": 1.0, "trained": float(same[0].attrs["epochs"])}
    series = []
    for k, (label, epoch) in enumerate(moments.items()):
        found = [g.at(g.values("effective_depth_median_frozen"), epoch) / g.data.sizes["block"] for g in ordered]
        mean = np.array([values.mean() for values in found])
        deviation = np.array([values.std(ddof=1) if values.size > 1 else np.nan for values in found])
        x = [g.data.sizes["block"] + 0.25 * (k - 1) for g in ordered]
        series.append(Series(label, x, mean, mean - deviation, mean + deviation))
    title = ordered[0].title.replace(f"-{ordered[0].attrs['depth']},", "s,")
    return Panel(
        f"depths-{ordered[0].slug}-{_decay(ordered[0])}",
        f"Part of the depth used: {title}, {_words(ordered[0])}",
        "The height is the part of its blocks that the gradient passes on average; a rise from one colour to the next "
        "means that training deepened the ensemble.",
        Axis("number of blocks"),
        Axis("effective depth / blocks"),
        tuple(series),
        marks="points",
        note="Median over samples, frozen statistics; bars: standard deviation over seeds "
        f"({', '.join(str(g.seeds) for g in ordered)}).",
    )


def _decay(group: Group) -> str:
    return "decayed" if group.attrs["decay_scales"] else "spared"


def _words(group: Group) -> str:
    return "weight decay on λ too" if group.attrs["decay_scales"] else "no weight decay on λ"
