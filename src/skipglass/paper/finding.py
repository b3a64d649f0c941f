"""What a claim is, what recordings say about it, and how growth is judged over seeds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

__all__ = ["Claim", "Finding", "Recordings", "error", "growth", "listed", "mean_and_spread"]

Recordings = Mapping[str, xr.Dataset]


@dataclass(frozen=True)
class Finding:
    """What the recordings say about a claim.

    Attributes
    ----------
    verdict
        "holds", "holds when …" or "fails".
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
    needs
        How the names of the recordings begin that it rests on.
    """

    name: str
    statement: str
    judge: Callable[[Recordings], Finding]
    needs: str = ""

    def finding(self, recordings: Recordings) -> Finding:
        """Judge, or say that there is no recording to judge by."""
        if not any(name.startswith(self.needs) for name in recordings):
            return Finding("not testable: no recording", "nothing was recorded", "none")
        return self.judge(recordings)


def growth(changes: Mapping[str, np.ndarray], what: str) -> Finding:
    """Judge by settings: a change counts where its mean is more than two standard errors from 0.

    A setting with one seed has no standard error: it is shown, and not counted. A diverged network has no change: then
    nothing is concluded.

    Parameters
    ----------
    changes
        {setting: (seeds,)}.
    what
        The quantity, in words.

    Returns
    -------
    Finding
        The verdict on "it grows".
    """
    with np.errstate(invalid="ignore"):  # a diverged network: shown as it is
        measured = "; ".join(f"{run} {mean_and_spread(change)}" for run, change in changes.items())
    seeds = f"{listed(sorted({change.size for change in changes.values()}))} a setting"
    finding = f"{what} (mean ± standard deviation): {measured}"
    diverged = sum(int((~np.isfinite(change)).sum()) for change in changes.values())
    if diverged:
        return Finding(f"not testable: {diverged} networks diverged", finding, seeds)
    judged = {run: change for run, change in changes.items() if change.size > 1}
    if not judged:
        return Finding("not testable with one seed", finding, seeds)
    scores = {run: change.mean() - 2 * error(change) for run, change in judged.items()}
    rising = [run for run, score in scores.items() if score > 0]
    falls = any(change.mean() + 2 * error(change) < 0 for change in judged.values())
    if len(rising) == len(judged):
        verdict = "holds"
    elif rising:
        verdict = f"holds when the setting is {listed(rising)}"
    else:
        verdict = "fails" if falls else "not testable: every change is within its noise"
    return Finding(verdict, finding, seeds)


def error(change: np.ndarray) -> float:
    """The standard error of the mean."""
    return float(change.std(ddof=1) / np.sqrt(change.size))


def mean_and_spread(change: np.ndarray) -> str:
    """Mean and standard deviation over seeds as text."""
    return f"{change.mean():+.3f} ± {change.std(ddof=1):.3f}" if change.size > 1 else f"{change.mean():+.3f}"


def listed(values: object) -> str:
    """Numbers or words as a list in a sentence."""
    return ", ".join(v if isinstance(v, str) else f"{float(v):g}" for v in values)  # type: ignore[attr-defined]
