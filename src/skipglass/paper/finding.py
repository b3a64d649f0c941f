"""What a claim is, what recordings say about it, and how growth is judged over seeds."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from skipglass.paper.claim import HOLES, Finding, Recordings

__all__ = [
    "HOLES",
    "Claim",
    "Finding",
    "Recordings",
    "by_setting",
    "either",
    "error",
    "grouped",
    "growth",
    "listed",
    "mean_and_spread",
    "seeds_of",
]


DEPTH = re.compile(r"(?<=ResNet-)\d+|\d+(?= layers)")


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
        """Judge, or say that there is no recording to judge by, or which variable of it is not finite."""
        mine = {name: recording for name, recording in recordings.items() if name.startswith(self.needs)}
        if not mine:
            return Finding("not testable: no recording", "nothing was recorded", "none")
        for name, recording in mine.items():
            if broken := _not_finite(name, recording):
                what = f"{broken[0]} of {name} is not finite"
                return Finding(f"not testable: {what}", f"{what}, {len(broken)} such variables in all", "none")
        return self.judge(recordings)


def growth(changes: Mapping[str, np.ndarray], what: str, beside: Mapping[str, str] | None = None) -> Finding:
    """Judge by settings: a change counts where its mean is more than two standard errors from 0.

    A setting with one seed has no standard error: it is shown, and not counted, as the finding says, and named in the
    verdict where it goes the other way. A diverged network has no change: then nothing is concluded.

    Parameters
    ----------
    changes
        {setting: (seeds,)}.
    what
        The quantity, in words.
    beside
        {setting: what is told of it before its change}.

    Returns
    -------
    Finding
        The verdict on "it grows".
    """
    with np.errstate(invalid="ignore"):  # a diverged network: shown as it is
        spread = {run: mean_and_spread(change) for run, change in changes.items()}
    rows = spread if beside is None else {run: f"{beside[run]} ({text})" for run, text in spread.items()}
    seeds = seeds_of(change.size for change in changes.values())
    finding = f"{what} (mean ± s.d.): {by_setting(rows)}"
    diverged = sum(int((~np.isfinite(change)).sum()) for change in changes.values())
    if diverged:
        return Finding(f"not testable: {diverged} network{'s' * (diverged > 1)} diverged", finding, seeds)
    judged = {run: change for run, change in changes.items() if change.size > 1}
    if not judged:
        return Finding("not testable with one seed", finding, seeds)
    scores = {run: change.mean() - 2 * error(change) for run, change in judged.items()}
    rising = [run for run, score in scores.items() if score > 0]
    falls = any(change.mean() + 2 * error(change) < 0 for change in judged.values())
    if len(rising) == len(judged):
        verdict = "holds"
    elif rising:
        verdict = f"holds when the setting is {either(grouped(rising))}"
    else:
        verdict = "fails" if falls else "not testable: every change is within its noise"
    alone = {run: float(change[0]) for run, change in changes.items() if change.size == 1}
    if contrary := [run for run, change in alone.items() if verdict == ("fails" if change > 0 else "holds")]:
        verdict += f", but not in single networks of {'; '.join(_shortened(grouped(contrary)))}"
    return Finding(verdict, finding, seeds)


def error(change: np.ndarray) -> float:
    """The standard error of the mean."""
    return float(change.std(ddof=1) / np.sqrt(change.size))


def mean_and_spread(change: np.ndarray) -> str:
    """Mean and standard deviation over seeds as text, to two digits of the deviation."""
    if change.size == 1:
        return f"{change.mean():+.3g}, one seed"
    spread = float(change.std(ddof=1))
    places = int(np.clip(1 - np.floor(np.log10(spread)), 0, 5)) if np.isfinite(spread) and spread > 0 else 3
    return f"{change.mean():+.{places}f} ± {spread:.{places}f}"


def seeds_of(sizes: Iterable[int]) -> str:
    """How many seeds settings have, and what becomes of those that have one."""
    distinct = sorted(set(sizes))
    rule = "; a setting with one seed is shown and not counted" if distinct[0] == 1 < distinct[-1] else ""
    return f"{either(map(str, distinct))} a setting{rule}"


def listed(values: object) -> str:
    """Numbers or words as a list in a sentence."""
    return ", ".join(v if isinstance(v, str) else f"{float(v):g}" for v in values)  # type: ignore[attr-defined]


def either(words: Iterable[str]) -> str:
    """Words as alternatives in a sentence: "a, b or c"; with semicolons where they hold commas themselves."""
    *others, last = words
    if any("," in word for word in (*others, last)):
        return "; or ".join(["; ".join(others), last] if others else [last])
    return f"{', '.join(others)} or {last}" if others else last


def by_setting(rows: Mapping[str, str]) -> str:
    """Return {setting: text} as one line that says once what several settings share."""
    found = grouped(rows)
    parts = zip(_shortened(found), found.values(), strict=True)
    return "; ".join(f"{words}: {', '.join(rows[label] for label in same)}" for words, same in parts)


def _shortened(labels: Iterable[str]) -> list[str]:
    """Labels without what they repeat of the one that they go on from."""
    parts, before = [], ""
    for words in labels:
        shared = f"{before}, "
        parts.append(words.removeprefix(shared))
        before = before if words.startswith(shared) else words
    return parts


def grouped(labels: Iterable[str]) -> dict[str, list[str]]:
    """Return {words: settings}: those that differ in their depth alone are one, the shallow ones first."""
    together: dict[str, list[str]] = {}
    for label in labels:
        together.setdefault(DEPTH.sub("#", label), []).append(label)
    found = {}
    for words, same in together.items():
        depths = {label: match[0] for label in same if (match := DEPTH.search(label))}
        order = sorted(same, key=lambda label: int(depths.get(label, 0)))
        found[words.replace("#", ", ".join(depths[label] for label in order if label in depths))] = order
    return found


def _not_finite(name: str, recording: xr.Dataset) -> list[str]:
    holes = {variable for start, some in HOLES.items() if name.startswith(start) for variable in some}
    numbers = {str(v): values for v, values in recording.variables.items() if values.dtype.kind == "f"}
    return [v for v, values in numbers.items() if v not in holes and not np.isfinite(values.values).all()]
