"""The map: where λ, absorbed norms and the measured depth grow together, as the paper says, and where not.

One recording, by `skipglass.training.sweep`, of small networks on Gaussians over all that App. C leaves open: class
separation, learning rate, normalisation, depth. A setting is one cell of the grid in which every network has learned.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import rankdata

from skipglass.paper.arrays import by_setting
from skipglass.paper.claim import Claim, Quantity, Recordings, Undecided
from skipglass.paper.experiment import Experiment, Options, Pages, Recording, Tell, copied
from skipglass.paper.rules import above, below, grows
from skipglass.report import Axis, Panel, Rule, Section, Series
from skipglass.training import Grid, sweep

__all__ = ["FULL", "LIVE", "MAP", "changes", "lacks_full_map", "learned_cells", "map_panels", "summary"]

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
FEWEST = 5
"""Cells; with fewer a rank correlation says nothing."""
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


def learned_cells(recording: xr.Dataset) -> xr.Dataset:
    """Return the cells whose networks have all learned something and have a depth at both ends."""
    ends = recording.isel(epoch=[0, -1])
    there = np.isfinite(ends.effective_depth) & np.isfinite(ends.absorbed_norm)
    learned = there.all(("epoch", "seed")) & (recording.train_accuracy.isel(epoch=-1).min("seed") > LEARNED)
    return recording.isel(cell=np.flatnonzero(learned.values))


def changes(learned: xr.Dataset, name: str) -> Array:
    """Return how one quantity has changed from the start to the end.

    Parameters
    ----------
    learned
        By `learned_cells`.
    name
        "multiplier" (ln of |λ|, end over start; NaN without normalisation), "absorbed_norm" (its ln), "scale" (the
        first, or the second without normalisation) or "effective_depth" (end minus start, over the number of blocks).

    Returns
    -------
    ndarray
        (cell, seed).
    """
    return _changes(learned)[name].values


def _changes(learned: xr.Dataset) -> xr.Dataset:
    """All of them."""
    courses = (
        learned[["multiplier", "absorbed_norm", "effective_depth"]].astype(float).transpose("cell", "seed", "epoch")
    )
    start, end = courses.isel(epoch=0), courses.isel(epoch=-1)
    found = xr.Dataset({name: np.log(end[name] / start[name]) for name in ("multiplier", "absorbed_norm")})
    depth = (end.effective_depth - start.effective_depth) / (learned.depth - 1)
    return found.assign(scale=found.multiplier.fillna(found.absorbed_norm), effective_depth=depth)


def _variants(recording: xr.Dataset) -> list[str]:
    return list(dict.fromkeys(recording.variant.values.tolist()))


def _sides(change: xr.DataArray) -> dict[str, int]:
    """{cell: 1 where a quantity grows, -1 where it shrinks, 0 where neither is shown}, by the test of the claims."""
    judged = grows().judge(by_setting("{cell}", change.dropna("cell")))
    return {setting.name: setting.side for setting in judged.settings}


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
    note, change = _note(recording), _changes(learned_cells(recording))
    scale, depth = _sides(change.scale), _sides(change.effective_depth)
    grown = {cell: (side == 1, depth[cell] == 1) for cell, side in scale.items()}
    means = change.mean("seed", skipna=False)
    scatters = [
        _scatter(means, "multiplier", "|λ|", "|λ|", note),
        _scatter(means, "absorbed_norm", "‖diag(λ/σ)W‖", "the absorbed norms", note),
    ]
    maps = [_map(recording, grown, variant, note) for variant in _variants(recording)]
    return (*maps, *(panel for panel in scatters if panel is not None))


def summary(recording: xr.Dataset) -> list[tuple[object, ...]]:
    """Return for each normalisation how many cells learn, and in how many |λ|, norms and depth grow and shrink."""
    change = _changes(learned_cells(recording))
    sides = [_sides(change[name]) for name in ("multiplier", "absorbed_norm", "effective_depth")]
    rows: list[tuple[object, ...]] = []
    for variant in _variants(recording):
        mine = change.cell.values[change.variant.values == variant].tolist()
        counts = [[side.get(cell) for cell in mine] for side in sides]
        rows.append((variant, len(mine), *(f"{count.count(1)} / {count.count(-1)}" for count in counts)))
    return rows


def _map(recording: xr.Dataset, grown: Mapping[str, tuple[bool, bool]], variant: str, note: str) -> Panel:
    """One dot per cell: its place is the setting, its colour says what grew."""
    depths = sorted(set(recording.depth.values.tolist()))
    mine = recording.sel(cell=recording.variant == variant)
    scale = "‖W‖" if variant.startswith("none") else "|λ|"
    names = {
        (True, True): f"{scale} and depth grow",
        (True, False): f"{scale} grows, depth does not",
        (False, True): f"depth grows, {scale} does not",
        (False, False): "neither grows",
        None: "not learned",
    }
    rates = mine.learning_rate.values
    distinct = np.unique(rates)
    # dots of several depths stand side by side within the smallest factor between two rates
    near = float((distinct[1:] / distinct[:-1]).min()) if distinct.size > 1 else 10.0
    place = np.searchsorted(depths, mine.depth.values) - (len(depths) - 1) / 2
    x, y = rates * np.exp(0.16 * np.log(near) * place), mine.separation.values
    kinds = [grown.get(cell) for cell in mine.cell.values.tolist()]
    # a kind that no cell is of keeps its place, and so its colour, in every map
    series = [Series(name, x, np.where([kind == key for kind in kinds], y, np.nan)) for key, name in names.items()]
    return Panel(
        f"map-{variant}",
        f"{WORDS[variant]}: both grow in {kinds.count((True, True))} of {len(kinds)}",
        f"One dot per setting, side by side those of {', '.join(map(str, depths))} layers. Where {scale} and depth "
        "grow, training does what the paper says; the other colours show where it does not.",
        Axis(f"learning rate; side by side {', '.join(map(str, depths))} layers", log=True),
        Axis("class separation", "deviations", log=True),
        tuple(series),
        marks="points",
        note=note,
    )


def _scatter(means: xr.Dataset, name: str, letter: str, words: str, note: str) -> Panel | None:
    """One dot per cell, unless none is near enough; without a norm |λ| is NaN, and so not near."""
    growth = means[name]
    near, beyond = abs(growth) < FAR, int((abs(growth) >= FAR).sum())
    series = [
        Series(WORDS[variant], growth[rows], means.effective_depth[rows])
        for variant in _variants(means)
        if (rows := near & (means.variant == variant)).any()
    ]
    if not series:
        return None
    return Panel(
        f"map-depth-by-{name.replace('_', '-')}",
        f"Does the depth follow {words}?",
        "One dot per setting, mean over seeds. On the paper's account dots rise from lower left to upper right, and "
        "training moves networks into the upper right quarter.",
        Axis(f"ln {letter}, end over start"),
        Axis("change of depth, fraction of blocks"),
        tuple(series),
        marks="points",
        rules=(Rule(0.0, "", axis="x"), Rule(0.0, "")),
        note=note + (f" Not shown: {beyond} beyond a factor of e^{FAR:g}." if beyond else ""),
    )


def _note(recording: xr.Dataset) -> str:
    return (
        f"{recording.sizes['seed']} seeds per setting, {recording.attrs['epochs']} epochs of 200 steps, width "
        f"{recording.attrs['width']}; from the start to the end. What grows does so significantly (Student's t over "
        "seeds, Holm over settings). Effective depth: in blocks, median over 64 training samples, batch statistics "
        "held constant."
    )


def growth(recordings: Recordings, *, name: str, variant: str = "") -> Mapping[str, Array]:
    """{cell: change of a quantity, (seed,)}, of those with λ where it is the multiplier's; of one normalisation."""
    change = _changes(learned_cells(map_of(recordings)))[name]
    if name == "multiplier":
        change = change.sel(cell=~change.variant.str.startswith("none"))
    return by_setting("{cell}", change.sel(cell=change.variant == variant) if variant else change)


def follows(recordings: Recordings, *, name: str) -> Mapping[str, Array]:
    """{normalisation: Spearman's rank correlation, over settings, of a change with that of the depth, (seed,)}."""
    change, found = _changes(learned_cells(map_of(recordings))), {}
    for variant in _variants(change):
        mine = change.sel(cell=change.variant == variant)
        if mine.sizes["cell"] >= FEWEST and np.isfinite(mine[name]).all():
            found[WORDS[variant]] = spearman(mine[name].values, mine.effective_depth.values)
    return found


def spearman(a: Array, b: Array) -> Array:
    """Return the rank correlation of the columns of two arrays, (n, m) each: (m,)."""
    x, y = (rankdata(values, axis=0) - (len(values) + 1) / 2 for values in (a, b))
    with np.errstate(invalid="ignore"):  # one value alone has no correlation
        return (x * y).sum(0) / np.sqrt((x * x).sum(0) * (y * y).sum(0))


def starts(recordings: Recordings) -> Mapping[str, Array]:
    """{normalisation and number of layers: effective depth over the number of blocks, untrained, λ = 1, (seed,)}."""
    data, found = map_of(recordings), {}
    share = data.effective_depth.isel(epoch=0).astype(float) / (data.depth - 1)
    for variant, layers in product(_variants(data), np.unique(data.depth)):
        mine = share.sel(cell=(data.variant == variant) & (data.depth == layers))
        if mine.size and not variant.startswith("none"):
            found[f"{WORDS[variant]}, {layers} layers"] = mine.mean("cell", skipna=False)
    return found


def loss_leads(recordings: Recordings) -> Mapping[str, Array]:
    """{cell where the depth grows: part of the loss's fall done after an epoch minus that of the depth's rise}."""
    learned = learned_cells(map_of(recordings))
    sides = _sides(_changes(learned).effective_depth)
    deeper = learned.sel(cell=[cell for cell, side in sides.items() if side == 1])
    if learned.sizes["epoch"] < 3 or not deeper.sizes["cell"]:
        raise Undecided("no course to order" if deeper.sizes["cell"] else "the depth grows in no setting")
    lead = _done(deeper.train_loss) - _done(deeper.effective_depth)
    return {_in_words(deeper, str(cell)): values for cell, values in by_setting("{cell}", lead).items()}


def _in_words(data: xr.Dataset, cell: str) -> str:
    """The settings of a cell."""
    one = data.sel(cell=cell)
    return (
        f"{WORDS[str(one.variant.values)]}, {int(one.depth)} layers, separation {float(one.separation):g}, rate "
        f"{float(one.learning_rate):g}"
    )


def _done(course: xr.DataArray) -> xr.DataArray:
    """The change of the first epoch over the mean of the whole change, by cell and seed."""
    change = course.astype(float) - course.astype(float).isel(epoch=0)
    return change.isel(epoch=1) / change.isel(epoch=-1).mean("seed", skipna=False)


def _by_norm(name: str) -> dict[str, Quantity]:
    """The same growth for each normalisation."""
    shown = [variant for variant in Grid().variants if not (name == "multiplier" and variant.startswith("none"))]
    return {WORDS[variant]: partial(growth, name=name, variant=variant) for variant in shown}


LEFT_OPEN = "App. C leaves open the class separation, the learning rate and where the norm stands"


def _grows(name: str, statement: str, source: str, what: str, variable: str, figure: str) -> Claim:
    """One row: a quantity grows, in all settings and by normalisation."""
    return Claim(
        name, f"{statement} while training, whatever App. C leaves open.", f"{source}; {LEFT_OPEN}.", what,
        partial(growth, name=variable), grows(0.01), NAME, "ours", figure=f"map-depth-by-{figure}",
        variants=_by_norm(variable),
    )  # fmt: skip


CLAIMS = (
    _grows(
        "Map, λ", "The λ_l of skippable layers grow", "Sec. 1: “These scales dynamically grow as training progresses”",
        "ln of |λ|, mean over units and layers with a shortcut, end over start", "multiplier", "multiplier",
    ),
    _grows(
        "Map, norms", "Absorbed norms grow", "App. C absorbs λ into the weights",
        "ln of ‖diag(λ/σ)W_l‖, mean over layers with a shortcut, end over start", "absorbed_norm", "absorbed-norm",
    ),
    _grows(
        "Map, depth", "The effective depth grows", "Abstract: “as training progresses, it becomes deeper and deeper”",
        "change of the effective depth from start to end, as a fraction of the blocks", "effective_depth",
        "multiplier",
    ),
    Claim(
        "Map, depth by λ", "Where |λ| grows more, the depth grows more.",
        "Sec. 1: “the scaling introduced by batch normalization determines the depth distribution in the virtual "
        "ensemble of the ResNet”.",
        "rank correlation over settings of the growth of |λ| and of the depth", partial(follows, name="multiplier"),
        above(0.0, 0.1), NAME, "ours", figure="map-depth-by-multiplier",
    ),
    Claim(
        "Map, depth by norms", "Where absorbed norms grow more, the depth grows more.",
        "The same sentence, with λ absorbed into the weights as in App. C.",
        "rank correlation over settings of the growth of the absorbed norm and of the depth",
        partial(follows, name="absorbed_norm"), above(0.0, 0.1), NAME, "ours", figure="map-depth-by-absorbed-norm",
    ),
    Claim(
        "Map, start", "With λ = 1 the ensemble starts at less than half the depth.",
        "Abstract and claim 3 of Sec. 4, in small networks.",
        "effective depth over the number of blocks, untrained", starts, below(0.5, 0.01), NAME, "ours",
    ),
    Claim(
        "Sec. 5, order", "By the time the ensemble is deep the loss is already low.",
        "Sec. 5: “by the time the ensemble becomes deep enough, the loss function has already reached a point of low "
        "energy”.",
        "part of the loss's fall that is done after an epoch minus that of the depth's rise, in the settings in which "
        "the depth grows", loss_leads, above(0.0), NAME,
        note="Of networks in which the depth does not grow there is nothing to order; so no network with a norm is "
        "among these",
    ),
)  # fmt: skip


class MapExperiment(Experiment):
    """The map, either grid of which will do."""

    def complete(self, folder: Path, options: Options) -> None:
        """Take the recording of the large grid from where long runs are kept, beside that of the small one."""
        if options.recorded is not None:
            copied([options.recorded / "sweep" / "recordings" / f"{NAME}.nc"], folder)


def _small(options: Options, folder: Path) -> Mapping[str, Recording]:
    def compute(tell: Tell) -> xr.Dataset:
        return sweep(LIVE, folder.parent, on_cell=lambda done: tell(done, len(LIVE.cells())))

    return {SMALL: Recording(KIND, compute)}


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


MAP = MapExperiment(("map",), {f"{NAME}*": KIND}, _small, map_pages, CLAIMS)
