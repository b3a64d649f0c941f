"""The table of claims: what the paper says, what was measured, and the verdict.

Each verdict is a pure function of stored recordings: the same files give the same verdict, others another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from skipglass.training import total_norm

__all__ = ["CLAIMS", "Claim", "Finding", "claims_table"]

Recordings = Mapping[str, xr.Dataset]


@dataclass(frozen=True)
class Finding:
    """What the recordings say about a claim.

    Attributes
    ----------
    verdict
        "holds", "holds when …" or "does not hold".
    measured
        The numbers, with spread.
    seeds
        How many networks or draws they rest on; "exact" where nothing is random.
    """

    verdict: str
    measured: str
    seeds: str


@dataclass(frozen=True)
class Claim:
    """One claim of the paper.

    Attributes
    ----------
    name, statement
        Where it stands and what it says.
    judge
        The verdict, from the recordings.
    """

    name: str
    statement: str
    judge: Callable[[Recordings], Finding]


def theorem_1(recordings: Recordings) -> Finding:
    """argmax_r ε_r / p → β/(1+β): at every depth within 1/p."""
    share = recordings["theorems"].peak_share
    limit = share.beta / (1 + share.beta)
    scaled = (abs(share - limit) * share.depth).max()
    verdict = "holds" if float(scaled) <= 1 + 1e-9 else "does not hold"
    measured = (
        f"|argmax/p - β/(1+β)| ≤ {float(scaled):.3g}/p for β = {_list(share.beta)}, "
        f"p = {int(share.depth.min())}..{int(share.depth.max())}"
    )
    return Finding(verdict, measured, "exact")


def theorem_2(recordings: Recordings) -> Finding:
    """Σ ε_r² outside a band around β/(1+β) falls with p and vanishes."""
    data = recordings["theorems"]
    outside = data.outside.transpose("beta", "depth")
    falls = bool((outside.diff("depth") <= 0).all()) and float(outside.isel(depth=-1).max()) < 1e-6
    worst = outside.max("beta")
    trend = ", ".join(f"{float(v):.2g} at p = {int(p)}" for p, v in zip(worst.depth, worst, strict=True))
    measured = f"Σ ε_r² further than {data.attrs['band']:.0%} from β/(1+β), largest over β: {trend}"
    return Finding("holds" if falls else "does not hold", measured, "exact")


def lemma_4(recordings: Recordings) -> Finding:
    """Every length 1..p is the peak for some β, and β is linear in C."""
    data = recordings["theorems"]
    hits = int((data.reached == data.wanted).sum())
    verdict = "holds" if hits == data.sizes["wanted"] else "does not hold"
    measured = f"β in the middle of [(k-1)/(p-k+1), k/(p-k)] has its peak at k for {hits} of "
    return Finding(verdict, measured + f"{data.sizes['wanted']} k at p = {data.attrs['lemma_depth']}", "exact")


def theorem_5(recordings: Recordings) -> Finding:
    """No mixture of orders 2..p has a larger complexity than the pure p-spin."""
    excess = recordings["theorems"].excess
    worst = float(excess.max())
    measured = (
        f"complexity minus the pure p-spin's: largest {worst:.3g} "
        f"over mixtures of orders 2..p, p = {_list(excess.order)}; true although Eq. 50 of the proof is not: "
        "it takes 1-2/p for min (r-2)/r, which is 0 at r = 2"
    )
    return Finding("holds" if worst <= 1e-12 else "does not hold", measured, f"{excess.size} mixtures")


def multipliers_grow(recordings: Recordings) -> Finding:
    """λ_l of the layers with a shortcut grows while training (Fig. 1(d), claim 2)."""
    changes = {}
    for run, recording in recordings.items():
        if run.startswith("figure1d"):
            mean = (
                recording.multiplier_magnitude.isel(layer=slice(1, None))
                .mean("layer", skipna=False)
                .transpose("evaluation", "seed")
            )
            changes[run] = (mean[-1] - mean[0]).values
    return _growth(changes, "change of |λ_l|, mean over units and layers with a shortcut")


def norms_grow(recordings: Recordings) -> Finding:
    """‖w‖ grows without batch norm (Fig. 1(e), Thm 4)."""
    changes = {}
    for run, recording in recordings.items():
        if run.startswith("figure1e"):
            norm = total_norm(recording).transpose("evaluation", "seed")
            changes[run] = (norm[-1] / norm[0] - 1).values
    return _growth(changes, "relative change of ‖w‖")


def _growth(changes: Mapping[str, np.ndarray], what: str) -> Finding:
    """Judge by settings: a change counts where its mean is more than two standard errors from 0.

    One seed has no standard error and a diverged network no change: then nothing is concluded.
    """
    settings = {run: " ".join(run.split("-")[1:]) for run in changes}
    with np.errstate(invalid="ignore"):  # a diverged network: shown as it is
        measured = "; ".join(f"{settings[run]} {_mean_and_spread(change)}" for run, change in changes.items())
    seeds = f"{_list(sorted({change.size for change in changes.values()}))} a setting"
    finding = f"{what} (mean ± standard deviation): {measured}"
    diverged = sum(int((~np.isfinite(change)).sum()) for change in changes.values())
    if diverged:
        return Finding(f"not testable: {diverged} networks diverged", finding, seeds)
    if min(change.size for change in changes.values()) < 2:
        return Finding("not testable with one seed", finding, seeds)
    scores = {run: change.mean() - 2 * _error(change) for run, change in changes.items()}
    rising = [settings[run] for run, score in scores.items() if score > 0]
    falls = any(change.mean() + 2 * _error(change) < 0 for change in changes.values())
    if len(rising) == len(changes):
        verdict = "holds"
    elif rising:
        verdict = f"holds when the setting is {_list(rising)}"
    else:
        verdict = "does not hold" if falls else "not testable: every change is within its noise"
    return Finding(verdict, finding, seeds)


def _error(change: np.ndarray) -> float:
    return float(change.std(ddof=1) / np.sqrt(change.size))


def _mean_and_spread(change: np.ndarray) -> str:
    return f"{change.mean():+.3f} ± {change.std(ddof=1):.3f}" if change.size > 1 else f"{change.mean():+.3f}"


def _list(values: object) -> str:
    return ", ".join(v if isinstance(v, str) else f"{float(v):g}" for v in values)  # type: ignore[attr-defined]


CLAIMS = (
    Claim("Theorem 1", "The peak of ε_r lies at the fraction β/(1+β) of the depth as p → ∞.", theorem_1),
    Claim("Theorem 2", "The ε_r² concentrate in a narrow band around that peak.", theorem_2),
    Claim("Lemma 4", "A global scale of the weights shifts the peak to any length 1..p.", lemma_4),
    Claim("Theorem 5", "No mixture of orders up to p has more critical points than the pure p-spin.", theorem_5),
    Claim("Sec. 4, Fig. 1(d)", "The multipliers λ_l of skippable layers grow while training.", multipliers_grow),
    Claim("Sec. 4.2, Fig. 1(e)", "Without batch norm the norm of the weights grows while training.", norms_grow),
)


def claims_table(recordings: Recordings) -> list[tuple[str, str, str, str, str]]:
    """Return one row a claim: name, verdict, statement, what was measured, seeds.

    Parameters
    ----------
    recordings
        {name: recording}: "theorems" and the runs of Figure 1.

    Returns
    -------
    list of tuple
        In the paper's order.
    """
    findings = [(claim, claim.judge(recordings)) for claim in CLAIMS]
    return [(c.name, f.verdict, c.statement, f.measured, f.seeds) for c, f in findings]
