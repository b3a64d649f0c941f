"""How well either reading of the depth ensemble describes a measured distribution over path lengths.

With γ_r paths of length r (the census), a reading predicts for the squared norms q_r of the gradient's parts

    coherent       q_r ∝ (γ_r β^r)²      (paths add in amplitude, Eqs. 14-15),
    independent    q_r ∝ γ_r b^{2r}      (paths add in power),

and γ_r = C(p-1, r-1) gives the ensemble of the paper's chain. Either is an exponential family in 2 ln β, so the
β of least Kullback-Leibler divergence KL(q ‖ reading) is the one whose mean length is the measured one. The log
odds of the mean between the shortest and the longest length grow with ln β without bound: a root of one
monotone function, found among logarithms, as γ_r of a deep network is beyond floating point.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp

from skipglass import check
from skipglass.errors import InputError
from skipglass.theory.ensemble import READINGS

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["Fit", "fit"]

Array = NDArray[np.float64]
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Fit:
    """The member of a reading's family that is nearest to a measured distribution over path lengths.

    Attributes
    ----------
    reading
        "coherent" or "independent".
    beta
        β, or b in the independent reading; 0 or infinity where all is on the shortest or the longest length.
    interval
        The 95 % percentile bootstrap interval of β over samples; None without samples.
    distance
        KL(measured ‖ predicted), in nats.
    lengths
        (R,) r.
    measured, predicted
        (R,) the fractions of Σ_r ‖g_r‖², each with sum 1.
    """

    reading: str
    beta: float
    interval: tuple[float, float] | None
    distance: float
    lengths: NDArray[np.int64]
    measured: Array
    predicted: Array

    def __str__(self) -> str:
        letter = "β" if self.reading == "coherent" else "b"
        spread = "" if self.interval is None else f" (95 % {self.interval[0]:.3g}..{self.interval[1]:.3g})"
        limit = {0.0: ", the limit of the shortest paths", math.inf: ", the limit of the longest paths"}
        return (
            f"{self.reading}: {letter} = {self.beta:.4g}{spread}, distance {self.distance:.3g} nats"
            f"{limit.get(self.beta, '')}"
        )

    def to_xarray(self) -> "xr.Dataset":
        """Return the measured and the predicted fractions by length."""
        import xarray as xr

        lo, hi = self.interval or (math.nan, math.nan)
        return xr.Dataset(
            {
                "measured": ("length", self.measured, {"long_name": "measured fraction of Σ ‖g_r‖²"}),
                "predicted": ("length", self.predicted, {"long_name": f"{self.reading} reading"}),
            },
            coords={"length": ("length", self.lengths, {"long_name": "path length r"})},
            attrs={
                "reading": self.reading,
                "beta": self.beta,
                "beta_low": lo,
                "beta_high": hi,
                "distance": self.distance,
            },
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the measured fractions as bars, the predicted ones as a line; return the axes."""
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1] if ax is None else ax
        ax.bar(self.lengths, self.measured, width=0.9, color="#bbbbbb", label="measured")
        ax.plot(self.lengths, self.predicted, label=f"{self.reading} reading")
        ax.set(xlabel="path length r", ylabel="fraction of Σ ‖g_r‖²", title=str(self))
        ax.legend()
        return ax


def fit(
    lengths: ArrayLike,
    power: ArrayLike,
    census: Mapping[int, int],
    reading: str = "coherent",
    resamples: int = 2000,
    seed: int = 0,
) -> Fit:
    """Fit β of a reading to measured squared norms by least Kullback-Leibler divergence (docs/mathematics.md §2).

    The percentile bootstrap draws samples with replacement. β grows with the mean length, so the quantiles of
    the resampled means give those of β, and only two more roots are sought.

    Parameters
    ----------
    lengths
        (R,) r, integers.
    power
        (R,) ‖g_r‖², or (R, N) of each sample; any scale.
    census
        {r: γ_r}, the number of paths of each length, whole numbers of any size.
    reading
        "coherent" or "independent".
    resamples
        Of the bootstrap over samples.
    seed
        Of the bootstrap.

    Returns
    -------
    Fit
        β, its interval, and the distance that remains.

    Raises
    ------
    InputError
        If there are fewer than two lengths, the shapes differ, a power is negative, not finite or on a length
        without a path, or all are zero.

    Examples
    --------
    >>> from skipglass.theory import DepthEnsemble
    >>> e = DepthEnsemble(depth=50, beta=0.5)
    >>> print(fit(e.lengths, e.weights**2, {r: math.comb(49, r - 1) for r in range(1, 51)}))
    coherent: β = 0.5, distance ... nats
    """
    check.choice("reading", reading, READINGS)
    draws, seed = check.integer("resamples", resamples, 1), check.seed("seed", seed)
    r, q = _validate(lengths, power, census)
    has_paths = [census.get(int(length), 0) > 0 for length in r]
    r, q = r[has_paths], q[has_paths]
    exponent = 2.0 if reading == "coherent" else 1.0
    log_paths = exponent * np.array([math.log(census[int(length)]) for length in r])
    offsets = (r - r[0]).astype(np.float64)
    theta = _root(offsets, log_paths, offsets @ q, (offsets[-1] - offsets) @ q)
    log_predicted = _log_predicted(offsets, log_paths, theta)
    total = q.sum(axis=1)
    measured = total / total.sum()
    seen = measured > 0
    return Fit(
        reading,
        _beta(theta),
        _interval(offsets, log_paths, q, draws, seed) if q.shape[1] > 1 else None,
        max(0.0, float(measured[seen] @ (np.log(measured[seen]) - log_predicted[seen]))),
        r,
        measured,
        np.exp(log_predicted),
    )


def _validate(lengths: ArrayLike, power: ArrayLike, census: Mapping[int, int]) -> tuple[NDArray[np.int64], Array]:
    """Lengths in ascending order, and the squared norms (R, N), scaled to at most one."""
    r = np.asarray(lengths)
    try:
        q = np.asarray(power, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("power must be numbers, (R,) or (R, N)") from None
    if r.ndim != 1 or not np.issubdtype(r.dtype, np.integer) or np.unique(r).size != r.size:
        raise InputError("lengths must be distinct integers, (R,)")
    if q.ndim not in (1, 2) or q.shape[0] != r.size or q.size == 0:
        raise InputError(f"power must have shape ({r.size},) or ({r.size}, N), as the lengths, not {q.shape}")
    if not (np.isfinite(q) & (q >= 0)).all():
        raise InputError("power holds squared norms: finite and not negative; found others")
    if not q.any():
        raise InputError("all squared norms are zero: the gradient is, and no distribution over lengths is defined")
    q = (q / q.max()).reshape(r.size, -1)
    empty = [int(length) for length, row in zip(r, q, strict=True) if row.any() and not census.get(int(length), 0) > 0]
    if empty:
        raise InputError(f"the census has no path of length {empty[0]}, where a part of the gradient was measured")
    if sum(census.get(int(length), 0) > 0 for length in r) < 2:
        raise InputError("paths of one length only: every β describes them; measure another unit or network")
    order = np.argsort(r)
    return r[order].astype(np.int64), q[order]


def _root(offsets: Array, log_paths: Array, below: ArrayLike, above: ArrayLike) -> float:
    """θ = 2 ln β for which the mean length splits its range as ``below`` : ``above``, sums over samples."""
    low, high = float(np.sum(below)), float(np.sum(above))
    if low == 0 or high == 0:
        return -math.inf if low == 0 else math.inf
    wanted = math.log(low) - math.log(high)
    with np.errstate(divide="ignore"):
        from_below, from_above = np.log(offsets), np.log(offsets[-1] - offsets)

    def excess(theta: float) -> float:
        terms = log_paths + theta * offsets
        return float(logsumexp(terms + from_below) - logsumexp(terms + from_above)) - wanted

    reach = 1.0
    while excess(-reach) > 0 or excess(reach) < 0:
        reach *= 2
    return float(brentq(excess, -reach, reach, xtol=1e-14, rtol=8.9e-16, maxiter=500))


def _beta(theta: float) -> float:
    """β = exp(θ/2), infinite beyond floating point."""
    return math.exp(theta / 2) if theta < 2 * math.log(sys.float_info.max) else math.inf


def _log_predicted(offsets: Array, log_paths: Array, theta: float) -> Array:
    """The logarithms of the reading's fractions at θ; all on one end in its limits."""
    if math.isinf(theta):
        return np.where(offsets == (offsets[0] if theta < 0 else offsets[-1]), 0.0, -math.inf)
    terms = log_paths + theta * offsets
    return terms - logsumexp(terms)


def _interval(offsets: Array, log_paths: Array, q: Array, draws: int, seed: int) -> tuple[float, float]:
    """The percentile interval of β over samples drawn with replacement."""
    below, above = offsets @ q, (offsets[-1] - offsets) @ q
    samples = q.shape[1]
    random = np.random.default_rng(seed)
    counts = random.multinomial(samples, np.full(samples, 1 / samples), size=draws).astype(np.float64)
    low, high = counts @ below, counts @ above
    drawn = low + high > 0  # a draw of samples without gradient says nothing
    low, high = low[drawn], high[drawn]
    order = np.argsort(low / (low + high), kind="stable")
    tail = (1 - LEVEL) / 2
    ends = [order[round(share * (order.size - 1))] for share in (tail, 1 - tail)]
    first, last = (_beta(_root(offsets, log_paths, low[k], high[k])) for k in ends)
    return first, last
