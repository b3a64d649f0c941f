"""The map: where λ, absorbed norms and the measured depth grow together, as the paper says, and where not.

It reads one recording, by `skipglass.training.sweep`. A change counts where its mean over seeds is more than two
standard errors from 0, in cells whose networks have all learned something.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rich.progress import Progress

from skipglass import record
from skipglass.errors import StorageError
from skipglass.paper.chapter import Chapter
from skipglass.paper.experiment import Options, Pages
from skipglass.paper.finding import Recordings
from skipglass.report import Axis, Panel, Rule, Section, Series
from skipglass.training import Grid, sweep

__all__ = ["FULL", "LIVE", "MAP", "Growth", "growths", "lacks_full_map", "map_of", "map_panels", "summary"]

Array = NDArray[np.float64]

KIND = NAME = "sweep"
SMALL = "sweep-small"
LIVE = Grid(
    separations=(4.0, 16.0), learning_rates=(0.05,), variants=("batch-after", "paper-after", "none"), depths=(3, 6),
    seeds=range(4), epochs=1,
)  # fmt: skip
"""What `skipglass reproduce` trains: half a minute."""
FULL = len(Grid().cells())
"""Settings of the large grid."""
LEARNED = 0.2
"""Training accuracy that every network of a cell must exceed: twice chance; two standard deviations apart, the classes
overlap so much that half of the samples are beyond any classifier."""
FAR = 3.0
"""Growth, in logarithms, beyond which a setting is counted in the note and not drawn: one would squeeze all others."""
WORDS = {
    "batch-before": "batch norm, then ReLU",
    "batch-after": "ReLU, then batch norm",
    "paper-before": "Eq. 22's norm, then ReLU",
    "paper-after": "ReLU, then Eq. 22's norm",
    "none": "no norm, C = 1/√n",
    "none-small": "no norm, C = 0.1",
}
READING = (
    "The paper's account in one figure. It says that training raises λ_l (without batch norm: the weights), and that "
    "this makes the ensemble of paths deeper. Both are measured here, for every combination of class separation, "
    "learning rate, normalisation and depth."
)


@dataclass(frozen=True, eq=False)
class Growth:
    """How one quantity changed from the start to the end, by cell and seed.

    Attributes
    ----------
    change
        (cell, seed).
    """

    change: Array

    @property
    def mean(self) -> Array:
        """(cell,) over seeds."""
        return self.change.mean(axis=1)

    @property
    def error(self) -> Array:
        """(cell,) the standard error of the mean."""
        return self.change.std(axis=1, ddof=1) / np.sqrt(self.change.shape[1])

    @property
    def rises(self) -> NDArray[np.bool_]:
        """(cell,) by more than two standard errors."""
        return self.mean > 2 * self.error

    @property
    def falls(self) -> NDArray[np.bool_]:
        """(cell,) by more than two standard errors."""
        return self.mean < -2 * self.error


def growths(recording: xr.Dataset) -> tuple[xr.Dataset, dict[str, Growth]]:
    """Return the cells that learned, and how each quantity grew in them.

    Parameters
    ----------
    recording
        By `skipglass.training.sweep`, with at least two seeds.

    Returns
    -------
    tuple
        The cells in which every network learned and stayed finite, and ``multiplier`` (ln of |λ|, end over start;
        NaN without normalisation), ``scale`` (the same, or ln of ‖W‖ without normalisation), ``absorbed_norm`` (its
        ln), ``effective_depth`` and ``effective_depth_batch`` (end minus start, over the number of blocks).
    """
    learned = recording.isel(cell=np.flatnonzero(_learned(recording)))
    found = {}
    for name in ("multiplier", "absorbed_norm"):
        value = learned[name].transpose("epoch", "cell", "seed").values.astype(float)
        found[name] = np.log(value[-1] / value[0])
    found["scale"] = np.where(np.isnan(found["multiplier"]), found["absorbed_norm"], found["multiplier"])
    for name in ("effective_depth", "effective_depth_batch"):
        value = learned[name].transpose("epoch", "cell", "seed").values.astype(float)
        found[name] = (value[-1] - value[0]) / (learned.depth.values[:, None] - 1)
    return learned, {name: Growth(change) for name, change in found.items()}


def map_panels(recording: xr.Dataset) -> tuple[Panel, ...]:
    """Return one map for each normalisation, and what growth of the scales says about growth of the depth.

    Parameters
    ----------
    recording
        By `skipglass.training.sweep`.

    Returns
    -------
    tuple of Panel
        Maps first, then the two scatters.
    """
    learned, found = growths(recording)
    variants = list(dict.fromkeys(recording.variant.values.tolist()))
    note = _note(recording)
    maps = [_map(recording, learned, found, variant, note) for variant in variants]
    normalised = [v for v in variants if not v.startswith("none")]
    scatters = []
    for name, label, shown in (
        ("multiplier", "ln |λ|, end over start", normalised),
        ("absorbed_norm", "ln ‖diag(λ/σ)W‖, end over start", variants),
    ):
        near = np.abs(found[name].mean) < FAR
        series = [
            Series(WORDS[v], found[name].mean[rows], found["effective_depth"].mean[rows])
            for v in shown
            if (rows := near & (learned.variant.values == v)).any()
        ]
        beyond = int((np.abs(found[name].mean) >= FAR).sum())
        if series:
            left_out = f" Not shown: {beyond} beyond a factor of e^{FAR:g}." if beyond else ""
            scatters.append(_scatter(name, label, tuple(series), note + left_out))
    return (*maps, *scatters)


def _map(recording: xr.Dataset, learned: xr.Dataset, found: dict[str, Growth], variant: str, note: str) -> Panel:
    """One dot a cell: its place is the setting, its colour says what grew."""
    depths = sorted(set(recording.depth.values.tolist()))
    mine = recording.isel(cell=np.flatnonzero(recording.variant.values == variant))
    rises = zip(found["scale"].rises.tolist(), found["effective_depth"].rises.tolist(), strict=True)
    grew = dict(zip(learned.cell.values.tolist(), rises, strict=True))
    scale = "‖W‖" if variant.startswith("none") else "|λ|"
    names = {
        (True, True): f"{scale} and depth grow",
        (True, False): f"{scale} grows, depth does not",
        (False, True): f"depth grows, {scale} does not",
        (False, False): "neither grows",
        None: "not learned",
    }
    rates = mine.learning_rate.values
    apart = 0.16 * np.log(_neighbours(rates)) * (np.searchsorted(depths, mine.depth.values) - (len(depths) - 1) / 2)
    x, y = rates * np.exp(apart), mine.separation.values
    kinds = [grew.get(cell) for cell in mine.cell.values.tolist()]
    both = sum(kind == (True, True) for kind in kinds)
    # a kind that no cell is of keeps its place, and so its colour, in every map
    series = [Series(name, x, np.where([kind == key for kind in kinds], y, np.nan)) for key, name in names.items()]
    return Panel(
        f"map-{variant}",
        f"{WORDS[variant]}: both grow in {both} of {len(kinds)}",
        f"One dot a setting, side by side those of {', '.join(map(str, depths))} layers. Where {scale} and depth grow, "
        "training does what the paper says; the other colours show where it does not.",
        Axis(f"learning rate; side by side {', '.join(map(str, depths))} layers", log=True),
        Axis("class separation", "deviations", log=True),
        tuple(series),
        marks="points",
        note=note,
    )


def _scatter(name: str, label: str, series: tuple[Series, ...], note: str) -> Panel:
    return Panel(
        f"map-depth-by-{name.replace('_', '-')}",
        f"Does the depth follow {'|λ|' if name == 'multiplier' else 'the absorbed norms'}?",
        "One dot a setting, mean over seeds. On the paper's account dots rise from lower left to upper right, and "
        "training moves networks into the upper right quarter.",
        Axis(label),
        Axis("change of depth / blocks"),
        series,
        marks="points",
        rules=(Rule(0.0, "", axis="x"), Rule(0.0, "")),
        note=note,
    )


def _learned(recording: xr.Dataset) -> NDArray[np.bool_]:
    """The cells whose networks all learned something, and have a depth at both ends."""
    ends = recording.isel(epoch=[0, -1])
    there = np.isfinite(ends.effective_depth).all(("epoch", "seed")) & np.isfinite(ends.absorbed_norm).all(
        ("epoch", "seed")
    )
    return (there & (recording.train_accuracy.isel(epoch=-1).min("seed") > LEARNED)).values


def _neighbours(rates: Array) -> float:
    """The smallest factor between two learning rates."""
    distinct = np.unique(rates)
    return float((distinct[1:] / distinct[:-1]).min()) if distinct.size > 1 else 10.0


def _note(recording: xr.Dataset) -> str:
    return (
        f"{recording.sizes['seed']} seeds a setting, {recording.attrs['epochs']} epochs of 200 steps, width "
        f"{recording.attrs['width']}; from the start to the end. What grows does so by more than two standard errors "
        "over seeds. Effective depth: in blocks, median over 64 training samples, batch statistics held constant."
    )


def summary(recording: xr.Dataset) -> list[tuple[object, ...]]:
    """Return for each normalisation how many cells learn, and in how many |λ|, norms and depth end above and below."""
    learned, found = growths(recording)
    rows = []
    for variant in dict.fromkeys(recording.variant.values.tolist()):
        mine = learned.variant.values == variant
        counts = [
            f"{int((growth.rises & mine).sum())} / {int((growth.falls & mine).sum())}"
            for growth in (found[name] for name in ("multiplier", "absorbed_norm", "effective_depth"))
        ]
        rows.append((variant, int(mine.sum()), *counts))
    return rows


def measure_map(recordings: Path, options: Options, progress: Progress) -> None:
    """Train the small grid, and take the recording of the large one from where long runs are kept."""
    if not (options.resume and (recordings / f"{SMALL}.nc").is_file()):
        task = progress.add_task("map, settings", total=len(LIVE.cells()))
        recording = sweep(LIVE, recordings.parent, on_cell=lambda done: progress.update(task, completed=done))
        record.save(recording, recordings / f"{SMALL}.nc", kind=KIND)
    long = None if options.recorded is None else options.recorded / "sweep" / "recordings" / f"{NAME}.nc"
    if long is not None and long.is_file() and not (recordings / f"{NAME}.nc").is_file():
        with record.write_atomically(recordings / f"{NAME}.nc") as temporary:
            temporary.write_bytes(long.read_bytes())


def has_map(recordings: Path) -> bool:
    """Tell whether a folder has the recording of a sweep."""
    return any((recordings / f"{name}.nc").is_file() for name in (NAME, SMALL))


def load_map(recordings: Path) -> dict[str, xr.Dataset]:
    """Return {"sweep": the large grid, "sweep-small": that of `reproduce`}, those that are there."""
    there = [name for name in (NAME, SMALL) if (recordings / f"{name}.nc").is_file()]
    if not there:
        raise StorageError(f"{recordings} has no recording of a sweep; run skipglass reproduce map, or skipglass sweep")
    return {name: record.load(recordings / f"{name}.nc", KIND) for name in there}


def lacks_full_map(names: Iterable[str]) -> bool:
    """Tell whether there is a small map without the large one, by the names of the recordings."""
    return SMALL in (there := set(names)) and NAME not in there


def map_of(recordings: Recordings) -> xr.Dataset:
    """Return the largest grid there is."""
    return recordings[NAME] if NAME in recordings else recordings[SMALL]


def map_pages(recordings: Recordings, _figures: Sequence[str] = ()) -> Pages:
    """Return the page's sections, the large grid first, and the panels of its combined figure."""
    sections, combined = [], {}
    if NAME in recordings:
        combined["map"] = map_panels(recordings[NAME])
        sections.append(Section("The map: what grows, and where", READING, combined["map"]))
    if SMALL in recordings:
        panels = tuple(replace(panel, name=f"{panel.name}-here") for panel in map_panels(recordings[SMALL]))
        combined.setdefault("map", panels)
        sections.append(Section("The map, a small grid trained here", READING, panels))
    return sections, combined


MAP = Chapter(("map",), measure_map, has_map, load_map, map_pages)
