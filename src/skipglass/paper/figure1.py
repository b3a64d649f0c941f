"""Figure 1(a-e): the depth ensemble, the multipliers λ_l and the weight norm while training.

For (d) and (e) the paper leaves the class separation, the learning rate, the placement of the normalisation
and the initialisation open. `RUNS` holds, for each panel and task, the setting of a survey that comes nearest to
the paper's panel and the one that contradicts it most (`skipglass.paper.survey`). The caption of Fig. 1 has another
task than App. C, 50 Gaussians and a shortcut around each of ten blocks: the two settings for Gaussians are trained on
it, too.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from skipglass import record
from skipglass.errors import StorageError
from skipglass.paper import figure1f
from skipglass.paper.arrays import series_by
from skipglass.paper.claim import Claim, Recordings
from skipglass.paper.experiment import Experiment, Options, Pages, Recording, Tell
from skipglass.paper.rules import Numbers, above, agrees, grows
from skipglass.paper.survey import CAPTION, EPOCHS, VARIED, by_epoch
from skipglass.report import Axis, Panel, Rule, Section, Series, Slider
from skipglass.theory import DepthEnsemble
from skipglass.training import Settings, total_norm, train

__all__ = [
    "BETAS",
    "CLAIMS",
    "FIGURE1",
    "RUNS",
    "epoch_panel",
    "histograms",
    "multiplier_panel",
    "norm_panel",
    "runs_of",
    "settings_of",
]

LENGTHS = (
    "ε_r weighs the products of r weights in the network's output. Its peak lies at the fraction β/(1+β) of the "
    "depth, and the weights concentrate around it."
)
MULTIPLIERS = (
    "The paper trains ten layers of 20 units on ten Gaussians and shows λ_l growing. It leaves the class "
    "separation, the learning rate, the place of the normalisation and the initialisation open, and whether λ_l "
    "grows depends on them. Shown are, out of a survey of all combinations (other seeds), the setting that comes "
    "nearest to the paper's panel (its smallest rise of |λ_l| over the four quarters of training is the largest) and "
    "the one that contradicts it most (|λ_l| ends lowest); the same for real images, the 8 × 8 digits."
)
NORMS = (
    "Without batch norm the paper shows a steady rise of ‖w‖. The settings are chosen in the same way: the "
    "nearest is the one whose smallest rise over the four quarters of training is largest."
)
LANDSCAPE = (
    "The spin glass of the ensemble has exponentially many critical points; the rate depends on ν″/ν′ alone. The "
    "paper drops the interactions of order 1, which are a field. Kept, the field makes the landscape trivial below "
    "a threshold β_c ≈ 1/p."
)

BETAS = {"a": 0.1, "b": 0.5, "c": 2.0}
DEPTH = 100

SURVEYED = {
    "figure1d-gaussians-nearest": (16.0, 0.003, "paper", "after", None),
    "figure1d-gaussians-contrary": (4.0, 0.03, "paper", "after", None),
    "figure1d-digits-nearest": (0.0, 0.03, "batch", "before", None),
    "figure1d-digits-contrary": (0.0, 0.03, "paper", "after", None),
    "figure1e-gaussians-nearest": (4.0, 0.3, "none", "after", 0.1),
    "figure1e-gaussians-contrary": (4.0, 0.01, "none", "after", None),
    "figure1e-digits-nearest": (0.0, 0.3, "none", "after", 0.1),
    "figure1e-digits-contrary": (0.0, 0.003, "none", "after", None),
}
"""Name of the recording → what the survey chose: separation, learning rate, normalisation, its placement, and C."""

RUNS: dict[str, dict[str, object]] = {
    run: dict(zip(VARIED, (run.split("-")[1], *values), strict=True)) for run, values in SURVEYED.items()
}
"""Name of the recording → what it sets, chosen by the survey."""

RUNS |= {
    run.replace("gaussians", "caption"): RUNS[run] | CAPTION
    for run in ("figure1d-gaussians-nearest", "figure1d-gaussians-contrary")
}

TASKS = {"gaussians": "Gaussians", "digits": "digits", "caption": "50 Gaussians, 10 blocks"}
"""Task in a run's name → words."""


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
    ensembles = {letter: DepthEnsemble(DEPTH, beta) for letter, beta in BETAS.items()}
    return tuple(
        Panel(
            f"figure1{letter}",
            f"({letter}) ε_r at p = {e.depth}, β = {e.beta:g}",
            "The height is the weight of paths of length r; the further right, the deeper the ensemble.",
            Axis("path length r", "weight matrices"),
            Axis("ε_r", zero=True),
            (Series(f"β = {e.beta:g}", e.lengths, e.weights),),
            marks="bar",
            rules=(Rule(e.peak, f"peak {e.peak}", axis="x"),),
            note=f"Exact. Mean length {e.mean_length:.2f}; 99 % of Σ ε_r² in {'..'.join(map(str, e.band(0.99)))}.",
        )
        for letter, e in ensembles.items()
    )


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
    course = by_epoch(recording, recording.multiplier_magnitude)
    last = float(course.epoch[-1])
    # the start, and up to five later epochs spread evenly in their logarithm
    shown = course.sel(epoch=[0.0, *np.geomspace(min(1.0, last), last, 5)], method="nearest").drop_duplicates("epoch")
    earlier = series_by("{epoch:g}", shown.isel(epoch=slice(-1)).mean("seed", skipna=False))
    return Panel(
        run,
        f"(d) Batch-norm multipliers λ_l, {_title(run)}",
        "One line an epoch: where lines rise above 1, the scales of those layers grew; the paper's panel has "
        "every later line above the earlier ones. Layer 1 has no shortcut.",
        Axis("layer l"),
        Axis("|λ_l|, mean over units"),
        earlier + series_by("{epoch:g}", shown.isel(epoch=[-1]), "seed"),
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
    courses = {
        _title(run): by_epoch(r, r.multiplier_magnitude.mean("seed", skipna=False)) for run, r in recordings.items()
    }
    frames = [
        tuple(Series(name, r.layer, r.sel(epoch=epoch, method="nearest")) for name, r in courses.items())
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
    series: list[Series] = []
    for run, recording in recordings.items():
        norm = total_norm(recording)
        series += series_by(_title(run), norm / norm.isel(evaluation=0), "seed", ends=True, x=recording.step)
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
        words.append(f"{a.get('classes', 10)} classes, separation {a['separation']:g}")
    words += [f"{a['epochs']} epochs", f"learning rate {a['learning_rate']:g}"]
    words.append("C = 1/√fan_in" if a["scale"] == "none" else f"C = {a['scale']:g}")
    accuracy = float(recording.train_accuracy.isel(evaluation=-1).mean())
    words.append(f"training accuracy {accuracy:.1%} at the end")
    words.append(f"{recording.sizes['seed']} seeds")
    return ", ".join(words)


def _title(run: str) -> str:
    _, task, which = run.split("-")
    return f"{TASKS[task]}, " + {"nearest": "nearest to the paper", "contrary": "most contrary"}[which]


def _changes(recordings: Recordings) -> dict[str, xr.DataArray]:
    """{setting: change of |λ_l| from the start to the end, by seed and layer}."""
    courses = {run: data.multiplier_magnitude for run, data in recordings.items() if run.startswith("figure1d")}
    return {_title(run): value.isel(evaluation=-1) - value.isel(evaluation=0) for run, value in courses.items()}


def multipliers_grow(recordings: Recordings) -> dict[str, xr.DataArray]:
    """The change of |λ_l|, mean over the layers with a shortcut."""
    changes = _changes(recordings)
    return {name: v.isel(layer=slice(1, None)).mean("layer", skipna=False) for name, v in changes.items()}


def norms_grow(recordings: Recordings) -> Numbers:
    """The relative change of ‖w‖."""
    norms = {run: total_norm(data) for run, data in recordings.items() if run.startswith("figure1e")}
    return {_title(run): norm.isel(evaluation=-1) / norm.isel(evaluation=0) - 1 for run, norm in norms.items()}


def first_layer_apart(recordings: Recordings) -> Numbers:
    """How much further the change of |λ_1| lies from the mean of the others than another layer's does."""
    found = {}
    for name, change in _changes(recordings).items():
        layers = change.sizes["layer"]
        gap = abs(change - change.mean("layer", skipna=False)) * layers / (layers - 1)  # to the mean of the others
        found[name] = gap.isel(layer=0) - gap.isel(layer=slice(1, None)).mean("layer", skipna=False)
    return found


def first_layer_outside(recordings: Recordings) -> Numbers:
    """By how much the change of |λ_1| lies beyond that of every other layer."""
    found = {}
    for name, change in _changes(recordings).items():
        first, others = change.isel(layer=0), change.isel(layer=slice(1, None))
        found[name] = np.maximum(first - others.max("layer", skipna=False), others.min("layer", skipna=False) - first)
    return found


def tasks_differ(recordings: Recordings) -> Numbers:
    """The change of |λ_l| on the caption's task minus that on App. C's, seed by seed."""
    grown = multipliers_grow(recordings)
    return {
        which: grown[_title(f"figure1d-caption-{which}")] - grown[_title(f"figure1d-gaussians-{which}")]
        for which in ("nearest", "contrary")
    }


CHOSEN = (
    "what the paper leaves open is set as a survey of 185 settings found it: nearest to the panel, or most contrary"
)

CLAIMS = (
    Claim(
        "Fig. 1(d)", "The multipliers λ_l of skippable layers grow while training.",
        "Sec. 4.2: “This steady increase of |λ_l|, as predicted in our theoretical analysis, is also backed in "
        "experimental results, as depicted in Fig. 1(d).”",
        "change of |λ_l|, mean over units and layers with a shortcut", multipliers_grow, grows(small=0.02), "figure1d",
        note=CHOSEN, figure="figure1d-gaussians-nearest",
    ),
    Claim(
        "Fig. 1(d), first layer", "The first layer, which cannot be skipped, behaves differently than the others.",
        "Sec. 4.2: “Note that the first layer, which cannot be skipped, behaves differently than the other layers.”",
        "distance of the change of |λ_1| from the others' mean, minus what it is for another layer", first_layer_apart,
        above(0.0, small=0.02), "figure1d", variants={"beyond every other layer": first_layer_outside},
        note="it rests on one setting; trained anew with other rounding (no AVX-512), that one was not significant",
        figure="figure1d-gaussians-nearest",
    ),
    Claim(
        "Theorem 3, unskipped", "|λ_l| of the layer that is not skipped grows while training.",
        "Sec. 4.2: “Thm. 3 suggests that |λ_l| will increase for layers l that do not have skip-connections.”",
        "change of |λ_1|", lambda r: {name: v.isel(layer=0) for name, v in _changes(r).items()}, grows(small=0.02),
        "figure1d", figure="figure1d-gaussians-nearest",
    ),
    Claim(
        "Fig. 1(e)", "Without batch norm the norm of the weights grows while training.",
        "Sec. 4.2: “observed without the use of batch normalization, as a steady increase in the L2 norm of the "
        "weights, as shown in Fig. 1(e).”",
        "relative change of ‖w‖", norms_grow, grows(small=0.02), "figure1e", note=CHOSEN, figure="figure1e-gaussians",
    ),
    Claim(
        "Fig. 1(d), task", "The caption of Fig. 1 and App. C tell of one task.",
        "Caption of Fig. 1: “10 layers ResNet trained to discriminate between 50 multivariate Gaussians (see "
        "Appendix C for more details)”; App. C: “a mixture of 10 multivariate Gaussians in 50D”.",
        "change of |λ_l| with 50 Gaussians minus that with 10", tasks_differ, agrees(0.02), "figure1d", "slips",
        figure="figure1d-caption-nearest", note="App. C's 10 are taken, and both are shown",
    ),
)  # fmt: skip


def _wanted(run: str, seeds: int, epochs: int) -> dict[str, object]:
    """The attributes of a finished recording; the first ones do not name the number of classes, which was fixed."""
    found = {**settings_of(run, seeds=seeds, epochs=epochs).attributes(), "epochs_done": epochs}
    return found if "classes" in RUNS[run] else {k: v for k, v in found.items() if k != "classes"}


def _recordings(options: Options, folder: Path) -> dict[str, Recording]:
    extent = (options.seeds, options.epochs)
    return {run: Recording("training", partial(_train, run, *extent), _wanted(run, *extent)) for run in RUNS}


def _train(run: str, seeds: int, epochs: int, tell: Tell) -> xr.Dataset:
    return train(settings_of(run, seeds=seeds, epochs=epochs), on_epoch=lambda done: tell(done, epochs))


def _check(recordings: Recordings) -> None:
    """All are finished, and of one reproduction."""
    first = next(iter(recordings.values()))
    seeds, epochs = first.sizes.get("seed", 1), first.attrs.get("epochs", 1)
    for run, recording in recordings.items():
        if record.differing(recording, _wanted(run, seeds, epochs)) or recording.sizes.get("evaluation", 0) < 2:
            raise StorageError(
                f"cannot draw from {run}.nc: it is unfinished, or of other settings, seeds or epochs than its name and "
                "its neighbours say; run skipglass reproduce again"
            )


def _pages(recordings: Recordings, _figures: Sequence[str] = ()) -> Pages:
    """The sections of Figure 1, and its six panels in one drawing."""
    shown = histograms()
    scaled = {run: recordings[run] for run in runs_of("d")}
    multipliers = [multiplier_panel(run, recording) for run, recording in scaled.items()]
    norms = [norm_panel(task, {run: recordings[run] for run in runs_of("e", task)}) for task in ("gaussians", "digits")]
    critical = (figure1f.complexity_panel(), figure1f.field_panel(), figure1f.finite_panel())
    sections = [
        Section("Path lengths: Fig. 1(a-c)", LENGTHS, (*shown, figure1f.beta_panel())),
        Section("Multipliers while training: Fig. 1(d)", MULTIPLIERS, (*multipliers, epoch_panel(scaled))),
        Section("Weight norm while training: Fig. 1(e)", NORMS, tuple(norms)),
        Section("Critical points: Fig. 1(f)", LANDSCAPE, critical),
    ]
    return sections, {"figure1": (*shown, multipliers[0], norms[0], critical[0])}


FIGURE1 = Experiment(("figure1",), dict.fromkeys(RUNS, "training"), _recordings, _pages, CLAIMS, check=_check)
