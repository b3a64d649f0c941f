"""A chapter of the paper, from measuring to drawing: `reproduce` goes through all of them in the same way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr
from rich.progress import Progress

from skipglass.paper.finding import Recordings
from skipglass.report import Panel, Section
from skipglass.training import ResNetSettings

__all__ = ["Chapter", "Options", "Pages"]

Pages = tuple[list[Section], dict[str, tuple[Panel, ...]]]
"""Sections of the page, and {figure: the panels of its combined drawing}."""


@dataclass(frozen=True)
class Options:
    """What a user may choose.

    Attributes
    ----------
    seeds, epochs
        Of each run of Figure 1.
    resume
        Keep finished recordings that would be measured again.
    runs
        The ResNets of Figures 2 and 3; none where recordings of others are to be kept.
    data, device
        As for `train_resnet`.
    recorded
        The folder of long runs, results/ in the checkout: their recordings are shown beside what is measured.
    """

    seeds: int = 16
    epochs: int = 20
    resume: bool = False
    runs: Sequence[ResNetSettings] = ()
    data: Path | None = None
    device: str = "auto"
    recorded: Path | None = None


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
