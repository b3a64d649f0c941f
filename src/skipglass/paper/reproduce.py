"""One command: measure what the chapters need, record it, draw it, put it on one page."""

from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress

from skipglass import record
from skipglass.errors import StorageError
from skipglass.paper import experiment
from skipglass.paper.critical_points import COUNTS
from skipglass.paper.drift import DRIFT
from skipglass.paper.driving_force import FORCES
from skipglass.paper.experiment import Experiment, Options
from skipglass.paper.figure1 import FIGURE1
from skipglass.paper.glass import GLASS
from skipglass.paper.interventions import INTERVENTIONS
from skipglass.paper.landscape import LANDSCAPE
from skipglass.paper.lemmas import LEMMAS
from skipglass.paper.map import MAP
from skipglass.paper.measures import DEPTHS
from skipglass.paper.networks import NETWORKS
from skipglass.paper.page import paper_report
from skipglass.paper.readings import READINGS
from skipglass.paper.slips import SLIPS
from skipglass.paper.theorems import THEOREMS
from skipglass.report import Panel, render_page, save_figures, save_grid

__all__ = ["CHAPTERS", "FIGURES", "measure", "recorded", "write_report"]

CHAPTERS: tuple[Experiment, ...] = (
    READINGS, LEMMAS, THEOREMS, SLIPS, FORCES, DRIFT, FIGURE1, MAP, NETWORKS, INTERVENTIONS, DEPTHS, LANDSCAPE, COUNTS,
    GLASS,
)  # fmt: skip
"""In the order of the page."""

FIGURES = tuple(dict.fromkeys(figure for chapter in CHAPTERS for figure in chapter.figures))


def measure(folder: Path, figures: Sequence[str], options: Options, *, progress: Progress, workers: int = 1) -> None:
    """Measure what the chosen figures need; recordings go to FOLDER/recordings.

    Parameters
    ----------
    folder
        The output folder.
    figures
        Names in `FIGURES`.
    options
        What each chapter measures.
    progress
        Shows a bar for each recording; in several processes one bar counts them.
    workers
        Processes.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C; finished recordings are kept.
    """
    experiment.measure(_of(figures), record.output_folder(folder / "recordings"), options, progress, workers)


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
        If there is none, or no folder.
    """
    if not folder.is_dir():
        raise StorageError(f"there is no folder {folder}; skipglass reproduce --out {folder} makes it")
    there = {figure: all(chapter.is_recorded(folder / "recordings") for chapter in _of([figure])) for figure in FIGURES}
    if not any(there.values()):
        raise StorageError(f"{folder} has the complete recordings of no figure; run skipglass reproduce --out {folder}")
    return [figure for figure, complete in there.items() if complete]


def write_report(folder: Path, figures: Sequence[str], *, progress: Progress) -> Path:
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
    loaded = [chapter.load(folder / "recordings") for chapter in _of(figures)]
    recordings = {name: found for each in loaded for name, found in each.items()}
    report, combined = paper_report(recordings, [chapter.pages(recordings, figures) for chapter in _of(figures)])
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


def _of(figures: Sequence[str]) -> list[Experiment]:
    """The chapters that show one of the figures."""
    return [chapter for chapter in CHAPTERS if set(chapter.figures) & set(figures)]
