"""Networks in training (App. C, Figs. 2 and 3, and claims 2 and 3 of Sec. 4): absorbed norms, multipliers, depth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipglass.paper.claim import Claim, Quantity, Recordings
from skipglass.paper.experiment import Experiment, Pages
from skipglass.paper.measures import depth_by
from skipglass.paper.network_panels import PROFILES, compared, course_panel, depths_panel, profile_panel
from skipglass.paper.resnet_group import (
    DEPTH,
    PAPER,
    STEPS,
    Group,
    alike,
    check_networks,
    families,
    groups,
    is_paper_setting,
    paired,
)
from skipglass.paper.resnet_runs import KEPT, recordings_of
from skipglass.paper.rules import above, below, falls, grows
from skipglass.report import Axis, Panel, Section

__all__ = ["DEEPENING", "NETWORKS", "NETWORK_FIGURES", "change", "committed_networks", "has_networks"]

Array = NDArray[np.float64]
NETWORK_FIGURES = ("figure2", "figure3")
NORM, SCALE = "absorbed_norm", "multiplier_norm"
RISE: dict[str, Any] = {"variable": SCALE, "since": 0.0, "until": "drop"}
FALL: dict[str, Any] = {"variable": SCALE, "since": "drop"}
"""The times in which the multipliers rise and fall, as arguments of `change`."""
SMALL = 0.01
"""A change of 1 % of the norm, or of the blocks, is called small: our choice."""
SHALLOW = 0.25
"""The part of the blocks below which an ensemble counts as extremely shallow: our choice, the paper names none."""
RANDOM = 2 / 3
"""The part of turning points in a sequence of independent values (Kendall & Stuart); 1 where it alternates."""
DEEPENING = "change of the effective depth from epoch 1 to the end, as a fraction of the blocks"
ABSORBED = (
    "The paper trains a ResNet-32 on CIFAR-10 and CIFAR-100 for 164 epochs and shows the norm of each convolution, "
    "with the batch norm that follows absorbed into it, growing with the epochs, and faster once the learning rate "
    "drops. Here are the same panels, and beside them what the paper infers and does not measure: the depth of the "
    "ensemble, the mean number of residual blocks that the gradient of the loss passes on its way to the input."
)
MULTIPLIERS = (
    "The norm of each vector of multipliers λ. The recipe decays λ like every weight; the same networks were trained "
    "without weight decay on λ, too. What turns λ down after the drop, which the paper leaves to future work, is "
    "seen by comparing the two. Beside them stands the depth by step, on a logarithmic axis: within a few steps the "
    "ensemble collapses to short paths, which epochs cannot show."
)
DEPTHS = "Which path lengths carry the gradient at growing epochs, and which blocks it passes."
OTHERS = "Other depths, and trainings of another regime: few images and few steps, whose test errors stand beside them."
ANEW = (
    "To train these networks anew: python -m skipglass.paper.resnet_runs FOLDER resnet32 with the folder of CIFAR in "
    "$SKIPGLASS_DATA (on a GPU; the other sets are resnet20-seeds, resnet56, depths and digits, results/README.md has "
    "them all), then skipglass report FOLDER."
)


def of(
    measure: Callable[..., Array], *where: Callable[[Group], bool], by_decay: bool = False, **given: Any
) -> Quantity:
    """Return the quantity {setting: one number per network} of the groups that are asked for.

    Parameters
    ----------
    measure
        Of a group and what is ``given``, (seed,).
    where
        What holds of these groups.
    by_decay
        As for `families`.
    """

    def quantity(recordings: Recordings) -> Mapping[str, Array]:
        # families: groups that differ in what a reader takes for one setting
        chosen = [group for group in groups(recordings) if all(holds(group) for holds in where)]
        together = families(chosen, by_decay=by_decay)
        return {label: np.concatenate([measure(g, **given) for g in same]) for label, same in together.items()}

    return quantity


def elsewhere(group: Group) -> bool:
    """Whether it is none of the networks of Figures 2 and 3."""
    return not is_paper_setting(group)


def decayed(group: Group) -> bool:
    """Whether weight decay acts on λ, as in the paper."""
    return bool(group.attrs["decay_scales"])


def deep(group: Group) -> bool:
    """Whether it has as many layers as the paper's, or more."""
    return bool(group.attrs["depth"] >= PAPER["depth"])


def no_decay(group: Group) -> bool:
    """Whether weight decay acts on all parameters but λ."""
    return not decayed(group)


def unnamed(quantity: Quantity) -> Quantity:
    """Return a quantity of one setting without its name, to be told beside another of that setting."""
    return lambda recordings: dict(zip([""], quantity(recordings).values(), strict=False))


def change(group: Group, variable: str = DEPTH, since: float | str = 1.0, until: float | str = "end") -> Array:
    """The change from one moment to another, of a depth in parts of the blocks, of a mean norm in parts of its own."""
    # a depth changes by blocks, of all that there are; a norm by a factor
    before, after = group.at(variable, since), group.at(variable, until)
    return after - before if "depth" in variable else after / before - 1


def slopes(group: Group, variable: str = NORM) -> tuple[Array, Array]:
    """The growth of a mean norm, or a depth, before and after the first drop, in thousandths of its start per epoch.

    Each is over half the time from the first drop to the second, (seed,).
    """
    first, second = group.drops[0], group.drops[-1]
    window = (second - first) / 2
    begin = group.at(variable, 0.0)
    # equally long windows on both sides of the drop
    low, at, high = (1000 * group.at(variable, epoch) / begin for epoch in (first - window, first, first + window))
    return (at - low) / window, (high - at) / window


def speeds_up(group: Group, variable: str = NORM) -> Array:
    """The smaller of the slope after the drop and its excess over the slope before, (seed,)."""
    before, after = slopes(group, variable)
    return np.minimum(after, after - before)


def turns(group: Group) -> Array:
    """The share of inner layers at which the curve of absorbed norms turns at the end, (seed,)."""
    # a layer is a turning point where the steps before and behind it have opposite signs
    steps = np.diff(group.layers(NORM)[:, -1], axis=1)
    return (steps[:, 1:] * steps[:, :-1] < 0).mean(axis=1)


def without_minus_with_decay(recordings: Recordings) -> Mapping[str, Array]:
    """How much more ‖λ‖ grows from the first drop to the end without decay on it, for networks trained both ways."""
    changes: dict[str, Array] = {}
    for pair in alike(groups(recordings), "decay_scales"):  # `groups` has the decayed one first
        if len(both := paired(pair)) == 2:
            # seed by seed, as both start from the same weights
            lost, kept = (change(group, **FALL) for group in both)
            label = next(iter(families(pair[:1]))).partition(", n =")[0]
            changes[label] = np.concatenate([changes.get(label, []), kept - lost])
    return changes


def deepening_by_depth(recordings: Recordings) -> Mapping[str, Array]:
    """The slope of the change of the effective depth, in blocks, over the number of blocks, by seed."""
    found = {}
    for same in alike([group for group in groups(recordings) if decayed(group)], "depth"):
        ordered = paired(same[::-1])  # `groups` has deep ones first
        if len(ordered) > 1:
            changes = np.array([group.blocks * change(group, since=0.0) for group in ordered])
            depths = [group.attrs["depth"] for group in ordered]
            label = ordered[0].title.replace(f"-{depths[0]} ", f"-{', '.join(map(str, depths))} ")
            found[label] = np.polyfit([group.blocks for group in ordered], changes, 1)[0]
    return found


START = "effective depth before the first step over the number of blocks"
OTHER_MEASURES = {
    "by the variance of the output": "output, energy",
    "by the gradients of all weights": "all weights, energy",
}
"""What the paper's ε_r² is a share of (Eq. 15), and what its Sec. 4.1 speaks of, beside the gradient at the input."""
SAME_START = "The two at the paper's setting have the same first weights and different images"
QUESTION = (
    "The networks at the paper's setting are four of one question, two data sets with and without decay on λ, one seed "
    "each, the same one, so that they start alike"
)
CLAIMS = (
    Claim(
        "Abstract, start", "Before training the ensemble is mostly at depths below half of the network's.",
        "Abstract: “while initially the virtual ensemble is mostly at depths lower than half the network’s depth”.",
        f"{START}, by the gradient at the input",
        of(Group.at, decayed, name=DEPTH, when=0.0),  # decay does nothing before the first step
        below(0.5, SMALL), "resnet-", figure="depth-steps-a", note=SAME_START,
        variants={name: depth_by(measure) for name, measure in OTHER_MEASURES.items()}, also=("measures",),
    ),
    Claim(
        "Claim 3", "With λ = 1 the ensemble starts extremely shallow.",
        "Sec. 4, claim 3: “The starting condition of λ = 1 offers a good starting condition that involves extremely "
        "shallow nets”; Sec. 4.1: “the gradients from early in the training process will originate from extremely "
        "shallow paths”.",
        f"{START}, by the gradient at the input",
        of(Group.at, decayed, name=DEPTH, when=0.0), below(SHALLOW), "resnet-", figure="depth-steps-a",
        note=f"Extremely shallow is read as less than {SHALLOW:g} of the blocks, as the paper names no number. The "
        "depth of the gradient of all weights counts the blocks above each weight alone, so that it is small for the "
        f"weights near the output, whatever λ is. {SAME_START}",
        variants={
            f"after {STEPS} steps": of(Group.at, name=DEPTH, when="first steps"),
            **{f"before the first step {name}": depth_by(measure) for name, measure in OTHER_MEASURES.items()},
        },
        also=("measures",),
    ),
    Claim(
        "Claim 2", "As training progresses, from the end of the first epoch on, the ensemble becomes deeper.",
        "Sec. 4, claim 2: “During training, C changes and causes a shift of focus from a shallow ensemble to deeper "
        "and deeper ensembles”; App. C, of ResNet-32 on CIFAR: “the dominance of paths with fewer skip connections "
        "increases over time”.",
        f"{DEEPENING}; median over images, statistics held", of(change), grows(SMALL), "resnet-",
        figure="depth-a",
        note="The paper does not show the first epoch, in which the depth falls; that the end of it is the start of "
        f"the comparison is our choice. {QUESTION}",
        beside={"from the start, networks of 32 layers and more": of(change, deep, since=0.0)},
        variants={
            "from the start": of(change, since=0.0),
            **{f"from the start, {name}": depth_by(measure, gained=True) for name, measure in OTHER_MEASURES.items()},
            "by the gradient of the whole batch": of(change, variable="effective_depth_frozen"),
            "with batch norm in train mode": of(change, variable="effective_depth_train"),
            "with the running statistics of batch norm": of(change, variable="effective_depth_median"),
        },
        also=("measures",),
    ),
    Claim(
        "Fig. 2", "The mean absorbed norm grows while training.",
        "App. C, of Fig. 2(b, d), “the mean of these norms over all convolutional layers as a function of epoch”: “the "
        "dynamic phenomenon we describe is very prominent in the public ResNet implementation”.",
        "relative change of ‖diag(λ/σ) W_l‖, mean over the layers, from epoch 1 to the end",
        of(change, is_paper_setting, variable=NORM), grows(SMALL), "resnet-", figure="figure2b",
        variants={"from the start": of(change, is_paper_setting, variable=NORM, since=0.0),
                  "other networks": of(change, elsewhere, variable=NORM)},
        note="At step 0 the running statistics σ are those of our calibration on 512 images, so where the curve starts "
        "is a convention; within the first epochs the norms fall",
    ),
    Claim(
        "Fig. 2, drop", "Its growth speeds up when the learning rate drops.",
        "App. C: “once the learning rate is reduced in epoch 81 the phenomenon we describe speeds up.”",
        "slope of the mean absorbed norm after the first drop, or its excess over the slope before where that is "
        "smaller, thousandths of the start per epoch",
        of(speeds_up, is_paper_setting), grows(), "resnet-", figure="figure2b",
        variants={"effective depth": of(speeds_up, is_paper_setting, variable=DEPTH),
                  "other networks": of(speeds_up, elsewhere)},
        beside={"slope before": unnamed(of(lambda group: slopes(group)[0], is_paper_setting)),
                "slope after": unnamed(of(lambda group: slopes(group)[1], is_paper_setting))},
    ),
    Claim(
        "Fig. 2, waver", "Its curves waver from layer to layer, as the convolutions of a block alternate.",
        "Caption of Fig. 2: “Waving is due to the interleaving architecture of the convolutional layers.”",
        "share of inner layers at which the curve turns at the end, 2/3 by chance",
        of(turns, is_paper_setting), above(RANDOM, SMALL), "resnet-", figure="figure2a",
        variants={"other networks": of(turns, elsewhere)},
    ),
    Claim(
        "Fig. 3, before", "Until the learning rate drops, the multipliers λ grow.",
        "App. C: “it seems that until the learning rate is reduced, the dynamic behavior is manifested in the Batch "
        "Normalization multiplicative coefficients”.",
        "relative change of ‖λ_l‖, mean over the layers, from the start to the first drop",
        of(change, is_paper_setting, by_decay=True, **RISE), grows(SMALL), "resnet-", figure="figure3b",
        variants={"other networks": of(change, elsewhere, **RISE)},
        note="The recipe of the paper decays λ. Of its Fig. 3 the paper itself says that “there is no monotonic "
        "increase between the epochs in this graph”",
    ),
    Claim(
        "Fig. 3, drop", "The multipliers λ fall after the learning rate drops.",
        "App. C: “these coefficients start to decrease once the learning rate is reduced.”",
        "relative change of ‖λ_l‖, mean over the layers, from the first drop to the end",
        of(change, is_paper_setting, decayed, by_decay=True, **FALL), falls(SMALL), "resnet-", figure="figure3b",
        variants={"other networks": of(change, elsewhere, decayed, **FALL)}, note="The recipe of the paper decays λ",
    ),
    Claim(
        "Fig. 3, cause", "That fall is weight decay's: without decay on λ, λ does not fall.",
        "The paper leaves open why the coefficients fall: “A complete analysis is left for future work” (App. C).",
        "relative change of ‖λ_l‖ from the first drop to the end without decay on λ, minus that with it",
        without_minus_with_decay, grows(SMALL), "resnet-", table="ours", figure="figure3b",
        beside={"without decay": of(change, no_decay, by_decay=True, **FALL)},
    ),
    Claim(
        "First steps", f"Within {STEPS} steps the ensemble collapses to shorter paths.",
        "The paper says nothing of the first epoch, which Figs. 2 and 3 cannot show.",
        f"effective depth after {STEPS} steps minus that before the first, as a fraction of the blocks",
        of(change, since=0.0, until="first steps"), falls(SMALL), "resnet-", table="ours", figure="depth-steps-a",
        beside={"at the paper's setting": unnamed(of(change, is_paper_setting, since=0.0, until="first steps"))},
    ),
    Claim(
        "Deeper networks", "Training deepens a deeper network more.",
        "The paper does not say how the shift depends on the number of layers.",
        "change of the effective depth from start to end in blocks, slope over the number of blocks",
        deepening_by_depth, grows(), "resnet-", table="ours", figure="depths",
    ),
)  # fmt: skip


def committed_networks(recorded: Path | None) -> list[Path]:
    """Return the recordings of Figures 2 and 3 in a folder of long runs."""
    return NETWORKS.committed(recorded)


def has_networks(recordings: Path) -> bool:
    """Tell whether a folder has recordings of ResNets."""
    return NETWORKS.is_recorded(recordings)


def network_pages(recordings: Recordings, figures: Sequence[str]) -> Pages:
    """Return the sections of the chosen figures, and the panels of their combined drawings."""
    found = groups(recordings)
    pairs = alike(found, "decay_scales")
    shown = ([pair for pair in pairs if is_paper_setting(pair[0])] or pairs[:1])[:2]
    depths = [course_panel(f"depth-{letter}", "depth", pair) for letter, pair in zip("ab", shown, strict=False)]
    steps = [
        course_panel(f"depth-steps-{letter}", "depth", pair, by_step=True)
        for letter, pair in zip("ab", shown, strict=False)
    ]
    sections: list[Section] = []
    combined: dict[str, tuple[Panel, ...]] = {}
    for name, heading, text, beside in (
        ("figure2", "Figure 2: absorbed norms while training", ABSORBED, depths),
        ("figure3", "Figure 3: multipliers λ while training", MULTIPLIERS, steps),
    ):
        if name in figures:
            own = [
                (_numbered(profile_panel(name + letters[0], name, pair[0]), pair[0]),
                 _numbered(course_panel(name + letters[1], name, pair), pair[0]))
                for letters, pair in zip(("ab", "cd"), shown, strict=False)
            ]  # fmt: skip
            # drawn together each row ends with what the paper lacks, on the page that stands below the paper's own
            combined[name] = tuple(panel for row, depth in zip(own, beside, strict=True) for panel in (*row, depth))
            sections.append(Section(heading, f"{text}\n\n{ANEW}", (*(p for row in own for p in row), *beside)))
    # the length of paths is not in every recording
    first = shown[0][0]
    parts = [
        profile_panel(kind, kind, first)
        for kind in ("lengths", "participation")
        if (variable := PROFILES[kind][0]) in first.data and np.isfinite(first.values(variable)).all()
    ]
    combined["depth"] = (*depths, *steps, *parts)
    sections.append(Section("The depth itself", DEPTHS, tuple(parts)))
    if others := _others(found):
        sections.append(Section("Other networks in training", OTHERS, others))
        combined["networks"] = others
    return sections, combined


def _numbered(panel: Panel, group: Group) -> Panel:
    """The panel under the paper's own number, where the network is the paper's."""
    if not is_paper_setting(group):
        return panel
    return replace(panel, title=f"Fig. {panel.name[-2]}({panel.name[-1]}): {panel.title}")


def _others(found: Sequence[Group]) -> tuple[Panel, ...]:
    """Depth and norms of all settings, those with all images and those with few, and the depth by depth."""
    panels, depth, norm = [], Axis("effective depth, fraction of blocks"), Axis("absorbed norm / its start")
    for part, many, words in (("many", True, "all 50,000 images"), ("few", False, "few images and steps")):
        if chosen := families([group for group in found if (group.attrs["images"] >= 50_000) == many]):
            panels += [
                compared(f"networks-{part}-depth", DEPTH, depth, f"Effective depth: {words}", chosen),
                compared(f"networks-{part}-norm", NORM, norm, f"Absorbed norm, mean over layers: {words}", chosen),
            ]
    several = [same for same in alike(found, "depth") if len(same) > 2]
    return (*panels, *(depths_panel("depths", same) for same in several[:1]))


NETWORKS = Experiment(
    NETWORK_FIGURES, {"resnet-*": "resnet"},
    lambda options, folder: recordings_of(folder.parent, options.runs, data=options.data, device=options.device),
    network_pages, CLAIMS, check=check_networks, kept=KEPT,
)  # fmt: skip
"""Figures 2 and 3, which a user may train anew; else the recordings that there are are taken."""
