"""The claims about what training does to scales and depth, over the whole grid of a sweep."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import rankdata

from skipglass.paper.finding import Claim, Finding, Recordings, either
from skipglass.paper.sweep_map import NAME, WORDS, Growth, growths, map_of

__all__ = ["SWEEP_CLAIMS", "rank_correlation"]

Array = NDArray[np.float64]
RESAMPLES = 2_000
AXES = {"variant": "norm", "separation": "separation", "learning_rate": "learning rate", "depth": "layers"}
FEWEST = 5  # cells; with fewer a rank correlation says nothing


def multipliers_grow_where(recordings: Recordings) -> Finding:
    """|λ_l| of the layers with a shortcut grows, cell by cell."""
    return _where(recordings, "multiplier", "|λ|, mean over units and layers with a shortcut")


def norms_grow_where(recordings: Recordings) -> Finding:
    """The absorbed norm of the layers with a shortcut grows, cell by cell."""
    return _where(recordings, "absorbed_norm", "‖diag(λ/σ)W_l‖, mean over layers with a shortcut")


def depth_grows_where(recordings: Recordings) -> Finding:
    """The effective depth grows, cell by cell."""
    return _where(recordings, "effective_depth", "effective depth, median over samples")


def depth_follows_multipliers(recordings: Recordings) -> Finding:
    """Cells in which |λ| grows more are those in which the depth grows more."""
    return _together(recordings, "multiplier", "growth of |λ|")


def depth_follows_norms(recordings: Recordings) -> Finding:
    """Cells in which absorbed norms grow more are those in which the depth grows more."""
    return _together(recordings, "absorbed_norm", "growth of the absorbed norm")


def rank_correlation(a: Array, b: Array) -> tuple[float, float, float]:
    """Return Spearman's ρ and its 95 % interval, by 2,000 resamples of the pairs (always the same ones)."""
    drawn = np.random.default_rng(0).integers(len(a), size=(RESAMPLES, len(a)))
    low, high = np.nanquantile(_spearman(a[drawn], b[drawn]), (0.025, 0.975))
    return float(_spearman(a[None], b[None])[0]), float(low), float(high)


def _spearman(a: Array, b: Array) -> Array:
    x, y = (rankdata(v, axis=1) - (v.shape[1] + 1) / 2 for v in (a, b))
    with np.errstate(invalid="ignore"):  # a resample of one value has no correlation
        return (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))


def _where(recordings: Recordings, name: str, what: str) -> Finding:
    """How often it grows: in all, and by each value of each axis."""
    learned, found, refusal = _judged(recordings)
    if refusal is not None:
        return refusal
    growth, normalised = found[name], ~np.char.startswith(learned.variant.values.astype(str), "none")
    there = np.isfinite(growth.change).all(axis=1)
    missing = int((~there & normalised).sum())  # without a norm there is no λ
    if missing:
        verdict = f"not testable: in {missing} settings that learn it is not finite"
        return Finding(verdict, f"{what}: not finite in {missing} of {there.size} settings", _seeds(learned))
    rises, falls, total = growth.rises & there, growth.falls & there, int(there.sum())
    by = []
    for axis in AXES:
        values = learned[axis].values
        parts = [(value, there & (values == value)) for value in dict.fromkeys(values[there].tolist())]
        shares = [f"{_word(value)}: {int(rises[rows].sum())} of {int(rows.sum())}" for value, rows in parts]
        by.append(f"by {AXES[axis]} ({'; '.join(shares)})")
    up, down = int(rises.sum()), int(falls.sum())
    measured = (
        f"{what}: ends above its start in {up}, below it in {down} of {total} settings that learn (by more than two "
        f"standard errors). Above, {', '.join(by)}"
    )
    if not total:
        verdict = "not testable: no setting has it"
    elif up == total:
        verdict = "holds"
    elif up:
        verdict = f"holds when the setting is one of {up} of {total}"
    else:
        verdict = "fails" if down else "not testable: every change is within its noise"
    return Finding(verdict, measured, _seeds(learned))


def _together(recordings: Recordings, name: str, what: str) -> Finding:
    """Rank correlation over cells of one normalisation, and over all."""
    learned, found, refusal = _judged(recordings)
    if refusal is not None:
        return refusal
    a, b = found[name].mean, found["effective_depth"].mean
    variants = learned.variant.values
    parts = {"all": np.isfinite(a)}
    parts |= {v: parts["all"] & (variants == v) for v in dict.fromkeys(variants[parts["all"]].tolist())}
    enough = {label: rows for label, rows in parts.items() if rows.sum() >= FEWEST}
    if not enough:
        return Finding("not testable: too few settings learn", "nothing to correlate", _seeds(learned))
    found_by = {label: rank_correlation(a[rows], b[rows]) for label, rows in enough.items()}
    words = [
        f"{_word(label)}: {rho:+.2f} ({low:+.2f}..{high:+.2f}, {int(enough[label].sum())} settings)"
        for label, (rho, low, high) in found_by.items()
    ]
    measured = f"rank correlation of the {what} and of the effective depth (95 % over settings). {'; '.join(words)}"
    each = {label: interval for label, interval in found_by.items() if label != "all"} or found_by
    positive = [label for label, (_, low, _) in each.items() if low > 0]
    if len(positive) == len(each):
        verdict = "holds"
    elif positive:
        verdict = f"holds when the normalisation is {either(map(_word, positive))}"
    elif any(high < 0 for _, _, high in each.values()):
        verdict = "fails"
    else:
        verdict = "not testable: every interval holds 0"
    return Finding(verdict, measured, _seeds(learned))


def _judged(recordings: Recordings) -> tuple[xr.Dataset, dict[str, Growth], Finding | None]:
    """The cells that learn, their growth, and a finding in place of a verdict where there is no standard error."""
    recording = map_of(recordings)
    if recording.sizes["seed"] < 2:
        return recording, {}, Finding("not testable with one seed", "no spread", _seeds(recording))
    return *growths(recording), None


def _word(value: object) -> str:
    return WORDS.get(value, value) if isinstance(value, str) else f"{value:g}"


def _seeds(recording: xr.Dataset) -> str:
    return f"{recording.sizes['seed']} a setting"


SWEEP_CLAIMS = (
    Claim("Sec. 4, map of λ", "The λ_l of skippable layers grow, whatever is left open.", multipliers_grow_where, NAME),
    Claim("Sec. 4, map of norms", "Absorbed norms grow, whatever is left open.", norms_grow_where, NAME),
    Claim("Claim 2, map", "The effective depth grows, whatever is left open.", depth_grows_where, NAME),
    Claim("Claim 2, λ", "Where |λ| grows more, the depth grows more.", depth_follows_multipliers, NAME),
    Claim("Claim 2, norms", "Where absorbed norms grow more, the depth grows more.", depth_follows_norms, NAME),
)
