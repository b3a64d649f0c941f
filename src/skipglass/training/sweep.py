"""The map: how scales and the measured depth change in training, over what the paper leaves open.

A *cell* is one setting. Its seeds train side by side in one batched run, and what is kept of it is one small file,
FOLDER/cells/NAME.nc, written whole or not at all. A sweep that is started again trains only what is missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import xarray as xr

from skipglass import check, record
from skipglass.data import MAX_SEPARATION
from skipglass.errors import InputError, StorageError
from skipglass.threads import one_thread
from skipglass.training.measured import MeasuredRun
from skipglass.training.recording import total_norm
from skipglass.training.settings import Settings
from skipglass.training.spread import spread

__all__ = ["VARIANTS", "Grid", "cell", "check_recording", "sweep"]

VARIANTS: dict[str, tuple[str, str, float | None]] = {
    "batch-before": ("batch", "before", None),
    "batch-after": ("batch", "after", None),
    "paper-before": ("paper", "before", None),
    "paper-after": ("paper", "after", None),
    "none": ("none", "after", None),
    "none-small": ("none", "after", 0.1),
}
"""Normalisation, its place by the ReLU, and C of the weights (None: 1/√fan_in; 0.1 is about half of 1/√20).

With "before", and without normalisation, a branch ends in the ReLU; with "after" in the normalisation (Eq. 22).
"""
LABELS = {
    "multiplier": "mean of |λ_l| over units and layers with a shortcut",
    "absorbed_norm": "mean of ‖diag(λ_l/σ_l) W_l‖ over layers with a shortcut",
    "weight_norm": "‖w‖ of all layers but the head",
}
CELLS, KIND = "cells", "sweep-cell"
AXES = ("separation", "learning_rate", "normalization", "placement", "scale", "depth")
"""The settings that differ within a sweep; all others are the same in every cell."""


@dataclass(frozen=True)
class Grid:
    """What a sweep trains: every combination of its axes, each with all its seeds.

    Parameters
    ----------
    separations, learning_rates, depths
        Values of the `Settings` of that name; depths of at least 2, as the first layer has no shortcut.
    variants
        Names in `VARIANTS`.
    seeds, epochs, width
        The same for every cell; at least two seeds, as growth is judged by its standard error.

    Raises
    ------
    InputError
        If an axis is empty or names a value twice, a value is out of range, or there is one seed only.

    Examples
    --------
    >>> list(Grid(separations=[4], learning_rates=[0.1], variants=["none"], depths=[4, 8]).cells())
    ['none-depth4-separation4.0-rate0.1', 'none-depth8-separation4.0-rate0.1']
    """

    separations: Sequence[float] = (2.0, 4.0, 8.0, 16.0)
    learning_rates: Sequence[float] = (0.01, 0.05, 0.25)
    variants: Sequence[str] = ("batch-before", "batch-after", "paper-after", "none", "none-small")
    depths: Sequence[int] = (3, 6, 12)
    seeds: Sequence[int] = tuple(range(16))
    epochs: int = 4
    width: int = 20

    def __post_init__(self) -> None:
        checks: dict[str, Callable[[object], object]] = {
            "separations": partial(check.real, "separation", minimum=0.0, maximum=MAX_SEPARATION),
            "learning_rates": partial(check.real, "learning_rate", minimum=0.0, above=True),
            "variants": lambda name: check.choice("a variant", name, VARIANTS),
            "depths": lambda depth: check.integer("depth", depth, 2),
        }
        for axis, checked in checks.items():
            values = tuple(checked(value) for value in getattr(self, axis))
            if not values:
                raise InputError(f"the grid is empty: it has no {axis}; give at least one")
            if len(set(values)) < len(values):
                raise InputError(f"{axis} must differ, found {', '.join(map(str, values))}")
            object.__setattr__(self, axis, values)
        first = next(iter(self.cells().values()))  # the settings check the rest
        if len(first.seeds) < 2:
            raise InputError("a sweep needs at least 2 seeds: growth is judged by its standard error over them")

    def cells(self) -> dict[str, Settings]:
        """Return {name of the cell: its settings}."""
        return {
            f"{variant}-depth{depth}-separation{separation}-rate{rate}": self._settings(
                variant, depth, separation, rate
            )
            for variant, depth, separation, rate in product(
                self.variants, self.depths, self.separations, self.learning_rates
            )
        }

    def _settings(self, variant: str, depth: int, separation: float, rate: float) -> Settings:
        normalization, placement, scale = VARIANTS[variant]
        return Settings(
            depth=depth, width=self.width, normalization=normalization, placement=placement, scale=scale,
            learning_rate=rate, epochs=self.epochs, separation=separation, seeds=self.seeds,
        )  # fmt: skip


def cell(settings: Settings) -> xr.Dataset:
    """Train one cell and reduce it to numbers by epoch and seed.

    Parameters
    ----------
    settings
        With all seeds.

    Returns
    -------
    xarray.Dataset
        From before the first step (epoch 0) to the last epoch, in eval mode with the statistics of 2,000 training
        samples. Over the layers with a shortcut: ``multiplier``, the mean of |λ_l| (NaN without normalisation), and
        ``absorbed_norm``, the mean of ‖diag(λ/σ) W_l‖; ``weight_norm``, ‖w‖ of all layers but the head;
        ``effective_depth`` in blocks, the median over samples, and ``effective_depth_batch``; losses and accuracies.
        A diverged network has NaN. The settings are attributes.

    Examples
    --------
    >>> settings = Settings(experiment="digits", depth=3, width=8, epochs=1, seeds=[0, 1])
    >>> cell(settings).effective_depth.sizes
    Frozen({'epoch': 2, 'seed': 2})
    """
    run = MeasuredRun(settings)
    with one_thread():
        while run.epochs_done < settings.epochs:
            run.epoch()
    recording = run.recording.to_xarray(settings, epochs_done=run.epochs_done)
    skippable = recording.isel(layer=slice(1, None)).mean("layer", skipna=False)
    lost = skippable.weight_norm * np.nan
    kept = {
        "multiplier": skippable.get("multiplier_magnitude", lost),
        "absorbed_norm": skippable.get("absorbed_norm", skippable.weight_norm),
        "weight_norm": total_norm(recording),
    }
    whole = ("effective_depth", "effective_depth_batch", "train_loss", "train_accuracy", "test_accuracy")
    data = xr.Dataset({**kept, **{name: recording[name] for name in whole}}, attrs=settings.attributes())
    return _labelled(data.drop_vars("step").swap_dims(evaluation="epoch").astype("float32", keep_attrs=True))


def sweep(
    grid: Grid,
    folder: Path,
    *,
    workers: int = 1,
    cluster: str | None = None,
    on_cell: Callable[[int], None] | None = None,
) -> xr.Dataset:
    """Train every cell of the grid that FOLDER/cells does not hold yet; return all of them.

    Parameters
    ----------
    grid
        What to train.
    folder
        Keeps each cell as soon as it is done.
    workers
        Processes on this machine; 1 trains in this one. The result does not depend on it.
    cluster
        The address of a Dask scheduler that is to do the work instead.
    on_cell
        Called with the number of cells that are there, at the start and after each.

    Returns
    -------
    xarray.Dataset
        `cell` along ``cell``, with ``separation``, ``learning_rate``, ``variant`` and ``depth`` as coordinates; what
        all cells share as attributes.

    Raises
    ------
    StorageError
        If the folder holds cells of other settings, a cell cannot be read, or the folder cannot be written in.
    UserError
        If the cluster cannot be reached, or a worker is lost for good. Finished cells are kept.
    """
    cells = grid.cells()
    place = record.output_folder(Path(folder) / CELLS)
    done = _finished(place, cells)
    tell = on_cell or (lambda _: None)
    tell(len(done))
    missing = {name: settings for name, settings in cells.items() if name not in done}
    for name, result in spread(_named, missing.items(), workers=workers, cluster=cluster):
        record.save(result, place / f"{name}.nc", kind=KIND)
        done[name] = result
        tell(len(done))
    return _merged(cells, done)


def _named(item: tuple[str, Settings]) -> tuple[str, xr.Dataset]:
    name, settings = item
    return name, cell(settings)


def _finished(place: Path, cells: Mapping[str, Settings]) -> dict[str, xr.Dataset]:
    """The cells of the grid that are there; all that lies there must be of the same settings but for the axes."""
    shared, done = _shared(cells), {}
    for path in sorted(place.glob("[!.]*.nc")):  # a kill in the middle of writing leaves a hidden file
        found = record.load(path, KIND)
        wanted = cells[path.stem].attributes() if path.stem in cells else shared
        _check_settings(path, found, wanted)
        if path.stem in cells:
            done[path.stem] = found
    return done


def check_recording(path: Path, grid: Grid) -> None:
    """Refuse to write a sweep over the recording of another one, or of more cells.

    Parameters
    ----------
    path
        Where it is to be written; there need be nothing.
    grid
        Of what is to be written.

    Raises
    ------
    StorageError
        If there is a recording of other settings, of cells that the grid leaves out, or a file that is no recording.
    """
    if not path.exists():
        return
    cells, found = grid.cells(), record.load(path, "sweep")
    _check_settings(path, found, _shared(cells))
    lost = [name for name in found.cell.values.tolist() if name not in cells]
    if lost:
        raise StorageError(
            f"{path} holds a sweep of other settings: {len(lost)} of its {found.sizes['cell']} cells are not in the "
            f"grid, like {lost[0]}; choose another folder, or a grid that has them. Nothing was changed there"
        )


def _check_settings(path: Path, found: xr.Dataset, wanted: Mapping[str, object]) -> None:
    for name in record.differing(found, wanted):
        raise StorageError(
            f"{path.parent} holds a sweep of other settings: {path.name} has {name} = {found.attrs.get(name)}, asked "
            f"for is {wanted[name]}; choose another folder, or the settings of that sweep. Nothing was changed there"
        )


def _shared(cells: Mapping[str, Settings]) -> dict[str, object]:
    """The settings that are the same in every cell."""
    return {k: v for k, v in next(iter(cells.values())).attributes().items() if k not in AXES}


def _labelled(data: xr.Dataset) -> xr.Dataset:
    for name, text in LABELS.items():
        data[name].attrs["long_name"] = text
    return data


def _merged(cells: Mapping[str, Settings], done: Mapping[str, xr.Dataset]) -> xr.Dataset:
    order = [done[name].drop_attrs(deep=False) for name in cells]
    merged = xr.concat(order, "cell", data_vars="all", coords="minimal", compat="equals", join="exact")
    names = {settings: variant for variant, settings in VARIANTS.items()}
    settings = list(cells.values())
    coordinates = {
        "cell": list(cells),
        "variant": ("cell", [names[s.normalization, s.placement, s.scale] for s in settings]),
        **{name: ("cell", [getattr(s, name) for s in settings]) for name in ("separation", "learning_rate", "depth")},
    }
    return _labelled(merged.assign_coords(coordinates).assign_attrs(_shared(cells)))
