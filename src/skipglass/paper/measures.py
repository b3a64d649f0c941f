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
from typing import Any

import numpy as np
import torch
import xarray as xr

from skipglass import paths, record, theory
from skipglass.errors import InputError
from skipglass.graph import as_found, trace
from skipglass.paper.measured_networks import State, held, networks
from skipglass.paths import MEASURES

__all__ = ["KIND", "MODELS", "MODES", "measured", "row_of", "tabulated"]

Row = dict[str, Any]
KIND = "measures"
MODELS = ("independent", "per block", "coherent")
MODES = ("frozen", "eval")
TRAINING = ("dataset", "depth", "epochs", "decay_scales", "seed")
"""What tells the recording of a network's training."""


def measured(
    weights: Path,
    data: Path,
    recordings: Sequence[xr.Dataset] = (),
    tell: Callable[[int, int], None] | None = None,
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
    states = list(networks(weights, data))
    rows = []
    for done, state in enumerate(states, 1):
        rows.append(row_of(state))
        if tell is not None:
            tell(done, len(states))
    return tabulated(rows, recordings)


def row_of(state: State) -> Row:
    """Measure one network at one moment, with batch norm's statistics held at those of the samples, and as they are."""
    model = state.model()
    normed = any(isinstance(getattr(m, "running_var", None), torch.Tensor) for m in model.modules())
    found: Row = {"network": state.network, "when": state.when, **state.about}
    for mode in MODES:
        with as_found(model):
            if mode == "frozen" and normed:
                held(model, state.inputs)
            # without batch norm the two modes are one
            known = found.get("frozen") if mode == "eval" and not normed else None
            found[mode] = known or _in_mode(model, state)
    return found


def _in_mode(model: torch.nn.Module, state: State) -> Row:
    t = trace(model, state.inputs, state.targets, state.loss_fn)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        participation = paths.participation_of(t).share
    split = paths.spectrum(t)
    census = {r: comb(len(participation), r) for r in range(len(participation) + 1)}
    distances = []
    for reading in MODELS:
        given = participation if reading == "per block" else None
        try:
            distances.append(theory.fit(split.lengths, split.norm**2, census, reading, participation=given).distance)
        except InputError:  # a participation that is no probability: its paths cancel
            distances.append(np.nan)
    d = paths.depths(model, state.inputs, state.targets, state.loss_fn)
    return {"depths": d, "distance": distances, "loss": float(t.loss.detach()), "samples": _samples(state.inputs)}


def _samples(inputs: Any) -> int:
    return len(next(iter(inputs.values())) if isinstance(inputs, dict) else inputs)


def tabulated(rows: Sequence[Row], recordings: Sequence[xr.Dataset] = ()) -> xr.Dataset:
    """Lay out the measured rows as one dataset, with the test errors that recordings of the trainings hold."""
    dims = ("mode", "state")
    layers = max(len(row["frozen"]["depths"].weights) for row in rows)

    def each(of: Callable[[Row], Any], *more: str, about: str = "", units: str = "") -> tuple:
        values = np.array([[of(row[mode]) for row in rows] for mode in MODES], dtype=float)
        return (*dims, *more), values, {"long_name": about, "units": units}

    def by_measure(field: str) -> Callable[[Row], list[float]]:
        def values(found: Row) -> list[float]:
            known = dict(zip(found["depths"].measures, getattr(found["depths"], field), strict=True))
            return [known.get(name, np.nan) for name in MEASURES]

        return values

    def by_layer(field: str) -> Callable[[Row], Any]:
        def values(found: Row) -> Any:
            one = getattr(found["depths"], field)
            return np.pad(one, (0, layers - one.size), constant_values=np.nan)

        return values

    mean, error = "mean path length", "standard error of the mean path length"
    energies = "KL divergence of the energies of the batch from the model"
    above = "mean length above the weight by"
    share, energy = by_layer("weight_share_depth"), by_layer("weight_energy_depth")
    return xr.Dataset(
        {
            "depth": each(by_measure("depth"), "measure", about=mean, units="blocks"),
            "depth_error": each(by_measure("error"), "measure", about=error, units="blocks"),
            "distance": each(lambda found: found["distance"], "model", about=energies, units="nats"),
            "layer_share_depth": each(share, "layer", about=f"{above} signed shares", units="blocks"),
            "layer_energy_depth": each(energy, "layer", about=f"{above} squared norms", units="blocks"),
            "loss": each(lambda found: found["loss"], about="loss of the samples", units="nats"),
        },
        {
            "mode": list(MODES),
            "network": ("state", [row["network"] for row in rows]),
            "when": ("state", [row["when"] for row in rows]),
            "blocks": ("state", [row["frozen"]["depths"].blocks for row in rows]),
            "layers": ("state", [len(row["frozen"]["depths"].weights) for row in rows]),
            "samples": ("state", [row["frozen"]["samples"] for row in rows]),
            "test_error": ("state", [row.get("test_error", _test_error(row, recordings)) for row in rows]),
            "measure": list(MEASURES),
            "model": list(MODELS),
        },
    )


def _test_error(row: Row, recordings: Sequence[xr.Dataset]) -> float:
    """The test error that the recording of the training has for this moment; NaN within an epoch, or of none."""
    found = [r for r in recordings if "dataset" in row and all(r.attrs.get(name) == row[name] for name in TRAINING)]
    if not found or row["when"].startswith("step"):
        return np.nan
    epoch = {"fresh": 0, "trained": row["epochs"]}.get(row["when"])
    epoch = int(row["when"].removeprefix("epoch ")) if epoch is None else epoch
    return float(found[0].test_error.sel(epoch=epoch))


def main() -> None:
    """Measure and write the recording."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("weights", type=Path, help="the folder of weights")
    parser.add_argument("data", type=Path, help="the folder of the CIFAR files")
    parser.add_argument("--recordings", type=Path, help="the folder of the trainings' recordings, for test errors")
    parser.add_argument("--out", type=Path, default=Path("measures.nc"), help="the file to write")
    given = parser.parse_args()
    trainings = sorted(given.recordings.glob("resnet-cifar*.nc")) if given.recordings else []
    found = measured(
        given.weights,
        given.data,
        [record.load(path, "resnet") for path in trainings],
        lambda done, of: print(f"{done} of {of}", flush=True),
    )
    record.save(found, given.out, KIND)


if __name__ == "__main__":
    main()
