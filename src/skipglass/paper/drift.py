"""Theorem 3 in real training: the force on each λ_l beside what becomes of it, from the recordings of `drift_runs`.

Layer 0 has no shortcut; the theorem's second part speaks of the others. Growth is the loss's part alone, without that
of weight decay, which the theorem leaves out. A force that is upwards in 95 % of the steps is right in 95 % of those in
which |λ_l| grows whatever it says; so signs are judged by `rules.skill`, what they are right beyond that base rate.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import rankdata

from skipglass.paper.claim import Claim, Quantity, Recordings
from skipglass.paper.drift_runs import Run, drift_run
from skipglass.paper.experiment import Experiment, Options, Pages, Recording, Tell
from skipglass.paper.network_panels import banded
from skipglass.paper.rules import above, skill
from skipglass.report import Axis, Panel, Rule, Section, Series

__all__ = ["DRIFT", "correlation", "decay_share", "predictions"]

Array = NDArray[np.float64]
PREFIX = "drift-"
LIVE = Run("digits", epochs=6, seeds=3)
TASKS = {"cifar10": "CIFAR-10", "gaussians": "Gaussians", "gaussians-plain": "Gaussians by plain SGD"}
LABELS = {
    "slope": "slope, Theorem 3",
    "true": "slope, true force",
    "step": "step, Theorem 3",
    "epoch": "epoch, Theorem 3",
}
"""Which two things are compared: the force and the change of ∂L/∂λ_l as the weights step, or the growth of |λ_l|."""
SMALL = 0.05
"""A skill, or a rank correlation, up to this is none: our choice."""
REACH = (
    "Real training has cross entropy, batch statistics, momentum and weight decay, and ∂L/∂λ_l is not 0. At some steps "
    "of each epoch Theorem 3's force g_p·(g_p + g_m) on every λ_l is set beside how ∂L/∂λ_l changes as the weights "
    "alone step, which is what the theorem speaks of, and beside whether |λ_l| grows in the step, and over the epoch, "
    "weight decay's part left out. The true force is one Hessian-vector product, with nothing assumed."
)
SKIPPED, UNSKIPPED = slice(1, None), slice(0, 1)
"""Layers with a shortcut, and the one without."""


def networks(recordings: Recordings) -> dict[str, xr.Dataset]:
    """Return {run: recording} of the networks in training, photographs first, seeds along the first dimension."""
    found = {name.removeprefix(PREFIX): data for name, data in recordings.items() if name.startswith(PREFIX)}
    return {name: found[name].transpose("seed", ...) for name in sorted(found, key=lambda name: name != "cifar10")}


def predictions(data: xr.Dataset) -> dict[str, tuple[Array, Array]]:
    """Return {name: (force, what came)} for `LABELS`, (seed, time, layer) each."""
    force = data.theorem_force
    # over an epoch the force is the mean over its measured steps
    epochs = force.groupby(np.floor(data.when).rename("epoch")).mean()
    pairs = {
        "slope": (force, data.push),
        "true": (data.live_force, data.push),
        "step": (force, data.growth - data.growth_decay),
        "epoch": (epochs, data.epoch_growth - data.epoch_decay),
    }
    return {name: tuple(one.transpose("seed", ..., "layer").values for one in both) for name, both in pairs.items()}


def correlation(predicted: Array, actual: Array) -> Array:
    """Return Spearman's rank correlation over time, (seed, layer): forces have heavy tails."""
    a, b = (rankdata(values, axis=1) for values in (predicted, actual))
    # the correlation of ranks, centred
    a, b = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (a, b))
    with np.errstate(invalid="ignore"):  # no spread: no correlation
        return (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))


def decay_share(data: xr.Dataset) -> Array:
    """Return the part that weight decay has in the fall of those λ_l with a shortcut that shrank, (seed,)."""
    total, decay = (data[name].sum("epoch").isel(layer=SKIPPED) for name in ("epoch_growth", "epoch_decay"))
    # only layers whose |λ| shrank over the whole training count
    fell = total < 0
    return (decay.where(fell).sum("layer") / total.where(fell).sum("layer")).values  # none fell: NaN, no share


def by_run(measure: Callable[..., Array], **given: Any) -> Quantity:
    """Return the quantity {setting: (seed,)} that a function of a recording and of what is given has."""
    return lambda recordings: {TASKS.get(n, n): measure(data, **given) for n, data in networks(recordings).items()}


def skills(data: xr.Dataset, which: str) -> Array:
    """How much more often the sign is right than by its base rate, (seed, layer)."""
    # layer by layer, each with the base rate of its own
    force, came = predictions(data)[which]
    return np.stack([skill(force[..., l], came[..., l]) for l in range(force.shape[-1])], axis=1)


def skill_of(data: xr.Dataset, which: str) -> Array:
    """The same in the mean over layers with a shortcut, (seed,)."""
    return skills(data, which)[:, SKIPPED].mean(axis=1)


def ranks(data: xr.Dataset, which: str) -> Array:
    """The rank correlation over time, mean over the layers with a shortcut, (seed,)."""
    return np.nanmean(correlation(*predictions(data)[which])[:, SKIPPED], axis=1)


def right(data: xr.Dataset, which: str, layers: slice = SKIPPED) -> Array:
    """The share of the times at which the force has the sign of what came, (seed,)."""
    force, came = (np.sign(values[..., layers]) for values in predictions(data)[which])
    return (force == came).mean(axis=(1, 2))


def up(data: xr.Dataset) -> Array:
    """The share of the steps at which ‖g_p‖² + g_p·g_m > 0 in layers with a shortcut, (seed,)."""
    return (data.theorem_force.isel(layer=SKIPPED) > 0).mean(("measurement", "layer")).values


def dominates(data: xr.Dataset) -> Array:
    """The share of the blocks and epochs at which ‖g_p‖ > ‖g_m‖, (seed,)."""
    return (data.norm_p > data.norm_m).mean(("block", "epoch")).values


def decay_in_falls(recordings: Recordings) -> Mapping[str, Array]:
    """{setting: `decay_share`} where there is decay and something falls in every network."""
    # without weight decay it has no part in anything
    decayed = {name: data for name, data in networks(recordings).items() if data.attrs["weight_decay"]}
    found = {TASKS.get(name, name): decay_share(data) for name, data in decayed.items()}
    return {name: share for name, share in found.items() if np.isfinite(share).all()}


def _reach(name: str, statement: str, source: str, which: str, table: str = "ours", **beside: Quantity) -> Claim:
    """One row: the skill of the signs, with the rank correlation as its other measure."""
    return Claim(
        name, statement, source,
        "share of signs that Theorem 3's force has right minus the base rate, layers with a shortcut",
        by_run(skill_of, which=which), above(SMALL), PREFIX, table, figure="drift-cifar10-skill",
        variants={"rank correlation over time": by_run(ranks, which=which)}, beside=beside,
    )  # fmt: skip


CLAIMS = (
    _reach(
        "Theorem 3, step", "In training |λ_l| grows in a step where ‖g_p‖² + g_p·g_m > 0.",
        "Sec. 4.1: “the weight scaling, as introduced by batch normalization, provides a driving force for the "
        "effective ensemble to become deeper as training progresses”, which is that of Eq. 25.", "step", "paper",
        **{"share of signs right": by_run(right, which="step")},
    ),
    Claim(
        "Theorem 3, condition", "In training the gradient through a block outweighs the one around it.",
        "Below Theorem 3: “if layer l has a parallel skip connection, then |λ_l| will increase if ‖g_p‖² > ‖g_m‖²”. "
        "The paper does not say how often it is so.",
        "share of blocks and epochs with ‖g_p‖ > ‖g_m‖", by_run(dominates), above(0.5, SMALL), PREFIX, "ours",
        figure="drift-cifar10-condition", beside={"steps with ‖g_p‖² + g_p·g_m > 0, Eq. 25": by_run(up)},
    ),
    _reach(
        "Theorem 3, slope", "In training the weights' step changes ∂L/∂λ_l to the side that the force says.",
        "Eq. 44 holds where the slope is 0 and the loss is linear in the output. What is left of it where the slope is "
        "not 0 and the loss is cross entropy?", "slope",
        **{"share right by the true force": by_run(right, which="true")},
    ),
    _reach(
        "Theorem 3, epoch", "In training |λ_l| grows over an epoch where ‖g_p‖² + g_p·g_m > 0 in the mean.",
        "The theorem speaks of one step. Does its force say more over an epoch?", "epoch",
    ),
    Claim(
        "Theorem 3, unskipped, steps", "In training |λ_1| of the layer that no shortcut skips grows from step to step.",
        "Eq. 24 holds where the slope is 0. How often does |λ_1| grow where it is not?",
        "share of the measured steps in which |λ_1| grows, weight decay's part left out",
        by_run(right, which="step", layers=UNSKIPPED), above(0.5, SMALL), PREFIX, "ours",
        figure="drift-cifar10-condition", note="the force ‖g_m + g_p‖² is upwards by construction",
        variants={
            "∂L/∂λ_1 falls as the weights step": by_run(right, which="slope", layers=UNSKIPPED),
            "over an epoch": by_run(right, which="epoch", layers=UNSKIPPED),
        },
    ),
    Claim(
        "Decay of λ", "More than half of the fall of the λ_l that shrink is weight decay's.",
        "As “Fig. 3, cause” asks of the paper's networks: what makes λ_l fall where it falls?",
        "part that weight decay has in the fall of those λ_l that shrank", decay_in_falls, above(0.5, SMALL), PREFIX,
        "ours", figure="drift-cifar10-decay",
    ),
)  # fmt: skip


def panels(run: str, data: xr.Dataset) -> tuple[Panel, ...]:
    """Return what is shown of one setting."""
    compared = predictions(data)
    force, growth = compared["step"]
    total, decay = (data[k].sum("epoch") / data.norm_squared.isel(boundary=0) for k in ("epoch_growth", "epoch_decay"))
    first_order = correlation(data.push_predicted.values, data.push_step.values)

    def by_layer(
        name: str, title: str, how: str, y: str, lines: Mapping[str, Array | xr.DataArray], rule: str = ""
    ) -> Panel:
        """Numbers by layer, (seed, layer) each, and what 0 means."""
        layers = np.arange(1, data.sizes["layer"] + 1)
        return Panel(
            f"{PREFIX}{run}-{name}", f"{title}: {_title(data)}", how, Axis("normalised layer l, in forward order"),
            Axis(y), tuple(banded(label, layers, np.asarray(values)) for label, values in lines.items()),
            rules=(Rule(0.0, rule),) if rule else (), note=_note(data),
        )  # fmt: skip

    return (
        by_layer(
            "skill", "What the force on λ_l foretells",
            "At 0 the force says no more than how often each comes anyway, above 0 it foretells, below 0 the opposite "
            "comes. The first layer has no shortcut.",
            "share of signs right, minus base rate", {LABELS[name]: skills(data, name) for name in LABELS}, "no skill",
        ),
        by_layer(
            "condition", "The condition of Theorem 3, and growth",
            "Were the theorem all there is, the two curves would be one. A rise of the first means more steps that "
            "should make |λ_l| grow, of the second more that do.",
            "share of the measured steps",
            {"‖g_p‖² + g_p·g_m > 0": (force > 0).mean(axis=1),
             "|λ_l| grows, decay left out": (growth > 0).mean(axis=1)},
        ),
        by_layer(
            "decay", "Whose the change of |λ_l| is",
            "Above 0 a part makes |λ_l| grow over the whole training, below it shrink. All is the sum of the two "
            "parts.",
            "Σ λ_l·Δλ_l / ‖λ_l‖² at the start",
            {"all": total, "loss": total - decay, "weight decay": decay}, "no change",
        ),
        by_layer(
            "correlation", "Force on λ_l and what comes, rank correlation",
            "At 1 a larger force always means that more comes, at 0 the two are unrelated, below it less comes. The "
            "last line is the change of ∂L/∂λ_l over the step really taken, to first order and actual.",
            "Spearman's ρ over time",
            {**{LABELS[name]: correlation(*compared[name]) for name in LABELS},
             "step's slope, first order": first_order}, "unrelated",
        ),
        change_panel(run, data),
    )  # fmt: skip


def change_panel(run: str, data: xr.Dataset) -> Panel:
    """Return the change of |λ_l| in a step that Theorem 3 predicts, and the one that came, of one network."""
    force, growth = (values[0, :, SKIPPED] for values in predictions(data)["step"])
    # forces are recorded times the rate of the step, and μ² of the theorem takes it once more
    predicted = force * data.rate.values[:, None]
    there = (predicted != 0) & (growth != 0)  # what a logarithm shows
    x, y = np.abs(predicted[there]), np.abs(growth[there])
    same = np.sign(predicted[there]) == np.sign(growth[there])
    kinds = ((f"direction right ({same.mean():.0%})", same), (f"direction wrong ({1 - same.mean():.0%})", ~same))
    ends = np.array([min(x.min(), y.min()), max(x.max(), y.max())])
    return Panel(
        f"{PREFIX}{run}-change",
        f"Growth of |λ_l| in a step, by Theorem 3: {_title(data)}",
        "One dot per layer and measured step: μ²|g_p·(g_p + g_m)|, Theorem 3's |λ_l·Δλ_l|, and what came of it, "
        "without weight decay. On the diagonal they are equal, above it more came; colours tell the direction.",
        Axis("predicted |λ_l·Δλ_l|", log=True),
        Axis("actual |λ_l·Δλ_l|", log=True),
        (*(Series(label, x[kind], y[kind]) for label, kind in kinds if kind.any()),
         Series("equal", ends, ends, marks="line")),
        marks="points",
        note=f"{_note(data).split(';')[0]}; seed {int(data.seed[0])}, layers with a shortcut.",
    )  # fmt: skip


def _title(data: xr.Dataset) -> str:
    a = data.attrs
    kind = f"ResNet-{a['depth']} × {a['width']:g}" if a["task"] == "cifar10" else f"MLP of {a['depth']} layers"
    name = TASKS.get(a["task"], a["task"])
    return f"{name}, {kind}, momentum {a['momentum']:g}, weight decay {a['weight_decay']:g}"


def _note(data: xr.Dataset) -> str:
    a = data.attrs
    images = f", {a['subset']:,} images" if a["subset"] else ""
    return (
        f"{data.sizes['measurement']} measured steps in {a['epochs']} epochs{images}, rate {a['learning_rate']:g}, "
        f"batches of {a['batch_size']}; mean and standard deviation of {data.sizes['seed']} seeds."
    )


def drift_pages(recordings: Recordings, _figures: Sequence[str] = ()) -> Pages:
    """Return the section, and the panels of the combined drawing."""
    shown = [panels(run, data) for run, data in networks(recordings).items()]
    return [Section("How far Theorem 3 reaches", REACH, sum(shown, ()))], {"drift": shown[0]}


def _live(options: Options, folder: Path) -> Mapping[str, Recording]:
    """A small network, where nothing larger is there."""

    def compute(tell: Tell) -> xr.Dataset:
        return drift_run(LIVE, on_epoch=lambda done: tell(done, LIVE.epochs * LIVE.seeds))

    return {} if any(folder.glob(f"{PREFIX}*.nc")) else {f"{PREFIX}digits": Recording("drift", compute)}


DRIFT = Experiment(("drift",), {f"{PREFIX}*": "drift"}, _live, drift_pages, CLAIMS)
