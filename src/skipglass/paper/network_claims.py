"""The claims about networks in training, from recordings of ResNets: absorbed norms, multipliers, and the depth."""

from itertools import groupby

import numpy as np

from skipglass.paper import figure2, figure3
from skipglass.paper.finding import Claim, Finding, Recordings, error, growth, listed, mean_and_spread
from skipglass.paper.resnet_group import Group, family, groups

__all__ = ["NETWORK_CLAIMS"]


def absorbed_norms_grow(recordings: Recordings) -> Finding:
    """The mean absorbed norm grows from the first step to the last (Fig. 2)."""
    changes = {}
    for group in groups(recordings):
        mean = group.scale(figure2.VARIABLE)
        changes[group.label] = mean[:, -1] / mean[:, 0] - 1
    return growth(changes, "relative change of ‖diag(λ/σ) W_l‖, mean over layers, start to end")


def growth_speeds_up(recordings: Recordings) -> Finding:
    """After the first drop of the learning rate it grows, and faster than before (Fig. 2)."""
    changes, slopes = {}, []
    for group in groups(recordings):
        first, second = group.drops[0], group.drops[-1]
        window = (second - first) / 2
        mean = group.scale(figure2.VARIABLE) / group.scale(figure2.VARIABLE)[:, :1]
        low, at, high = (group.at(mean, epoch) for epoch in (first - window, first, first + window))
        before, after = (at - low) / window, (high - at) / window
        changes[group.label] = np.minimum(after, after - before)
        slopes.append(f"{group.label} {before.mean():+.4f} → {after.mean():+.4f}")
    finding = growth(changes, "smaller of the slope after the first drop and its excess over the slope before")
    what = (
        "slope before → after the first drop, relative to the start, per epoch (half the time to the next, each side)"
    )
    return Finding(finding.verdict, f"{what}: {'; '.join(slopes)}. {finding.measured}", finding.seeds)


def multipliers_turn_down(recordings: Recordings) -> Finding:
    """λ falls after the first drop of the learning rate, with weight decay on it (Fig. 3)."""
    changes = {g.label: _after_drop(g) for g in groups(recordings) if g.attrs["decay_scales"]}
    if not changes:
        return Finding("not testable: no run decays λ", "nothing was recorded", "none")
    turned = growth({label: -change for label, change in changes.items()}, "")
    measured = "; ".join(f"{label} {mean_and_spread(change)}" for label, change in changes.items())
    what = "relative change of ‖λ_l‖, mean over layers, first drop to end (mean ± standard deviation)"
    return Finding(turned.verdict, f"{what}: {measured}", turned.seeds)


def decay_makes_them_fall(recordings: Recordings) -> Finding:
    """Without weight decay on λ the fall vanishes, in settings that were run both ways."""
    pairs = _both_ways(recordings)
    if not pairs:
        return Finding("not testable: no setting was run with and without decay on λ", "nothing to compare", "none")
    lines, verdicts, sizes = [], {}, set()
    for decayed, spared in pairs:
        fall, rest = _after_drop(decayed), _after_drop(spared)
        lines.append(f"{decayed.label}: {mean_and_spread(fall)} with, {mean_and_spread(rest)} without decay on λ")
        sizes |= {fall.size, rest.size}
        if min(fall.size, rest.size) > 1 and np.isfinite([*fall, *rest]).all():
            falls = fall.mean() + 2 * error(fall) < 0
            verdicts[decayed.label] = falls and rest.mean() + 2 * error(rest) >= 0
    what = "relative change of ‖λ_l‖ from the first drop to the end"
    return Finding(_over_settings(verdicts), f"{what}: {'; '.join(lines)}", f"{listed(sorted(sizes))} a setting")


def batch_depth_grows(recordings: Recordings) -> Finding:
    """The effective depth of a batch grows while training."""
    return _depth_grows(recordings, "effective_depth", "batch, eval mode")


def train_depth_grows(recordings: Recordings) -> Finding:
    """The same in train mode, where batch norm mixes the samples."""
    return _depth_grows(recordings, "effective_depth_train", "batch, train mode")


def sample_depth_grows(recordings: Recordings) -> Finding:
    """The median over samples of the effective depth grows while training."""
    return _depth_grows(recordings, "effective_depth_median", "median of samples, eval mode")


def _depth_grows(recordings: Recordings, variable: str, which: str) -> Finding:
    changes, courses = {}, []
    for group in groups(recordings):
        depth = group.values(variable)
        changes[group.label] = depth[:, -1] - depth[:, 0]
        early = depth[:, group.epochs <= 1]
        course = [depth[:, 0], early.min(axis=1), group.at(depth, 1.0), depth[:, -1]]
        courses.append(
            f"{group.label} {' → '.join(f'{values.mean():.2f}' for values in course)} of {group.data.sizes['block']}"
        )
    samples = sorted({int(group.data.sizes["sample"]) for group in groups(recordings)})
    finding = growth(changes, f"change of the effective depth in blocks, {which}, N = {listed(samples)} images")
    text = f"{finding.measured}. Start → lowest in the first epoch → after it → trained: {'; '.join(courses)}"
    return Finding(finding.verdict, text, finding.seeds)


def _after_drop(group: Group) -> np.ndarray:
    mean = group.scale(figure3.VARIABLE)
    return mean[:, -1] / group.at(mean, group.drops[0]) - 1


def _both_ways(recordings: Recordings) -> list[tuple[Group, Group]]:
    """Settings with decay on λ beside the same without."""
    pairs = []
    for _, same in groupby(sorted(groups(recordings), key=lambda g: str(family(g))), key=family):
        ways = {bool(group.attrs["decay_scales"]): group for group in same}
        if len(ways) == 2:
            pairs.append((ways[True], ways[False]))
    return pairs


def _over_settings(verdicts: dict[str, bool]) -> str:
    if not verdicts:
        return "not testable with one seed"
    if all(verdicts.values()):
        return "holds"
    true = [label for label, verdict in verdicts.items() if verdict]
    return f"holds when the setting is {'; '.join(true)}" if true else "fails"


NETWORK_CLAIMS = (
    Claim("Sec. 6, Fig. 2", "The mean absorbed norm grows while training.", absorbed_norms_grow, "resnet-"),
    Claim("Fig. 2, drop", "Its growth speeds up when the learning rate drops.", growth_speeds_up, "resnet-"),
    Claim("Fig. 3, drop", "The multipliers λ fall after the learning rate drops.", multipliers_turn_down, "resnet-"),
    Claim(
        "Fig. 3, decay", "That fall is weight decay's: without decay on λ it vanishes (our question).",
        decay_makes_them_fall, "resnet-",
    ),
    Claim("Claim 2, batch", "The effective depth grows while training (a batch).", batch_depth_grows, "resnet-"),
    Claim("Claim 2, train", "The same with batch norm in train mode.", train_depth_grows, "resnet-"),
    Claim("Claim 2, samples", "The same for the median over samples.", sample_depth_grows, "resnet-"),
)  # fmt: skip
