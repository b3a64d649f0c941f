"""What the recording of depth by several measures shows: every measure, fresh and trained, and where signs differ."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from rich.progress import Progress

from skipglass.paper.claim import Recordings
from skipglass.paper.experiment import Experiment, Options, Pages, copied
from skipglass.paper.measures import KIND
from skipglass.paths import MEASURES
from skipglass.report import Axis, Panel, Section, Series, Table

__all__ = [
    "DEPTHS",
    "DRAWN",
    "agreement_table",
    "change",
    "course_panel",
    "layers_panel",
    "measure_panels",
    "null_table",
]

DRAWN = (
    "input, shares, median",
    "input, energy, median",
    "first weight, energy",
    "all weights, energy",
    "output, energy",
    "single paths, median",
)
"""The measures that are drawn: of each kind one, a median over samples where there is one."""
STEPS = 390  # of an epoch, at the paper's setting
COURSE = "ResNet-32, CIFAR-10, 164 epochs, seed 0"
TEXT = (
    "The paper speaks of the variance of the output, of the gradients of the weights, and of the ensemble itself. Each "
    "has a mean path length of its own, and they need not agree: whether a network has deepened can depend on which of "
    "them is meant. All are exact or have error bars, on the same samples, with batch norm's statistics held. The "
    "weights of these networks are not part of the package; `python -m skipglass.paper.measures` measures one's own."
)
Change = tuple[float, float]
"""A change of depth and its standard error."""


def measure_panels(data: xr.Dataset, mode: str = "frozen") -> tuple[Panel, ...]:
    """Return a panel for each of `DRAWN`: the depth of every network, fresh and trained.

    Parameters
    ----------
    data
        The recording "measures".
    mode
        Of batch norm's statistics: "frozen", those of the samples, or "eval", the running ones.
    """
    names = list(dict.fromkeys(data.network.values.tolist()))
    listed = "; ".join(f"{k} {name}{_error(data, name)}" for k, name in enumerate(names, 1))
    panels = []
    for measure in DRAWN:
        series = []
        for shift, when in ((-0.15, "fresh"), (0.15, "trained")):
            rows = [_row(data, name, when) for name in names]
            one = data.sel(mode=mode, measure=measure).isel(state=rows)
            blocks = one.blocks.values
            y, error = one.depth.values / blocks, np.nan_to_num(one.depth_error.values) / blocks
            x = np.arange(1, len(names) + 1) + shift
            series.append(Series(when, x, y, y - error, y + error))
        panels.append(
            Panel(
                f"measures-{measure.replace(', ', '-').replace(' ', '-')}",
                _capital(MEASURES[measure]),
                "Two points a network, before and after training: the mean path length as a part of its blocks. Where "
                "the second lies higher the network has deepened by this measure; where panels disagree, the answer "
                "depends on what is measured.",
                Axis("network"),
                Axis("mean path length / blocks", zero=True),
                tuple(series),
                marks="points",
                note=f"Networks: {listed}. Bars: standard errors, of the median or variance over samples by the "
                "bootstrap, of weights by groups of samples, of single paths by their draw, too.",
            )
        )
    return tuple(panels)


def course_panel(data: xr.Dataset, mode: str = "frozen") -> Panel:
    """Return the depth of the ResNet-32 at the paper's setting against the training step, by each of `DRAWN`."""
    rows = np.flatnonzero(data.network.values == COURSE)
    one = data.isel(state=rows).sel(mode=mode)
    x = np.array([_step(when) for when in one.when.values.tolist()]) + 1.0
    series = []
    for measure in DRAWN:
        y, error = (one[name].sel(measure=measure).values for name in ("depth", "depth_error"))
        error = np.nan_to_num(error)
        series.append(Series(MEASURES[measure], x, y, y - error, y + error))
    return Panel(
        "measures-course",
        "One training by several measures",
        "Each line is the mean path length by one measure; a rise means that the network deepens by it.",
        Axis("training step + 1", log=True),
        Axis("mean path length", f"blocks of {int(one.blocks.values[0])}", zero=True),
        tuple(series),
        note=f"{COURSE}: fresh, step 20, epochs 1, 81, 82, 123 and 164.",
    )


def layers_panel(data: xr.Dataset, mode: str = "frozen") -> Panel:
    """Return the mean length above every weight of the ResNet-32 at growing epochs, by squared norms."""
    rows = np.flatnonzero(data.network.values == COURSE)
    one = data.isel(state=rows).sel(mode=mode)
    layers = int(one.layers.values[0])
    x = np.arange(1, layers + 1)
    return Panel(
        "measures-layers",
        "Path length above each weight",
        "Each line is one moment of the training: how many blocks the part of the loss's gradient has passed, on "
        "average, that reaches a weight. A lower line means that the weights learn along shorter paths.",
        Axis("weight, from input to output"),
        Axis("mean path length", "blocks", zero=True),
        tuple(
            Series(str(when), x, one.layer_energy_depth.values[k, :layers]) for k, when in enumerate(one.when.values)
        ),
        note=f"{COURSE}; squared norms of the batch.",
    )


def change(data: xr.Dataset, network: str, start: str, end: str, measure: str, mode: str = "frozen") -> Change:
    """Return how much a network's depth changes between two moments, with its standard error, in blocks."""
    one = data.sel(mode=mode, measure=measure)
    first, last = (one.isel(state=_row(data, network, when)) for when in (start, end))
    error = np.hypot(*(np.nan_to_num(float(moment.depth_error)) for moment in (first, last)))
    return float(last.depth - first.depth), float(error)


def agreement_table(data: xr.Dataset, mode: str = "frozen") -> Table:
    """Return the change of depth by each measure, for every network, and in what the measures agree."""
    names = list(dict.fromkeys(data.network.values.tolist()))
    pairs = [(name, "fresh", "trained") for name in names]
    if COURSE in names:
        pairs += [
            (COURSE, start, end)
            for start, end in (("step 20", "trained"), ("epoch 1", "trained"), ("epoch 81", "epoch 82"))
        ]
    rows: list[Sequence[str | float]] = []
    for network, start, end in pairs:
        changes = [change(data, network, start, end, measure, mode) for measure in DRAWN]
        moment = "" if (start, end) == ("fresh", "trained") else f", {start} → {end}"
        name = f"{names.index(network) + 1} {network}{moment}"
        rows.append((name, *map(_cell, changes), _by_weights(data, network, start, end, mode), _agreement(changes)))
    return Table(
        "measures-agreement",
        "Where measures of depth agree",
        "The change of the mean path length, fresh → trained unless the row says otherwise, in blocks: above 0 the "
        "network has deepened. A question mark follows a change within two standard errors. Beside them: the change "
        "of the mean over all weights but the last, each by its own squared norms, and how many have deepened. The "
        "last column says what the measures with a sign of their own agree in.",
        ("network", *(MEASURES[measure] for measure in DRAWN), "weights one by one", "agreement"),
        rows,
    )


def null_table(data: xr.Dataset, mode: str = "frozen") -> Table:
    """Return how far each network's energies lie from independent blocks, equal and unequal, and coherent paths."""
    models = ("equal independent blocks", "independent blocks, each with its participation", "coherent paths")
    rows: list[Sequence[str | float]] = []
    for k, (network, when) in enumerate(zip(data.network.values, data.when.values, strict=True)):
        distances = data.distance.sel(mode=mode).isel(state=k).values.tolist()
        cells = ["not defined" if np.isnan(d) else f"{d:.3g}" for d in distances]
        nearest = models[int(np.nanargmin(distances))]
        rows.append((f"{network}, {when}", *cells, nearest))
    return Table(
        "measures-nulls",
        "Independent blocks or coherent paths",
        "The Kullback-Leibler divergence, in nats, of the squared norms by length from three models. Unequal blocks "
        "alone narrow a spectrum; only what lies nearer to coherent paths than to a network's own blocks, taken as "
        "independent, asks for coherence.",
        ("network", *models, "nearest"),
        rows,
    )


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def _row(data: xr.Dataset, network: str, when: str) -> int:
    return int(np.flatnonzero((data.network.values == network) & (data.when.values == when))[0])


def _error(data: xr.Dataset, network: str) -> str:
    """The test error of the trained network, in brackets."""
    error = float(data.test_error.values[_row(data, network, "trained")])
    return "" if np.isnan(error) else f" ({100 * error:.1f} % test error)"


def _step(when: str) -> int:
    if when.startswith("step "):
        return int(when.removeprefix("step "))
    return {"fresh": 0, "trained": 164 * STEPS}.get(when) or int(
        when.removeprefix("epoch ") if "epoch" in when else 0
    ) * STEPS


def _cell(one: Change) -> str:
    value, error = one
    if np.isnan(value):
        return "not defined"
    return f"{value:+.2f}{'?' if abs(value) <= 2 * error else ''}"


def _by_weights(data: xr.Dataset, network: str, start: str, end: str, mode: str) -> str:
    """How the depths of single weights change, of all but the last, above which nothing is counted."""
    one = data.layer_energy_depth.sel(mode=mode)
    first, last = (one.isel(state=_row(data, network, when)).values for when in (start, end))
    seen = np.arange(first.size) < int(data.layers.values[_row(data, network, start)]) - 1
    changed = (last - first)[seen]
    return f"{np.nanmean(changed):+.2f} ({int((changed > 0).sum())} of {int(seen.sum())} deeper)"


def _agreement(changes: Sequence[Change]) -> str:
    signs = {np.sign(value) for value, error in changes if abs(value) > 2 * error}
    if len(signs) > 1:
        return "depends on the measure"
    return "deeper" if signs == {1.0} else "shallower" if signs == {-1.0} else "no sign"


def depths_pages(recordings: Recordings, _figures: Sequence[str] = ()) -> Pages:
    """Return the section, and the panels of its combined drawing; nothing where the recording is not there."""
    if KIND not in recordings:
        return [], {}
    data = recordings[KIND]
    panels = measure_panels(data)
    agreement, course, layers, nulls = (f(data) for f in (agreement_table, course_panel, layers_panel, null_table))
    items = (*panels, agreement, course, layers, nulls)
    return [Section("How deep is it? Several measures", TEXT, items)], {"measures": panels}


class Depths(Experiment):
    """Its recording needs the weights of trained networks, and so is taken from the folder of long runs."""

    def measure(self, folder: Path, options: Options, progress: Progress) -> None:
        """Copy the recording where there is none."""
        if options.recorded is not None:
            copied([options.recorded / f"{KIND}.nc"], folder)

    def is_recorded(self, folder: Path) -> bool:
        """Tell whether a folder has the recording."""
        return (folder / f"{KIND}.nc").is_file()


DEPTHS = Depths(("measures",), {}, lambda options, folder: {}, depths_pages, (), {KIND: KIND})
