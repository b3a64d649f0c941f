"""One command: train what the figures need, record it, draw it, put it on one page."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import xarray as xr
from rich.progress import Progress, TaskID

from skipglass import record
from skipglass.errors import StorageError
from skipglass.paper import figure1
from skipglass.paper.glass_page import has_glass, load_glass, measure_glass
from skipglass.paper.network_page import NETWORK_FIGURES
from skipglass.paper.page import paper_report
from skipglass.paper.resnet_runs import train_runs
from skipglass.paper.sweep_map import has_map, load_map, measure_map
from skipglass.paper.theorems import theorems
from skipglass.report import Panel, render_page, save_figures, save_grid
from skipglass.training import ResNetSettings, train

__all__ = ["FIGURES", "has_networks", "measure", "measure_networks", "recorded", "write_report"]

FIGURES = ("figure1", "map", *NETWORK_FIGURES, "glass")
THEOREMS = "theorems"


def measure(
    folder: Path, figures: list[str], *, seeds: int, epochs: int, progress: Progress, resume: bool = False
) -> None:
    """Train every run of Figure 1 and sample the glasses, if they are chosen; recordings go to FOLDER/recordings.

    Parameters
    ----------
    folder
        The output folder.
    figures
        Names in `FIGURES`.
    seeds, epochs
        Of each run.
    progress
        Shows one bar a run.
    resume
        Keep recordings of the same settings that are already there.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C; the recordings of finished runs are kept.
    """
    recordings = record.output_folder(folder / "recordings")
    if "figure1" in figures:
        _measure_figure1(recordings, seeds, epochs, progress, resume)
    if "map" in figures:
        measure_map(folder, progress)
    if "glass" in figures:
        measure_glass(recordings, progress, resume)


def _measure_figure1(recordings: Path, seeds: int, epochs: int, progress: Progress, resume: bool) -> None:
    task = progress.add_task("theorems", total=1)
    record.save(theorems(), recordings / f"{THEOREMS}.nc", kind=THEOREMS)
    progress.advance(task)
    for run in figure1.RUNS:
        settings = figure1.settings_of(run, seeds=seeds, epochs=epochs)
        path = recordings / f"{run}.nc"
        if resume and path.is_file() and not record.differing(record.load(path, "training"), settings.attributes()):
            continue
        task = progress.add_task(f"{run}, epochs", total=epochs)
        recording = train(settings, on_epoch=partial(_advance, progress, task))
        if recording.attrs["epochs_done"] < epochs:
            raise KeyboardInterrupt
        record.save(recording, path, kind="training")


def measure_networks(
    folder: Path, runs: Sequence[ResNetSettings], *, data: Path | None, device: str, progress: Progress
) -> None:
    """Train the ResNets of Figures 2 and 3 that have no finished recording in FOLDER/recordings.

    Parameters
    ----------
    folder
        The output folder.
    runs
        What to train.
    data, device
        As for `train_resnet`.
    progress
        Shows one bar a run.
    """

    def start(name: str) -> Callable[[int, int, float, float], None]:
        task = progress.add_task(f"{name}, steps")
        return lambda step, total, *_: progress.update(task, completed=step, total=total)

    train_runs(folder, runs, data=data, device=device, on_start=start)


def has_networks(folder: Path) -> bool:
    """Tell whether a folder has recordings of ResNets."""
    return any((folder / "recordings").glob("resnet-*.nc"))


def recorded(folder: Path) -> list[str]:
    """Return the figures whose recordings lie in a folder.

    Parameters
    ----------
    folder
        Written by `measure` and `measure_networks`.

    Returns
    -------
    list of str
        Names in `FIGURES`.

    Raises
    ------
    StorageError
        If the recordings of no figure are complete.
    """
    missing = [run for run in (THEOREMS, *figure1.RUNS) if not (folder / "recordings" / f"{run}.nc").is_file()]
    others = [
        *(["map"] if has_map(folder) else []),
        *(NETWORK_FIGURES if has_networks(folder) else ()),
        *(["glass"] if has_glass(folder) else []),
    ]
    if missing and not others:
        raise StorageError(
            f"{folder} has no complete recordings: {missing[0]}.nc is missing; run skipglass reproduce --out {folder}"
        )
    return [*([] if missing else ["figure1"]), *others]


def write_report(folder: Path, figures: list[str], *, progress: Progress) -> Path:
    """Draw the figures (PNG, PDF and their data) and the page from the recordings in a folder.

    Parameters
    ----------
    folder
        With the recordings.
    figures
        Names in `FIGURES`.
    progress
        Shows one bar.

    Returns
    -------
    Path
        The page, FOLDER/report.html.
    """
    drawings = record.output_folder(folder / "figures")
    recordings = load_recordings(folder / "recordings") if "figure1" in figures else {}
    if any(figure in figures for figure in NETWORK_FIGURES):
        recordings |= load_networks(folder / "recordings")
    if "map" in figures:
        recordings |= load_map(folder / "recordings")
    if "glass" in figures:
        recordings |= load_glass(folder / "recordings")
    report, combined = paper_report(recordings, figures)
    panels = [item for section in report.sections for item in section.items if isinstance(item, Panel)]
    task = progress.add_task("drawing, panels", total=len(panels) + len(combined) + 1)
    for panel in panels:
        save_figures(panel, drawings)
        progress.advance(task)
    for name, together in combined.items():
        save_grid(together, drawings, name)
        progress.advance(task)
    page = render_page(report, folder / "report.html")
    progress.advance(task)
    return page


def load_recordings(folder: Path) -> dict[str, xr.Dataset]:
    """Return {name: recording} of Figure 1 and the theorems.

    Parameters
    ----------
    folder
        With one file for each.

    Returns
    -------
    dict
        In the order of `figure1.RUNS`.

    Raises
    ------
    StorageError
        If a file is missing or damaged, of other settings than its name says, unfinished, or the files are of
        several reproductions.
    """
    runs = {run: record.load(folder / f"{run}.nc", "training") for run in figure1.RUNS}
    first = next(iter(runs.values()))
    seeds, epochs = first.sizes.get("seed", 1), first.attrs.get("epochs", 1)
    for run, recording in runs.items():
        wanted = figure1.settings_of(run, seeds=seeds, epochs=epochs).attributes()
        if record.differing(recording, {**wanted, "epochs_done": epochs}) or recording.sizes.get("evaluation", 0) < 2:
            raise StorageError(
                f"cannot draw from {folder / run}.nc: it is unfinished, or of other settings, seeds or epochs than "
                "its name and its neighbours say; run skipglass reproduce again"
            )
    return {THEOREMS: record.load(folder / f"{THEOREMS}.nc", THEOREMS), **runs}


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
        If there is none, or one is damaged or of an unfinished run.
    """
    found = {path.stem: record.load(path, "resnet") for path in sorted(folder.glob("resnet-*.nc"))}
    if not found:
        raise StorageError(f"{folder} has no recording of a ResNet; run skipglass reproduce figure2 figure3")
    for name, recording in found.items():
        if recording.attrs["epochs_done"] < recording.attrs["epochs"]:
            raise StorageError(f"cannot draw from {folder / name}.nc: its run is unfinished; train it to its end")
    return found


def _advance(progress: Progress, task: TaskID, done: int) -> None:
    progress.update(task, completed=done)
