"""The panels of Figures 2 and 3, and beside them what the paper lacks: the effective depth itself, measured."""

from collections.abc import Sequence

import numpy as np

from skipglass.paper.resnet_group import DEPTH, Group
from skipglass.report import Axis, Panel, Rule, Series

__all__ = [
    "NORMS", "banded", "compared", "course_panel", "depths_panel", "layer_panel", "lengths_panel",
    "participation_panel",
]  # fmt: skip

NORMS = {
    "figure2": ("absorbed_norm", Axis("‖diag(λ/σ) W_l‖"), "Absorbed weight norm"),
    "figure3": ("multiplier_norm", Axis("‖λ_l‖"), "Norm of the multipliers λ"),
}
"""Figure → variable of the recording, axis, title."""
SHARE = "share_median_frozen"
DEPTH_NOTE = (
    "Effective depth: how many residual blocks the gradient of the loss passes on average, split exactly; median over "
    "the first 32 training images, batch statistics held."
)


def layer_panel(name: str, figure: str, group: Group) -> Panel:
    """Return Fig. 2(a) or 3(a) for one setting: the norm of each layer, one line per epoch shown."""
    variable, axis, title = NORMS[figure]
    values = group.layers(variable)
    layers = np.arange(1, values.shape[-1] + 1)
    return Panel(
        name,
        f"{title} by layer: {group.title}",
        "One line per epoch: where a line lies above an earlier one, the norms of those layers have grown. The two "
        "convolutions of a block differ, so curves waver from layer to layer.",
        Axis("layer l, in forward order"),
        axis,
        tuple(banded(f"{group.epochs[row]:.3g}", layers, values[:, row]) for row in _shown(group)),
        color=Axis("epoch"),
        note=_note([group]),
    )


def course_panel(name: str, figure: str, same: Sequence[Group], *, by_step: bool = False) -> Panel:
    """Return one quantity against the epoch, with and without decay on λ where both were trained.

    Parameters
    ----------
    name
        Of the panel.
    figure
        Of `NORMS`, for its mean over the layers, or "depth" for the effective depth.
    same
        Groups that differ in the decay of λ.
    by_step
        Against the number of steps on a logarithmic axis, which shows the first epoch in full.
    """
    variable, axis, title = NORMS.get(figure, (DEPTH, Axis("effective depth / blocks"), "Measured effective depth"))
    first, steps = same[0], float(same[0].attrs["steps_per_epoch"])
    scale, shift = (steps, 1.0) if by_step else (1.0, 0.0)
    marks = [Rule(scale * epoch + shift, "rate / 10", axis="x") for epoch in first.drops]
    if by_step:
        marks.insert(0, Rule(steps + 1, "epoch 1", axis="x"))
    what = "the gradient passes more blocks on average: the ensemble deepens" if figure == "depth" else "norms grow"
    return Panel(
        name,
        f"{title}{'' if figure == 'depth' else ', mean over layers'}: {first.title}",
        f"A rise means that {what}. The vertical lines mark where the learning rate is divided by ten.",
        Axis("training step + 1", log=True) if by_step else Axis("epoch"),
        axis,
        tuple(
            banded(f"{group.decay}, {group.error}", scale * group.epochs + shift, group.course(variable))
            for group in same
        ),
        rules=tuple(marks),
        note=f"{_note(same)}{' ' + DEPTH_NOTE if figure == 'depth' else ''}",
    )


def compared(name: str, variable: str, axis: Axis, title: str, families: dict[str, list[Group]]) -> Panel:
    """Return one quantity against the progress of training, one line per setting.

    Parameters
    ----------
    name, axis, title
        Of the panel.
    variable
        Of the recordings; a norm is shown relative to its start.
    families
        {setting in words: groups}.
    """
    progress = np.linspace(0, 1, 101)
    series = []
    for same in families.values():
        values = np.concatenate(
            [[np.interp(progress * g.attrs["epochs"], g.epochs, row) for row in g.course(variable)] for g in same]
        )
        spared = "" if any(group.attrs["decay_scales"] for group in same) else ", no decay on λ"
        name_of = same[0].network.partition(",")[0].removeprefix("CIFAR-10 ")
        error = np.mean([group.data.test_error.isel(epoch=-1).mean() for group in same])
        label = f"{name_of}{spared}, error {error:.0%}"
        series.append(banded(label, progress, values if "depth" in variable else values / values[:, :1]))
    return Panel(
        name, title, "A rise means that the quantity grows while training.", Axis("part of the training"), axis,
        tuple(series), note=f"Mean and standard deviation. {'; '.join(families)}.",
    )  # fmt: skip


def lengths_panel(name: str, group: Group) -> Panel:
    """Return the share of each path length in the gradient at growing epochs: Fig. 1(a-c), measured."""
    share = group.values(SHARE)
    return Panel(
        name,
        f"Share of each path length in the gradient: {group.title}",
        "The height is the part of the gradient that flows along paths through so many blocks; shares sum to 1 for "
        "each image and may be negative. A shift to the right means that the ensemble deepens.",
        Axis("path length in blocks"),
        Axis("share, median over images"),
        tuple(banded(f"{group.epochs[row]:.3g}", group.data.length.values, share[:, row]) for row in _shown(group)),
        color=Axis("epoch"),
        note=_note([group]),
    )


def participation_panel(name: str, group: Group) -> Panel:
    """Return the part of the gradient that passes each block at growing epochs, the median over samples."""
    values = group.values("participation_median_frozen")
    blocks = np.arange(1, group.blocks + 1)
    return Panel(
        name,
        f"Participation of each block: {group.title}",
        "The height is the part of the gradient that passes a block; a sample's parts add up to its effective depth. A "
        "rise means that more of the gradient goes through the block, a fall that it goes around it.",
        Axis("block, in forward order"),
        Axis("median part s_l"),
        tuple(banded(f"{group.epochs[row]:.3g}", blocks, values[:, row]) for row in _shown(group)),
        color=Axis("epoch"),
        note=_note([group]),
    )


def depths_panel(name: str, same: Sequence[Group]) -> Panel:
    """Return the effective depth against the number of blocks, at three moments of the training.

    Parameters
    ----------
    name
        Of the panel.
    same
        Groups that differ in depth, at least two.
    """
    ordered = sorted(same, key=lambda group: group.attrs["depth"])
    moments = {"initialisation": 0.0, "after one epoch": 1.0, "trained": float(same[0].attrs["epochs"])}
    series = []
    for k, (label, epoch) in enumerate(moments.items()):
        found = [group.at(DEPTH, epoch) for group in ordered]
        mean = np.array([values.mean() for values in found])
        deviation = np.array([values.std(ddof=1) if values.size > 1 else np.nan for values in found])
        x = [group.blocks + 0.25 * (k - 1) for group in ordered]
        series.append(Series(label, x, mean, mean - deviation, mean + deviation))
    title = ordered[0].title.replace(f"-{ordered[0].attrs['depth']} ", "s ")
    return Panel(
        name,
        f"Part of the depth that is used: {title}",
        "The height is the part of its blocks that the gradient passes on average; a rise from one colour to the next "
        "means that training has deepened the ensemble.",
        Axis("number of blocks"),
        Axis("effective depth / blocks"),
        tuple(series),
        marks="points",
        note=f"Bars: standard deviation over seeds ({', '.join(str(group.seeds) for group in ordered)}); "
        f"{'; '.join(f'{group.network}: {group.error}' for group in ordered)}.",
    )


def banded(name: str, x: object, values: np.ndarray) -> Series:
    """Return the mean over seeds, (seed, n), and one standard deviation around it where there are several."""
    mean = np.asarray(values).mean(axis=0)
    if len(values) == 1:
        return Series(name, x, mean)
    deviation = np.asarray(values).std(axis=0, ddof=1)
    return Series(name, x, mean, mean - deviation, mean + deviation)


def _shown(group: Group) -> list[int]:
    """The evaluations to show: the start, the first epoch, before and between the drops, the end."""
    first, second = group.drops[0], group.drops[-1]
    wanted = [0.0, 1.0, first / 2, first, second, float(group.attrs["epochs"])]
    return sorted({int(np.abs(group.epochs - epoch).argmin()) for epoch in wanted})


def _note(same: Sequence[Group]) -> str:
    parts = []
    for group in same:
        seeds = "1 seed" if group.seeds == 1 else f"mean and standard deviation of {group.seeds} seeds"
        parts.append(f"{group.decay}: {seeds}, {group.error} at the end")
    return f"{'; '.join(parts)}."
