"""One command: train what the figures need, record it, draw it, put it on one page."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from rich.progress import Progress, TaskID

from skipglass import record
from skipglass.errors import StorageError
from skipglass.glass import agreement
from skipglass.paper import figure1, glass
from skipglass.paper.page import report_of
from skipglass.paper.theorems import theorems
from skipglass.report import Panel, render_page, save_figures, save_grid
from skipglass.training import train

__all__ = ["FIGURES", "measure", "recorded", "write_report"]

FIGURES = ("figure1", "glass")
THEOREMS = "theorems"
GLASS = {"glass_descent": "glass", "glass_agreement": "agreement"}
"""File and kind of the recordings of the spin glasses; larger ones are made by the commands in results/README.md."""
COUNTED = 40  # glasses a case, where nothing larger is there: half a minute


def measure(
    folder: Path, figures: list[str], *, seeds: int, epochs: int, progress: Progress, resume: bool = False
) -> None:
    """Train every run of the figures and keep its recording in FOLDER/recordings.

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
    if "glass" in figures:
        _measure_glass(recordings, progress, resume)


def _measure_figure1(recordings: Path, seeds: int, epochs: int, progress: Progress, resume: bool) -> None:
    task = progress.add_task("theorems", total=1)
    record.save(theorems(), recordings / f"{THEOREMS}.nc", kind=THEOREMS)
    progress.advance(task)
    for run in figure1.RUNS:
        settings = figure1.settings_of(run, seeds=seeds, epochs=epochs)
        path = recordings / f"{run}.nc"
        if resume and path.is_file() and _same(record.load(path, "training"), settings.attributes()):
            continue
        task = progress.add_task(f"{run}, epochs", total=epochs)
        recording = train(settings, on_epoch=partial(_advance, progress, task))
        if recording.attrs["epochs_done"] < epochs:
            raise KeyboardInterrupt
        record.save(recording, path, kind="training")


def _measure_glass(recordings: Path, progress: Progress, resume: bool) -> None:
    descents, counts = (recordings / f"{name}.nc" for name in GLASS)
    if not (resume and descents.is_file()):
        task = progress.add_task("descents in glasses", total=glass.QUICK_RUNS)
        record.save(glass.quick(partial(progress.advance, task)), descents, kind=GLASS["glass_descent"])
    if not (resume and counts.is_file()):
        task = progress.add_task("critical points, cases", total=len(agreement.CASES))
        found = agreement.sweep(COUNTED, on_case=lambda *_: progress.advance(task))
        record.save(agreement.recording(found), counts, kind=GLASS["glass_agreement"])


def recorded(folder: Path) -> list[str]:
    """Return the figures whose recordings lie in a folder.

    Parameters
    ----------
    folder
        Written by `measure`.

    Returns
    -------
    list of str
        Names in `FIGURES`.

    Raises
    ------
    StorageError
        If the recordings of no figure are complete.
    """
    needed = {"figure1": [THEOREMS, *figure1.RUNS], "glass": list(GLASS)}
    missing = {
        figure: [name for name in names if not (folder / "recordings" / f"{name}.nc").is_file()]
        for figure, names in needed.items()
    }
    complete = [figure for figure in FIGURES if not missing[figure]]
    if not complete:
        raise StorageError(
            f"{folder} has no complete recordings: {missing['figure1'][0]}.nc is missing; "
            f"run skipglass reproduce --out {folder}"
        )
    return complete


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
    report, combined = report_of(load_recordings(folder / "recordings", figures))
    panels = [item for section in report.sections for item in section.items if isinstance(item, Panel)]
    task = progress.add_task("drawing, panels", total=len(panels) + 2)
    for panel in panels:
        save_figures(panel, drawings)
        progress.advance(task)
    if combined:
        save_grid(combined, drawings, "figure1")
    progress.advance(task)
    page = render_page(report, folder / "report.html")
    progress.advance(task)
    return page


def load_recordings(folder: Path, figures: list[str]) -> dict[str, xr.Dataset]:
    """Return {name: recording} of what figures need.

    Parameters
    ----------
    folder
        With one file for each.
    figures
        Names in `FIGURES`.

    Returns
    -------
    dict
        The theorems and the runs of `figure1.RUNS` in their order, then the glasses.

    Raises
    ------
    StorageError
        If a file is missing or damaged, of other settings than its name says, unfinished, or the files are of
        several reproductions.
    """
    found = _figure1_recordings(folder) if "figure1" in figures else {}
    kinds = GLASS if "glass" in figures else {}
    return found | {name: record.load(folder / f"{name}.nc", kind) for name, kind in kinds.items()}


def _figure1_recordings(folder: Path) -> dict[str, xr.Dataset]:
    runs = {run: record.load(folder / f"{run}.nc", "training") for run in figure1.RUNS}
    first = next(iter(runs.values()))
    seeds, epochs = first.sizes.get("seed", 1), first.attrs.get("epochs", 1)
    for run, recording in runs.items():
        wanted = figure1.settings_of(run, seeds=seeds, epochs=epochs).attributes()
        if not _same(recording, {**wanted, "epochs_done": epochs}) or recording.sizes.get("evaluation", 0) < 2:
            raise StorageError(
                f"cannot draw from {folder / run}.nc: it is unfinished, or of other settings, seeds or epochs than "
                "its name and its neighbours say; run skipglass reproduce again"
            )
    return {THEOREMS: record.load(folder / f"{THEOREMS}.nc", THEOREMS), **runs}


def _advance(progress: Progress, task: TaskID, done: int) -> None:
    progress.update(task, completed=done)


def _same(recording: xr.Dataset, attributes: Mapping[str, Any]) -> bool:
    """Whether the recording has these attributes; netCDF gives a list of one number back as a number."""
    return all(
        np.array_equal(np.atleast_1d(recording.attrs.get(name, "missing")), np.atleast_1d(value))
        for name, value in attributes.items()
    )
