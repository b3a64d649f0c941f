"""The page's part on the theory: the network as paths, the lemmas, and the theorems on path lengths."""

from collections.abc import Sequence
from pathlib import Path

import xarray as xr
from rich.progress import Progress

from skipglass import record
from skipglass.paper import lemmas, readings, slips
from skipglass.paper.chapter import Chapter, Options, Pages
from skipglass.paper.finding import Recordings
from skipglass.paper.theorems import convergence_panels, theorems
from skipglass.report import Section

__all__ = ["THEOREMS", "THEORY", "load_theorems", "theory_pages"]

THEOREMS = {"theorems": theorems, "lemmas": lemmas.measure, "readings": readings.measure, "slips": slips.measure}
"""Name and kind of a recording → what computes it, in seconds."""

PATHS = (
    "The analysis takes the network for a sum over paths (Eq. 9), gathers paths with the same weights (Lemmas 1 and 2) "
    "and reads the output's variance off their numbers (Eqs. 14, 15). On networks built to its assumptions the output, "
    "split exactly by path length, is what the theory says; on Eq. 8 itself, whose gates depend on its weights, it is "
    "not."
)
LENGTHS = "The weights ε_r of the path lengths gather around one length, the fraction β/(1+β) of the depth."


def measure_theorems(recordings: Path, options: Options, progress: Progress) -> None:
    """Compute what is missing, or everything."""
    for name, compute in THEOREMS.items():
        path = recordings / f"{name}.nc"
        if not (options.resume and path.is_file()):
            task = progress.add_task(name, total=1)
            record.save(compute(), path, kind=name)
            progress.advance(task)


def has_theorems(recordings: Path) -> bool:
    """Tell whether a folder has all of them."""
    return all((recordings / f"{name}.nc").is_file() for name in THEOREMS)


def load_theorems(recordings: Path) -> dict[str, xr.Dataset]:
    """Return {name: recording}."""
    return {name: record.load(recordings / f"{name}.nc", name) for name in THEOREMS}


def theory_pages(recordings: Recordings, figures: Sequence[str] = ()) -> Pages:
    """Return the section on the network as paths and that on their lengths."""
    paths = readings.panels(recordings["readings"])
    sections = [
        Section("The network as paths: Sec. 3", PATHS, (*paths, *lemmas.panels(recordings["lemmas"]))),
        Section("Theorems 1 and 2", LENGTHS, convergence_panels(recordings["theorems"])),
    ]
    return sections, {"paths": paths}


THEORY = Chapter(("theorems",), measure_theorems, has_theorems, load_theorems, theory_pages)
