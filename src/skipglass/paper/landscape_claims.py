"""The claims of Sec. 5 about critical points, from sampled glasses and exact counts."""

import numpy as np
from scipy import stats

from skipglass.paper.agreement import z_limit
from skipglass.paper.finding import Claim, Finding, Recordings, listed

__all__ = ["LANDSCAPE_CLAIMS"]

LEVEL = 0.999  # of the largest |z|
CORRECTION = 2.0  # × ln Λ/Λ: how far a rate at finite Λ may lie from its limit


def covariance(recordings: Recordings) -> Finding:
    """E[H(w)H(w′)] = Λ ξ(q), so that E[H²] = Λ whatever ε (Eqs. 5-7, 28-30)."""
    data = recordings["landscape"]
    samples = data.sizes["sample"]
    error = data["product"].std("sample", ddof=1) / np.sqrt(samples)
    z = float(np.abs((data["product"].mean("sample") - data.xi) / error).max())
    limit = float(stats.t.isf((1 - LEVEL ** (1 / data.xi.size)) / 2, samples - 1))
    measured = (
        f"H(w)H(w′)/Λ at overlaps {listed(data.overlap)} for {listed(data.mixture.values)}, "
        f"Λ = {data.attrs['glass_size']}: largest |z| {z:.2f}, where chance stays below {limit:.2f} in 99.9 %"
    )
    return Finding("holds" if z < limit else "fails", measured, f"{samples} glasses a mixture")


def rates_converge(recordings: Recordings) -> Finding:
    """(1/Λ) ln E[Crt_k] → θ_k, the same for every fixed k (Def. 3, Eq. 33)."""
    data = recordings["landscape"]
    gap = np.abs(data.rate - data.limit)
    worst = gap.max(("mixture", "index"))
    shrinks = bool((gap.diff("size") < 0).all())
    within = bool((gap <= CORRECTION * np.log(data["size"]) / data["size"]).all())
    trend = ", ".join(f"{float(g):.3f} at Λ = {int(n)}" for n, g in zip(data["size"], worst, strict=True))
    measured = (
        f"exact rate minus Eq. 33, largest over {listed(data.mixture.values)} and k = {listed(data.index)}: {trend}, "
        f"{'all' if within else 'not all'} below {CORRECTION:g} ln Λ/Λ. The paper says k > 0: it holds for k = 0 too; "
        "with a field strong enough for ν″ < ν′ it does not"
    )
    return Finding("holds" if shrinks and within else "fails", measured, "exact")


def more_with_depth(recordings: Recordings) -> Finding:
    """The rate of critical points of finite index rises with β (Fig. 1(f))."""
    theta = recordings["landscape"].complexity
    rises = bool((theta.diff("beta") > 0).all())
    ends = "; ".join(
        f"p = {int(p)}: {float(row[0]):.3g} → {float(row[-1]):.3g}" for p, row in zip(theta.depth, theta, strict=True)
    )
    low, high = float(theta.beta[0]), float(theta.beta[-1])
    measured = f"θ_k from β = {low:g} to {high:g}, orders r ≥ 2: {ends}"
    return Finding("holds" if rises else "fails", measured, "exact")


def counts_agree(recordings: Recordings) -> Finding:
    """Counted critical points have the exact mean, in total and for each index (Def. 4, Eq. 32)."""
    data = recordings["glass_agreement"]
    z, samples = data.z.values, int(data.attrs["samples"])
    there = data["index"].values < data["size"].values[:, None]  # the number in all, and of each index below Λ
    if not np.isfinite(z[there]).all():
        return Finding(
            "not testable: z of glass_agreement is not finite", "no z for a number", f"{samples} glasses a case"
        )
    z = z[there]
    largest = float(np.abs(z).max())
    limit = z_limit(int(data.dof.sum()), samples)
    joint = float(stats.chi2.sf(float(data.chi2.sum()), float(data.dof.sum())))
    agree = largest < limit and joint > 1 - LEVEL and int(data.incomplete.sum()) == 0
    measured = (
        f"{data.sizes['case']} cases, all critical points searched, {int(data.incomplete.sum())} searches without full "
        f"evidence: largest |z| {largest:.2f}, where chance stays below {limit:.2f} in 99.9 %; jointly p = {joint:.2g}"
    )
    return Finding("holds" if agree else "fails", measured, f"{samples} glasses a case")


def layers(recordings: Recordings) -> Finding:
    """Critical points of low index lie in layers near the ground state (Sec. 2)."""
    data = recordings["glass_agreement"]
    lines, ordered = [], True
    for case in np.unique(data.point_case.values):
        chosen = data.point_case.values == case
        energy, index = data.energy.values[chosen], data.point_index.values[chosen]
        first = int(data["size"].values[case]) // 2
        medians = [float(np.median(energy[index == k])) for k in range(first)]
        lowest = [float(energy[index == k].min()) for k in range(first)]
        ordered &= bool(np.all(np.diff(medians) > 0) and np.all(np.diff(lowest) > 0))
        lines.append(f"{data.name.values[case]}: lowest {_row(lowest)}, median {_row(medians)}")
    measured = f"H/Λ of index 0, 1, …, below half of Λ: {'; '.join(lines)}"
    return Finding("holds" if ordered else "fails", measured, f"{int(data.attrs['samples'])} glasses a case")


def field_leaves_one_minimum(recordings: Recordings) -> Finding:
    """With its field the landscape is trivial below β_c (MATH §4; the paper drops the field)."""
    data = recordings["glass_descent"]
    overlap = data.overlap.sel(field=True)
    below = overlap.where(data.beta < data.attrs["threshold_beta"] / 2, drop=True)
    above = overlap.where(data.beta > 2 * data.attrs["threshold_beta"], drop=True)
    energy = (data.energy - data.minimum).sel(field=True).where(data.beta < data.attrs["threshold_beta"] / 2, drop=True)
    seeds = f"{data.sizes['seed']} glasses a setting"
    if not np.isfinite(energy).all():
        return Finding("not testable: minimum of glass_descent is not finite", "no -√ν′ below β_c/2", seeds)
    trivial = float(below.min()) > 0.99 and float(np.abs(energy).max()) < 0.01
    parted = float(above.max()) < 0.9
    measured = (
        f"overlap of the ends of two descents, field kept: at least {float(below.min()):.4f} below β_c/2, with H/Λ "
        f"within {float(np.abs(energy).max()):.1g} of -√ν′; at most {float(above.max()):.2f} above 2 β_c "
        f"(depth {data.attrs['depth']}, Λ = {data.attrs['size']})"
    )
    return Finding("holds" if trivial and parted else "fails", measured, seeds)


def descent_ends_in_minima(recordings: Recordings) -> Finding:
    """Descent avoids critical points of high index (presumed in Sec. 5)."""
    data = recordings["glass_descent"]
    ran, converged = np.isfinite(data.pure_energy), data.pure_converged
    index = data.pure_index.values[converged.values]
    began = f"{int(ran.sum())} descents"
    if not index.size or bool((converged & ~ran).any()):
        return Finding("not testable: no descent has an end", "pure_energy of glass_descent is not finite", began)
    each = ran.sum(("sample", "pure_start"))
    others = f", the others at saddles of index {int(index.max())} or below" if index.max() else ""
    measured = (
        f"{began} of the 3-spin, {listed(each)} at Λ = {listed(data.pure_size)}: {index.size} converged, "
        f"{int((index == 0).sum())} of them in minima{others}"
    )
    return Finding("holds" if index.max() <= 1 and (index == 0).mean() > 0.9 else "fails", measured, began)


def _row(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


LANDSCAPE_CLAIMS = (
    Claim(
        "Eqs. 5-7, 28-30", "The Hamiltonian is Gaussian with E[H(w)H(w′)] = Λ ξ(q), so E[H²] = Λ for every ε.",
        covariance, "landscape",
    ),
    Claim(
        "Def. 3, Eq. 33", "Critical points of each fixed index grow at the rate ½ ln(ν″/ν′) - (ν″-ν′)/(ν″+ν′).",
        rates_converge, "landscape",
    ),
    Claim(
        "Def. 4, Eq. 32", "Numbers of critical points have the means that random matrices give (Kac-Rice).",
        counts_agree, "glass_agreement",
    ),
    Claim(
        "Sec. 2, layers", "Critical points of low index lie in layers near the ground state.",
        layers, "glass_agreement",
    ),
    Claim(
        "Sec. 5, low index", "Descent avoids critical points of high index (presumed).",
        descent_ends_in_minima, "glass_descent",
    ),
    Claim(
        "Fig. 1(f)", "The number of critical points of finite index rises with β, as the ensemble deepens.",
        more_with_depth, "landscape",
    ),
    Claim(
        "Sec. 5, field", "With the paths of length 1, which the paper drops, β < β_c ≈ 1/p leaves one minimum (ours).",
        field_leaves_one_minimum, "glass_descent",
    ),
)  # fmt: skip
