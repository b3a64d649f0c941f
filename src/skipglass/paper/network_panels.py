"""The panels of Figures 2 and 3, and beside them what the paper lacks: the effective depth itself, measured."""

from collections.abc import Mapping, Sequence

import numpy as np

from skipglass.paper.resnet_group import DEPTH, Group
from skipglass.report import Axis, Panel, Rule, Series

__all__ = ["PROFILES", "banded", "compared", "course_panel", "courses", "depths_panel", "profile_panel"]

WAVES = (
    "One line per epoch: where a line lies above an earlier one, the norms of those layers have grown. The two "
    "convolutions of a block differ, so curves waver from layer to layer."
)
PROFILES = {
    "figure2": ("absorbed_norm", "Absorbed weight norm by layer", WAVES, "layer l, in forward order",
                "‖diag(λ/σ) W_l‖"),
    "figure3": ("multiplier_norm", "Norm of the multipliers λ by layer", WAVES, "layer l, in forward order", "‖λ_l‖"),
    "lengths": (
        "share_median_frozen", "Share of each path length in the gradient",
        "The height is the part of the gradient that flows along paths through so many blocks; shares sum to 1 for "
        "each image and may be negative. A shift to the right means that the ensemble deepens.",
        "path length in blocks", "share, median over images",
    ),
    "participation": (
        "participation_median_frozen", "Participation of each block",
        "The height is the part of the gradient that passes a block; a sample's parts add up to its effective depth. A "
        "rise means that more of the gradient goes through the block, a fall that it goes around it.",
        "block, in forward order", "median part s_l",
    ),
}  # fmt: skip
"""What is shown by layer, length or block: variable, title, how to read it, axes."""
NORMS_GROW = "A rise means that norms grow."
COURSES = {
    "figure2": ("absorbed_norm", "Absorbed weight norm, mean over layers", NORMS_GROW, "‖diag(λ/σ) W_l‖"),
    "figure3": ("multiplier_norm", "Norm of the multipliers λ, mean over layers", NORMS_GROW, "‖λ_l‖"),
    "depth": (
        DEPTH, "Measured effective depth",
        "A rise means that the gradient passes more blocks on average: the ensemble deepens.",
        "effective depth, fraction of blocks",
    ),
}  # fmt: skip
"""What is shown by epoch: variable, title, how to read it, axis."""
DEPTH_NOTE = (
    "Effective depth: how many residual blocks the gradient of the loss passes on average, split exactly; median over "
    "the first 32 training images, batch statistics held."
)


def profile_panel(name: str, kind: str, group: Group) -> Panel:
    """Return one of `PROFILES` at growing epochs: Fig. 2(a), 3(a), or Fig. 1(a-c) measured."""
    variable, title, how, x, y = PROFILES[kind]
    values = group.layers(variable)
    places = np.arange(values.shape[-1]) + (kind != "lengths")  # a path may pass no block; layers count from 1
    # the start, the first epoch, before and between the drops of the learning rate, the end
    first, second = group.drops[0], group.drops[-1]
    wanted = [0.0, 1.0, first / 2, first, second, float(group.attrs["epochs"])]
    rows = sorted({int(np.abs(group.epochs - epoch).argmin()) for epoch in wanted})
    return Panel(
        name, f"{title}: {group.title}", how, Axis(x), Axis(y),
        tuple(banded(f"{group.epochs[row]:.3g}", places, values[:, row]) for row in rows),
        color=Axis("epoch"), note=_note([group]),
    )  # fmt: skip


def course_panel(name: str, kind: str, same: Sequence[Group], *, by_step: bool = False) -> Panel:
    """Return one of `COURSES` by epoch or by step, of groups that differ in the decay of λ."""
    variable, title, how, y = COURSES[kind]
    note = _note(same) + f" {DEPTH_NOTE}" * (kind == "depth")
    how = f"{how} The vertical lines mark where the learning rate is divided by ten."
    lines = {group.decay: group for group in same}
    return courses(name, f"{title}: {same[0].title}", how, variable, Axis(y), lines, note, by_step=by_step)


def courses(
    name: str, title: str, how: str, variable: str, y: Axis, lines: Mapping[str, Group], note: str,
    *, by_step: bool = False,
) -> Panel:  # fmt: skip
    """Return one quantity against the epoch, one line per group.

    Parameters
    ----------
    name, title, how, y, note
        Of the panel.
    variable
        Of the recordings.
    lines
        {label: group}, trained equally long.
    by_step
        Against the number of steps on a logarithmic axis, which shows the first epoch in full.
    """
    first = next(iter(lines.values()))
    steps = float(first.attrs["steps_per_epoch"])
    # a logarithm cannot show step 0
    scale, shift = (steps, 1.0) if by_step else (1.0, 0.0)
    marks = [Rule(steps + 1, "epoch 1", axis="x")] if by_step else []
    marks += [Rule(scale * epoch + shift, "rate / 10", axis="x") for epoch in first.drops]
    return Panel(
        name, title, how, Axis("training step + 1", log=True) if by_step else Axis("epoch"), y,
        tuple(
            banded(f"{label}, {group.error}", scale * group.epochs + shift, group.course(variable))
            for label, group in lines.items()
        ),
        rules=tuple(marks), note=note,
    )  # fmt: skip


def compared(name: str, variable: str, axis: Axis, title: str, families: Mapping[str, Sequence[Group]]) -> Panel:
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
        values = np.concatenate([np.transpose([g.at(variable, t * g.attrs["epochs"]) for t in progress]) for g in same])
        no_decay = "" if any(group.attrs["decay_scales"] for group in same) else ", no decay on λ"
        network = same[0].network.partition(",")[0].removeprefix("CIFAR-10 ")
        label = f"{network}{no_decay}, error {np.mean([group.errors.mean() for group in same]):.0%}"
        series.append(banded(label, progress, values if "depth" in variable else values / values[:, :1]))
    return Panel(
        name, title, "A rise means that the quantity grows while training.", Axis("part of the training"), axis,
        tuple(series), note=f"Mean and standard deviation. {'; '.join(families)}.",
    )  # fmt: skip


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
    moments: dict[str, float | str] = {"initialisation": 0.0, "after one epoch": 1.0, "trained": "end"}
    series = []
    for k, (label, when) in enumerate(moments.items()):
        found = [group.at(DEPTH, when) for group in ordered]
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
        Axis("effective depth, fraction of blocks"),
        tuple(series),
        marks="points",
        note=f"Bars: standard deviation over seeds ({', '.join(str(group.seeds) for group in ordered)}); "
        f"{'; '.join(f'{group.network}: {group.error}' for group in ordered)}.",
    )


def banded(name: str, x: object, values: np.ndarray) -> Series:
    """Return the mean over seeds, (seed, n), and one standard deviation around it where there are several."""
    mean = values.mean(axis=0)
    deviation = values.std(axis=0, ddof=1) if len(values) > 1 else None
    return Series(name, x, mean) if deviation is None else Series(name, x, mean, mean - deviation, mean + deviation)


def _note(same: Sequence[Group]) -> str:
    parts = []
    for group in same:
        seeds = "1 seed" if group.seeds == 1 else f"mean and standard deviation of {group.seeds} seeds"
        parts.append(f"{group.decay}: {seeds}, {group.error} at the end")
    return f"{'; '.join(parts)}."
