"""The spin glasses on the page: all critical points beside the exact counts, their layers, and descents."""

from functools import partial
from pathlib import Path

import xarray as xr
from rich.progress import Progress

from skipglass import record
from skipglass.glass import agreement
from skipglass.paper import glass
from skipglass.paper.critical_points import agreement_table, layer_panels
from skipglass.report import Section

__all__ = ["GLASS", "glass_sections", "has_glass", "load_glass", "measure_glass"]

GLASS = {"glass_descent": "glass", "glass_agreement": "agreement"}
"""File and kind of the recordings; larger ones are made by the commands in results/README.md."""
COUNTED = 40  # glasses a case, where nothing larger is there: half a minute

COUNTS = (
    "Small spin glasses can be searched until all their critical points are found. Their mean numbers are known "
    "exactly (Kac-Rice), in total and of each index; and deep down only minima are left, the layers of Auffinger, "
    "Ben Arous and Černý."
)
DESCENT = (
    "What the number of critical points means for an optimiser: descents in sampled glasses. Those of deep networks "
    "have interactions of a hundred orders, whose couplings nobody could store; they are drawn only where the "
    "descents look, exactly in law. Below β_c every start comes to the one minimum; above it they part."
)


def measure_glass(recordings: Path, progress: Progress, resume: bool = False) -> None:
    """Sample glasses at a size that takes a minute, and keep both recordings.

    Parameters
    ----------
    recordings
        Where to.
    progress
        Shows one bar a recording.
    resume
        Keep what is there.
    """
    descents, counts = (recordings / f"{name}.nc" for name in GLASS)
    if not (resume and descents.is_file()):
        task = progress.add_task("descents in glasses", total=glass.QUICK_RUNS)
        record.save(glass.quick(partial(progress.advance, task)), descents, kind=GLASS["glass_descent"])
    if not (resume and counts.is_file()):
        task = progress.add_task("critical points, cases", total=len(agreement.CASES))
        found = agreement.sweep(COUNTED, on_case=lambda *_: progress.advance(task))
        record.save(agreement.recording(found), counts, kind=GLASS["glass_agreement"])


def has_glass(folder: Path) -> bool:
    """Tell whether a folder has the recordings of the glasses."""
    return all((folder / "recordings" / f"{name}.nc").is_file() for name in GLASS)


def load_glass(recordings: Path) -> dict[str, xr.Dataset]:
    """Return {name: recording}.

    Parameters
    ----------
    recordings
        Where they lie.

    Returns
    -------
    dict
        Of the names in `GLASS`.

    Raises
    ------
    StorageError
        If a file is missing, damaged or of another kind.
    """
    return {name: record.load(recordings / f"{name}.nc", kind) for name, kind in GLASS.items()}


def glass_sections(recordings: dict[str, xr.Dataset]) -> list[Section]:
    """Return the page's sections on the glasses."""
    counted = recordings["glass_agreement"]
    return [
        Section("Critical points, all of them", COUNTS, (agreement_table(counted), *layer_panels(counted))),
        Section("Descents in the glass", DESCENT, glass.glass_panels(recordings["glass_descent"])),
    ]
