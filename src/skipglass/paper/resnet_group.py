"""Recordings of ResNets, put together over seeds: what Figures 2 and 3 and their claims read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

__all__ = ["APART", "NAMES", "Group", "alike", "groups"]

NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "digits": "digits"}
PREFIX = "resnet-"
APART = (  # attributes that tell two settings apart; the seed does not
    "dataset", "images", "epochs", "depth", "width", "preactivation", "normalized", "decay_scales", "batch_size",
    "learning_rate", "momentum", "weight_decay", "precision", "every",
)  # fmt: skip
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
    def label(self) -> str:
        """The setting in a few words, for legends and claims."""
        a = self.attrs
        kind = "pre-activation ResNet" if a["preactivation"] else "ResNet"
        parts = [f"{NAMES[a['dataset']]} {kind}-{a['depth']} × {a['width']:g}", f"{a['epochs']} epochs"]
        parts += [f"{a['images']:,} images"] if a["subset"] != "none" else []
        return ", ".join(parts + ([] if a["decay_scales"] else ["λ spared"]))

    @property
    def title(self) -> str:
        """Data, depth, width, epochs and number of images: what must stand on a figure."""
        a = self.attrs
        kind = "pre-activation ResNet" if a["preactivation"] else "ResNet"
        return (
            f"{NAMES[a['dataset']]}, {kind}-{a['depth']}, width {a['width']:g}, {a['epochs']} epochs, "
            f"{a['images']:,} images"
        )

    @property
    def slug(self) -> str:
        """The setting as a part of a file's name."""
        a = self.attrs
        kind = "pre" if a["preactivation"] else "post"
        width = f"{a['width']:g}".replace(".", "_")
        return f"{a['dataset']}-{kind}{a['depth']}-w{width}-e{a['epochs']}-n{a['images']}"

    @property
    def seeds(self) -> int:
        """How many networks."""
        return int(self.data.sizes["seed"])

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

    def scale(self, name: str) -> Array:
        """Mean over the layers, (seed, evaluation), as `layers` has them."""
        return self.layers(name).mean(axis=-1)

    def layers(self, name: str) -> Array:
        """Norms by layer, (seed, evaluation, layer); of the weights without the head, which no batch norm follows."""
        values = self.values(name)
        return values[..., :-1] if "layer" in self.data[name].dims else values

    def at(self, values: Array, epoch: float) -> Array:
        """(seed, evaluation) at an epoch, linear between evaluations, (seed,)."""
        return np.array([np.interp(epoch, self.epochs, row) for row in values])


def groups(recordings: Mapping[str, xr.Dataset]) -> list[Group]:
    """Put recordings of one setting together, the most thoroughly trained setting first.

    Parameters
    ----------
    recordings
        {name: recording}; those of ResNets begin with "resnet-"; others, and interventions, are left out.

    Returns
    -------
    list of Group
        Real photographs before digits, then by images × epochs, width and depth, decayed before spared.
    """
    found: dict[tuple, list[xr.Dataset]] = {}
    for name, recording in recordings.items():
        if name.startswith(PREFIX) and recording.attrs.get("intervention", "none") == "none":
            found.setdefault(tuple(recording.attrs[key] for key in APART), []).append(recording)
    made = [_group(sorted(same, key=lambda r: r.attrs["seed"])) for same in found.values()]
    return sorted(made, key=_order)


def alike(found: Sequence[Group], but: str) -> list[list[Group]]:
    """Put settings together that differ in one attribute, at most, in the order of their first."""
    together: dict[tuple, list[Group]] = {}
    for group in found:
        together.setdefault(tuple(group.attrs[key] for key in APART if key != but), []).append(group)
    return list(together.values())


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
