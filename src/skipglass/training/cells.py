"""The map: how scales and the measured depth change in training, over what the paper leaves open.

A *cell* is one setting. Its seeds train side by side in one batched run, and what is kept of it is one small file,
FOLDER/cells/NAME.nc, written whole or not at all. A sweep that is started again trains only what is missing.
"""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor

from skipglass import record
from skipglass.errors import StorageError
from skipglass.graph import Trace
from skipglass.models import ResidualMLP
from skipglass.paths import spectrum
from skipglass.threads import one_thread
from skipglass.training.callbacks import Recorder
from skipglass.training.grid import VARIANTS, Grid
from skipglass.training.interrupts import interrupts_held
from skipglass.training.mlp import MLPs, forward, total_norm
from skipglass.training.parallel import map_unordered
from skipglass.training.settings import Settings

__all__ = ["cell", "check_recording", "effective_depths", "sweep"]

SAMPLES = 64  # training samples whose gradients are split: our choice
LABELS = {
    "multiplier": "mean of |λ_l| over units and layers with a shortcut",
    "absorbed_norm": "mean of ‖diag(λ_l/σ_l) W_l‖ over layers with a shortcut",
    "weight_norm": "‖w‖ of all layers but the head",
}
CELLS, KIND = "cells", "sweep-cell"
AXES = ("separation", "learning_rate", "normalization", "placement", "scale", "depth")
"""The settings that differ within a sweep; all others are the same in every cell."""


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
    with one_thread():
        training = MLPs(settings)
        training.recorder = Recorder(lambda run: _with_depths(training))
        training.fit([training.recorder])
    recording = training.recording()
    # the first layer has no shortcut, and counts in ‖w‖ alone
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


def _with_depths(training: MLPs) -> dict[str, Tensor]:
    """What `train` measures, by statistics that do not lag behind the weights, and the effective depth of each seed."""
    training.calibrate()
    values = training.measure()
    probe = training.inputs[:, :SAMPLES], training.targets[:, :SAMPLES]
    median, batch = effective_depths(training.model, *probe, values["train_loss"].isfinite())
    return values | {"effective_depth": torch.from_numpy(median), "effective_depth_batch": torch.from_numpy(batch)}


def effective_depths(
    model: ResidualMLP, inputs: Tensor, targets: Tensor, alive: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Return the effective depth in blocks of every seed's network, from one walk over all of them.

    The networks do not meet: the gradient of the summed loss at sample n of seed s is that of its own loss, and the
    spectrum of x = (S, N, d) along its first two dimensions splits each on its own.

    Parameters
    ----------
    model
        With a seed axis, or one network without; it is left as found. Measured is a copy, in float64 and eval mode.
    inputs, targets
        (S, N, d) and (S, N).
    alive
        (S,) which networks have not diverged.

    Returns
    -------
    tuple of ndarray
        The median over samples and that of the batch's gradient, (S,) each; NaN for a diverged network.
    """
    median, batch = (np.full(len(alive), np.nan) for _ in range(2))
    if not alive.any():
        return median, batch
    network = copy.deepcopy(model).double().eval()
    if not alive.all():
        # a network of zeros has no gradient, and no part in the error of the other networks' spectrum
        with torch.no_grad():
            for tensor in (*network.parameters(), *network.buffers()):
                tensor[~alive] = 0.0
    x = inputs.detach().double().requires_grad_()
    loss = F.cross_entropy(forward(network, x).flatten(0, 1), targets.flatten(), reduction="sum")
    trace = Trace(loss, x)
    depth = spectrum(trace, per="token").effective_depth_per_sample
    # the batch's depth is the mean of its samples' depths, each weighted by its share of ‖g‖²
    weight = trace.gradient[0].square().sum(-1).numpy()
    for seed in np.flatnonzero(weight.sum(-1) > 0):
        there = weight[seed] > 0
        median[seed] = np.median(depth[seed, there])
        batch[seed] = np.average(depth[seed, there], weights=weight[seed, there])
    return median, batch


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
    KeyboardInterrupt
        On Ctrl-C. Finished cells are kept.
    StorageError
        If the folder holds cells of other settings, a cell cannot be read, or the folder cannot be written in.
    UserError
        If the cluster cannot be reached, or a worker is lost for good. Finished cells are kept.
    """
    # nothing is trained before all that lies there is known to belong to this sweep
    cells = grid.cells()
    place = record.output_folder(Path(folder) / CELLS)
    done = _finished(place, cells)
    tell = on_cell or (lambda _: None)
    tell(len(done))
    missing = {name: settings for name, settings in cells.items() if name not in done}
    for name, result in map_unordered(_named, missing.items(), workers=workers, cluster=cluster):
        # Ctrl-C waits for the file: HDF5 does not like to be interrupted
        with interrupts_held():
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
        _check_settings(path, found, cells[path.stem].attributes() if path.stem in cells else shared)
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
    # in the order of the grid, whatever order they were finished in
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
