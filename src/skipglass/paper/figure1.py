"""Figure 1(a-e): the depth ensemble, the multipliers λ_l and the weight norm while training.

For (d) and (e) the paper leaves the class separation, the learning rate, the placement of the normalisation
and the initialisation open. `RUNS` holds, for each panel and task, the setting of a survey that comes nearest to
the paper's panel and the one that contradicts it most (`skipglass.paper.survey`).
"""

from dataclasses import replace

import numpy as np
import xarray as xr

from skipglass.paper.survey import EPOCHS
from skipglass.report import Axis, Panel, Rule, Series, Slider
from skipglass.theory import DepthEnsemble
from skipglass.training import Settings, total_norm

__all__ = [
    "BETAS",
    "RUNS",
    "epoch_panel",
    "histograms",
    "multiplier_panel",
    "norm_panel",
    "runs_of",
    "settings_of",
]

BETAS = {"a": 0.1, "b": 0.5, "c": 2.0}
DEPTH = 100

RUNS: dict[str, dict[str, object]] = {
    f"figure1{panel}-{task}-{which}": {
        "experiment": task,
        "separation": separation,
        "learning_rate": rate,
        "normalization": normalization,
        "placement": placement,
        "scale": scale,
    }
    for panel, task, which, separation, rate, normalization, placement, scale in [
        ("d", "gaussians", "nearest", 16.0, 0.003, "paper", "after", None),
        ("d", "gaussians", "contrary", 4.0, 0.03, "paper", "after", None),
        ("d", "digits", "nearest", 0.0, 0.03, "batch", "before", None),
        ("d", "digits", "contrary", 0.0, 0.03, "paper", "after", None),
        ("e", "gaussians", "nearest", 4.0, 0.3, "none", "after", 0.1),
        ("e", "gaussians", "contrary", 4.0, 0.01, "none", "after", None),
        ("e", "digits", "nearest", 0.0, 0.3, "none", "after", 0.1),
        ("e", "digits", "contrary", 0.0, 0.003, "none", "after", None),
    ]
}
"""Name of the recording → what it sets, chosen by the survey."""


def settings_of(run: str, *, seeds: int, epochs: int = EPOCHS) -> Settings:
    """Return the full settings of one of `RUNS`.

    Parameters
    ----------
    run
        Its name.
    seeds
        How many networks to train side by side, seeds 0, 1, ….
    epochs
        Passes over the training set.

    Returns
    -------
    Settings
        Of the run.
    """
    return Settings(**RUNS[run], seeds=range(seeds), epochs=epochs)  # type: ignore[arg-type]


def runs_of(panel: str, task: str = "") -> list[str]:
    """Return the names of the runs of a panel ("d" or "e"), of one task if it is named."""
    return [run for run in RUNS if run.startswith(f"figure1{panel}-{task}")]


def histograms() -> tuple[Panel, ...]:
    """Return Fig. 1(a-c): ε_r for p = 100 and β = 0.1, 0.5, 2."""
    return tuple(_histogram(letter, DepthEnsemble(DEPTH, beta)) for letter, beta in BETAS.items())


def multiplier_panel(run: str, recording: xr.Dataset) -> Panel:
    """Return Fig. 1(d) from a recording: λ_l by layer at growing epochs.

    Parameters
    ----------
    run
        Its name in `RUNS`.
    recording
        By `skipglass.training.train`, with normalisation.

    Returns
    -------
    Panel
        One line an epoch, mean over units and seeds; of the last epoch the standard deviation over seeds too, as the
        bands of several would hide each other.
    """
    layers, value = recording.layer.values, recording.multiplier_magnitude
    *earlier, last = (
        _with_spread(f"{epoch:g}", layers, value.isel(evaluation=_row(recording, epoch)))
        for epoch in _shown_epochs(recording)
    )
    series = (*(replace(each, low=None, high=None) for each in earlier), last)
    return Panel(
        run,
        f"(d) Batch-norm multipliers λ_l, {_title(run)}",
        "One line an epoch: where lines rise above 1, the scales of those layers grew; the paper's panel has "
        "every later line above the earlier ones. Layer 1 has no shortcut.",
        Axis("layer l"),
        Axis("|λ_l|, mean over units"),
        series,
        rules=(Rule(1.0, "start"),),
        color=Axis("epoch"),
        note=f"{describe(recording)}. Mean over seeds; band: one standard deviation over seeds, last epoch.",
    )


def epoch_panel(recordings: dict[str, xr.Dataset]) -> Panel:
    """Return λ_l by layer with a slider for the epoch, all runs of panel (d) side by side.

    Parameters
    ----------
    recordings
        {run: recording}, with the same evaluations.

    Returns
    -------
    Panel
        One line a run.
    """
    shortest = min(recordings.values(), key=lambda r: float(r.epoch[-1]))
    epochs = [e for e in shortest.epoch.values.tolist() if e == int(e)]
    frames = [
        tuple(
            Series(
                _title(run), r.layer.values, r.multiplier_magnitude.mean("seed", skipna=False).values[_row(r, epoch)]
            )
            for run, r in recordings.items()
        )
        for epoch in epochs
    ]
    captions = [
        "; ".join(f"{s.name}: {np.mean(s.y[1:]):.3f}" for s in frame) + " (mean over the layers with a shortcut)"
        for frame in frames
    ]
    return Panel(
        "figure1d-epochs",
        "(d) The multipliers, epoch by epoch",
        "Move the slider to train: a line that lifts off 1 means that the scales of those layers grow.",
        Axis("layer l"),
        Axis("|λ_l|, mean over units and seeds"),
        slider=Slider("epoch", epochs, frames, captions),
        rules=(Rule(1.0, "start"),),
        shown=len(epochs) - 1,
    )


def norm_panel(task: str, recordings: dict[str, xr.Dataset]) -> Panel:
    """Return Fig. 1(e): ‖w‖ without batch norm against the iteration, relative to its start.

    Parameters
    ----------
    task
        "gaussians" or "digits".
    recordings
        {run: recording}, without normalisation.

    Returns
    -------
    Panel
        One line a run.
    """
    series = []
    for run, recording in recordings.items():
        growth = total_norm(recording)
        growth = growth / growth.isel(evaluation=0)
        low, high = growth.min("seed", skipna=False).values, growth.max("seed", skipna=False).values
        series.append(Series(_title(run), recording.step.values, growth.mean("seed", skipna=False).values, low, high))
    notes = [f"{_title(run)}: {describe(recording)}" for run, recording in recordings.items()]
    return Panel(
        f"figure1e-{task}",
        f"(e) Weight norm without batch norm, {task}",
        "A rising line means that the weights grow, which the paper reads as a shift to longer paths.",
        Axis("iteration", "SGD steps"),
        Axis("‖w‖ / ‖w‖ at the start"),
        tuple(series),
        rules=(Rule(1.0, "start"),),
        note=f"{'. '.join(notes)}. ‖w‖ over the layers below the head, mean over seeds; bands: smallest to largest.",
    )


def describe(recording: xr.Dataset) -> str:
    """Return the settings of a recording in words."""
    a = recording.attrs
    words = [
        f"depth {a['depth']}, width {a['width']}",
        {"none": "no normalisation", "batch": "batch norm", "paper": "Eq. 22's normalisation"}[a["normalization"]],
    ]
    if a["normalization"] != "none":
        words[-1] += f" {a['placement']} the ReLU"
    if a["experiment"] == "gaussians":
        words.append(f"separation {a['separation']:g}")
    words += [f"{a['epochs']} epochs", f"learning rate {a['learning_rate']:g}"]
    words.append("C = 1/√fan_in" if a["scale"] == "none" else f"C = {a['scale']:g}")
    accuracy = float(recording.train_accuracy.isel(evaluation=-1).mean())
    words.append(f"training accuracy {accuracy:.1%} at the end")
    words.append(f"{recording.sizes['seed']} seeds")
    return ", ".join(words)


def _histogram(letter: str, e: DepthEnsemble) -> Panel:
    lo, hi = e.band(0.99)
    return Panel(
        f"figure1{letter}",
        f"({letter}) ε_r at p = {e.depth}, β = {e.beta:g}",
        "The height is the weight of paths of length r; the further right, the deeper the ensemble.",
        Axis("path length r", "weight matrices"),
        Axis("ε_r", zero=True),
        (Series(f"β = {e.beta:g}", e.lengths, e.weights),),
        marks="bar",
        rules=(Rule(e.peak, f"peak {e.peak}", axis="x"),),
        note=f"Exact. Mean length {e.mean_length:.2f}; 99 % of Σ ε_r² in {lo}..{hi}.",
    )


def _with_spread(name: str, x: np.ndarray, values: xr.DataArray) -> Series:
    """Mean and standard deviation over seeds; one seed shows no spread."""
    mean = values.mean("seed", skipna=False).values
    if values.sizes["seed"] == 1:
        return Series(name, x, mean)
    deviation = values.std("seed", ddof=1, skipna=False).values
    return Series(name, x, mean, mean - deviation, mean + deviation)


def _title(run: str) -> str:
    _, task, which = run.split("-")
    return f"{task}, " + {"nearest": "nearest to the paper", "contrary": "most contrary"}[which]


def _row(recording: xr.Dataset, epoch: float) -> int:
    return int(np.argmin(np.abs(recording.epoch.values - epoch)))


def _shown_epochs(recording: xr.Dataset) -> list[float]:
    """The start, and up to five later epochs spread evenly in their logarithm."""
    last = float(recording.epoch[-1])
    wanted = [0.0, *np.geomspace(min(1.0, last), last, 5)]
    return list(dict.fromkeys(float(recording.epoch.values[_row(recording, e)]) for e in wanted))
