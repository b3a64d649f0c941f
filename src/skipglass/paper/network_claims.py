"""The claims about networks in training, from recordings of ResNets: absorbed norms, multipliers, and the depth."""

from dataclasses import replace
from functools import partial

import numpy as np

from skipglass.paper import figure2, figure3
from skipglass.paper.finding import (
    Claim,
    Finding,
    Recordings,
    by_setting,
    either,
    error,
    grouped,
    growth,
    listed,
    mean_and_spread,
    seeds_of,
)
from skipglass.paper.resnet_group import Group, alike, groups

__all__ = ["NETWORK_CLAIMS"]

FIRST_STEPS = 50
SAMPLES = "effective_depth_median_frozen"
"""Of the variables that hold a depth, the one that neither lags nor mixes samples nor follows a few hard ones."""


def absorbed_norms_grow(recordings: Recordings, *, since: float = 0.0) -> Finding:
    """The mean absorbed norm grows from an epoch to the last (Fig. 2)."""
    changes = {}
    for group in groups(recordings):
        mean = group.scale(figure2.VARIABLE)
        changes[group.label] = mean[:, -1] / group.at(mean, since) - 1
    return growth(changes, f"relative change of ‖diag(λ/σ) W_l‖, mean over layers, {_moment(since)} to end")


def growth_speeds_up(recordings: Recordings) -> Finding:
    """After the first drop of the learning rate it grows, and faster than before (Fig. 2).

    Both slopes are over half the time from the first drop to the second.
    """
    changes, slopes = {}, {}
    for group in groups(recordings):
        first, second = group.drops[0], group.drops[-1]
        window = (second - first) / 2
        mean = 1000 * group.scale(figure2.VARIABLE) / group.scale(figure2.VARIABLE)[:, :1]
        low, at, high = (group.at(mean, epoch) for epoch in (first - window, first, first + window))
        before, after = (at - low) / window, (high - at) / window
        changes[group.label] = np.minimum(after, after - before)
        slopes[group.label] = f"{before.mean():+.2g} → {after.mean():+.2g}"
    what = (
        "slope of the norm, thousandths of its start per epoch, before → after the first drop; in brackets the smaller "
        "of the slope after and its excess"
    )
    return growth(changes, what, slopes)


def multipliers_turn_down(recordings: Recordings) -> Finding:
    """λ falls after the first drop of the learning rate, with weight decay on it (Fig. 3)."""
    falls = {g.label: -_after_drop(g) for g in groups(recordings) if g.attrs["decay_scales"]}
    if not falls:
        return Finding("not testable: no run decays λ", "nothing was recorded", "none")
    return growth(falls, "relative fall of ‖λ_l‖, mean over layers, from the first drop to the end")


def decay_makes_them_fall(recordings: Recordings) -> Finding:
    """Without weight decay on λ the fall vanishes, in settings that were run both ways."""
    pairs = _both_ways(recordings)
    if not pairs:
        return Finding("not testable: no setting was run with and without decay on λ", "nothing to compare", "none")
    rows, verdicts, sizes = {}, {}, set()
    for decayed, spared in pairs:
        change, rest = _after_drop(decayed), _after_drop(spared)
        rows[decayed.label] = f"{mean_and_spread(change)} with, {mean_and_spread(rest)} without decay on λ"
        sizes |= {change.size, rest.size}
        if min(change.size, rest.size) > 1:
            falls = change.mean() + 2 * error(change) < 0
            verdicts[decayed.label] = falls and rest.mean() + 2 * error(rest) >= 0
    what = "relative change of ‖λ_l‖, mean over layers, from the first drop to the end"
    return Finding(_over_settings(verdicts), f"{what}: {by_setting(rows)}", seeds_of(sizes))


def depth_grows(recordings: Recordings, *, variable: str, since: float = 0.0) -> Finding:
    """An effective depth is larger after training than at an epoch."""
    changes, courses = {}, {}
    for group in groups(recordings):
        depth = group.values(variable)
        changes[group.label] = depth[:, -1] - group.at(depth, since)
        course = " → ".join(f"{values.mean():.2f}" for values in (depth[:, 0], group.at(depth, 1.0), depth[:, -1]))
        courses[group.label] = f"{course} of {group.data.sizes['block']}"
    samples = sorted({int(group.data.sizes["sample"]) for group in groups(recordings)})
    change = f"the change from {_moment(since)} to end"
    what = f"blocks at the start → after an epoch → at the end ({change}), N = {listed(samples)} images"
    return growth(changes, what, courses)


def depth_dips(recordings: Recordings, *, variable: str) -> Finding:
    """Within the first steps the depth falls below where it started and where it ends."""
    dips, courses = {}, {}
    for group in groups(recordings):
        depth, steps = group.values(variable), group.data.step.values
        early = np.flatnonzero((steps > 0) & (steps <= FIRST_STEPS))
        lowest = early[depth[:, early].mean(axis=0).argmin()]
        fall, rise = depth[:, 0] - depth[:, lowest], depth[:, -1] - depth[:, lowest]
        dips[group.label] = np.minimum(fall, rise)
        courses[group.label] = f"{-fall.mean():+.2f} at {steps[lowest]}, {rise.mean():+.2f}"
    what = (
        f"blocks to the lowest mean of the first {FIRST_STEPS} steps, at which step, and from there to the end; in "
        "brackets the smaller of fall and rise"
    )
    return growth(dips, what, courses)


def deeper_networks_deepen_more(recordings: Recordings) -> Finding:
    """The change of the depth while training, in blocks, grows with the number of blocks."""
    slopes, courses = {}, {}
    for same in alike(groups(recordings), "depth"):
        seeds = sorted(set.intersection(*[set(g.data.seed.values.tolist()) for g in same]))
        if len(same) == 1 or not seeds:
            continue
        blocks, changes = [], []
        for group in [replace(g, data=g.data.sel(seed=seeds)) for g in reversed(same)]:  # `groups` has deep ones first
            depth, count = group.values(SAMPLES), group.data.sizes["block"]
            blocks.append(count)
            changes.append(depth[:, -1] - depth[:, 0])
            parts = (depth[:, 0], group.at(depth, 1.0), depth[:, -1])
            course = " → ".join(f"{part.mean() / count:.2f}" for part in parts)
            courses[group.label] = f"{course} of {count} ({mean_and_spread(changes[-1])} blocks)"
        shallowest, deepest = (g.attrs["depth"] for g in (same[-1], same[0]))
        label = same[-1].label.replace(f"-{shallowest} ", f"-{shallowest} to {deepest} ")
        slopes[label] = np.polyfit(blocks, np.array(changes), 1)[0]
    if not slopes:
        return Finding("not testable: no setting was run at several depths", "nothing to compare", "none")
    finding = growth(slopes, "slope of the change over the number of blocks")
    told = f"Part of its blocks at the start → after an epoch → at the end (the change): {by_setting(courses)}"
    return replace(finding, measured=f"{finding.measured}. {told}")


def _moment(epoch: float) -> str:
    return f"epoch {epoch:g}" if epoch else "start"


def _after_drop(group: Group) -> np.ndarray:
    mean = group.scale(figure3.VARIABLE)
    return mean[:, -1] / group.at(mean, group.drops[0]) - 1


def _both_ways(recordings: Recordings) -> list[tuple[Group, Group]]:
    """Settings with decay on λ beside the same without."""
    together = alike(groups(recordings), "decay_scales")
    return [(same[0], same[1]) for same in together if len(same) == 2]  # `groups` has the decayed one first


def _over_settings(verdicts: dict[str, bool]) -> str:
    if not verdicts:
        return "not testable with one seed"
    if all(verdicts.values()):
        return "holds"
    true = [label for label, verdict in verdicts.items() if verdict]
    return f"holds when the setting is {either(grouped(true))}" if true else "fails"


NETWORK_CLAIMS = (
    Claim("App. C, Fig. 2", "The mean absorbed norm grows while training.", absorbed_norms_grow, "resnet-"),
    Claim(
        "Fig. 2, later", "It grows from the end of the first epoch on (Fig. 2 may not show the start).",
        partial(absorbed_norms_grow, since=1.0), "resnet-",
    ),
    Claim("Fig. 2, drop", "Its growth speeds up when the learning rate drops.", growth_speeds_up, "resnet-"),
    Claim("Fig. 3, drop", "The multipliers λ fall after the learning rate drops.", multipliers_turn_down, "resnet-"),
    Claim(
        "Fig. 3, decay", "That fall is weight decay's: without decay on λ it vanishes (our question).",
        decay_makes_them_fall, "resnet-",
    ),
    Claim(
        "Claim 2", "The effective depth grows while training (median over samples, batch statistics held constant).",
        partial(depth_grows, variable=SAMPLES), "resnet-",
    ),
    Claim(
        "Claim 2, batch", "The same for the gradient of a batch.",
        partial(depth_grows, variable="effective_depth_frozen"), "resnet-",
    ),
    Claim(
        "Claim 2, train mode", "The same for a batch in train mode, where batch norm mixes samples.",
        partial(depth_grows, variable="effective_depth_train"), "resnet-",
    ),
    Claim(
        "Claim 2, eval mode", "The same for the median over samples with running statistics.",
        partial(depth_grows, variable="effective_depth_median"), "resnet-",
    ),
    Claim(
        "Claim 2, eval, batch", "The same for the gradient of a batch with running statistics.",
        partial(depth_grows, variable="effective_depth"), "resnet-",
    ),
    Claim(
        "Claim 2, later", "It grows from the end of the first epoch on (our question).",
        partial(depth_grows, variable=SAMPLES, since=1.0), "resnet-",
    ),
    Claim(
        "Claim 2, first steps",
        f"The depth dips within {FIRST_STEPS} steps before it moves the other way (our question).",
        partial(depth_dips, variable=SAMPLES), "resnet-",
    ),
    Claim(
        "Claim 2, first, eval", "The same with running statistics, which lag.",
        partial(depth_dips, variable="effective_depth_median"), "resnet-",
    ),
    Claim(
        "Claim 2, depth", "Training deepens a deeper network more (our question).",
        deeper_networks_deepen_more, "resnet-",
    ),
)  # fmt: skip
