"""The claims of Sec. 4 about what drives the scales: of the theorems, of Sec. 4.1, and of networks in training."""

import numpy as np
import xarray as xr

from skipglass.paper.drift_reach import condition, correlation, decay_share, outweighs, predictions, right, runs_of
from skipglass.paper.finding import Claim, Finding, Recordings, growth, listed

__all__ = ["DRIFT_CLAIMS"]

TASKS = {"cifar10": "CIFAR-10", "gaussians": "Gaussians", "gaussians-plain": "Gaussians by plain SGD"}


def slope_in_training(recordings: Recordings) -> Finding:
    """The theorem's own statement, in training: how the slope changes as the weights step."""
    return _reach(recordings, "slope", "true")


def growth_in_a_step(recordings: Recordings) -> Finding:
    """Whether |λ_l| grows in the step where the theorem's force is positive."""
    found = _reach(recordings, "step")
    rows = [f"{outweighs(data).mean():.0%} ({run})" for run, data in _runs(recordings).items()]
    why = (
        "The force is up nearly always, so that this is how often |λ_l| grew. It outweighs the slope that the theorem "
        f"takes to be 0 in {listed(rows)} of the cases"
    )
    return Finding(found.verdict, f"{found.measured}. {why}", found.seeds)


def growth_over_an_epoch(recordings: Recordings) -> Finding:
    """The same over an epoch."""
    return _reach(recordings, "epoch")


def _reach(recordings: Recordings, name: str, beside: str = "") -> Finding:
    shares, rows = {}, {}
    for run, data in _runs(recordings).items():
        compared = predictions(data)
        shares[run] = right(*compared[name])[:, 1:].mean(axis=1) - 0.5
        rank = np.nanmean(correlation(*compared[name])[:, 1:])
        rows[run] = f"{shares[run].mean() + 0.5:.0%}, ρ = {rank:+.2f}"
        if beside:
            rows[run] += f", true force {right(*compared[beside])[:, 1:].mean():.0%}"
    what = "signs right in layers with a shortcut, rank correlation ρ over time, in brackets the share minus a half"
    return growth(shares, what, rows)


def condition_in_training(recordings: Recordings) -> Finding:
    """‖g_p‖² + g_p·g_m > 0 is met more often than not."""
    shares, rows = {}, {}
    for run, data in _runs(recordings).items():
        met, grew, larger = condition(data)
        shares[run] = met[:, 1:].mean(axis=1) - 0.5
        rows[run] = f"{met[:, 1:].mean():.0%}, |λ| grew {grew[:, 1:].mean():.0%}, ‖g_p‖ > ‖g_m‖ {larger.mean():.0%}"
    return growth(shares, "share of steps in which the condition is met, in brackets minus a half", rows)


def decay_s_part(recordings: Recordings) -> Finding:
    """More than half of the fall of the shrinking λ_l is weight decay's."""
    shares, rows = {}, {}
    for run, data in _runs(recordings).items():
        share = decay_share(data)
        if data.attrs["weight_decay"] and np.isfinite(share).all():
            shares[run] = share - 0.5
            rows[run] = f"{share.mean():.0%}"
    if not shares:
        return Finding("not testable: no run decays λ and sees it fall", "nothing to share out", "none")
    return growth(shares, "part of the fall that is decay's, in brackets minus a half", rows)


def _runs(recordings: Recordings) -> dict[str, xr.Dataset]:
    return {TASKS.get(run, run): data for run, data in runs_of(recordings).items()}


DRIFT_CLAIMS = (
    Claim("Theorem 3, slope", "In training a step changes ∂L/∂λ_l to the side that the force says, mostly.",
          slope_in_training, "drift-"),
    Claim("Theorem 3, step", "In training |λ_l| grows in a step just where ‖g_p‖² + g_p·g_m > 0, mostly.",
          growth_in_a_step, "drift-"),
    Claim("Theorem 3, epoch", "In training |λ_l| grows over an epoch just where that holds in the mean, mostly.",
          growth_over_an_epoch, "drift-"),
    Claim("Theorem 3, condition", "In training ‖g_p‖² + g_p·g_m > 0, mostly.",
          condition_in_training, "drift-"),
    Claim("Fig. 3, share", "More than half of the fall of shrinking λ_l is weight decay's (our question).",
          decay_s_part, "drift-"),
)  # fmt: skip
