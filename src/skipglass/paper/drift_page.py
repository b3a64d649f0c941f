"""The page's part on what drives the scales: the theorems where they assume to be, and how far they reach."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from rich.progress import Progress

from skipglass import record
from skipglass.errors import StorageError
from skipglass.paper.chapter import Chapter, Options, Pages
from skipglass.paper.drift_reach import condition, correlation, predictions, right, runs_of
from skipglass.paper.drift_runs import STATIC, Run, drift_run
from skipglass.paper.finding import Recordings
from skipglass.paper.network_panels import banded
from skipglass.report import Axis, Panel, Rule, Section, Series

__all__ = ["DRIFT"]

LIVE = Run("digits", epochs=6, seeds=3)
FORCES = (
    "Theorems 3 and 4 say what a step of the weights makes of ∂L/∂λ_l and ∂L/∂C, where those are 0. They hold gates "
    "and statistics, and take the loss to be linear. There the error of the formulas shrinks as the square of the "
    "learning rate; a gate that flips ends that at once, as paths come and go. Sec. 4.1 has the second moments of "
    "untrained units rise by one a layer, which depends on how a branch is normalised."
)
REACH = (
    "Real training has cross entropy, batch statistics, momentum and weight decay, and ∂L/∂λ_l is not 0. At some steps "
    "of each epoch Theorem 3's force g_p·(g_p + g_m) on every λ_l is set beside how ∂L/∂λ_l changes as the weights "
    "alone step, which is what the theorem speaks of, and beside whether |λ_l| grows in the step, and over the epoch, "
    "weight decay's part left out. The true force is one Hessian-vector product, with nothing assumed."
)
SIGNS = {
    "slope": "slope: Theorem 3",
    "true": "slope: true force",
    "step": "step: Theorem 3",
    "epoch": "epoch: Theorem 3",
}


def measure_drift(recordings: Path, options: Options, progress: Progress) -> None:
    """Check the theorems, and train a small network beside its forces where nothing larger is there."""
    for name, measure in STATIC.items():
        if not (options.resume and (recordings / f"{name}.nc").is_file()):
            task = progress.add_task(name.replace("_", " "), total=1)
            record.save(measure(), recordings / f"{name}.nc", kind=name)
            progress.advance(task)
    if not any(recordings.glob("drift-*.nc")):
        task = progress.add_task("forces in training, epochs", total=LIVE.epochs * LIVE.seeds)
        found = drift_run(LIVE, on_epoch=partial(_advance, progress, task))
        record.save(found, recordings / "drift-digits.nc", kind="drift")


def has_drift(recordings: Path) -> bool:
    """Tell whether a folder has the recordings of the forces."""
    return all((recordings / f"{name}.nc").is_file() for name in STATIC) and any(recordings.glob("drift-*.nc"))


def load_drift(recordings: Path) -> dict[str, xr.Dataset]:
    """Return {name: recording}.

    Parameters
    ----------
    recordings
        Where they lie.

    Returns
    -------
    dict
        The checks of the theorems, and networks in training by "drift-…".

    Raises
    ------
    StorageError
        If one is missing, damaged or of another kind.
    """
    found = {path.stem: record.load(path, "drift") for path in sorted(recordings.glob("drift-*.nc"))}
    if not found:
        raise StorageError(f"{recordings} has no recording of forces in training; run skipglass reproduce drift")
    return {name: record.load(recordings / f"{name}.nc", name) for name in STATIC} | found


def drift_pages(recordings: Recordings, figures: Sequence[str] = ()) -> Pages:
    """Return the sections, and the panels of the combined drawing."""
    forces = error_panel(recordings["driving_force"]), recursion_panel(recordings["second_moments"])
    runs = runs_of(recordings)
    reach = [panel(run, data) for run, data in runs.items() for panel in PANELS]
    return [
        Section("What drives the scales: Theorems 3 and 4, Sec. 4.1", FORCES, forces),
        Section("How far Theorem 3 reaches", REACH, tuple(reach)),
    ], {"drift": (forces[0], *reach[: len(PANELS)])}


def error_panel(data: xr.Dataset) -> Panel:
    """Return the error of the theorems against the learning rate, over the networks where no gate flips."""
    part = data[["change", "predicted", "flipped"]].transpose("theorem", "network", "step")
    error = np.abs(part.change / part.predicted - 1).where((part.flipped == 0).all("step"))
    series = [
        Series(name, part.step.values, e.median("network"), e.quantile(0.25, "network"), e.quantile(0.75, "network"))
        for name, e in zip(("Thm 3, unskipped", "Thm 3, skipped", "Thm 4"), error, strict=True)
    ]
    return Panel(
        "theorem-3-and-4-error",
        "Error of Theorems 3 and 4 after one step, at points with a slope of 0",
        "Below: the formula is nearer. The relative error of a first-order formula falls in proportion to the step; a "
        "rise with smaller steps would mean a wrong formula.",
        Axis("step length μ‖g‖/‖w‖", log=True),
        Axis("relative error of the new slope", log=True),
        tuple(series),
        note=f"Median and quartiles over those of {part.sizes['network']} networks in which no gate flips, depth "
        f"{data.attrs['depth']}, one shortcut around {data.attrs['skipped']} layers, float64.",
    )


def recursion_panel(data: xr.Dataset) -> Panel:
    """Return the second moments by layer and way of normalising."""
    moments = data.second_moment.transpose("variant", "seed", "depth")
    series = [
        banded(str(name), data.depth.values, values.values)
        for name, values in zip(data.variant.values, moments, strict=True)
    ]
    return Panel(
        "second-moments",
        "Second moment of untrained units by layer (Sec. 4.1)",
        "A rise means that deeper units are larger, and deep branches weigh less beside what they are added to. By the "
        "paper's recursion a curve passes through l at layer l: three do, one upon another.",
        Axis("layer l"),
        Axis("E[N_l²]", log=True),
        tuple(series),
        note=f"λ = 1, width {data.attrs['width']}, {data.attrs['samples']} samples, {data.sizes['seed']} networks.",
    )


def signs_panel(run: str, data: xr.Dataset) -> Panel:
    """Return how often the force has the sign of what comes, by layer."""
    compared = predictions(data)
    layers = np.arange(1, data.sizes["layer"] + 1)
    return Panel(
        f"drift-{run}-signs",
        f"How often the force on λ_l has the right sign: {_title(data)}",
        "At 1 the force always says what comes, at one half it says nothing, below it the opposite comes. The first "
        "layer has no shortcut.",
        Axis("normalised layer l, in forward order"),
        Axis("share of signs right"),
        tuple(banded(label, layers, right(*compared[name])) for name, label in SIGNS.items()),
        rules=(Rule(0.5, "chance"),),
        note=_note(data),
    )


def correlation_panel(run: str, data: xr.Dataset) -> Panel:
    """Return how well forces and what comes go together over time, by layer."""
    compared = predictions(data)
    layers = np.arange(1, data.sizes["layer"] + 1)
    lines = [banded(label, layers, correlation(*compared[name])) for name, label in SIGNS.items()]
    first = banded("step's slope: first order", layers, correlation(*_first_order(data)))
    return Panel(
        f"drift-{run}-correlation",
        f"Force on λ_l and what comes, rank correlation: {_title(data)}",
        "At 1 a larger force always means that more comes, at 0 the two have nothing to do with each other, below it "
        "less comes. The last line is the change of ∂L/∂λ_l over the step really taken, to first order and actual.",
        Axis("normalised layer l, in forward order"),
        Axis("Spearman's ρ over time"),
        (*lines, first),
        rules=(Rule(0.0, "unrelated"),),
        note=_note(data),
    )


def change_panel(run: str, data: xr.Dataset) -> Panel:
    """Return the change of |λ_l| in a step that Theorem 3 predicts, and the one that came, of one network."""
    force, growth = predictions(data)["step"]
    predicted = force * data.rate.values[:, None]
    return _scatter(
        f"drift-{run}-change",
        f"Growth of |λ_l| in a step, by Theorem 3: {_title(data)}",
        "One dot a layer and measured step: μ²|g_p·(g_p + g_m)|, Theorem 3's |λ_l·Δλ_l|, and what came of it, without "
        "weight decay. On the diagonal they are equal, above it more came; colours tell the direction.",
        ("predicted |λ_l·Δλ_l|", "actual |λ_l·Δλ_l|"),
        predicted[0, :, 1:],
        growth[0, :, 1:],
        data,
    )


def first_order_panel(run: str, data: xr.Dataset) -> Panel:
    """Return the change of the slope over a step to first order, and the one that came, of one network."""
    predicted, actual = _first_order(data)
    return _scatter(
        f"drift-{run}-first-order",
        f"Change of λ_l·∂L/∂λ_l in a step, to first order: {_title(data)}",
        "One dot a layer and measured step, with nothing assumed but a small step. Dots that leave the diagonal are "
        "steps too long for any first order, Theorem 3 among them.",
        ("predicted |change|", "actual |change|"),
        predicted[0, :, 1:],
        actual[0, :, 1:],
        data,
    )


def _scatter(
    name: str, title: str, how: str, axes: tuple[str, str], predicted: np.ndarray, actual: np.ndarray, data: xr.Dataset
) -> Panel:
    """Sizes against each other, by whether the signs agree; what is 0 or not finite has no place on a logarithm."""
    there = np.isfinite(predicted) & np.isfinite(actual) & (predicted != 0) & (actual != 0)
    x, y = np.abs(predicted[there]), np.abs(actual[there])
    same = np.sign(predicted[there]) == np.sign(actual[there])
    kinds = ((f"direction right ({same.mean():.0%})", same), (f"direction wrong ({1 - same.mean():.0%})", ~same))
    dots = [Series(label, x[kind], y[kind]) for label, kind in kinds if kind.any()]
    ends = np.array([min(x.min(), y.min()), max(x.max(), y.max())])
    return Panel(
        name, title, how, Axis(axes[0], log=True), Axis(axes[1], log=True),
        (*dots, Series("equal", ends, ends, marks="line")),
        marks="points",
        note=f"{_note(data).split(';')[0]}; seed {int(data.seed[0])}, layers with a shortcut.",
    )  # fmt: skip


def _first_order(data: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The change of the slope over the step really taken, to first order and actual, (seed, time, layer)."""
    predicted, actual = (
        data[name].transpose("seed", "measurement", "layer").values for name in ("push_predicted", "push_step")
    )
    return predicted, actual


def condition_panel(run: str, data: xr.Dataset) -> Panel:
    """Return how often the theorem's condition is met, and how often |λ_l| grew."""
    met, grew, _ = condition(data)
    layers = np.arange(1, data.sizes["layer"] + 1)
    return Panel(
        f"drift-{run}-condition",
        f"The condition of Theorem 3, and growth: {_title(data)}",
        "Were the theorem all there is, the two curves would be one. A rise of the first means more steps that should "
        "make |λ_l| grow, of the second more that do.",
        Axis("normalised layer l, in forward order"),
        Axis("share of the measured steps"),
        (banded("‖g_p‖² + g_p·g_m > 0", layers, met), banded("|λ_l| grows, decay left out", layers, grew)),
        note=_note(data),
    )


def fall_panel(run: str, data: xr.Dataset) -> Panel:
    """Return what the whole training made of |λ_l|, the loss's part and weight decay's."""
    start = data.norm_squared.isel(boundary=0).transpose("seed", "layer").values
    growth, decay = (
        data[name].sum("epoch").transpose("seed", "layer").values / start for name in ("epoch_growth", "epoch_decay")
    )
    layers = np.arange(1, data.sizes["layer"] + 1)
    return Panel(
        f"drift-{run}-decay",
        f"Whose the change of |λ_l| is: {_title(data)}",
        "Above 0 a part makes |λ_l| grow over the whole training, below it shrink. All is the sum of the two parts.",
        Axis("normalised layer l, in forward order"),
        Axis("Σ λ_l·Δλ_l / ‖λ_l‖² at the start"),
        (banded("all", layers, growth), banded("loss", layers, growth - decay), banded("weight decay", layers, decay)),
        rules=(Rule(0.0, "no change"),),
        note=_note(data),
    )


PANELS = (signs_panel, correlation_panel, change_panel, first_order_panel, condition_panel, fall_panel)
"""What is shown of each setting."""


def _title(data: xr.Dataset) -> str:
    a = data.attrs
    kind = f"ResNet-{a['depth']} × {a['width']:g}" if a["task"] == "cifar10" else f"MLP of {a['depth']} layers"
    name = {"cifar10": "CIFAR-10", "gaussians": "Gaussians", "digits": "digits"}[a["task"]]
    return f"{name}, {kind}, momentum {a['momentum']:g}, weight decay {a['weight_decay']:g}"


def _note(data: xr.Dataset) -> str:
    a = data.attrs
    images = f", {a['subset']:,} images" if a["subset"] else ""
    return (
        f"{data.sizes['measurement']} measured steps in {a['epochs']} epochs{images}, rate {a['learning_rate']:g}, "
        f"batches of {a['batch_size']}; mean and standard deviation of {data.sizes['seed']} seeds."
    )


def _advance(progress: Progress, task: object, done: int) -> None:
    progress.update(task, completed=done)  # type: ignore[arg-type]


DRIFT = Chapter(("drift",), measure_drift, has_drift, load_drift, drift_pages)
