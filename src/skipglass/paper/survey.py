"""Which of the settings that the paper leaves open come nearest to Fig. 1(d, e), which contradict them.

App. C gives no class separation, learning rate, placement of the normalisation or initialisation. The survey
trains every combination of the values below and keeps one number per seed and quarter of training: the mean of
|λ_l| over the layers with a shortcut (panel d; Theorem 3 speaks of magnitudes, and signs do flip), or ‖w‖
relative to its start (panel e).

    python -m skipglass.paper.survey results/figure1_survey.nc
"""

import itertools
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from skipglass.paper.command import command
from skipglass.training import Settings, total_norm, train

__all__ = ["CAPTION", "EPOCHS", "GRID", "VARIED", "by_epoch", "contrary", "counts", "nearest", "quarters", "survey"]

EPOCHS = 20
BASE = Settings(epochs=EPOCHS, seeds=(100, 101, 102))  # other seeds than the figure's
VARIED = ("experiment", "separation", "learning_rate", "normalization", "placement", "scale")
"""Of `Settings`, what the paper leaves open and the survey varies."""
TASKS = [("digits", 0.0), *(("gaussians", s) for s in (2.0, 4.0, 8.0, 16.0))]
RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
NETWORKS: dict[str, list[tuple[str, str, float | None]]] = {
    "d": [("batch", "before", None), ("batch", "after", None), ("paper", "after", None)],
    "e": [("none", "after", None), ("none", "after", 0.1)],
}
"""Normalisation, placement and C for each panel; C = 0.1 is somewhat less than half of 1/√n = 0.22."""

GRID = [
    (
        panel,
        replace(BASE, experiment=task, separation=s, learning_rate=rate, normalization=n, placement=p, scale=C),
    )
    for panel, networks in NETWORKS.items()
    for (task, s), rate, (n, p, C) in itertools.product(TASKS, RATES, networks)
]

CAPTION: dict[str, Any] = {"experiment": "gaussians", "classes": 50, "depth": 11}
"""The task of the caption: 50 Gaussians, and ten blocks with a shortcut each behind the first layer, which has none."""
GRID += [("d", replace(s, **CAPTION)) for panel, s in GRID if (panel, s.experiment) == ("d", "gaussians")]


def quarters(recording: xr.Dataset, panel: str) -> np.ndarray:
    """Reduce a training to its panel's quantity at the start and after each quarter of the epochs.

    Parameters
    ----------
    recording
        By `skipglass.training.train`.
    panel
        "d": mean of |λ_l| over units and the layers with a shortcut; "e": ‖w‖ over its start.

    Returns
    -------
    ndarray
        (seed, 5).
    """
    if panel == "d":
        value = recording.multiplier_magnitude.isel(layer=slice(1, None)).mean("layer", skipna=False)
    else:
        norm = total_norm(recording)
        value = norm / norm.isel(evaluation=0)
    ends = np.linspace(0, float(recording.epoch[-1]), 5)
    return by_epoch(recording, value).sel(epoch=ends, method="nearest").transpose("seed", "epoch").values


def by_epoch(recording: xr.Dataset, values: xr.DataArray) -> xr.DataArray:
    """Return what was evaluated in a training by epoch, in place of the number of the evaluation."""
    return values.assign_coords(epoch=("evaluation", recording.epoch.values)).swap_dims(evaluation="epoch")


def survey(grid: list[tuple[str, Settings]] = GRID, on_run: Callable[[int], None] | None = None) -> xr.Dataset:
    """Train the grid.

    Parameters
    ----------
    grid
        (panel, settings) pairs.
    on_run
        Called with the number of runs done after each.

    Returns
    -------
    xarray.Dataset
        ``value`` (run, seed, quarter) and ``accuracy`` (run, seed) on the training set, with the settings
        as coordinates of the runs.
    """
    values, accuracies = [], []
    for done, (panel, settings) in enumerate(grid, start=1):
        recording = train(settings)
        values.append(quarters(recording, panel))
        accuracies.append(recording.train_accuracy.isel(evaluation=-1).values)
        if on_run is not None:
            on_run(done)
    varied = {name: ("run", [getattr(setting, name) for _, setting in grid]) for name in VARIED}
    varied["experiment"] = ("run", ["caption" if s.classes == CAPTION["classes"] else s.experiment for _, s in grid])
    varied["scale"] = ("run", [math.nan if setting.scale is None else setting.scale for _, setting in grid])
    return xr.Dataset(
        {"value": (("run", "seed", "quarter"), values), "accuracy": (("run", "seed"), accuracies)},
        {
            "panel": ("run", [panel for panel, _ in grid]),
            **varied,
            "seed": list(grid[0][1].seeds),
            "quarter": np.arange(5),
        },
        {"epochs": EPOCHS},
    )


def nearest(table: xr.Dataset, panel: str, experiment: str) -> dict[str, object]:
    """Return the setting nearest to the paper's panel: the largest smallest rise over the four quarters.

    The paper's curves rise throughout. Only settings that learn count: every seed above half of the training
    set right.

    Parameters
    ----------
    table
        By `survey`.
    panel
        "d" or "e".
    experiment
        "gaussians", "digits", or "caption".

    Returns
    -------
    dict
        Keyword arguments for `Settings`.
    """
    runs = _learned(table, panel, experiment)
    rise = runs.value.mean("seed").diff("quarter").min("quarter")
    return _settings(runs.isel(run=int(np.argmax(rise.values))))


def contrary(table: xr.Dataset, panel: str, experiment: str) -> dict[str, object]:
    """Return the setting that contradicts the paper's panel most: the lowest end relative to the start.

    Parameters
    ----------
    table
        By `survey`.
    panel
        "d" or "e".
    experiment
        "gaussians", "digits", or "caption".

    Returns
    -------
    dict
        Keyword arguments for `Settings`.
    """
    runs = _learned(table, panel, experiment)
    change = (runs.value.isel(quarter=-1) - runs.value.isel(quarter=0)).mean("seed")
    return _settings(runs.isel(run=int(np.argmin(change.values))))


def counts(table: xr.Dataset, panel: str, experiment: str) -> tuple[int, int, int]:
    """Return how many settings learn, and in how many of them the quantity ends higher, and lower.

    Parameters
    ----------
    table
        By `survey`.
    panel
        "d" or "e".
    experiment
        "gaussians", "digits", or "caption".

    Returns
    -------
    tuple of int
        Settings that learn; ends above, and below, the start by more than two standard errors over seeds.
    """
    runs = _learned(table, panel, experiment)
    change = runs.value.isel(quarter=-1) - runs.value.isel(quarter=0)
    error = 2 * change.std("seed", ddof=1) / math.sqrt(change.sizes["seed"])
    mean = change.mean("seed")
    return mean.size, int((mean > error).sum()), int((mean < -error).sum())


def _learned(table: xr.Dataset, panel: str, experiment: str) -> xr.Dataset:
    rows = (table.panel == panel) & (table.experiment == experiment) & (table.accuracy.min("seed") > 0.5)
    return table.isel(run=np.flatnonzero(rows & np.isfinite(table.value).all(("seed", "quarter"))))


def _settings(run: xr.Dataset) -> dict[str, object]:
    found = {name: run[name].item() for name in VARIED}
    found["scale"] = None if math.isnan(found["scale"]) else found["scale"]
    return found | CAPTION if found["experiment"] == "caption" else found


def _show(done: int) -> None:
    sys.stderr.write(f"\r{done} of {len(GRID)} trainings")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the grid, and record it."""
    command("survey", lambda: survey(on_run=_show), arguments)


if __name__ == "__main__":
    main()
