"""The claims of Sec. 4 about what drives the scales: of the theorems, of Sec. 4.1, and of networks in training."""

import numpy as np
import xarray as xr

from skipglass.paper.finding import Claim, Finding, Recordings, either, mean_and_spread

__all__ = ["DRIFT_CLAIMS"]

FORCE = "driving_force"
STILL = 1e-6  # of a step's change: how much of the slope may be left at a point that counts as stationary


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


DRIFT_CLAIMS = (
    Claim("Theorem 3", "At ∂L/∂λ_l = 0 a step gives ∂L/∂λ_l = -(μ/λ_l) g_p·(g_p + g_m), for an unskipped layer "
          "-(μ/λ_l) ‖g_p + g_m‖².", theorem_3, FORCE),
    Claim("Theorem 3, beyond", "Its sign is right where its assumptions do not hold (our question).",
          assumptions, FORCE),
    Claim("Theorem 4", "At ∂L/∂C = 0 a step gives -(μ/C)(m‖g_m‖² + p‖g_p‖² + (m+p) g_p·g_m).", theorem_4, FORCE),
    Claim("Eq. 21", "C ∂L/∂C weighs each path by its length.", equation_21, FORCE),
    Claim("Sec. 4.1", "E[N_{l+1}²] = 1 + E[N_l²] at λ = 1.", recursion, "second_moments"),
)  # fmt: skip
