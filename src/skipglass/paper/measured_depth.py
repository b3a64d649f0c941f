"""The panels that the paper lacks: the effective depth itself, measured while training, and who takes part in it."""

from dataclasses import replace

import numpy as np

from skipglass.paper.resnet_group import Group
from skipglass.paper.scale_panels import banded, drop_rules, shown
from skipglass.paths.panels import evenly
from skipglass.report import Axis, Panel, Rule, Series

__all__ = [
    "CURVES",
    "depth_dependence",
    "depth_panel",
    "first_steps_panel",
    "participation_course",
    "participation_panel",
]

CURVES = {
    "median, frozen": "effective_depth_median_frozen",
    "median, eval": "effective_depth_median",
    "batch, frozen": "effective_depth_frozen",
    "batch, eval": "effective_depth",
}
"""What is drawn → variable of the recording."""
SHARE = "participation_median_frozen"
LINES = 9  # blocks of a ResNet-20: as many lines as can be told apart


def depth_panel(group: Group) -> Panel:
    """Return the effective depth against the epoch, drops of the learning rate marked.

    Parameters
    ----------
    group
        The setting.

    Returns
    -------
    Panel
        Four figures of one quantity: `CURVES`.
    """
    return _depth(group, "depth", "Measured effective depth", Axis("epoch"), group.epochs, drop_rules(group))


def first_steps_panel(group: Group) -> Panel:
    """Return the same against the logarithm of the training step, which shows the first epoch in full."""
    scale = float(group.attrs["steps_per_epoch"])
    rules = tuple(replace(r, value=r.value + 1) for r in (Rule(scale, "epoch 1", axis="x"), *drop_rules(group, scale)))
    axis = Axis("training step + 1", log=True)
    return _depth(
        group, "depth-steps", "Measured effective depth, step by step", axis, group.data.step.values + 1, rules
    )


def _depth(group: Group, name: str, title: str, axis: Axis, x: np.ndarray, rules: tuple[Rule, ...]) -> Panel:
    blocks, samples = group.data.sizes["block"], group.data.sizes["sample"]
    first, *others = (banded(label, x, group.values(variable)) for label, variable in CURVES.items())
    mixed = np.nanmax(np.abs(group.values("effective_depth_train") - group.values("effective_depth_frozen")))
    return Panel(
        f"{name}-{group.slug}-{_decay(group)}",
        f"{title}: {group.title}, {_words(group)}",
        "A rise means that the gradient passes more blocks on average: the ensemble deepens. The paper reads this "
        "from norms; here it is measured.",
        axis,
        Axis("effective depth", f"blocks of {blocks}"),
        (first, *(replace(series, low=None, high=None) for series in others)),
        rules=rules,
        note=f"Probe of N = {samples} training images: the median over them, each with its own gradient; a batch figure"
        " weighs them by their gradients. Frozen: batch norm's statistics are those of the probe, held constant, as in "
        f"train mode but with samples apart (train mode itself: the batch figure to within {mixed:.2f}). Eval mode: "
        f"the running ones, which lag in the first steps. Mean of {group.seeds} seed(s); band: standard deviation.",
    )


def participation_panel(group: Group) -> Panel:
    """Return each block's share of the gradient at growing epochs, the median over samples."""
    values = group.values(SHARE)
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
        note=_note(group),
    )


def participation_course(group: Group) -> Panel:
    """Return the same shares against the epoch, one line a block; of deep networks blocks at equal distances."""
    values = group.values(SHARE)
    blocks = values.shape[-1]
    chosen = evenly(blocks, LINES)
    return Panel(
        f"participation-epochs-{group.slug}-{_decay(group)}",
        f"Participation by epoch: {group.title}, {_words(group)}",
        "One line a block, from the first to the last: a rise means that more of the gradient goes through that block, "
        "a fall that it goes around it.",
        Axis("epoch"),
        Axis("median share s_l"),
        tuple(banded(f"{block + 1}", group.epochs, values[..., block]) for block in chosen),
        rules=drop_rules(group),
        color=Axis("block"),
        note=f"{len(chosen)} of {blocks} blocks. {_note(group)}",
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


def _note(group: Group) -> str:
    return f"Frozen statistics, N = {group.data.sizes['sample']} training images, {group.seeds} seed(s)."


def _decay(group: Group) -> str:
    return "decayed" if group.attrs["decay_scales"] else "spared"


def _words(group: Group) -> str:
    return "weight decay on λ too" if group.attrs["decay_scales"] else "no weight decay on λ"
