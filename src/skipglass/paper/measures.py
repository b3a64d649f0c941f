"""Does the answer depend on the measure? Depth by several measures, of fresh and of trained networks.

The paper's ε_r² is the variance of the length-r part of the output (Eq. 15), "gradients originate from shallow paths"
(Sec. 4.1) concerns the gradients of the weights, and the spectrum splits the gradient at the input. One recording,
"measures", holds the mean path length by each of `skipglass.paths.MEASURES`, and how far three models lie from the
energies: equal independent blocks, independent blocks with their own participations, coherent paths.
"""

import argparse
from collections.abc import Callable, Sequence
from math import comb
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from skipglass import paths, record, theory
from skipglass.errors import InputError
from skipglass.graph import as_found, trace
from skipglass.paper.claim import Quantity, Recordings, Undecided
from skipglass.paper.experiment import Experiment, Pages
from skipglass.paper.measured_networks import TRAINING, State, held, networks
from skipglass.paths import MEASURES
from skipglass.report import Axis, Panel, Section, Series, Table

__all__ = [
    "DEPTHS", "DRAWN", "KIND", "MODELS", "MODES", "agreement_table", "change", "course_panel", "depth_by",
    "layers_panel", "measure_panels", "measured", "null_table", "row_of", "tabulated",
]  # fmt: skip

KIND = "measures"
MODES = ("frozen", "eval")
"""Batch norm's statistics: those of the samples, which panels and tables show, or the running ones."""
MODELS = {
    "independent": "equal independent blocks",
    "per block": "independent blocks, each with its participation",
    "coherent": "coherent paths",
}
DRAWN = (
    "input, shares, median",
    "input, energy, median",
    "first weight, energy",
    "all weights, energy",
    "output, energy",
    "single paths, median",
)
"""The measures that are drawn: of each kind one, a median over samples where there is one."""
COURSE = "ResNet-32, CIFAR-10, 164 epochs, seed 0"
EPOCHS, STEPS = 164, 390  # of its training, and of an epoch
TEXT = (
    "The paper speaks of the variance of the output, of the gradients of the weights, and of the ensemble itself. Each "
    "has a mean path length of its own, and they need not agree: whether a network has deepened can depend on which of "
    "them is meant. All are exact or have error bars, on the same samples, with batch norm's statistics held. The "
    "weights of these networks are not part of the package; `python -m skipglass.paper.measures` measures one's own."
)
Change = tuple[float, float]
"""A change of depth and its standard error."""


def measured(
    weights: Path,
    data: Path,
    recordings: Sequence[xr.Dataset] = (),
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> xr.Dataset:
    """Measure every network whose weights lie in a folder.

    Parameters
    ----------
    weights, data
        Folders; see `skipglass.paper.measured_networks.networks`.
    recordings
        Of the trainings, for the test errors.
    tell
        Told how many of how many states are done.

    Returns
    -------
    xarray.Dataset
        By state: mean length and standard error by measure, distance from each model, mean length above each weight.
    """
    states, rows = list(networks(weights, data)), []
    for state in states:
        rows.append(row_of(state))
        tell(len(rows), len(states))
    return tabulated(rows, recordings)


def row_of(state: State) -> xr.Dataset:
    """Measure one network at one moment, with batch norm's statistics held at those of the samples, and as they are."""
    model = state.model()
    normed = any(isinstance(getattr(m, "running_var", None), torch.Tensor) for m in model.modules())
    modes: list[xr.Dataset] = []
    for mode in MODES:
        with as_found(model):
            if mode == "frozen" and normed:
                held(model, state.inputs)
            # without batch norm the two modes are one
            modes.append(_as_it_is(model, state) if normed or not modes else modes[0])
    row = xr.concat(modes, xr.IndexVariable("mode", list(MODES)), combine_attrs="override")
    samples = len(next(iter(state.inputs.values())) if isinstance(state.inputs, dict) else state.inputs)
    return row.assign(network=state.network, when=state.when, samples=samples).assign_attrs(state.about)


def _as_it_is(model: torch.nn.Module, state: State) -> xr.Dataset:
    t = trace(model, state.inputs, state.targets, state.loss_fn)
    participation = paths.participation_of(t).share
    split = paths.spectrum(t)
    census = {r: comb(len(participation), r) for r in range(len(participation) + 1)}
    # how far the energies are from each model that the theory has
    distances = []
    for reading in MODELS:
        given = participation if reading == "per block" else None
        try:
            distances.append(theory.fit(split.lengths, split.norm**2, census, reading, participation=given).distance)
        except InputError:  # a participation that is no probability: its paths cancel
            distances.append(np.nan)
    # everything else that can be called a depth
    d = paths.depths(model, state.inputs, state.targets, state.loss_fn)
    above = "mean length above the weight by"
    energies = "KL divergence of the energies of the batch from the model"
    found = {
        "depth": ("measure", d.depth, "mean path length", "blocks"),
        "depth_error": ("measure", d.error, "standard error of the mean path length", "blocks"),
        "distance": ("model", distances, energies, "nats"),
        "layer_share_depth": ("layer", d.weight_share_depth, f"{above} signed shares", "blocks"),
        "layer_energy_depth": ("layer", d.weight_energy_depth, f"{above} squared norms", "blocks"),
        "loss": ((), float(t.loss.detach()), "loss of the samples", "nats"),
    }
    layers = np.arange(len(d.weights))
    data = xr.Dataset(
        {name: (dim, values, {"long_name": said, "units": unit}) for name, (dim, values, said, unit) in found.items()},
        {"measure": list(d.measures), "model": list(MODELS), "layer": layers},
    )
    # what a network does not allow is NaN
    return data.reindex(measure=list(MEASURES)).assign(blocks=d.blocks, layers=layers.size)


def tabulated(rows: Sequence[xr.Dataset], recordings: Sequence[xr.Dataset] = ()) -> xr.Dataset:
    """Lay out the measured rows as one dataset, with the test errors that recordings of the trainings hold."""
    about = ["network", "when", "blocks", "layers", "samples", "test_error"]
    states = [row.assign(test_error=_test_error(row, recordings)) for row in rows]
    # a network with fewer weights than another has NaN above those that it lacks
    whole = xr.concat(states, "state", data_vars="all", join="outer", combine_attrs="override").drop_vars("layer")
    labels = whole[about].isel(mode=0, drop=True)
    return whole.drop_vars(about).assign_coords(labels.data_vars).transpose("mode", "state", ...).drop_attrs(deep=False)


def _test_error(row: xr.Dataset, recordings: Sequence[xr.Dataset]) -> float:
    """The test error that is known, or that the recording of the training has for this moment.

    It is NaN within an epoch, or without a recording.
    """
    about, when = row.attrs, str(row.when.values)
    # the recording of the training that these weights are from
    found = [r for r in recordings if "dataset" in about and all(r.attrs.get(k) == about.get(k) for k in TRAINING)]
    if "test_error" in about or not found or when.startswith("step"):
        return float(about.get("test_error", np.nan))
    epoch = {"fresh": 0, "trained": about["epochs"]}.get(when) if " " not in when else int(when.removeprefix("epoch "))
    return float(found[0].test_error.sel(epoch=epoch))


def measure_panels(data: xr.Dataset) -> tuple[Panel, ...]:
    """Return a panel for each of `DRAWN`: the depth of every network, fresh and trained.

    Parameters
    ----------
    data
        The recording "measures".
    """
    names = _networks(data)
    errors = {name: float(_moment(data, name, "trained").test_error) for name in names}
    told = {name: "" if np.isnan(error) else f" ({100 * error:.1f} % test error)" for name, error in errors.items()}
    listed = "; ".join(f"{k} {name}{told[name]}" for k, name in enumerate(names, 1))
    panels = []
    for measure in DRAWN:
        series = []
        for shift, when in ((-0.15, "fresh"), (0.15, "trained")):
            one = data.sel(mode="frozen", measure=measure).isel(state=np.flatnonzero(data.when == when))
            x, y = np.arange(1, len(names) + 1) + shift, one.depth / one.blocks
            error = one.depth_error.fillna(0) / one.blocks
            series.append(Series(when, x, y, y - error, y + error))
        panels.append(
            Panel(
                f"measures-{measure.replace(', ', '-').replace(' ', '-')}",
                MEASURES[measure][0].upper() + MEASURES[measure][1:],
                "Two points for each network, before and after training: the mean path length as a part of its blocks. "
                "Where the second lies higher the network has deepened by this measure; where panels disagree, the "
                "answer depends on what is measured.",
                Axis("network (numbers: see the text)"),
                Axis("mean path length, fraction of blocks", zero=True),
                tuple(series),
                marks="points",
                note=f"Networks: {listed}. Bars: standard errors, of the median or variance over samples by the "
                "bootstrap, of weights by groups of samples, of single paths by their draw, too.",
            )
        )
    return tuple(panels)


def course_panel(data: xr.Dataset) -> Panel:
    """Return the depth of the ResNet-32 at the paper's setting against the training step, by each of `DRAWN`."""
    one = _shown(data, COURSE)
    x = np.array([_step(when) for when in one.when.values.tolist()]) + 1.0
    series = []
    for measure in DRAWN:
        y, error = one.depth.sel(measure=measure), one.depth_error.sel(measure=measure).fillna(0)
        series.append(Series(MEASURES[measure], x, y, y - error, y + error))
    return Panel(
        "measures-course",
        "One training by several measures",
        "Each line is the mean path length by one measure; a rise means that the network deepens by it.",
        Axis("training step + 1", log=True),
        Axis("mean path length", f"blocks of {int(one.blocks[0])}", zero=True),
        tuple(series),
        note=f"{COURSE}: fresh, step 20, epochs 1, 81, 82, 123 and 164.",
    )


def layers_panel(data: xr.Dataset) -> Panel:
    """Return the mean length above every weight of the ResNet-32 at growing epochs, by squared norms."""
    one = _shown(data, COURSE)
    layers = int(one.layers[0])
    rows = zip(one.when.values, one.layer_energy_depth.values[:, :layers], strict=True)
    return Panel(
        "measures-layers",
        "Path length above each weight",
        "Each line is one moment of the training: how many blocks the part of the loss's gradient has passed, on "
        "average, that reaches a weight. A lower line means that the weights learn along shorter paths.",
        Axis("weight, from input to output"),
        Axis("mean path length", "blocks", zero=True),
        tuple(Series(str(when), np.arange(1, layers + 1), row) for when, row in rows),
        note=f"{COURSE}; squared norms of the batch.",
    )


def change(data: xr.Dataset, network: str, start: str, end: str, measure: str) -> Change:
    """Return how much a network's depth changes between two moments, with its standard error, in blocks."""
    first, last = (_moment(data, network, when).sel(measure=measure) for when in (start, end))
    error = np.hypot(first.depth_error.fillna(0), last.depth_error.fillna(0))
    return float(last.depth - first.depth), float(error)


def depth_by(measure: str, *, gained: bool = False) -> Quantity:
    """Return the quantity {network: depth by another measure as a part of its blocks, by seed or data set}.

    Parameters
    ----------
    measure
        Of `skipglass.paths.MEASURES`.
    gained
        What the trained network has more than the fresh one, in place of the fresh one's depth.
    """

    def quantity(recordings: Recordings) -> dict[str, list[float]]:
        if KIND not in recordings:
            raise Undecided("no recording")
        data, found = recordings[KIND], dict[str, list[float]]()
        for name in _networks(data):
            # fresh, a network is the same with decay on λ and without; the transformer has no batch norm
            if name.startswith("ResNet") and (gained or "no weight decay" not in name):
                blocks = float(_moment(data, name, "fresh").blocks)
                depth = float(_moment(data, name, "fresh").depth.sel(measure=measure))
                value = change(data, name, "fresh", "trained", measure)[0] if gained else depth
                found.setdefault(name.partition(",")[0], []).append(value / blocks)
        return {f"{name}, n = {len(values)}": values for name, values in found.items()}

    return quantity


def agreement_table(data: xr.Dataset) -> Table:
    """Return the change of depth by each measure, for every network, and in what the measures agree."""
    names = _networks(data)
    spans = [(name, "fresh", "trained") for name in names]
    later = (("step 20", "trained"), ("epoch 1", "trained"), ("epoch 81", "epoch 82"))
    rows: list[Sequence[str | float]] = []
    for network, start, end in [*spans, *((COURSE, *span) for span in later if COURSE in names)]:
        changes = [change(data, network, start, end, measure) for measure in DRAWN]
        # the depths of single weights, of all but the last, above which nothing is counted
        first, last = (_moment(data, network, when) for when in (start, end))
        deeper = (last.layer_energy_depth - first.layer_energy_depth).values[: int(first.layers) - 1]
        span = "" if (start, end) == ("fresh", "trained") else f", {start} → {end}"
        weights = f"{np.nanmean(deeper):+.2f} ({int((deeper > 0).sum())} of {deeper.size} deeper)"
        rows.append((f"{names.index(network) + 1} {network}{span}", *map(_cell, changes), weights, _agreement(changes)))
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


def null_table(data: xr.Dataset) -> Table:
    """Return how far each network's energies lie from independent blocks, equal and unequal, and coherent paths."""
    rows: list[Sequence[str | float]] = []
    for network in _networks(data):
        one = _shown(data, network)
        for when, distances in zip(one.when.values, one.distance.values, strict=True):
            cells = ["not defined" if np.isnan(d) else f"{d:.3g}" for d in distances]
            rows.append((f"{network}, {when}", *cells, [*MODELS.values()][int(np.nanargmin(distances))]))
    return Table(
        "measures-nulls",
        "Independent blocks or coherent paths",
        "The Kullback-Leibler divergence, in nats, of the squared norms by length from three models. Unequal blocks "
        "alone narrow a spectrum; only what lies nearer to coherent paths than to a network's own blocks, taken as "
        "independent, asks for coherence.",
        ("network", *MODELS.values(), "nearest"),
        rows,
    )


def _networks(data: xr.Dataset) -> list[str]:
    return list(dict.fromkeys(data.network.values.tolist()))


def _shown(data: xr.Dataset, network: str) -> xr.Dataset:
    """A network at all moments, statistics held."""
    return data.sel(mode="frozen").isel(state=np.flatnonzero(data.network.values == network))


def _moment(data: xr.Dataset, network: str, when: str) -> xr.Dataset:
    """A network at one moment."""
    one = _shown(data, network)
    return one.isel(state=one.when.values.tolist().index(when))


def _step(when: str) -> int:
    """How many steps of `COURSE` a moment comes after."""
    unit, _, count = {"fresh": "step 0", "trained": f"epoch {EPOCHS}"}.get(when, when).partition(" ")
    return int(count) * {"step": 1, "epoch": STEPS}[unit]


def _cell(one: Change) -> str:
    value, error = one
    if np.isnan(value):
        return "not defined"
    return f"{value:+.2f}{'?' if abs(value) <= 2 * error else ''}"


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
    agreement, nulls = agreement_table(data), null_table(data)
    shown: tuple[Panel | Table, ...] = (*panels, agreement, course_panel(data), layers_panel(data), nulls)
    return [Section("How deep is it? Several measures", TEXT, shown)], {"measures": panels}


DEPTHS = Experiment(("measures",), {}, lambda options, folder: {}, depths_pages, optional={KIND: KIND}, kept=".")
"""Its recording needs the weights of trained networks, and so is taken from the folder of long runs."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the recording."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("weights", type=Path, help="the folder of weights")
    parser.add_argument("data", type=Path, help="the folder of the CIFAR files")
    parser.add_argument("--recordings", type=Path, help="the folder of the trainings' recordings, for test errors")
    parser.add_argument("--out", type=Path, default=Path("measures.nc"), help="the file to write")
    given = parser.parse_args(arguments)
    paths_of = sorted(given.recordings.glob("resnet-cifar*.nc")) if given.recordings else []
    trainings = [record.load(path, "resnet") for path in paths_of]
    found = measured(given.weights, given.data, trainings, lambda done, of: print(f"{done} of {of}", flush=True))
    record.save(found, given.out, KIND)


if __name__ == "__main__":
    main()
