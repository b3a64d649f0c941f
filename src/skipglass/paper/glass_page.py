"""The spin glasses on the page: all critical points beside the exact counts, their layers, and descents."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import xarray as xr
from rich.progress import Progress

from skipglass import record
from skipglass.paper import agreement, glass
from skipglass.paper.chapter import Chapter
from skipglass.paper.critical_points import agreement_table, layer_panels
from skipglass.paper.experiment import Options, Pages
from skipglass.paper.finding import Recordings
from skipglass.paper.landscape import MIXTURES, landscape
from skipglass.report import Section
from skipglass.threads import one_thread

__all__ = ["GLASSES", "RECORDINGS"]

RECORDINGS = {"glass_descent": "glass", "glass_agreement": "agreement", "landscape": "landscape"}
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


def measure_glass(recordings: Path, options: Options, progress: Progress) -> None:
    """Sample glasses at a size that takes a minute, and keep both recordings."""
    descents, counts, statements = (recordings / f"{name}.nc" for name in RECORDINGS)
    if not (options.resume and descents.is_file()):
        task = progress.add_task("descents in glasses", total=glass.QUICK_RUNS)
        with one_thread():  # small products, ten times slower on two
            record.save(glass.quick(partial(progress.advance, task)), descents, kind=RECORDINGS["glass_descent"])
    if not (options.resume and counts.is_file()):
        task = progress.add_task("critical points, cases", total=len(agreement.CASES))
        found = agreement.sweep(COUNTED, on_case=lambda *_: progress.advance(task))
        record.save(agreement.recording(found), counts, kind=RECORDINGS["glass_agreement"])
    if not (options.resume and statements.is_file()):
        task = progress.add_task("covariance and rates, mixtures", total=len(MIXTURES))
        stated = landscape(partial(progress.advance, task))
        record.save(stated, statements, kind=RECORDINGS["landscape"])


def has_glass(recordings: Path) -> bool:
    """Tell whether a folder has the recordings of the glasses."""
    return all((recordings / f"{name}.nc").is_file() for name in RECORDINGS)


def load_glass(recordings: Path) -> dict[str, xr.Dataset]:
    """Return {name: recording}.

    Parameters
    ----------
    recordings
        Where they lie.

    Returns
    -------
    dict
        Of the names in `RECORDINGS`.

    Raises
    ------
    StorageError
        If a file is missing, damaged or of another kind.
    """
    return {name: record.load(recordings / f"{name}.nc", kind) for name, kind in RECORDINGS.items()}


def glass_pages(recordings: Recordings, figures: Sequence[str] = ()) -> Pages:
    """Return the page's sections on the glasses."""
    counted = recordings["glass_agreement"]
    return [
        Section("Critical points, all of them", COUNTS, (agreement_table(counted), *layer_panels(counted))),
        Section("Descents in the glass", DESCENT, glass.glass_panels(recordings["glass_descent"])),
    ], {}


GLASSES = Chapter(("glass",), measure_glass, has_glass, load_glass, glass_pages)
