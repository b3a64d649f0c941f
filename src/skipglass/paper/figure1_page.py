"""The page's part on Figure 1."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import xarray as xr
from rich.progress import Progress, TaskID

from skipglass import record
from skipglass.errors import StorageError
from skipglass.paper import figure1, figure1f
from skipglass.paper.chapter import Chapter
from skipglass.paper.experiment import Options, Pages
from skipglass.paper.finding import Recordings
from skipglass.report import Section
from skipglass.training import train

__all__ = ["FIGURE1", "load_figure1"]
DISTRIBUTION = (
    "ε_r weighs the products of r weights in the network's output. Its peak lies at the fraction β/(1+β) of the "
    "depth, and the weights concentrate around it."
)
MULTIPLIERS = (
    "The paper trains ten layers of 20 units on ten Gaussians and shows λ_l growing. It leaves the class "
    "separation, the learning rate, the place of the normalisation and the initialisation open, and whether λ_l "
    "grows depends on them. Shown are, out of a survey of all combinations (other seeds), the setting that comes "
    "nearest to the paper's panel (its smallest rise of |λ_l| over the four quarters of training is the largest) and "
    "the one that contradicts it most (|λ_l| ends lowest); the same for real images, the 8 × 8 digits."
)
NORMS = (
    "Without batch norm the paper shows a steady rise of ‖w‖. The settings are chosen in the same way: the "
    "nearest is the one whose smallest rise over the four quarters of training is largest."
)
LANDSCAPE = (
    "The spin glass of the ensemble has exponentially many critical points; the rate depends on ν″/ν′ alone. The "
    "paper drops the interactions of order 1, which are a field. Kept, the field makes the landscape trivial below "
    "a threshold β_c ≈ 1/p."
)


def measure_figure1(recordings: Path, options: Options, progress: Progress) -> None:
    """Train every run of `figure1.RUNS`."""
    for run in figure1.RUNS:
        settings = figure1.settings_of(run, seeds=options.seeds, epochs=options.epochs)
        path = recordings / f"{run}.nc"
        if (
            options.resume
            and path.is_file()
            and not record.differing(
                record.load(path, "training"), {**settings.attributes(), "epochs_done": settings.epochs}
            )
        ):
            continue
        task = progress.add_task(f"{run}, epochs", total=options.epochs)
        recording = train(settings, on_epoch=partial(_advance, progress, task))
        record.save(recording, path, kind="training")


def is_recorded(recordings: Path) -> bool:
    """Tell whether a folder has a file of each run."""
    return all((recordings / f"{run}.nc").is_file() for run in figure1.RUNS)


def load_figure1(folder: Path) -> dict[str, xr.Dataset]:
    """Return {name: recording} of Figure 1.

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
    return runs


def figure1_pages(recordings: Recordings, figures: Sequence[str] = ()) -> Pages:
    """Return the sections of Figure 1 and its six panels in one drawing."""
    histograms = figure1.histograms()
    training = {run: figure1.multiplier_panel(run, recordings[run]) for run in figure1.runs_of("d")}
    epochs = figure1.epoch_panel({run: recordings[run] for run in figure1.runs_of("d")})
    norms = [
        figure1.norm_panel(task, {run: recordings[run] for run in figure1.runs_of("e", task)})
        for task in ("gaussians", "digits")
    ]
    complexity = figure1f.complexity_panel()
    critical = (complexity, figure1f.field_panel(), figure1f.finite_panel())
    sections = [
        Section("Path lengths: Fig. 1(a-c)", DISTRIBUTION, (*histograms, figure1f.beta_panel())),
        Section("Multipliers while training: Fig. 1(d)", MULTIPLIERS, (*training.values(), epochs)),
        Section("Weight norm while training: Fig. 1(e)", NORMS, tuple(norms)),
        Section("Critical points: Fig. 1(f)", LANDSCAPE, critical),
    ]
    return sections, {"figure1": (*histograms, training[figure1.runs_of("d")[0]], norms[0], complexity)}


def _advance(progress: Progress, task: TaskID, done: int) -> None:
    progress.update(task, completed=done)


FIGURE1 = Chapter(("figure1",), measure_figure1, is_recorded, load_figure1, figure1_pages)
