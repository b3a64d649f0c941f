"""The claims about the first layer, which cannot be skipped: Fig. 1(d), and Theorem 3's first part in training."""

import numpy as np

from skipglass.paper.finding import Claim, Finding, Recordings, growth

__all__ = ["FIRST_LAYER_CLAIMS"]

PANEL = "figure1d"


def first_layer_differs(recordings: Recordings) -> Finding:
    """Whether the change of |λ_1| lies outside of what the other layers do, seed by seed."""
    outside, rows = {}, []
    for run, change in _changes(recordings).items():
        first, others = change[:, 0], change[:, 1:]
        outside[run] = np.maximum(first - others.max(axis=1), others.min(axis=1) - first)
        rows.append(f"{run} {first.mean():+.3f} ({others.mean():+.3f})")
    found = growth(outside, "beyond all of theirs by")
    text = f"change of |λ_1| (mean of the others): {'; '.join(rows)}; {found.measured}"
    return Finding(found.verdict, text, found.seeds)


def first_layer_apart(recordings: Recordings) -> Finding:
    """Whether |λ_1| changes more unlike the others than each of them does, in the mean and whichever way."""
    apart, above = {}, []
    for run, change in _changes(recordings).items():
        layers = change.shape[1]
        gap = (change - change.mean(axis=1, keepdims=True)) * layers / (layers - 1)  # to the mean of the others
        apart[run] = abs(gap[:, 0]) - abs(gap[:, 1:]).mean(axis=1)
        above += [run] * bool(gap[:, 0].mean() > 0)
    found = growth(apart, "distance of the change of |λ_1| from the others' mean, minus what it is for another layer")
    return Finding(found.verdict, f"{found.measured}. Above it: {', '.join(above) or 'none'}", found.seeds)


def first_layer_grows(recordings: Recordings) -> Finding:
    """|λ_1| grows in Fig. 1(d), as Theorem 3's first part suggests."""
    return growth({run: change[:, 0] for run, change in _changes(recordings).items()}, "change of |λ_1|")


def _changes(recordings: Recordings) -> dict[str, np.ndarray]:
    """{setting: change of |λ_l| from the start to the end, (seed, layer)} in Fig. 1(d)."""
    found = {}
    for run, recording in recordings.items():
        if run.startswith(PANEL):
            value = recording.multiplier_magnitude.transpose("evaluation", "seed", "layer").values
            found[" ".join(run.split("-")[1:])] = value[-1] - value[0]
    return found


FIRST_LAYER_CLAIMS = (
    Claim("Fig. 1(d), first layer", "The first layer, which cannot be skipped, behaves differently than the others.",
          first_layer_apart, PANEL),
    Claim("Fig. 1(d), outside", "Its change lies beyond that of every other layer (a strict reading).",
          first_layer_differs, PANEL),
    Claim("Theorem 3, unskipped", "|λ_l| of the layer that is not skipped grows while training.",
          first_layer_grows, PANEL),
)  # fmt: skip
