"""Interventions: does the depth follow λ and the norms when these are held? What goes together need not be a cause.

A ResNet-20 of full width, on all images of CIFAR-10 for 8 epochs, as it is and with one thing changed
(`skipglass train cifar10 --intervention KIND`); `resnet_runs` has the set. The rows take whatever seeds are there.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from skipglass.paper.claim import Claim, Quantity, Recordings
from skipglass.paper.experiment import Experiment, Pages
from skipglass.paper.network_panels import courses
from skipglass.paper.networks import DEEPENING, change
from skipglass.paper.resnet_group import DEPTH, Group, check_networks, groups, paired
from skipglass.paper.resnet_runs import KEPT, RUNS, train_command
from skipglass.paper.rules import Rule, agrees, below, grows
from skipglass.report import Axis, Panel, Section

__all__ = ["INTERVENTIONS", "by_kind"]

Array = NDArray[np.float64]
PREFIX = "intervention-"
KINDS = {
    "none": "as it is",
    "no_decay": "no decay on λ",
    "scales_one": "λ held at 1",
    "weights_held": "norms of weights held",
    "both_held": "λ and norms held",
    "rate_zero": "learning rate 0",
    "random_labels": "labels shuffled",
}
"""What was changed → how it is called. Held norms are those of the convolutions, set back after each step."""
SMALL = 0.01
"""A change of the effective depth by less than this part of the blocks counts as none: our choice."""
TEXT = (
    "The paper says that growing scales make the ensemble deeper. Depths and norms do grow together; whether one "
    "causes the other is asked by holding the scales while everything else trains as before.\n\n"
    "The norm of a convolution before a batch norm does not change its absorbed norm ‖diag(λ/σ) W‖, as σ grows with "
    "it; what it changes is how far a step turns the weights. So the absorbed norm can be held through λ alone, and "
    "rescaling λ after each step to that end makes the training diverge: at step 138 if it is held from the first step "
    "on, and in epoch 3 if λ follows by at most 1 % per step from the end of epoch 1 (one trial each, without a "
    "recording, as there is nothing left to measure). With λ and the norms of the weights held together only σ is left "
    "to move the absorbed norm, by the direction of the weights and the size of their inputs; and it does.\n\n"
    "To train these networks anew: python -m skipglass.paper.resnet_runs FOLDER interventions, 20 to 40 minutes each "
    "on one core; one of them is skipglass train cifar10 --out DIR --depth 20 --epochs 8 --intervention KIND."
)


def by_kind(recordings: Recordings) -> dict[str, Group]:
    """Return {kind: its networks}, in the order of `KINDS`."""
    found = {}
    for group in groups(recordings, PREFIX):
        kind = str(group.attrs["intervention"])
        found["no_decay" if kind == "none" and not group.attrs["decay_scales"] else kind] = group
    return {kind: found[kind] for kind in KINDS if kind in found}


def under(kind: str) -> Quantity:
    """Return the change of the depth of the networks of one kind, {setting: (seed,)}."""

    def quantity(recordings: Recordings) -> Mapping[str, Array]:
        found = [group for name, group in by_kind(recordings).items() if name == kind]
        return {f"{KINDS[kind]}, {group.error}": change(group) for group in found}

    return quantity


def beyond_control(kind: str) -> Quantity:
    """Return how much more the depth grows under an intervention than without it, seed by seed."""

    def quantity(recordings: Recordings) -> Mapping[str, Array]:
        found = by_kind(recordings)
        both = paired([found[kind], found["none"]]) if {kind, "none"} <= set(found) else []
        return {"": change(both[0]) - change(both[1])} if both else {}

    return quantity


def anew(kind: str, *, decay: bool = True) -> str:
    """The command that trains the first network of a kind."""
    chosen = (run for run in RUNS["interventions"] if (run.intervention, run.decay_scales) == (kind, decay))
    return f"trained anew by `{train_command(next(chosen))}`"


def _row(name: str, statement: str, source: str, kind: str, rule: Rule, note: str = "") -> Claim:
    """The change of the depth under one intervention, beside that without it."""
    return Claim(
        name, statement, source, DEEPENING, under(kind), rule, PREFIX, "ours", figure="interventions-depth",
        beside={"without intervention": under("none"), "more than without, seed by seed": beyond_control(kind)},
        note=note + anew(kind),
    )  # fmt: skip


NOT_HELD = (
    "the absorbed norm itself is not held: the norm of a weight before a batch norm does not change it, and a training "
    "in which λ is rescaled to hold it diverges (one trial each way, without a recording). "
)
CLAIMS = (
    _row(
        "λ held", "With λ held at 1 the ensemble does not deepen.",
        "Sec. 1: “This mechanism remarkably takes place within the parameters of Batch Normalization”.", "scales_one",
        below(SMALL),
    ),
    _row(
        "Norms of weights held", "With the norms of the convolutions held the ensemble does not deepen.",
        "App. C: “The change of location from the multiplicative coefficient of the Batch Normalization layers to the "
        "convolutions themselves might indicate that Batch Normalization is no longer required”.", "weights_held",
        below(SMALL), NOT_HELD,
    ),
    _row(
        "λ and norms held", "With λ and the norms of the convolutions held the ensemble does not deepen.",
        "Abstract: “The main mechanism that controls the dynamic ensemble behavior is the scaling introduced, e.g., by "
        "the Batch Normalization technique.”", "both_held", below(SMALL), NOT_HELD,
    ),
    Claim(
        "No decay on λ", "Without weight decay on λ the ensemble deepens more.",
        "The larger the scales, the deeper the ensemble (Sec. 4, claims 1 and 3); without decay the λ stay larger.",
        "change of the effective depth from epoch 1 to the end, minus that with decay, seed by seed, as a fraction of "
        "the blocks", beyond_control("no_decay"), grows(SMALL), PREFIX, "ours", figure="interventions-depth",
        note=anew("none", decay=False),
    ),
    _row(
        "Learning rate 0", "With a learning rate of 0 the depth does not move (a null).",
        "What moves with fixed weights is no effect of training.", "rate_zero", agrees(SMALL),
        "a network gives the same number at every evaluation, by construction; ",
    ),
    _row(
        "Labels shuffled", "With shuffled labels the ensemble deepens, too.",
        "Does the shift need something to be learned that generalises?", "random_labels", grows(SMALL),
    ),
)  # fmt: skip


def course(name: str, variable: str, title: str, axis: Axis, found: Mapping[str, Group]) -> Panel:
    """Return one quantity by epoch, one line per intervention."""
    seeds = "; ".join(f"{KINDS[kind]}: n = {group.seeds}" for kind, group in found.items())
    return courses(
        name, f"{title}, by what is changed", "A rise means that the quantity grows while training; the vertical lines "
        "mark where the learning rate is divided by ten.", variable, axis,
        {KINDS[kind]: group for kind, group in found.items()}, f"{next(iter(found.values())).title}. {seeds}.",
    )  # fmt: skip


def intervention_pages(recordings: Recordings, _figures: Sequence[str] = ()) -> Pages:
    """Return the section, and the panels of its combined drawing."""
    found = by_kind(recordings)
    if not found:
        return [], {}
    panels = (
        course("interventions-depth", DEPTH, "Effective depth", Axis("effective depth, fraction of blocks"), found),
        course("interventions-norm", "absorbed_norm", "Absorbed norm", Axis("‖diag(λ/σ) W_l‖, mean over l"), found),
        course("interventions-scale", "multiplier_norm", "Multipliers", Axis("‖λ_l‖, mean over l"), found),
    )
    return [Section("Interventions: the scales held", TEXT, panels)], {"interventions": panels}


INTERVENTIONS = Experiment(
    ("interventions",), {}, lambda options, folder: {}, intervention_pages, CLAIMS, {f"{PREFIX}*": "resnet"},
    check_networks, KEPT,
)  # fmt: skip
"""None of them need be there."""
