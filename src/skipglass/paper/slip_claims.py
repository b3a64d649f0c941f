"""Slips of the paper beside its results: each is judged as printed, and what it should be is said with it."""

import numpy as np
import xarray as xr

from skipglass.paper.finding import Claim, Finding, Recordings, error, mean_and_spread

__all__ = ["SLIP_CLAIMS"]

EXACT = 1e-9
FORCE = "driving_force"


def balance(recordings: Recordings) -> Finding:
    """An increase of |λ_l| "of l ∈ l_1…l_m" should raise λ̂_p and leave λ̂_m (after Theorem 3)."""
    factor = recordings["slips"].balance

    def as_printed(moved: str) -> bool:
        return (
            abs(float(factor.sel(moved=moved, path="m")) - 1) < EXACT and float(factor.sel(moved=moved, path="p")) > 1
        )

    rows = [
        f"a λ_l that is {moved} raised to 1.1 times: λ̂_m × {float(factor.sel(moved=moved, path='m')):.3g}, "
        f"λ̂_p × {float(factor.sel(moved=moved, path='p')):.3g}"
        for moved in ("unskipped", "skipped")
    ]
    note = "; l_1…l_m are the layers that are not skipped: it must read l ∉" if as_printed("skipped") else ""
    return Finding("holds" if as_printed("unskipped") else "fails", "; ".join(rows) + note, "exact")


def dominant(recordings: Recordings) -> Finding:
    """C grows if either gradient dominates (prose after Theorem 4)."""
    data = recordings["slips"]
    m, p = int(data.attrs["short"]), int(data.attrs["long"])
    force = data.scale_force.transpose("ratio", "cosine")
    least = force.min("cosine", skipna=False)
    lower = least.where(least < 0, drop=True)
    ratio = least.ratio
    if not bool(np.isfinite(force).all()):
        verdict = "not testable: a force is not finite"
    elif lower.size == 0:
        verdict = "holds"
    elif bool((least.where((ratio <= 1) | (ratio >= p / m), 0.0) >= 0).all()):
        verdict = "holds when ‖g_p‖ > ‖g_m‖, or m‖g_m‖ > p‖g_p‖"
    else:
        verdict = "fails"
    at = (
        f"negative for ‖g_m‖/‖g_p‖ from {float(lower.ratio.min()):g} to {float(lower.ratio.max()):g}, "
        f"as at 2, where it is {float(least.sel(ratio=2)):g} ‖g_p‖²"
        if lower.size
        else "never negative"
    )
    text = (
        f"m‖g_m‖² + p‖g_p‖² + (m+p) g_p·g_m at m = {m}, p = {p}, g_m and g_p antiparallel, is "
        f"(m‖g_m‖ - p‖g_p‖)(‖g_m‖ - ‖g_p‖): {at}. A dominant g_m is not enough unless it is p/m times as long"
    )
    return Finding(verdict, text, "exact")


def eq_47(recordings: Recordings) -> Finding:
    """m‖g_p‖² in the last line of Theorem 4's proof."""
    data = recordings["slips"]
    wrong, right = (float(np.abs(data[n] - data.product).max()) for n in ("printed", "corrected"))
    text = (
        f"(m g_m + p g_p)·(g_m + g_p) minus the line as printed: up to {wrong:.2g}; minus the line with m‖g_m‖², as in "
        f"Eq. 27: at most {right:.1g}"
    )
    return Finding("holds" if wrong < EXACT else "fails", text, f"{data.sizes['draw']} draws")


def lemma_4_proof(recordings: Recordings) -> Finding:
    """The proof of Lemma 4 takes C(p, r) for C(p-1, r-1)."""
    gap = recordings["slips"].lemma4_gap
    proof, true = gap.sel(binomial="p"), gap.sel(binomial="p-1")
    text = (
        f"ln of the term at r = p over that at p - 1, β = p = {', '.join(str(int(p)) for p in gap.depth)}: with the "
        f"proof's C(p, r) at most {float(np.abs(proof).max()):.1g}, a tie; with C(p-1, r-1) at least "
        f"{float(true.min()):.2g}. Its last line says 1 ≥ k ≥ p for 1 ≤ k ≤ p. The lemma holds"
    )
    return Finding("holds" if bool((proof > EXACT).all()) else "fails", text, "exact")


def eq_39(recordings: Recordings) -> Finding:
    """Σ_{r=1}^p C(p, r)² β^2r as a Legendre polynomial."""
    gap = recordings["slips"].legendre_gap
    off = float(np.abs(gap - 1).max())
    text = (
        f"the right-hand side minus the left one is 1 within {off:.1g} for p = {int(gap.order.min())}.."
        f"{int(gap.order.max())}, β = {', '.join(f'{b:g}' for b in gap.base.values)}: the sum lacks its term r = 0. "
        "Harmless as p → ∞"
    )
    return Finding("holds" if float(np.abs(gap).max()) < EXACT else "fails", text, "exact")


def theorem_2_proof(recordings: Recordings) -> Finding:
    """The lower tail for β < 1 is not all that has to vanish."""
    tail = recordings["slips"].beyond
    last = tail.isel(tail_order=-1)
    below_one = last.where(last.tail_base < 1, drop=True)
    enough = bool((below_one.sel(side="upper") <= below_one.sel(side="lower")).all())
    rows = "; ".join(
        f"β = {float(b):g}: {float(last.sel(side='lower', tail_base=b)):.2g} below, "
        f"{float(last.sel(side='upper', tail_base=b)):.2g} above"
        for b in last.tail_base
    )
    text = (
        f"part of Σ C(p, r)² β^2r further than a fifth from the peak at p = {int(last.tail_order)}: {rows}. r → p - r "
        "turns the lower tail at β into the upper one at 1/β, so that the upper tail for β < 1, the lower one for "
        "β > 1, and β = 1, where Eq. 39 divides by 0, are left open. They vanish too: the theorem holds"
    )
    return Finding("holds" if enough else "fails", text, "exact")


def eq_36(recordings: Recordings) -> Finding:
    """Over what Lemma 2's proof minimises."""
    data = recordings["slips"]
    p, d, unique = (int(data.attrs[f"spread_{name}"]) for name in ("depth", "inputs", "unique"))
    printed = bool((data.copies == unique).all() and (np.abs(data.square - unique**2 / p) < EXACT).all())
    off = float(np.abs(data.copies - data.wanted).max() + np.abs(data.square - data.wanted**2 / d).max())
    text = (
        f"p = {p}, d = {d}, Λ = {unique}, evenly spread: the counts of a configuration sum to "
        f"{', '.join(f'{v:g}' for v in data.copies.values)} at r = 1, 2, and their squares to "
        f"{', '.join(f'{v:g}' for v in data.square.values)}: ψ_r/Λ^r and, over d inputs, (ψ_r/Λ^r)²/d within {off:.1g}"
    )
    return Finding("holds" if printed else "fails", text, "exact")


def eq_41(recordings: Recordings) -> Finding:
    """∂L/∂λ_l < 0 after the step, for an unskipped layer."""
    data = recordings["slips"]
    negative, positive = data.slope < 0, data.scale > 0
    if not bool(np.isfinite(data.slope).all() and np.isfinite(data.scale).all()):
        verdict = "not testable: a slope is not finite"
    elif bool(negative.all()):
        verdict = "holds"
    else:
        verdict = "holds when λ_l > 0" if bool((negative == positive).all()) else "fails"
    counts = [f"{int((negative & p).sum())} of {int(p.sum())}" for p in (positive, ~positive)]
    text = (
        f"the slope that was 0 is negative after a step in {counts[0]} networks with λ_l > 0 and in {counts[1]} with "
        "λ_l < 0: it has the sign of -λ_l, so that |λ_l| grows all the same"
    )
    return Finding(verdict, text, f"{data.sizes['network']} networks")


def no_assumptions(recordings: Recordings) -> Finding:
    """Sec. 6 says that Sec. 4 needs none of the assumptions."""
    data = recordings[FORCE].sel(dropped="linear loss")
    same = np.sign(data.theorem_force) == np.sign(data.true_force)
    share, size = float(same.mean()), float(np.abs(data.theorem_force / data.true_force - 1).median())
    text = (
        f"Eq. 20 is the form of Lemma 3, which has A2-A4 and a loss linear in Y. With cross entropy in its place, at "
        f"points with a slope of 0, Theorem 3's force has the sign of the true one in {share:.0%}, and its size is off "
        f"by {size:.0%} (median)"
    )
    exact = bool((np.abs(data.theorem_force / data.true_force - 1) < 1e-6).all())
    return Finding("holds" if exact else "fails", text, f"{data.sizes['network']} networks")


def gates(recordings: Recordings) -> Finding:
    """Gates of paths on Eq. 8 against independent Bernoulli variables."""
    data = recordings["slips"]
    power = data.gate**data.gate_length
    off = xr.concat([np.abs(data.path_low - power), np.abs(data.path_high - power)], "end").max(skipna=False)
    last = data.isel(gate_length=-1)
    every, wanted, low, high = (
        float(values.mean()) for values in (last.path_mean, last.gate**last.gate_length, last.path_low, last.path_high)
    )
    text = (
        f"how often a path is open on Eq. 8 with random weights, r = {int(last.gate_length)}: {every:.2f} over all "
        f"paths, where ρ^r is {wanted:.2f}; from {low:.2f} to {high:.2f} from path to path of one network (means over "
        "networks)"
    )
    verdict = "holds" if float(off) < 0.05 else "fails"
    return Finding(verdict, text, f"{data.sizes['gate_seed']} networks")


def gaussians(recordings: Recordings) -> Finding:
    """Ten Gaussians or fifty."""
    change = recordings["slips"].gaussians_change.transpose("classes", "run")
    ten, fifty = change.values
    apart = abs(ten.mean() - fifty.mean()) > 2 * np.hypot(error(ten), error(fifty))
    text = (
        "change of |λ|, layers with a shortcut, two epochs of the setting nearest to Fig. 1(d) (mean ± standard "
        f"deviation): {mean_and_spread(ten)} with 10 Gaussians, {mean_and_spread(fifty)} with 50. App. C's 10 are taken"
    )
    verdict = "fails" if apart else "not testable: the difference is within its noise"
    return Finding(verdict, text, f"{change.sizes['run']} a setting")


def expectation(recordings: Recordings) -> Finding:
    """E_A[Y] is the path sum with ρ^r for the gates (Eqs. 2 and 11)."""
    data = recordings["lemmas"]
    worst = float(data.expectation.max(skipna=False))
    text = (
        f"|Σ over all {data.attrs['patterns']} patterns of gates, by their probability - Σ over paths with ρ^r| / "
        f"max |Y| at most {worst:.2g}, ρ = {data.attrs['gate']:g}"
    )
    return Finding("holds" if worst <= 1e-12 else "fails", text, f"{data.expectation.size} networks")


SLIP_CLAIMS = (
    Claim("Eqs. 2, 11", "With independent gates, open with probability ρ, E[Y] is the sum over paths with ρ^r.",
          expectation, "lemmas"),
    Claim("Eqs. 2, 11, gates", "Each path of length r is open equally often, in ρ^r of the cases (an assumption).",
          gates, "slips"),
    Claim("Eq. 36, slip", "E[ξ²] is least over p counts that sum to Λ (as the proof of Lemma 2 reads).",
          eq_36, "slips"),
    Claim("Theorem 2, slip", "It is enough that the lower tail vanishes for β < 1 (its proof).",
          theorem_2_proof, "slips"),
    Claim("Eq. 39, slip", "Σ_{r=1}^p C(p, r)² β^2r = (1-β²)^p P_p((1+β²)/(1-β²)).", eq_39, "slips"),
    Claim("Lemma 4, slip", "At β = p the one peak lies at r = p (its proof, with C(p, r)).", lemma_4_proof, "slips"),
    Claim("Fig. 1(d), slip", "Its caption (50 Gaussians) and App. C (10, in 50 dimensions) tell of one task.",
          gaussians, "slips"),
    Claim("Theorem 3, slip", "An increase of |λ_l|, l ∈ l_1…l_m, raises λ̂_p and leaves λ̂_m (text after it).",
          balance, "slips"),
    Claim("Eq. 41, slip", "∂L/∂λ_l < 0 after the step (proof of Theorem 3).", eq_41, "slips"),
    Claim("Theorem 4, slip", "C grows if either ‖g_p‖ or ‖g_m‖ is dominant (text after it).", dominant, "slips"),
    Claim("Eq. 47, slip", "(m g_m + p g_p)·(g_m + g_p) = m‖g_p‖² + p‖g_p‖² + (m+p) g_p·g_m.", eq_47, "slips"),
    Claim("Sec. 6, slip", "Sec. 4 assumes none of the assumptions.", no_assumptions, FORCE),
)  # fmt: skip
