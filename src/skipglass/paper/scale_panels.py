"""The two panels that Figures 2 and 3 share: a norm by layer at growing epochs, and its mean over layers by epoch."""

import numpy as np

from skipglass.paper.resnet_group import Group
from skipglass.report import Axis, Panel, Rule, Series

__all__ = ["banded", "drop_rules", "layer_panel", "mean_panel", "shown"]


def layer_panel(name: str, title: str, variable: str, axis: Axis, group: Group) -> Panel:
    """Return the norm of each layer, one line an epoch.

    Parameters
    ----------
    name, title
        Of the figure ("figure2").
    variable
        Of the recording.
    axis
        What is drawn upwards.
    group
        The setting, mean over its seeds.

    Returns
    -------
    Panel
        Its title names the setting.
    """
    values = group.layers(variable)
    series = tuple(
        banded(f"{group.epochs[row]:.3g}", np.arange(1, values.shape[-1] + 1), values[:, row]) for row in shown(group)
    )
    decay = "weight decay on λ too" if group.attrs["decay_scales"] else "no weight decay on λ"
    return Panel(
        f"{name}-{group.slug}-{'decayed' if group.attrs['decay_scales'] else 'spared'}",
        f"{title} by layer: {group.title}, {decay}",
        "One line an epoch: where a line lies above the earlier ones, the norms of those layers grew. The two "
        "convolutions of a block differ, so curves waver from layer to layer.",
        Axis("layer l, in forward order"),
        axis,
        series,
        color=Axis("epoch"),
        note=_note(group),
    )


def mean_panel(name: str, title: str, variable: str, axis: Axis, same: list[Group]) -> Panel:
    """Return the mean over layers against the epoch, with and without decay on λ where both were run.

    Parameters
    ----------
    name, title, variable, axis
        As for `layer_panel`.
    same
        Settings that differ in the decay of λ only.

    Returns
    -------
    Panel
        Drops of the learning rate are marked.
    """
    series = [
        banded("decay on λ" if g.attrs["decay_scales"] else "λ spared", g.epochs, g.scale(variable)) for g in same
    ]
    return Panel(
        f"{name}-{same[0].slug}-mean",
        f"{title}, mean over layers: {same[0].title}",
        "A rise means that the norms grow while training; the vertical lines mark where the learning rate is divided "
        "by ten.",
        Axis("epoch"),
        axis,
        tuple(series),
        rules=drop_rules(same[0]),
        note="; ".join(f"{s.name}: {_note(g)}" for s, g in zip(series, same, strict=True)),
    )


def drop_rules(group: Group, scale: float = 1.0) -> tuple[Rule, ...]:
    """Return a rule at each drop of the learning rate, at ``scale`` times its epoch."""
    rate = group.attrs["learning_rate"]
    return tuple(Rule(scale * epoch, f"rate {rate / 10 ** (k + 1):g}", axis="x") for k, epoch in enumerate(group.drops))


def shown(group: Group) -> list[int]:
    """Return the evaluations to show: the start, the first epoch, before and between the drops, the end."""
    first, second = group.drops[0], group.drops[-1]
    wanted = [0.0, 1.0, first / 2, first, second, float(group.attrs["epochs"])]
    return sorted({int(np.abs(group.epochs - epoch).argmin()) for epoch in wanted})


def banded(name: str, x: object, values: np.ndarray) -> Series:
    """Return the mean over seeds, (seed, n), and one standard deviation around it where there are several."""
    mean = values.mean(axis=0)
    if len(values) == 1:
        return Series(name, x, mean)
    deviation = values.std(axis=0, ddof=1)
    return Series(name, x, mean, mean - deviation, mean + deviation)


def _note(group: Group) -> str:
    error = group.data.test_error.transpose("seed", "epoch").values[:, -1].mean()
    seeds = "1 seed" if group.seeds == 1 else f"mean and standard deviation of {group.seeds} seeds"
    return f"{seeds}, test error {error:.1%} at the end"
