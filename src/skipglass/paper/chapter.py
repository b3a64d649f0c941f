"""A chapter of the paper, from measuring to drawing: `reproduce` goes through all of them in the same way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr
from rich.progress import Progress

from skipglass.paper.experiment import Options, Pages
from skipglass.paper.finding import Recordings

__all__ = ["Chapter", "Options", "Pages"]


@dataclass(frozen=True)
class Chapter:
    """One part of what `skipglass reproduce` does.

    Attributes
    ----------
    figures
        By which names it is asked for.
    measure
        Measures what the options say and records it in a folder; on Ctrl-C what is finished is kept.
    is_recorded
        Whether a folder has its recordings.
    load
        {name: recording}; a StorageError where a file is missing or not what its name says.
    pages
        What it shows, from the recordings and the figures that were chosen.
    """

    figures: tuple[str, ...]
    measure: Callable[[Path, Options, Progress], None]
    is_recorded: Callable[[Path], bool]
    load: Callable[[Path], dict[str, xr.Dataset]]
    pages: Callable[[Recordings, Sequence[str]], Pages]
