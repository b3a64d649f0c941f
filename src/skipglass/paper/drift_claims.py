"""The claims of Sec. 4 about what drives the scales: of the theorems, of Sec. 4.1, and of networks in training."""

import numpy as np
import xarray as xr

from skipglass.paper.drift_reach import condition, correlation, decay_share, outweighs, predictions, right, runs_of
from skipglass.paper.finding import Claim, Finding, Recordings, growth, listed

__all__ = ["DRIFT_CLAIMS"]

FORCE = "driving_force"


def theorem_3(recordings: Recordings) -> Finding:
    """Eqs. 24 and 25: the slope after a step is the theorem's up to μ², with its sign."""
    return _theorem(recordings[FORCE], ["unskipped", "skipped"])


def theorem_4(recordings: Recordings) -> Finding:
    """Eq. 27, the same for the global scale."""
    return _theorem(recordings[FORCE], ["global"])


def _theorem(data: xr.Dataset, kinds: list[str]) -> Finding:
    part = data[["change", "predicted", "flipped", "rest"]].sel(theorem=kinds).transpose("theorem", "network", "step")
    rest, held = np.abs(part.change - part.predicted).values, part.flipped.values == 0
    pairs = held[..., :-1] & held[..., 1:]
    steps = -np.diff(np.log2(part.step.values))
    order = (-np.diff(np.log2(np.maximum(rest, 1e-300)), axis=-1) / steps)[pairs]
    signs = (np.sign(part.change) == np.sign(part.predicted)).values[held]
    grows = bool((part.change.values[0][held[0]] < 0).all()) or kinds != ["unskipped", "skipped"]
    holds = order.size > 0 and bool((np.abs(order - 2) < 0.1).all() and signs.all()) and grows
    size = np.abs(part.change / part.predicted - 1).values
    measured = (
        f"at points with a slope of 0 (|rest| ≤ {float(np.abs(part.rest).max()):.0e}) the error shrinks as "
        f"μ^{order.min():.2f}..μ^{order.max():.2f}, signs right {signs.mean():.0%}, while no gate flips "
        f"({held.mean():.0%} of the steps); where one flips, the paths change at once: relative error up to "
        f"{size[~held].max() if (~held).any() else 0:.2g}"
    )
    return Finding("holds" if holds else "fails", measured, f"{part.sizes['network']} networks")


def equation_21(recordings: Recordings) -> Finding:
    """C ∂L/∂C = Σ r L_r, L_r by the exact split of the output."""
    data = recordings[FORCE]
    error = float((np.abs(data.slope_c - data.eq21) / np.abs(data.slope_c)).max())
    verdict = "holds" if error < 1e-10 else "fails"
    return Finding(verdict, f"relative difference of the two sides ≤ {error:.0e}", f"{data.slope_c.size} networks")


def assumptions(recordings: Recordings) -> Finding:
    """Theorem 3's sign at stationary points, with its assumptions dropped."""
    data = recordings[FORCE][["theorem_force", "true_force"]].transpose("dropped", "network")
    same = (np.sign(data.theorem_force) == np.sign(data.true_force)).mean("network").values
    close = [np.corrcoef(t, f)[0, 1] for t, f in zip(data.theorem_force, data.true_force, strict=True)]
    up = (data.true_force > 0).mean("network").values
    rows = [
        f"{name} {s:.0%} (r = {c:+.2f}, {u:.0%} up)"
        for name, s, c, u in zip(data.dropped.values, same, close, up, strict=True)
    ]
    kept = [str(name) for name, share in zip(data.dropped.values, same, strict=True) if share == 1]
    verdict = "holds" if len(kept) == same.size else f"holds when dropped: {'; '.join(kept)}" if kept else "fails"
    measured = (
        f"sign of the true force right, at points where the true slope is 0, by what is dropped: {'; '.join(rows)}"
    )
    return Finding(verdict, measured, f"{data.sizes['network']} networks each")


def recursion(recordings: Recordings) -> Finding:
    """E[N_{l+1}²] = 1 + E[N_l²] within 5 %, by normalisation."""
    moments = recordings["second_moments"].second_moment.transpose("variant", "seed", "depth")
    rise = moments.diff("depth")
    names = [str(name) for name in moments.variant.values]
    kept = [name for name, r in zip(names, rise.values, strict=True) if np.abs(r - 1).max() < 0.05]
    last = moments.isel(depth=-1)
    rows = [f"{name} {v.mean():.4g} ± {v.std(ddof=1):.1g}" for name, v in zip(names, last.values, strict=True)]
    verdict = "holds" if len(kept) == len(names) else f"holds when it is {'; '.join(kept)}" if kept else "fails"
    start = f"E[N_l²] at l = {int(moments.depth[-1])} (from 1 it would be {int(moments.depth[-1])})"
    return Finding(verdict, f"{start}: {'; '.join(rows)}", f"{moments.sizes['seed']} networks")


def slope_in_training(recordings: Recordings) -> Finding:
    """The theorem's own statement, in training: how the slope changes as the weights step."""
    return _reach(recordings, "slope", "true")


def growth_in_a_step(recordings: Recordings) -> Finding:
    """Whether |λ_l| grows in the step where the theorem's force is positive."""
    found = _reach(recordings, "step")
    rows = [f"{run} {outweighs(data).mean():.0%}" for run, data in runs_of(recordings).items()]
    why = (
        "The force being up nearly always, this is how often |λ_l| grew; it outweighs the slope it takes to be 0, "
        f"μ|F_l| > |D_l|, in {listed(rows)} of the cases"
    )
    return Finding(found.verdict, f"{found.measured}. {why}", found.seeds)


def growth_over_an_epoch(recordings: Recordings) -> Finding:
    """The same over an epoch."""
    return _reach(recordings, "epoch")


def _reach(recordings: Recordings, name: str, beside: str = "") -> Finding:
    shares, rows = {}, []
    for run, data in runs_of(recordings).items():
        compared = predictions(data)
        shares[run] = right(*compared[name])[:, 1:].mean(axis=1) - 0.5
        rows.append(
            f"{run} {shares[run].mean() + 0.5:.0%} (ρ = {np.nanmean(correlation(*compared[name])[:, 1:]):+.2f})"
        )
        if beside:
            other = right(*compared[beside])[:, 1:].mean()
            rows[-1] += f", true force {other:.0%}"
    found = growth(shares, "share of signs right, minus a half, layers with a shortcut")
    return Finding(
        found.verdict, f"signs right (rank correlation over time): {'; '.join(rows)}. {found.measured}", found.seeds
    )


def condition_in_training(recordings: Recordings) -> Finding:
    """‖g_p‖² + g_p·g_m > 0 is met more often than not."""
    shares, rows = {}, []
    for run, data in runs_of(recordings).items():
        met, grew, larger = condition(data)
        shares[run] = met[:, 1:].mean(axis=1) - 0.5
        rows.append(
            f"{run} {met[:, 1:].mean():.0%}, |λ| grew {grew[:, 1:].mean():.0%}, ‖g_p‖ > ‖g_m‖ {larger.mean():.0%}"
        )
    found = growth(shares, "share minus a half")
    return Finding(
        found.verdict, f"share of steps with the condition met: {'; '.join(rows)}. {found.measured}", found.seeds
    )


def decay_s_part(recordings: Recordings) -> Finding:
    """More than half of the fall of the shrinking λ_l is weight decay's."""
    shares, rows = {}, []
    for run, data in runs_of(recordings).items():
        share = decay_share(data)
        if data.attrs["weight_decay"] and np.isfinite(share).all():
            shares[run] = share - 0.5
            rows.append(f"{run} {share.mean():.0%}")
    if not shares:
        return Finding("not testable: no run decays λ and sees it fall", "nothing to share out", "none")
    found = growth(shares, "share minus a half")
    return Finding(found.verdict, f"part of the fall that is decay's: {listed(rows)}. {found.measured}", found.seeds)


DRIFT_CLAIMS = (
    Claim("Theorem 3", "At ∂L/∂λ_l = 0 a step gives ∂L/∂λ_l = -(μ/λ_l) g_p·(g_p + g_m), for an unskipped layer "
          "-(μ/λ_l) ‖g_p + g_m‖².", theorem_3, FORCE),
    Claim("Theorem 3, beyond", "Its sign is right where its assumptions do not hold (our question).",
          assumptions, FORCE),
    Claim("Theorem 4", "At ∂L/∂C = 0 a step gives -(μ/C)(m‖g_m‖² + p‖g_p‖² + (m+p) g_p·g_m).", theorem_4, FORCE),
    Claim("Eq. 21", "C ∂L/∂C weighs each path by its length.", equation_21, FORCE),
    Claim("Sec. 4.1", "E[N_{l+1}²] = 1 + E[N_l²] at λ = 1.", recursion, "second_moments"),
    Claim("Theorem 3, slope", "In training, ∂L/∂λ_l changes as the force says when the weights step.",
          slope_in_training, "drift-"),
    Claim("Theorem 3, step", "In training, |λ_l| grows in a step where ‖g_p‖² + g_p·g_m > 0.",
          growth_in_a_step, "drift-"),
    Claim("Theorem 3, epoch", "In training, |λ_l| grows over an epoch where that holds in the mean.",
          growth_over_an_epoch, "drift-"),
    Claim("Theorem 3, condition", "In training, ‖g_p‖² + g_p·g_m > 0 more often than not.",
          condition_in_training, "drift-"),
    Claim("Fig. 3, share", "More than half of the fall of shrinking λ_l is weight decay's (our question).",
          decay_s_part, "drift-"),
)  # fmt: skip
