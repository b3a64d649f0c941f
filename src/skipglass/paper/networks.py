"""Networks in training (App. C, Figs. 2 and 3, and claims 2 and 3 of Sec. 4): absorbed norms, multipliers, depth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from rich.progress import Progress

from skipglass.paper.claim import Claim, Quantity, Recordings
from skipglass.paper.experiment import Options, Pages
from skipglass.paper.network_panels import (
    compared,
    course_panel,
    depths_panel,
    layer_panel,
    lengths_panel,
    participation_panel,
)
from skipglass.paper.resnet_group import DEPTH, Group, alike, families, groups, is_paper_setting
from skipglass.paper.resnet_runs import LongTrainings, check_networks, train_runs
from skipglass.paper.rules import above, below, falls, grows
from skipglass.report import Axis, Panel, Section

__all__ = [
    "NETWORKS", "NETWORK_FIGURES", "committed_networks", "depth_change",
    "has_networks",
]  # fmt: skip

Array = NDArray[np.float64]
NETWORK_FIGURES = ("figure2", "figure3")
NORM, SCALE = "absorbed_norm", "multiplier_norm"
SMALL = 0.01
"""A change of 1 % of the norm, or of the blocks, is called small: our choice."""
SHALLOW = 0.25
"""The part of the blocks below which an ensemble counts as extremely shallow: our choice, the paper names none."""
RANDOM = 2 / 3
"""The part of turning points in a sequence of independent values (Kendall & Stuart); 1 where it alternates."""
FIRST_STEPS = 20
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


def by_family(
    measure: Callable[[Group], Array], *, by_decay: bool = False, chosen: Callable[[Group], bool] = lambda group: True
) -> Quantity:
    """Return the quantity {setting: one number per network} that a function of groups, (seed,), gives."""

    def quantity(recordings: Recordings) -> Mapping[str, Array]:
        found = [group for group in groups(recordings) if chosen(group)]
        together = families(found, by_decay=by_decay)
        return {label: np.concatenate([measure(group) for group in same]) for label, same in together.items()}

    return quantity


def decayed(group: Group) -> bool:
    """Whether weight decay acts on λ, as in the paper."""
    return bool(group.attrs["decay_scales"])


def depth_change(group: Group, variable: str = DEPTH, since: float = 1.0) -> Array:
    """The effective depth at the end minus that at an epoch, as a fraction of the blocks, (seed,)."""
    return group.last(variable) - group.at(variable, since)


def slopes(group: Group, variable: str = NORM) -> tuple[Array, Array]:
    """The growth of a mean norm, or a depth, before and after the first drop, in thousandths of its start per epoch.

    Each is over half the time from the first drop to the second, (seed,).
    """
    first, second = group.drops[0], group.drops[-1]
    window = (second - first) / 2
    begin = group.at(variable, 0.0)
    low, at, high = (1000 * group.at(variable, epoch) / begin for epoch in (first - window, first, first + window))
    return (at - low) / window, (high - at) / window


def speeds_up(group: Group, variable: str = NORM) -> Array:
    """The smaller of the slope after the drop and its excess over the slope before, (seed,)."""
    before, after = slopes(group, variable)
    return np.minimum(after, after - before)


def turns(group: Group) -> Array:
    """The share of inner layers at which the curve of absorbed norms turns at the end, (seed,)."""
    last = group.layers(NORM)[:, -1]
    steps = np.diff(last, axis=1)
    return np.where(np.isfinite(last).all(axis=1), (steps[:, 1:] * steps[:, :-1] < 0).mean(axis=1), np.nan)


def collapse(group: Group) -> Array:
    """The effective depth after the first steps minus that before them, as a fraction of the blocks, (seed,)."""
    return group.at(DEPTH, FIRST_STEPS / group.attrs["steps_per_epoch"]) - group.at(DEPTH, 0.0)


def spared_minus_decayed(recordings: Recordings) -> Mapping[str, Array]:
    """How much more ‖λ‖ grows from the first drop to the end without decay on it, for networks trained both ways."""
    pairs = [same for same in alike(groups(recordings), "decay_scales") if len(same) == 2]
    changes: dict[str, Array] = {}
    for with_decay, without in pairs:  # `groups` has the decayed one first
        seeds = np.intersect1d(with_decay.data.seed, without.data.seed)
        lost, kept = (scale_after(Group(group.data.sel(seed=seeds), group.attrs)) for group in (with_decay, without))
        label = next(iter(families([with_decay]))).partition(", n =")[0]
        changes[label] = np.concatenate([changes.get(label, []), kept - lost])
    return changes


def deepening_by_depth(recordings: Recordings) -> Mapping[str, Array]:
    """The slope of the change of the effective depth, in blocks, over the number of blocks, by seed."""
    found = {}
    for same in alike([group for group in groups(recordings) if decayed(group)], "depth"):
        seeds = sorted(set.intersection(*[set(group.data.seed.values.tolist()) for group in same]))
        if len(same) > 1 and seeds:
            ordered = [Group(g.data.sel(seed=seeds), g.attrs) for g in reversed(same)]  # `groups` has deep ones first
            changes = np.array([group.blocks * depth_change(group, since=0.0) for group in ordered])
            depths = [group.attrs["depth"] for group in ordered]
            label = ordered[0].title.replace(f"-{depths[0]} ", f"-{', '.join(map(str, depths))} ")
            found[label] = np.polyfit([group.blocks for group in ordered], changes, 1)[0]
    return found


def at_paper(measure: Callable[[Group], Array], *, by_decay: bool = False) -> Quantity:
    """Return the quantity for the networks of Figures 2 and 3."""
    return by_family(measure, by_decay=by_decay, chosen=is_paper_setting)


def unnamed(quantity: Quantity) -> Quantity:
    """Return a quantity of one setting without its name, to be told beside another of that setting."""

    def alone(recordings: Recordings) -> Mapping[str, ArrayLike]:
        found = quantity(recordings)
        return {"": next(iter(found.values()))} if found else {}

    return alone


def elsewhere(measure: Callable[[Group], Array]) -> Quantity:
    """Return the quantity for all other networks."""
    return by_family(measure, by_decay=True, chosen=lambda group: not is_paper_setting(group))


def start(group: Group) -> Array:
    """The effective depth before the first step as a fraction of the blocks, (seed,)."""
    return group.at(DEPTH, 0.0)


def norm_change(group: Group, since: float = 1.0) -> Array:
    """The relative change of the mean absorbed norm from an epoch to the end, (seed,)."""
    return group.last(NORM) / group.at(NORM, since) - 1


def scale_before(group: Group) -> Array:
    """The relative change of the mean of ‖λ_l‖ until the first drop of the learning rate, (seed,)."""
    return group.at(SCALE, group.drops[0]) / group.at(SCALE, 0.0) - 1


def scale_after(group: Group) -> Array:
    """The relative change of the mean of ‖λ_l‖ from the first drop of the learning rate on, (seed,)."""
    return group.last(SCALE) / group.at(SCALE, group.drops[0]) - 1


QUESTION = (
    "The networks at the paper's setting are four of one question, two data sets with and without decay on λ, one seed "
    "each, the same one, so that they start alike"
)
CLAIMS = (
    Claim(
        "Abstract, start", "Before training the ensemble is mostly at depths below half of the network's.",
        "Abstract: “while initially the virtual ensemble is mostly at depths lower than half the network’s depth”.",
        "effective depth over the number of blocks before the first step, λ = 1",
        by_family(start, chosen=decayed),  # decay does nothing before the first step
        below(0.5, SMALL), "resnet-", figure="depth-steps-a",
        note="By the gradient of the loss at the input; other measures start elsewhere. The two at the paper's setting "
        "have the same first weights and different images",
    ),
    Claim(
        "Claim 3", "With λ = 1 the ensemble starts extremely shallow.",
        "Sec. 4, claim 3: “The starting condition of λ = 1 offers a good starting condition that involves extremely "
        "shallow nets.”",
        "effective depth over the number of blocks before the first step, λ = 1", by_family(start, chosen=decayed),
        below(SHALLOW), "resnet-", figure="depth-steps-a",
        note=f"Extremely shallow is read as less than {SHALLOW:g} of the blocks",
        variants={f"after {FIRST_STEPS} steps": by_family(lambda group: start(group) + collapse(group))},
    ),
    Claim(
        "Claim 2", "As training progresses the ensemble becomes deeper.",
        "Sec. 4, claim 2: “During training, C changes and causes a shift of focus from a shallow ensemble to deeper "
        "and deeper ensembles”.",
        "change of the effective depth from epoch 1 to the end, as a fraction of the blocks; median over images, "
        "statistics held",
        by_family(depth_change), grows(SMALL), "resnet-", figure="depth-a", note=QUESTION,
        variants={
            "from the start": by_family(partial(depth_change, since=0.0)),
            "gradient of the batch": by_family(partial(depth_change, variable="effective_depth_frozen")),
            "train mode": by_family(partial(depth_change, variable="effective_depth_train")),
            "running statistics": by_family(partial(depth_change, variable="effective_depth_median")),
            "running statistics, batch": by_family(partial(depth_change, variable="effective_depth")),
        },
    ),
    Claim(
        "App. C, depth", "In the paper's own networks the ensemble becomes deeper while training.",
        "App. C: “the dominance of paths with fewer skip connections increases over time.”",
        "change of the effective depth from epoch 1 to the end, as a fraction of the blocks", at_paper(depth_change),
        grows(SMALL), "resnet-", figure="depth-a", note=QUESTION,
        variants={"from the start": at_paper(partial(depth_change, since=0.0))},
        beside={"from the start": unnamed(at_paper(partial(depth_change, since=0.0)))},
    ),
    Claim(
        "Fig. 2", "The mean absorbed norm grows while training.",
        "App. C, of Fig. 2: “the dynamic phenomenon we describe is very prominent in the public ResNet "
        "implementation”.",
        "relative change of ‖diag(λ/σ) W_l‖, mean over the layers, from epoch 1 to the end", at_paper(norm_change),
        grows(SMALL), "resnet-", figure="figure2b",
        variants={"from the start": at_paper(partial(norm_change, since=0.0)),
                  "other networks": elsewhere(norm_change)},
        note="At step 0 the running statistics σ are those of our calibration on 512 images, so where the curve starts "
        "is a convention; within the first epochs the norms fall",
    ),
    Claim(
        "Fig. 2, drop", "Its growth speeds up when the learning rate drops.",
        "App. C: “once the learning rate is reduced in epoch 81 the phenomenon we describe speeds up.”",
        "slope of the mean absorbed norm after the first drop, or its excess over the slope before where that is "
        "smaller, thousandths of the start per epoch",
        at_paper(speeds_up), grows(), "resnet-", figure="figure2b",
        variants={"effective depth": at_paper(partial(speeds_up, variable=DEPTH)),
                  "other networks": elsewhere(speeds_up)},
        beside={"slope before": unnamed(at_paper(lambda group: slopes(group)[0])),
                "slope after": unnamed(at_paper(lambda group: slopes(group)[1]))},
    ),
    Claim(
        "Fig. 2, waver", "Its curves waver from layer to layer, as the convolutions of a block alternate.",
        "Caption of Fig. 2: “Waving is due to the interleaving architecture of the convolutional layers.”",
        "share of inner layers at which the curve turns at the end, 2/3 by chance",
        at_paper(turns), above(RANDOM, SMALL), "resnet-", figure="figure2a",
        variants={"other networks": elsewhere(turns)},
    ),
    Claim(
        "Fig. 3, before", "Until the learning rate drops, the multipliers λ grow.",
        "App. C: “until the learning rate is reduced, the dynamic behavior is manifested in the Batch Normalization "
        "multiplicative coefficients”.",
        "relative change of ‖λ_l‖, mean over the layers, from the start to the first drop",
        at_paper(scale_before, by_decay=True), grows(SMALL), "resnet-", figure="figure3b",
        variants={"other networks": elsewhere(scale_before)}, note="The recipe of the paper decays λ",
    ),
    Claim(
        "Fig. 3, drop", "The multipliers λ fall after the learning rate drops.",
        "App. C: “these coefficients start to decrease once the learning rate is reduced.”",
        "relative change of ‖λ_l‖, mean over the layers, from the first drop to the end",
        by_family(scale_after, by_decay=True, chosen=lambda group: is_paper_setting(group) and decayed(group)),
        falls(SMALL), "resnet-", figure="figure3b", note="The recipe of the paper decays λ",
        variants={"other networks": by_family(
            scale_after, chosen=lambda group: not is_paper_setting(group) and decayed(group))},
    ),
    Claim(
        "Fig. 3, cause", "That fall is weight decay's: without decay on λ, λ does not fall.",
        "The paper leaves open why the coefficients fall: “A complete analysis is left for future work” (App. C).",
        "relative change of ‖λ_l‖ from the first drop to the end without decay on λ, minus that with it",
        spared_minus_decayed, grows(SMALL), "resnet-", table="ours", figure="figure3b",
        beside={"without decay": by_family(scale_after, by_decay=True, chosen=lambda group: not decayed(group))},
    ),
    Claim(
        "First steps", f"Within {FIRST_STEPS} steps the ensemble collapses to shorter paths.",
        "The paper says nothing of the first epoch, which Figs. 2 and 3 cannot show.",
        f"effective depth after {FIRST_STEPS} steps minus that before the first, as a fraction of the blocks",
        by_family(collapse), falls(SMALL), "resnet-", table="ours", figure="depth-steps-a",
        beside={"at the paper's setting": unnamed(at_paper(collapse))},
    ),
    Claim(
        "Deeper networks", "Training deepens a deeper network more.",
        "The paper does not say how the shift depends on the number of layers.",
        "change of the effective depth from start to end in blocks, slope over the number of blocks",
        deepening_by_depth, grows(), "resnet-", table="ours", figure="depths",
    ),
)  # fmt: skip


class Networks(LongTrainings):
    """Figures 2 and 3, which a user may train anew."""

    def measure(self, folder: Path, options: Options, progress: Progress) -> None:
        """Train the runs that are asked for; where none is, take the recordings that there are."""

        def told(name: str) -> Callable[[int, int, float, float], None]:
            task = progress.add_task(f"{name}, steps")
            return lambda step, total, *_: progress.update(task, completed=step, total=total)

        if options.runs:
            train_runs(folder.parent, options.runs, data=options.data, device=options.device, on_start=told)
        else:
            super().measure(folder, options, progress)


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
    shown = [pair for pair in pairs if is_paper_setting(pair[0])] or pairs[:1]
    sections: list[Section] = []
    combined: dict[str, tuple[Panel, ...]] = {}
    depths = [course_panel(f"depth-{letter}", "depth", pair) for letter, pair in zip("ab", shown, strict=False)]
    steps = [
        course_panel(f"depth-steps-{letter}", "depth", pair, by_step=True)
        for letter, pair in zip("ab", shown, strict=False)
    ]
    for name, heading, text, beside in (
        ("figure2", "Figure 2: absorbed norms while training", ABSORBED, depths),
        ("figure3", "Figure 3: multipliers λ while training", MULTIPLIERS, steps),
    ):
        if name in figures:
            rows: list[Panel] = []
            for letters, pair, depth in zip(("ab", "cd"), shown, beside, strict=False):
                by_layer, mean = (name + letter for letter in letters)
                panels = layer_panel(by_layer, name, pair[0]), course_panel(mean, name, pair)
                rows += [*(_numbered(panel, pair[0]) for panel in panels), depth]
            combined[name] = tuple(rows)
            own = [panel for panel in rows if panel not in beside]
            sections.append(Section(heading, f"{text}\n\n{ANEW}", (*own, *beside)))
    parts = [participation_panel("participation", shown[0][0])]
    if _has_lengths(shown[0][0].data):
        parts.insert(0, lengths_panel("lengths", shown[0][0]))
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
    panels = []
    together = families(found)
    many = {label: same for label, same in together.items() if same[0].attrs["images"] >= 50_000}
    few = {label: same for label, same in together.items() if label not in many}
    for part, chosen, words in (("many", many, "all 50,000 images"), ("few", few, "few images and steps")):
        for key, variable, axis in (
            ("depth", DEPTH, Axis("effective depth / blocks")),
            ("norm", NORM, Axis("absorbed norm / its start")),
        ):
            if chosen:
                title = "Effective depth" if key == "depth" else "Absorbed norm, mean over layers"
                panels.append(compared(f"networks-{part}-{key}", variable, axis, f"{title}: {words}", chosen))
    several = [same for same in alike(found, "depth") if len(same) > 2]
    return (*panels, *(depths_panel("depths", same) for same in several[:1]))


def _has_lengths(data: xr.Dataset) -> bool:
    return "share_median_frozen" in data and bool(np.isfinite(data.share_median_frozen).all())


NETWORKS = Networks(
    NETWORK_FIGURES, {"resnet-*": "resnet"}, lambda options, folder: {}, network_pages, CLAIMS, check=check_networks
)
"""Figures 2 and 3."""
