"""The claims of Sec. 4 about what drives the scales: of the theorems, of Sec. 4.1, and of networks in training."""

import numpy as np
import xarray as xr

from skipglass.paper.drift_reach import condition, correlation, decay_share, outweighs, predictions, right, runs_of
from skipglass.paper.finding import Claim, Finding, Recordings, either, growth, listed, mean_and_spread

__all__ = ["DRIFT_CLAIMS"]

FORCE = "driving_force"
STILL = 1e-6  # of a step's change: how much of the slope may be left at a point that counts as stationary
TASKS = {"cifar10": "CIFAR-10", "gaussians": "Gaussians", "gaussians-plain": "Gaussians by plain SGD"}


def theorem_3(recordings: Recordings) -> Finding:
    """Eqs. 24 and 25: the slope after a step is the theorem's up to μ², with its sign."""
    return _theorem(recordings[FORCE], ["unskipped", "skipped"])


def theorem_4(recordings: Recordings) -> Finding:
    """Eq. 27, the same for the global scale."""
    return _theorem(recordings[FORCE], ["global"])


def _theorem(data: xr.Dataset, kinds: list[str]) -> Finding:
    part = data.drop_dims("dropped").sel(theorem=kinds).transpose("theorem", "network", "step", ...)
    predicted = _predicted(part)
    rest, held = np.abs(part.change - predicted).values, part.flipped.values == 0
    networks = f"{part.sizes['network']} networks"
    moving = float((abs(part.rest) / abs(predicted).min("step")).max())
    if moving > STILL:
        what = f"the slope at the start is up to {moving:.1g} of what a step makes of it; it should be 0"
        return Finding("not testable: the points are not stationary", what, networks)
    pairs = held[..., :-1] & held[..., 1:]
    if not pairs.any():
        return Finding("not testable: every step flips a gate", "no two steps between which no gate flips", networks)
    steps = -np.diff(np.log2(part.step.values))
    order = (-np.diff(np.log2(np.maximum(rest, 1e-300)), axis=-1) / steps)[pairs]
    signs = (np.sign(part.change) == np.sign(predicted)).values[held]
    same = bool(np.allclose(part.predicted, predicted, rtol=1e-9, atol=0))
    holds = same and bool((np.abs(order - 2) < 0.1).all() and signs.all())
    size = np.abs(part.change / predicted - 1).values
    flipped = f"relative error up to {size[~held].max():.2g}" if (~held).any() else "there were none"
    measured = (
        f"at points where the slope is 0 (up to {float(np.abs(part.rest).max()):.0e}) the error shrinks as "
        f"μ^{order.min():.2f}..μ^{order.max():.2f} and the sign is right in {signs.mean():.0%}, while no gate flips "
        f"({held.mean():.0%} of the steps); where one flips, the paths change at once: {flipped}"
    )
    return Finding("holds" if holds else "fails", measured, networks)


def _predicted(part: xr.Dataset) -> xr.DataArray:
    """The right-hand sides of Eqs. 24, 25 and 27, times λ_l or C, from the gradients along the two kinds of paths."""
    p, m = part.attrs["depth"], part.attrs["depth"] - part.attrs["skipped"]
    through, around, both = part.norm_p**2, part.norm_m**2, part["product"]
    force = {
        "unskipped": around + through + 2 * both,
        "skipped": through + both,
        "global": m * around + p * through + (m + p) * both,
    }
    rows = [force[str(kind)].sel(theorem=kind) for kind in part.theorem.values]
    return -(part.rate * xr.concat(rows, dim="theorem")).transpose("theorem", "network", "step")


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
    names = [str(name) for name in data.dropped.values]
    rows = [f"{name} {s:.0%} (r = {c:+.2f}, {u:.0%} up)" for name, s, c, u in zip(names, same, close, up, strict=True)]
    measured = (
        "share of networks in which the theorem's force has the sign of the true one, where the true slope is 0, their "
        f"correlation and how often the true one is up, by what is dropped: {'; '.join(rows)}"
    )
    seeds = f"{data.sizes['network']} networks each"
    shares = dict(zip(names, same, strict=True))
    if shares.pop("none") < 1:
        return Finding("not testable: the sign is wrong though nothing is dropped", measured, seeds)
    kept = [name for name, share in shares.items() if share == 1]
    verdict = "holds" if len(kept) == len(shares) else f"holds when {either(kept)} is dropped" if kept else "fails"
    return Finding(verdict, measured, seeds)


def recursion(recordings: Recordings) -> Finding:
    """E[N_{l+1}²] = 1 + E[N_l²] within 5 %, by normalisation."""
    moments = recordings["second_moments"].second_moment.transpose("variant", "seed", "depth")
    rise = moments.diff("depth")
    names = [str(name) for name in moments.variant.values]
    kept = [name for name, r in zip(names, rise.values, strict=True) if np.abs(r - 1).max() < 0.05]
    last = moments.isel(depth=-1)
    rows = [f"{name}: {mean_and_spread(v).lstrip('+')}" for name, v in zip(names, last.values, strict=True)]
    verdict = "holds" if len(kept) == len(names) else f"holds when the norm is {either(kept)}" if kept else "fails"
    start = f"E[N_l²] at l = {int(moments.depth[-1])}, where the recursion gives {int(moments.depth[-1])}"
    return Finding(verdict, f"{start}: {'; '.join(rows)}", f"{moments.sizes['seed']} networks")


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
    Claim("Theorem 3", "At ∂L/∂λ_l = 0 a step gives ∂L/∂λ_l = -(μ/λ_l) g_p·(g_p + g_m), for an unskipped layer "
          "-(μ/λ_l) ‖g_p + g_m‖².", theorem_3, FORCE),
    Claim("Theorem 3, beyond", "Its sign is right where its assumptions do not hold (our question).",
          assumptions, FORCE),
    Claim("Theorem 4", "At ∂L/∂C = 0 a step gives -(μ/C)(m‖g_m‖² + p‖g_p‖² + (m+p) g_p·g_m).", theorem_4, FORCE),
    Claim("Eq. 21", "C ∂L/∂C weighs each path by its length.", equation_21, FORCE),
    Claim("Sec. 4.1", "E[N_{l+1}²] = 1 + E[N_l²] at λ = 1.", recursion, "second_moments"),
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
