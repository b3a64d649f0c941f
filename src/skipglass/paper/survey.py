"""Which of the settings that the paper leaves open come nearest to Fig. 1(d, e), which contradict them.

App. C gives no class separation, learning rate, placement of the normalisation or initialisation. The survey
trains every combination of the values below and keeps one number a seed and quarter of training: the mean of
|λ_l| over the layers with a shortcut (panel d; Theorem 3 speaks of magnitudes, and signs do flip), or ‖w‖
relative to its start (panel e).

    python -m skipglass.paper.survey results/figure1_survey.nc
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from skipglass.record import save
from skipglass.training import Settings, total_norm, train

__all__ = ["EPOCHS", "GRID", "contrary", "counts", "nearest", "quarters", "survey"]

EPOCHS = 20
BASE = Settings(epochs=EPOCHS, seeds=(100, 101, 102))  # other seeds than the figure's
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
    rows = [int(np.argmin(np.abs(recording.epoch.values - end))) for end in ends]
    return value.isel(evaluation=rows).transpose("seed", "evaluation").values


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
    names = ("experiment", "separation", "learning_rate", "normalization", "placement", "scale")
    coordinates = {name: ("run", [settings.attributes()[name] for _, settings in grid]) for name in names}
    coordinates["scale"] = ("run", [settings.scale or np.nan for _, settings in grid])
    return xr.Dataset(
        {
            "value": (("run", "seed", "quarter"), np.array(values)),
            "accuracy": (("run", "seed"), np.array(accuracies)),
        },
        coords={
            "panel": ("run", [panel for panel, _ in grid]),
            **coordinates,
            "seed": list(grid[0][1].seeds),
            "quarter": np.arange(5),
        },
        attrs={"epochs": EPOCHS},
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
        "gaussians" or "digits".

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
        "gaussians" or "digits".

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
        "gaussians" or "digits".

    Returns
    -------
    tuple of int
        Settings that learn; ends above, and below, the start by more than two standard errors over seeds.
    """
    runs = _learned(table, panel, experiment)
    change = (runs.value.isel(quarter=-1) - runs.value.isel(quarter=0)).transpose("run", "seed").values
    error = change.std(axis=1, ddof=1) / np.sqrt(change.shape[1])
    mean = change.mean(axis=1)
    return len(mean), int((mean > 2 * error).sum()), int((mean < -2 * error).sum())


def _learned(table: xr.Dataset, panel: str, experiment: str) -> xr.Dataset:
    rows = (table.panel == panel) & (table.experiment == experiment) & (table.accuracy.min("seed") > 0.5)
    return table.isel(run=np.flatnonzero(rows & np.isfinite(table.value).all(("seed", "quarter"))))


def _settings(run: xr.Dataset) -> dict[str, object]:
    scale = float(run.scale)
    return {
        "experiment": str(run.experiment.item()),
        "separation": float(run.separation),
        "learning_rate": float(run.learning_rate),
        "normalization": str(run.normalization.item()),
        "placement": str(run.placement.item()),
        "scale": None if np.isnan(scale) else scale,
    }


def _show(done: int) -> None:
    sys.stderr.write(f"\r{done} of {len(GRID)} trainings")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the grid, and record it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("recording", type=Path)
    path = parser.parse_args(arguments).recording
    save(survey(on_run=_show), path, kind="survey")


if __name__ == "__main__":
    main()
