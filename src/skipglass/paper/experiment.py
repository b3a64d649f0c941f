"""An experiment: which recordings it needs, and how each is computed. Measuring, finding and loading are generic.

Recordings lie in one folder, one file each, named by the recording. Ctrl-C raises KeyboardInterrupt, and whatever is
finished is kept: a file is written whole or not at all, and a training that was stopped leaves its checkpoints.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr
from rich.progress import Progress

from skipglass import record
from skipglass.errors import StorageError
from skipglass.paper.claim import Claim, Recordings
from skipglass.report import Panel, Section
from skipglass.threads import one_thread
from skipglass.training import ResNetSettings, map_unordered

__all__ = [
    "Experiment",
    "Options",
    "Pages",
    "Recording",
    "Tell",
    "compute",
    "computed",
    "copied",
    "find_missing",
    "is_there",
    "measure",
]

Tell = Callable[..., object]
"""Told how many of how many steps are done, and whatever else a training tells."""

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
class Recording:
    """How one recording is computed.

    Attributes
    ----------
    kind
        What its file says that it holds.
    compute
        Makes it; called with what it may tell its progress to.
    settings
        Attributes by which a file of that name is known to be of these settings, and finished.
    lasting
        Whether a finished one is kept in any case, as a training that takes hours, and refused where it has other
        settings; else it is measured again unless the user resumes.
    older
        Of the settings, those that older recordings do not have, and what they were made with.
    scratch
        A folder of its own, which is removed once the recording is there.
    """

    kind: str
    compute: Callable[[Tell], xr.Dataset]
    settings: Mapping[str, Any] = field(default_factory=dict)
    lasting: bool = False
    older: Mapping[str, Any] = field(default_factory=dict)
    scratch: Path | None = None


def _no_check(recordings: Recordings) -> None:
    """Whatever lies there goes together."""


def _no_pages(recordings: Recordings, figures: Sequence[str]) -> Pages:
    """What is judged and not shown."""
    return [], {}


@dataclass(frozen=True)
class Experiment:
    """One result of the paper: what is measured, judged and drawn for it.

    Attributes
    ----------
    figures
        By which names it is asked for.
    finds
        {pattern of the files' names: kind}: what belongs to it in a folder, each at least once.
    recordings
        From the options and the folder, {name: how to compute it}.
    pages
        What it shows, from all recordings and the figures that were chosen.
    claims
        What it judges.
    optional
        {pattern: kind} of what is shown if it is there; an experiment that has nothing else needs one of each.
    check
        Raises StorageError where the recordings of a folder do not go together.
    kept
        Where its recordings lie in the folder of long runs, from which they are taken if there is none.
    """

    figures: tuple[str, ...]
    finds: Mapping[str, str]
    recordings: Callable[[Options, Path], Mapping[str, Recording]]
    pages: Callable[[Recordings, Sequence[str]], Pages]
    claims: tuple[Claim, ...] = ()
    optional: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[Recordings], None] = _no_check
    kept: str = ""

    @property
    def patterns(self) -> dict[str, str]:
        """{pattern of the names: kind} of all its recordings."""
        return {**self.finds, **self.optional}

    def committed(self, recorded: Path | None) -> list[Path]:
        """Return its recordings in a folder of long runs, results/ in a checkout."""
        if recorded is None or not self.kept:
            return []
        return sorted(path for pattern in self.patterns for path in (recorded / self.kept).glob(f"{pattern}.nc"))

    def complete(self, folder: Path, options: Options) -> None:
        """Take the recordings of long runs, where a folder has none of this experiment.

        Parameters
        ----------
        folder
            Where recordings lie.
        options
            What the user chose.
        """
        if not any(any(folder.glob(f"{pattern}.nc")) for pattern in self.patterns):
            copied(self.committed(options.recorded), folder)

    def is_recorded(self, folder: Path) -> bool:
        """Tell whether a folder has all that belongs to it."""
        return all(any(folder.glob(f"{pattern}.nc")) for pattern in self.finds or self.optional)

    def load(self, folder: Path) -> dict[str, xr.Dataset]:
        """Return the recordings in a folder.

        Parameters
        ----------
        folder
            Where they lie.

        Returns
        -------
        dict
            {name: recording}.

        Raises
        ------
        StorageError
            If one is missing, damaged, of another kind, or they do not go together.
        """
        found: dict[str, xr.Dataset] = {}
        for pattern, kind in self.patterns.items():
            paths = sorted(folder.glob(f"{pattern}.nc"))
            if not paths and pattern not in self.optional:
                raise StorageError(
                    f"{folder} has no recording {pattern}.nc; run skipglass reproduce {' '.join(self.figures)}"
                )
            found |= {path.stem: record.load(path, kind) for path in paths}
        self.check(found)
        return found


def computed(
    figure: str,
    functions: Mapping[str, Callable[[], xr.Dataset]],
    pages: Callable[[Recordings, Sequence[str]], Pages] = _no_pages,
    claims: tuple[Claim, ...] = (),
) -> Experiment:
    """Return an experiment whose recordings take seconds and depend on nothing that a user may choose.

    Parameters
    ----------
    figure
        By which name it is asked for.
    functions
        {recording, which is its kind too: what computes it}.
    pages, claims
        As for `Experiment`.

    Returns
    -------
    Experiment
        With one recording per function.
    """

    def recordings(options: Options, folder: Path) -> dict[str, Recording]:
        return {name: Recording(name, partial(_untold, function)) for name, function in functions.items()}

    return Experiment((figure,), {name: name for name in functions}, recordings, pages, claims)


def measure(
    experiments: Iterable[Experiment], folder: Path, options: Options, progress: Progress, workers: int = 1
) -> None:
    """Compute what some experiments need and is not there, one file per recording.

    Parameters
    ----------
    experiments
        Which.
    folder
        Where recordings lie.
    options
        What the user chose.
    progress
        Shows a bar for each recording; in several processes one bar counts them.
    workers
        Processes.

    Raises
    ------
    StorageError
        If a lasting recording is of other settings than its name says; nothing is computed then.
    KeyboardInterrupt
        On Ctrl-C; finished recordings are kept.
    """
    experiments = tuple(experiments)
    wanted = {name: found for each in experiments for name, found in each.recordings(options, folder).items()}
    tasks = {}

    def start(name: str) -> Tell:
        tasks[name] = task = progress.add_task(name, total=None)
        return lambda done, of, *_: progress.update(task, completed=done, total=of)

    def end(name: str) -> None:
        progress.update(tasks[name], completed=1, total=1)

    missing = find_missing(wanted, folder, resume=options.resume)
    # a lasting one stays in this process: it takes hours, tells of each step, and may use a device
    apart = {name: recording for name, recording in missing.items() if not recording.lasting}
    if workers > 1 and len(apart) > 1:
        compute_apart(apart, folder, progress, workers)
        missing = {name: recording for name, recording in missing.items() if recording.lasting}
    compute(missing, folder, start, end)
    for each in experiments:
        each.complete(folder, options)


def find_missing(wanted: Mapping[str, Recording], folder: Path, *, resume: bool = True) -> dict[str, Recording]:
    """Return the recordings that are to be computed; the scratch folders of the others are removed.

    Parameters
    ----------
    wanted
        {name: how to compute it}.
    folder
        Where recordings lie.
    resume
        Whether finished ones that do not last are kept, too.

    Raises
    ------
    StorageError
        If a lasting recording is of other settings than its name says.
    """
    # all are looked at, and one of other settings is refused, before anything is changed
    there = {name: is_there(folder / f"{name}.nc", recording) for name, recording in wanted.items()}
    kept = {name for name, recording in wanted.items() if there[name] and (recording.lasting or resume)}
    for name in kept:
        _clear(wanted[name])
    return {name: recording for name, recording in wanted.items() if name not in kept}


def compute(
    recordings: Mapping[str, Recording],
    folder: Path,
    start: Callable[[str], Tell | None],
    end: Callable[[str], object] = lambda name: None,
) -> None:
    """Compute recordings one after another.

    Parameters
    ----------
    recordings
        {name: how to compute it}.
    folder
        Where they go.
    start, end
        Called with the name of each; ``start`` returns what its progress is told to.
    """
    for name, recording in recordings.items():
        _keep(recording.compute(start(name) or _hush), folder / f"{name}.nc", recording)
        end(name)


def compute_apart(recordings: Mapping[str, Recording], folder: Path, progress: Progress, workers: int) -> None:
    """Compute recordings in several processes, one bar counting them.

    Parameters
    ----------
    recordings
        {name: how to compute it}.
    folder
        Where they go.
    progress
        Shows the bar.
    workers
        Processes.
    """
    task = progress.add_task(f"recordings, on {workers} processes", total=len(recordings))
    for name, found in map_unordered(_computed, recordings.items(), workers=min(workers, len(recordings))):
        _keep(found, folder / f"{name}.nc", recordings[name])
        progress.advance(task)


def _computed(item: tuple[str, Recording]) -> tuple[str, xr.Dataset]:
    """In a process of its own, on one thread."""
    name, recording = item
    with one_thread():
        return name, recording.compute(_hush)


def _keep(found: xr.Dataset, path: Path, recording: Recording) -> None:
    record.remove_leftovers(path)
    record.save(found, path, kind=recording.kind)
    _clear(recording)


def _clear(recording: Recording) -> None:
    if recording.scratch is not None:
        shutil.rmtree(recording.scratch, ignore_errors=True)


def _hush(*_: object) -> None:
    """Progress that is shown to nobody."""


def _untold(function: Callable[[], xr.Dataset], tell: Tell) -> xr.Dataset:
    return function()


def copied(paths: Iterable[Path], folder: Path) -> None:
    """Copy recordings of long runs into a folder, whole or not at all, where no file of that name lies there.

    Parameters
    ----------
    paths
        The recordings; those that are not there are left out.
    folder
        Where to.
    """
    for path in paths:
        if path.is_file() and not (folder / path.name).is_file():
            with record.write_atomically(folder / path.name) as temporary:
                temporary.write_bytes(path.read_bytes())


def is_there(path: Path, recording: Recording) -> bool:
    """Tell whether a finished recording with these settings lies in a file.

    Parameters
    ----------
    path
        Where it would be.
    recording
        What is wanted.

    Returns
    -------
    bool
        False if there is no such file, or one of other settings that may be replaced.

    Raises
    ------
    StorageError
        If the file is damaged or of another kind, or a lasting one is of other settings.
    """
    if not path.is_file():
        return False
    found = record.load(path, recording.kind)
    found.attrs = {**recording.older, **found.attrs}
    other = record.differing(found, recording.settings)
    if other and recording.lasting:
        name = other[0]
        raise StorageError(
            f"{path} is of another run: it has {name} = {found.attrs.get(name)}, asked for is "
            f"{recording.settings[name]}; choose another folder, or move the file away. Nothing was changed there"
        )
    return not other
