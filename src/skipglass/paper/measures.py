"""Does the answer depend on the measure? Depth by several measures, of fresh and of trained networks.

The paper's ε_r² is the variance of the length-r part of the output (Eq. 15), "gradients originate from shallow paths"
(Sec. 4.1) concerns the gradients of the weights, and the spectrum splits the gradient at the input. One recording,
"measures", holds the mean path length by each of `skipglass.paths.MEASURES`, and how far three models lie from the
energies: equal independent blocks, independent blocks with their own participations, coherent paths.
"""

from collections.abc import Callable, Iterable
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

__all__ = ["KIND", "MODELS", "measured"]

KIND = "measures"
MODELS = ("independent", "per block", "coherent")
MODES = ("frozen", "eval")


def measured(weights: Path, data: Path, tell: Callable[[int, int], None] | None = None) -> xr.Dataset:
    """Measure every network whose weights lie in a folder.

    Parameters
    ----------
    weights, data
        Folders; see `skipglass.paper.measured_networks.networks`.
    tell
        Told how many of how many states are done.

    Returns
    -------
    xarray.Dataset
        By state: mean length and standard error by measure, distance from each model, mean length above each weight.
    """
    states = list(networks(weights, data))
    rows = []
    for done, state in enumerate(states):
        rows.append(row_of(state))
        if tell is not None:
            tell(done + 1, len(states))
    return tabulated(rows)


def row_of(state: State) -> dict[str, object]:
    """Measure one network at one moment, with batch norm's statistics held at those of the samples, and as they are."""
    model = state.model()
    normed = any(isinstance(getattr(m, "running_var", None), torch.Tensor) for m in model.modules())
    found: dict[str, object] = {"network": state.network, "when": state.when, **state.about}
    for mode in MODES:
        with as_found(model):
            if mode == "frozen" and normed:
                held(model, state.inputs)
            # without batch norm the two modes are one
            known = found.get("frozen") if mode == "eval" and not normed else None
            found[mode] = known or _in_mode(model, state)
    return found


def _in_mode(model: torch.nn.Module, state: State) -> dict[str, object]:
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


def tabulated(rows: Iterable[dict]) -> xr.Dataset:
    """Lay out the measured rows as one dataset."""
    rows = list(rows)
    found = {mode: [row[mode] for row in rows] for mode in MODES}
    layers = max(len(one["depths"].weights) for one in found["frozen"])

    def each(of: Callable[[dict], object]) -> np.ndarray:
        return np.array([[of(one) for one in found[mode]] for mode in MODES])

    def by_measure(field: str) -> np.ndarray:
        def values(one: dict) -> list[float]:
            d = one["depths"]
            known = dict(zip(d.measures, getattr(d, field), strict=True))
            return [known.get(name, np.nan) for name in MEASURES]

        return each(values)

    def by_layer(field: str) -> np.ndarray:
        return each(
            lambda one: np.pad(
                getattr(one["depths"], field), (0, layers - len(one["depths"].weights)), constant_values=np.nan
            )
        )

    dims = ("mode", "state")
    about = {"long_name": "mean path length", "units": "blocks"}
    return xr.Dataset(
        {
            "depth": ((*dims, "measure"), by_measure("depth"), about),
            "depth_error": (
                (*dims, "measure"),
                by_measure("error"),
                {"long_name": "standard error of the mean path length", "units": "blocks"},
            ),
            "distance": (
                (*dims, "model"),
                each(lambda one: one["distance"]),
                {"long_name": "KL divergence of the energies of the batch from the model", "units": "nats"},
            ),
            "layer_share_depth": (
                (*dims, "layer"),
                by_layer("weight_share_depth"),
                {"long_name": "mean length above the weight by signed shares", "units": "blocks"},
            ),
            "layer_energy_depth": (
                (*dims, "layer"),
                by_layer("weight_energy_depth"),
                {"long_name": "mean length above the weight by squared norms", "units": "blocks"},
            ),
            "loss": (dims, each(lambda one: one["loss"]), {"long_name": "loss of the samples", "units": "nats"}),
        },
        {
            "mode": list(MODES),
            "network": ("state", [row["network"] for row in rows]),
            "when": ("state", [row["when"] for row in rows]),
            "blocks": ("state", [row["frozen"]["depths"].blocks for row in rows]),
            "layers": ("state", [len(row["frozen"]["depths"].weights) for row in rows]),
            "samples": ("state", [row["frozen"]["samples"] for row in rows]),
            "test_error": ("state", [row.get("test_error", np.nan) for row in rows]),
            "measure": list(MEASURES),
            "model": list(MODELS),
        },
    )


def save(data: xr.Dataset, path: Path) -> Path:
    """Write the recording."""
    return record.save(data, path, KIND)
