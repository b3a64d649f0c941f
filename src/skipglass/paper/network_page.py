"""The page's part on networks in training: Figures 2 and 3, and the depth itself."""

from collections.abc import Callable, Sequence
from pathlib import Path

import xarray as xr
from rich.progress import Progress

from skipglass import record
from skipglass.errors import StorageError
from skipglass.paper import figure2, figure3
from skipglass.paper.chapter import Chapter, Options, Pages
from skipglass.paper.finding import Recordings
from skipglass.paper.measured_depth import (
    depth_dependence,
    depth_panel,
    first_steps_panel,
    participation_course,
    participation_panel,
)
from skipglass.paper.resnet_group import APART, alike, groups
from skipglass.paper.resnet_runs import train_runs
from skipglass.report import Panel, Section

__all__ = ["NETWORKS", "NETWORK_FIGURES", "has_networks", "load_networks", "network_pages"]

NETWORK_FIGURES = ("figure2", "figure3")
ABSORBED = (
    "The paper trains a ResNet-32 on CIFAR-10 and CIFAR-100 and shows the norm of each convolution, with the batch "
    "norm that follows absorbed into it, growing with the epochs, faster after the learning rate drops. The first "
    "layer is the convolution before all blocks."
)
MULTIPLIERS = (
    "The norm of each λ vector: in the paper it grows, and turns down where the learning rate drops. Its recipe "
    "decays λ like every weight, which alone might turn it down; so the same networks are trained with λ spared."
)
DEPTH = (
    "The paper infers the depth of the ensemble from norms. The effective depth can be measured: the mean number of "
    "residual blocks that the gradient of the loss passes on its way to the input, split exactly (participation)."
)


def measure_networks(recordings: Path, options: Options, progress: Progress) -> None:
    """Train the ResNets that have no finished recording in the folder."""

    def start(name: str) -> Callable[[int, int, float, float], None]:
        task = progress.add_task(f"{name}, steps")
        return lambda step, total, *_: progress.update(task, completed=step, total=total)

    train_runs(recordings.parent, options.runs, data=options.data, device=options.device, on_start=start)


def has_networks(recordings: Path) -> bool:
    """Tell whether a folder has recordings of ResNets."""
    return any(recordings.glob("resnet-*.nc"))


def load_networks(folder: Path) -> dict[str, xr.Dataset]:
    """Return {name: recording} of the ResNets in a folder.

    Parameters
    ----------
    folder
        With files "resnet-*.nc".

    Returns
    -------
    dict
        By name.

    Raises
    ------
    StorageError
        If there is none, one is damaged or of an unfinished run, or two are of one setting and seed.
    """
    found = {path.stem: record.load(path, "resnet") for path in sorted(folder.glob("resnet-*.nc"))}
    if not found:
        raise StorageError(f"{folder} has no recording of a ResNet; run skipglass reproduce figure2 figure3")
    for name, recording in found.items():
        if recording.attrs["epochs_done"] < recording.attrs["epochs"]:
            raise StorageError(f"cannot draw from {folder / name}.nc: its run is unfinished; train it to its end")
    names: dict[tuple, str] = {}
    for name, recording in found.items():
        first = names.setdefault(
            (*(str(recording.attrs.get(key)) for key in (*APART, "intervention")), recording.attrs["seed"]), name
        )
        if first != name:
            raise StorageError(f"{name}.nc and {first}.nc in {folder} are of one setting and seed; move one away")
    return found


def network_pages(recordings: Recordings, figures: Sequence[str]) -> Pages:
    """Return the sections of the chosen figures, and the panels of their combined drawings.

    Parameters
    ----------
    recordings
        Those of ResNets among them.
    figures
        Of `NETWORK_FIGURES`.

    Returns
    -------
    tuple
        Sections, and {figure: panels} with "depth" for the measured depth.
    """
    found = groups(recordings)
    pairs = alike(found, "decay_scales")
    sections: list[Section] = []
    combined: dict[str, tuple[Panel, ...]] = {}
    for name, figure, heading, text in (
        ("figure2", figure2, "Absorbed norms while training: Fig. 2", ABSORBED),
        ("figure3", figure3, "Multipliers while training: Fig. 3", MULTIPLIERS),
    ):
        if name in figures:
            layers = [figure.by_layer(group) for group in found]
            means = [figure.mean_over_layers(same) for same in pairs]
            sections.append(Section(heading, text, (*means, *layers)))
            combined[name] = (layers[0], means[0])
    depths = [panel(g) for g in found for panel in (depth_panel, first_steps_panel)]
    parts = [panel(g) for g in found for panel in (participation_course, participation_panel)]
    across = [depth_dependence(same) for same in alike(found, "depth") if len(same) > 1]
    sections.append(Section("The depth itself", DEPTH, (*depths, *across, *parts)))
    combined["depth"] = (*depths[:2], *parts[:2], *across[:1])
    return sections, combined


NETWORKS = Chapter(NETWORK_FIGURES, measure_networks, has_networks, load_networks, network_pages)
