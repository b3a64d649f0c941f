"""A claim: what the paper says and where, the numbers that decide it, and the rule; one formatter tells what was found.

Each finding is a pure function of stored recordings: the same files give the same verdict.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from skipglass.paper.rules import Judged, Numbers, Rule, Setting

__all__ = ["HOLES", "TABLES", "Claim", "Finding", "Quantity", "Recordings", "Undecided", "capital", "sentence"]

Recordings = Mapping[str, xr.Dataset]
Quantity = Callable[[Recordings], Numbers]

TABLES = {
    "paper": "Claims of the paper",
    "ours": "Questions of our own",
    "slips": "Slips of the paper",
}
"""Name → title of each table of claims."""

HOLES = {
    "figure1": (  # a network may diverge: the rule says so
        "train_loss", "test_loss", "weight_norm", "absorbed_norm", "multiplier_norm", "multiplier_mean",
        "multiplier_magnitude",
    ),
    "sweep": (  # settings with a network that diverged are left out; without a norm there is no λ
        "multiplier", "absorbed_norm", "weight_norm", "effective_depth", "effective_depth_batch", "train_loss",
    ),
    "resnet-": (  # measured at some of the evaluations, or not in every mode
        "train_loss", "train_error", "cancellation", "share", "share_median", "length_norm",
        "effective_depth_per_sample", "effective_depth_per_sample_frozen", "effective_depth_median_train",
        "participation_median_train",
    ),
    "intervention-": (
        "train_loss", "train_error", "cancellation", "share", "share_median", "length_norm",
        "effective_depth_per_sample", "effective_depth_median_train", "participation_median_train",
    ),
    # a small glass has fewer indices, and what holds by symmetry is no evidence
    "glass_agreement": ("expected", "mean", "standard_error", "z", "symmetric", "euler"),
    "glass_descent": ("threshold", "minimum", "ground", "pure_energy"),  # not every mixture has them
}  # fmt: skip
"""How the names of recordings begin → the variables that may hold NaN or infinity. In all others either means a damaged
recording, and comparisons with NaN, which are false, must not become a verdict."""

SHOWN = 8
"""Settings of one kind that a sentence lists one by one; of more it tells the middle and the ends."""

ROUNDING = 1e-15
"""Of numbers that involve chance, what is smaller is a difference of equal ones."""


class Undecided(Exception):
    """Raised by a quantity where what was recorded cannot decide the claim, with the reason."""


@dataclass(frozen=True)
class Finding:
    """What the recordings say about a claim.

    Attributes
    ----------
    verdict
        "identity", "supported (n of m settings)", "not supported …" or "undetermined: why".
    parts
        The numbers, with their spread over seeds: what was measured, in which settings it came out how, what else was
        judged or stands beside it, a note.
    seeds
        On how many networks or draws they rest.
    """

    verdict: str
    parts: tuple[str, ...]
    seeds: str

    @property
    def measured(self) -> str:
        """The numbers as one text, without a full stop."""
        return ". ".join(self.parts)


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes
    ----------
    name
        Where it stands in the paper, or what it is called.
    statement
        What is claimed, in one sentence.
    source
        The paper's own sentence and where it stands; of a question of our own, what makes us ask.
    what
        The quantity in words, with its unit.
    quantity
        From the recordings, {setting: one number per seed}.
    rule
        When a setting counts for the claim.
    needs
        How the names of the recordings begin that it rests on.
    table
        Of `TABLES`.
    note
        What a reader should know beside the numbers.
    variants
        The same of other times, settings or measures, judged by the same rule and told beside it: the verdict is
        ``quantity``'s.
    beside
        Numbers told and not judged.
    figure
        Name of the panel on the page that shows it.
    also
        Names of recordings that variants rest on; they may be missing.
    """

    name: str
    statement: str
    source: str
    what: str
    quantity: Quantity
    rule: Rule
    needs: str | tuple[str, ...] = ""
    table: str = "paper"
    note: str = ""
    variants: Mapping[str, Quantity] = field(default_factory=dict)
    beside: Mapping[str, Quantity] = field(default_factory=dict)
    figure: str = ""
    also: tuple[str, ...] = ()

    def judged(self, recordings: Recordings) -> Judged:
        """Judge, or say which recording is missing or which of its variables is not finite."""
        return self._of(self.quantity, recordings)

    def finding(self, recordings: Recordings) -> Finding:
        """Return the verdict and what was measured, in words."""
        judged = self.judged(recordings)
        if not judged.settings:
            return Finding(judged.text, ("Nothing was measured",), "none")
        parts = _parts(self.what, judged, self.rule)
        if not judged.reason.endswith("not finite"):  # else nothing of these recordings is to be trusted
            for name, quantity in self.beside.items():
                parts.append(f"{name}: {_listed(_settings(quantity(recordings)))}")
            for name, quantity in self.variants.items():
                other = self._of(quantity, recordings)
                told = f"{_told(other.settings)}: " if other.settings else ""
                parts.append(f"by the same rule, {name}: {told}{other.text}")
            parts += [self.note] if self.note else []
        return Finding(judged.text, tuple(capital(part) for part in parts), _seeds(judged, self.rule))

    def _of(self, quantity: Quantity, recordings: Recordings) -> Judged:
        mine: dict[str, xr.Dataset] = {}
        for start in (self.needs,) if isinstance(self.needs, str) else self.needs:
            found = {name: recording for name, recording in recordings.items() if name.startswith(start)}
            if not found:
                return Judged("undetermined", (), "no recording")
            mine |= found
        for name, recording in mine.items():
            if broken := _not_finite(name, recording):
                return Judged("undetermined", (), f"{broken[0]} of {name} is not finite")
        try:
            with np.errstate(invalid="ignore", over="ignore"):  # a diverged network: the rule says so
                return self.rule.judge(quantity(recordings))
        except Undecided as why:
            return Judged("undetermined", (), str(why))


def sentence(what: str, judged: Judged, rule: Rule) -> str:
    """Return what was measured, in words.

    Parameters
    ----------
    what
        The quantity.
    judged, rule
        Its numbers and where they should lie.

    Returns
    -------
    str
        Without a full stop.
    """
    return ". ".join(_parts(what, judged, rule))


def _parts(what: str, judged: Judged, rule: Rule) -> list[str]:
    """What was measured; where chance is involved, each side of the region with the settings that lie there."""
    settings = judged.settings
    if rule.exact:
        return [f"{what}: {_exact(judged, rule)}"]
    tested = sum(s.values.size > 1 for s in settings)
    if not tested:
        return [f"{what}: {_told(settings)}; one seed each, so nothing is tested"]
    sides = {1: rule.region, -1: rule.outside, 0: "undetermined"}
    if len(settings) == 1:
        side = sides[settings[0].side]
        return [f"{what} (mean ± standard deviation): {_told(settings)}; by Student's t {side}"]
    alike = {words: tuple(s for s in settings if s.side == side) for side, words in sides.items()}
    test = "Student's t" if tested == 1 else f"Student's t, Holm over {tested} settings"
    return [
        f"{what} (mean ± standard deviation; {test})",
        *(f"{words} in {len(same)} of {len(settings)}: {_told(same)}" for words, same in alike.items() if same),
    ]


def _exact(judged: Judged, rule: Rule) -> str:
    """Numbers without chance: their ranges by setting, or over all settings and how many lie where they should."""
    settings = judged.settings
    if len(settings) <= SHOWN:
        return "; ".join(_of_setting(_range(s.values, rule), s) for s in settings)
    whole = _range(np.concatenate([s.values for s in settings]), rule)
    if rule.algebra and rule.low == -rule.high:
        return whole
    others = [s for s in settings if s.side < 0]
    named = "".join(f"; {rule.outside}: {_of_setting(_range(s.values, rule), s)}" for s in others if len(others) == 1)
    return f"{whole}; {rule.region} in {judged.count(1)} of {len(settings)} settings{named}"


def _told(settings: tuple[Setting, ...]) -> str:
    """Settings one by one, or the middle and the ends of many."""
    return _listed(settings) if len(settings) <= SHOWN else _extent(settings)


def _settings(numbers: Numbers) -> tuple[Setting, ...]:
    return tuple(Setting(str(n), np.atleast_1d(np.asarray(v, float)).ravel(), 0, np.nan) for n, v in numbers.items())


def _listed(settings: tuple[Setting, ...]) -> str:
    return "; ".join(_of_setting(_number(s.values), s) for s in settings)


def _of_setting(told: str, setting: Setting) -> str:
    """Numbers with the setting in brackets; a setting that is alone may have no name."""
    aside = ", ".join(word for word in (setting.name, "small" * setting.small) if word)
    return f"{told} ({aside})" if aside else told


def _extent(settings: tuple[Setting, ...]) -> str:
    """The middle and the ends of many settings' means."""
    means = [s.values.mean() for s in settings]
    return f"median {_short(np.median(means))}, from {_short(min(means))} to {_short(max(means))}"


def _number(values: NDArray[np.float64]) -> str:
    """A mean with its standard deviation, to two digits of that; equal numbers, and a single one, alone."""
    if not np.isfinite(values).all():
        return f"{values[np.isfinite(values)].size} of {values.size} finite"
    values = np.where(abs(values) < ROUNDING, 0.0, values)
    spread = float(values.std(ddof=1)) if values.size > 1 else 0.0
    if spread <= 1e-9 * abs(values.mean()):
        return _short(values.mean())
    places = int(1 - np.floor(np.log10(spread)))
    if not 0 <= places <= 5:  # very large or very small: both as powers of ten
        return f"{_short(values.mean())} ± {spread:.2g}"
    return f"{values.mean():.{places}f} ± {spread:.{places}f}"


def _range(values: NDArray[np.float64], rule: Rule) -> str:
    """From the least to the largest, or the largest error."""
    if rule.algebra and np.abs(values).max() <= rule.high == -rule.low:  # errors, all of them small enough
        return f"at most {_short(np.abs(values).max())}"
    low, high = _short(values.min()), _short(values.max())
    return low if low == high else f"{low} to {high}"


def _short(value: float) -> str:
    return f"{value:.3g}"


def _seeds(judged: Judged, rule: Rule) -> str:
    sizes = sorted({s.values.size for s in judged.settings})
    count = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    if rule.exact:
        return "exact" if sizes == [1] else f"{count} cases per setting, exact"
    return f"n = {count} per setting"


def capital(text: str) -> str:
    """Return a sentence with a capital, unless it begins with a symbol."""
    return text[0].upper() + text[1:] if text.startswith("a ") or (text[:2].isascii() and text[:2].isalpha()) else text


def _not_finite(name: str, recording: xr.Dataset) -> list[str]:
    holes = {variable for start, some in HOLES.items() if name.startswith(start) for variable in some}
    numbers = {str(v): values for v, values in recording.variables.items() if values.dtype.kind == "f"}
    return [v for v, values in numbers.items() if v not in holes and not np.isfinite(values.values).all()]
