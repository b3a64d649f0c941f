"""Recordings of ResNets put together: seeds of one setting are a group, groups of one question a family."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from skipglass.errors import StorageError
from skipglass.paper.claim import Recordings

__all__ = [
    "DEPTH", "OLDER", "STEPS", "Group", "alike", "check_networks", "families", "groups", "is_paper_setting", "paired",
]  # fmt: skip

NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "digits": "digits"}
APART = (  # attributes that tell two settings apart; the seed does not
    "dataset", "images", "epochs", "depth", "width", "preactivation", "normalized", "intervention", "decay_scales",
    "batch_size", "learning_rate", "momentum", "weight_decay", "precision", "every",
)  # fmt: skip
NUMERICS = ("precision", "every")
"""Of these, what makes no difference to a question about training."""
OLDER = {"intervention": "none"}
"""Of these, what older recordings do not have, and how they were trained."""
PAPER = {"depth": 32, "width": 1.0, "epochs": 164, "images": 50_000}
"""The networks of Figures 2 and 3, on both sets of CIFAR."""
DEPTH = "effective_depth_median_frozen"
"""Of the variables that hold a depth, the one that neither lags nor mixes samples nor follows a few hard ones."""
NEEDED = {DEPTH, "absorbed_norm", "multiplier_norm", "test_error", "epochs_done", "drop_epochs", "seed", *APART}
STEPS = 20  # after which the first epoch is looked at
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Group:
    """One setting, trained with one or more seeds.

    Attributes
    ----------
    data : xarray.Dataset
        The recordings along ``seed``; its attributes are the setting.
    """

    data: xr.Dataset

    @property
    def attrs(self) -> dict[Any, Any]:
        """The setting."""
        return self.data.attrs

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
    def errors(self) -> Array:
        """The test error at the end, (seed,)."""
        return self.data.test_error.isel(epoch=-1).values

    @property
    def error(self) -> str:
        """The test error at the end, mean over seeds."""
        return f"test error {self.errors.mean():.1%}"

    @property
    def seeds(self) -> int:
        """How many networks."""
        return self.data.sizes["seed"]

    @property
    def blocks(self) -> int:
        """How many residual blocks."""
        return self.data.sizes["block"]

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
        """The same by layer, of the weights without the head, which no batch norm follows."""
        values = self.values(name)
        return values[..., :-1] if "layer" in self.data[name].dims else values

    def course(self, name: str) -> Array:
        """A depth, as the fraction of the blocks, or the mean of a norm over the layers, (seed, evaluation)."""
        return self.values(name) / self.blocks if "depth" in name else self.layers(name).mean(axis=-1)

    def at(self, name: str, when: float | str) -> Array:
        """The course at an epoch, linear between evaluations, or after the "first steps" or at the "drop", (seed,)."""
        moments = {"first steps": STEPS / self.attrs["steps_per_epoch"], "drop": self.drops[0], "end": self.epochs[-1]}
        epoch = moments[when] if isinstance(when, str) else when
        return np.array([np.interp(epoch, self.epochs, row) for row in self.course(name)])

    def last(self, name: str) -> Array:
        """The course at the end, (seed,)."""
        return self.at(name, "end")


@dataclass(frozen=True, eq=False)
class Identical:
    """The very same recordings, as dozens of claims ask for: equal to another if each is the other's object."""

    recordings: tuple[xr.Dataset, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identical) and list(map(id, self.recordings)) == list(map(id, other.recordings))

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.recordings)))


def groups(recordings: Recordings, prefix: str = "resnet-") -> list[Group]:
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
        Real photographs before digits, then by images × epochs, width and depth, with decay on λ before without.
    """
    mine = tuple(recording for name, recording in recordings.items() if name.startswith(prefix))
    return list(_grouped(Identical(mine)))


@lru_cache(maxsize=2)  # of networks, and of interventions
def _grouped(same: Identical) -> tuple[Group, ...]:
    # each recording alone is a group of one seed, without the dimension
    singles = [Group(recording.assign_attrs({**OLDER, **recording.attrs})) for recording in same.recordings]
    return tuple(sorted((_group([one.data for one in some]) for some in alike(singles)), key=_order))


def alike(found: Sequence[Group], *but: str) -> list[list[Group]]:
    """Put groups together that differ in some attributes at most, in the order of their first."""
    together: dict[tuple, list[Group]] = {}
    for group in found:
        together.setdefault(tuple(group.attrs[key] for key in APART if key not in but), []).append(group)
    return list(together.values())


def paired(found: Sequence[Group]) -> list[Group]:
    """Return the groups with those seeds that all of them have; none where there is no such seed."""
    seeds = sorted(set.intersection(*(set(group.data.seed.values.tolist()) for group in found)))
    return [Group(group.data.sel(seed=seeds)) for group in found] if seeds else []


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
    # one question with variants, and many questions
    paper = [group for group in found if is_paper_setting(group)]
    others = [group for group in found if not is_paper_setting(group)]
    together = {}
    for same in alike(paper, "dataset", *NUMERICS, *(() if by_decay else ("decay_scales",))):
        together["ResNet-32 at the paper's setting" + f", {same[0].decay}" * by_decay] = same
    for same in alike(others, *NUMERICS):
        together[same[0].title + ("" if same[0].attrs["decay_scales"] else ", no decay on λ")] = same
    return {f"{label}, {_networks(same)}": same for label, same in together.items()}


def check_networks(found: Recordings) -> None:
    """Raise StorageError where a run is unfinished or not of this kind, or two are of one setting and seed."""
    names: dict[tuple, str] = {}
    for name, recording in found.items():
        attributes = {**OLDER, **recording.attrs}
        if lacking := sorted(NEEDED - {*recording.variables, *attributes}):
            raise StorageError(
                f"cannot draw from {name}.nc: it has no {', '.join(lacking)}, as a recording by skipglass train has; "
                "train that network again, or move the file away"
            )
        if attributes["epochs_done"] < attributes["epochs"]:
            raise StorageError(f"cannot draw from {name}.nc: its run is unfinished; train it to its end")
        # the first recording of a setting and seed keeps its place
        first = names.setdefault(tuple(str(attributes[key]) for key in (*APART, "seed")), name)
        if first != name:
            raise StorageError(f"{name}.nc and {first}.nc are of one setting and seed; move one of them away")


def _networks(same: Sequence[Group]) -> str:
    errors = np.concatenate([group.errors for group in same])
    low, high = f"{errors.min():.0%}", f"{errors.max():.0%}"
    return f"n = {errors.size}, test error {low if low == high else f'{low} to {high}'}"


def _group(same: list[xr.Dataset]) -> Group:
    same = sorted(same, key=lambda recording: recording.attrs["seed"])
    seeds = xr.IndexVariable("seed", [recording.attrs["seed"] for recording in same])
    return Group(xr.concat(same, dim=seeds, data_vars="all", coords="minimal", compat="override", join="outer",
                           combine_attrs="override"))  # fmt: skip


def _order(group: Group) -> tuple:
    """Photographs first, then what was trained longest, on the most images, and what is largest."""
    a = group.attrs
    longest = -a["images"] * a["epochs"], -a["width"], -a["depth"]
    return a["dataset"] == "digits", *longest, a["dataset"], -a["decay_scales"], str([a[key] for key in APART])
