"""Recordings of ResNets put together: seeds of one setting are a group, groups of one question a family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

__all__ = ["APART", "DEPTH", "Group", "alike", "families", "groups", "is_paper_setting"]

NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "digits": "digits"}
APART = (  # attributes that tell two settings apart; the seed does not
    "dataset", "images", "epochs", "depth", "width", "preactivation", "normalized", "intervention", "decay_scales",
    "batch_size", "learning_rate", "momentum", "weight_decay", "precision", "every",
)  # fmt: skip
NUMERICS = ("precision", "every")
"""Of these, what makes no difference to a question about training."""
PAPER = {"depth": 32, "width": 1.0, "epochs": 164, "images": 50_000}
"""The networks of Figures 2 and 3, on both sets of CIFAR."""
DEPTH = "effective_depth_median_frozen"
"""Of the variables that hold a depth, the one that neither lags nor mixes samples nor follows a few hard ones."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Group:
    """One setting, trained with one or more seeds.

    Attributes
    ----------
    data : xarray.Dataset
        The recordings along ``seed``.
    attrs : dict
        The setting.
    """

    data: xr.Dataset
    attrs: dict

    @property
    def network(self) -> str:
        """Data, depth, width, and the number of images where it is not all."""
        a = self.attrs
        kind = "pre-activation ResNet" if a["preactivation"] else "ResNet"
        few = f", {a['images']:,} images" if a["subset"] != "none" else ""
        return f"{NAMES[a['dataset']]} {kind}-{a['depth']} × {a['width']:g}{few}"

    @property
    def decay(self) -> str:
        """Whether weight decay acts on λ."""
        return "decay on λ" if self.attrs["decay_scales"] else "no decay on λ"

    @property
    def title(self) -> str:
        """What must stand on a figure: the network and how long it was trained."""
        return f"{self.network}, {self.attrs['epochs']} epochs"

    @property
    def error(self) -> str:
        """The test error at the end, mean over seeds."""
        return f"test error {self.data.test_error.transpose('seed', 'epoch').values[:, -1].mean():.1%}"

    @property
    def seeds(self) -> int:
        """How many networks."""
        return int(self.data.sizes["seed"])

    @property
    def blocks(self) -> int:
        """How many residual blocks."""
        return int(self.data.sizes["block"])

    @property
    def drops(self) -> list[float]:
        """The epochs after which the learning rate drops."""
        return [float(epoch) for epoch in np.atleast_1d(self.attrs["drop_epochs"])]

    @property
    def epochs(self) -> Array:
        """(evaluation,) when the monitor measured."""
        return self.data.watched_epoch.values

    def values(self, name: str) -> Array:
        """A variable of the monitor, (seed, evaluation, …)."""
        return self.data[name].transpose("seed", "evaluation", ...).values

    def layers(self, name: str) -> Array:
        """Norms by layer, (seed, evaluation, layer); of the weights without the head, which no batch norm follows."""
        values = self.values(name)
        return values[..., :-1] if "layer" in self.data[name].dims else values

    def course(self, name: str) -> Array:
        """A depth, as the fraction of the blocks, or the mean of a norm over the layers, (seed, evaluation)."""
        return self.values(name) / self.blocks if "depth" in name else self.layers(name).mean(axis=-1)

    def at(self, name: str, epoch: float) -> Array:
        """The course at an epoch, linear between evaluations, (seed,)."""
        return np.array([np.interp(epoch, self.epochs, row) for row in self.course(name)])

    def last(self, name: str) -> Array:
        """The course at the end, (seed,)."""
        return self.course(name)[:, -1]


def groups(recordings: Mapping[str, xr.Dataset], prefix: str = "resnet-") -> list[Group]:
    """Put recordings of one setting together, the most thoroughly trained setting first.

    Parameters
    ----------
    recordings
        {name: recording}.
    prefix
        How the names of those begin that are meant.

    Returns
    -------
    list of Group
        Real photographs before digits, then by images × epochs, width and depth, decayed before spared.
    """
    found: dict[tuple, list[xr.Dataset]] = {}
    for name, recording in recordings.items():
        if name.startswith(prefix):
            recording = recording.assign_attrs({"intervention": "none", **recording.attrs})
            found.setdefault(tuple(recording.attrs[key] for key in APART), []).append(recording)
    made = [_group(sorted(same, key=lambda r: r.attrs["seed"])) for same in found.values()]
    return sorted(made, key=_order)


def alike(found: Sequence[Group], *but: str) -> list[list[Group]]:
    """Put groups together that differ in some attributes at most, in the order of their first."""
    together: dict[tuple, list[Group]] = {}
    for group in found:
        together.setdefault(tuple(group.attrs[key] for key in APART if key not in but), []).append(group)
    return list(together.values())


def is_paper_setting(group: Group) -> bool:
    """Tell whether a group is one of the networks of Figures 2 and 3."""
    return all(group.attrs[key] == value for key, value in PAPER.items()) and "cifar" in group.attrs["dataset"]


def families(found: Sequence[Group], *, by_decay: bool = False) -> dict[str, list[Group]]:
    """Put groups together that are networks of one question: {setting in words: groups}.

    The networks of Figures 2 and 3 are one family, on either data set, with or without weight decay on λ. Of all others
    those are together that differ in numerics alone.

    Parameters
    ----------
    found
        By `groups`.
    by_decay
        Part the paper's networks by the decay of λ too.
    """
    paper = [group for group in found if is_paper_setting(group)]
    others = [group for group in found if not is_paper_setting(group)]
    together = {}
    for same in alike(paper, "dataset", *NUMERICS, *(() if by_decay else ("decay_scales",))):
        together["ResNet-32 at the paper's setting" + f", {same[0].decay}" * by_decay] = same
    for same in alike(others, *NUMERICS):
        together[same[0].title + ("" if same[0].attrs["decay_scales"] else ", no decay on λ")] = same
    return {f"{label}, {_networks(same)}": same for label, same in together.items()}


def _networks(same: Sequence[Group]) -> str:
    errors = np.concatenate([group.data.test_error.transpose("seed", "epoch").values[:, -1] for group in same])
    low, high = f"{errors.min():.0%}", f"{errors.max():.0%}"
    return f"n = {errors.size}, test error {low if low == high else f'{low} to {high}'}"


def _group(same: list[xr.Dataset]) -> Group:
    seeds = [recording.attrs["seed"] for recording in same]
    data = xr.concat(
        same, dim=xr.IndexVariable("seed", seeds), data_vars="all", coords="minimal", compat="override", join="outer",
        combine_attrs="override",
    )  # fmt: skip
    return Group(data, dict(same[0].attrs))


def _order(group: Group) -> tuple:
    a = group.attrs
    return (
        a["dataset"] == "digits",
        -a["images"] * a["epochs"],
        -a["width"],
        -a["depth"],
        a["dataset"],
        -a["decay_scales"],
        str([a[key] for key in APART]),
    )
