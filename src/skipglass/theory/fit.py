"""How well either reading of the depth ensemble describes a measured distribution over path lengths.

With γ_r paths of length r (the census), a reading predicts for the squared norms q_r of the gradient's parts

    coherent       q_r ∝ (γ_r β^r)²      (paths add in amplitude, Eqs. 14-15),
    independent    q_r ∝ γ_r b^{2r}      (paths add in power),

and γ_r = C(p-1, r-1) gives the ensemble of the paper's chain. Either is an exponential family in θ = 2 ln β, so
that the β of least Kullback-Leibler divergence KL(q ‖ reading) is the one whose mean length is the measured one. The
log odds of the mean length, (mean - shortest) : (longest - mean), increase with θ without bound, and θ is the root of
one monotone function. It is found among logarithms, because γ_r of a deep network exceeds the range of floats.

Blocks that differ narrow a spectrum too, whatever their paths do. A third model is therefore the independent reading
with unequal blocks, in which block l takes part with its own probability p_l, independently of the others: the length
is then distributed as Poisson and binomial together, with the coefficients of Π_l (1 - p_l + p_l t). With the measured
participations for p_l nothing is left to fit. Only a spectrum that is narrower than this asks for coherent paths.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp

from skipglass import check
from skipglass.errors import InputError
from skipglass.record import Result, coordinate, number, text, variable
from skipglass.theory.ensemble import LETTERS, READINGS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Fit", "fit"]

Array = NDArray[np.float64]
LEVEL = 0.95  # of the bootstrap interval
ADDING = {"coherent": "paths add in amplitude", "independent": "paths add in power"}
PER_BLOCK = "per block"  # the independent reading of unequal blocks


@dataclass(frozen=True, eq=False)
class Fit(Result):
    """The member of a reading's family that is nearest to a measured distribution over path lengths.

    Attributes
    ----------
    reading
        "coherent", "independent", or "per block": independent, each block with its measured participation.
    beta
        β, or b in the independent reading; 0 or infinity where all is on the shortest or the longest length. NaN for
        "per block", which has nothing to fit.
    interval
        The 95 % percentile bootstrap interval of β over samples; None without samples.
    distance
        KL(measured ‖ predicted), in nats.
    lengths
        (R,) r.
    measured, predicted
        (R,) the fractions of Σ_r ‖g_r‖², each with sum 1.
    """

    kind = "fit"

    reading: str = text("reading", shown=False)
    beta: float = number("{letter}", shown=False)
    interval: tuple[float, float] | None = variable(
        "bound", long_name="95 % bootstrap interval of {letter}", decode=lambda v: tuple(v.tolist()), shown=False
    )
    distance: float = number(long_name="KL divergence", units="nats", shown=False)
    lengths: NDArray[np.int64] = coordinate("length", letter="r", long_name="path length")
    measured: Array = variable("length", letter="measured", long_name="measured fraction of Σ ‖g_r‖²")
    predicted: Array = variable("length", letter="predicted", long_name="{reading} model")

    @property
    def letter(self) -> str:
        """What the reading calls the fitted number: β or b."""
        return LETTERS.get(self.reading, "")

    def headline(self) -> str:
        """Name the model, its β or b with the interval, and the divergence that remains."""
        if self.reading == PER_BLOCK:
            return (
                "independent blocks, each with its measured participation (nothing fitted): KL divergence "
                f"{self.distance:.3g} nats"
            )
        interval = "" if self.interval is None else " (95 % interval {:.3g} to {:.3g})".format(*self.interval)
        limits = {0.0: ", the limit of the shortest paths", math.inf: ", the limit of the longest paths"}
        return (
            f"{self.reading} model ({ADDING[self.reading]}): {self.letter} = {self.beta:.4g}{interval}, "
            f"KL divergence {self.distance:.3g} nats{limits.get(self.beta, '')}"
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the measured fractions by length as bars and the predicted ones as a line; return the axes."""
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1] if ax is None else ax
        ax.bar(self.lengths, self.measured, width=0.9, color="#bbbbbb", label="measured")
        ax.plot(self.lengths, self.predicted, label=f"{self.reading} model")
        ax.set(xlabel="path length r", ylabel="fraction of Σ ‖g_r‖²", title=self.headline())
        ax.legend()
        return ax


def fit(
    lengths: ArrayLike,
    power: ArrayLike,
    census: Mapping[int, int],
    reading: str = "coherent",
    resamples: int = 2000,
    seed: int = 0,
    participation: ArrayLike | None = None,
) -> Fit:
    """Fit β of a reading to measured squared norms by least Kullback-Leibler divergence (docs/mathematics.md §2).

    The percentile bootstrap draws samples with replacement. β increases with the mean length, so the quantiles of
    the resampled means give those of β, and only two more roots are needed.

    Parameters
    ----------
    lengths
        (R,) r, integers.
    power
        (R,) ‖g_r‖², or (R, N) of each sample; any scale.
    census
        {r: γ_r}, the number of paths of each length, whole numbers of any size.
    reading
        "coherent", "independent", or "per block", which takes the participations as they are.
    resamples
        Number of bootstrap resamples of the samples.
    seed
        Seed of the bootstrap.
    participation
        (L,) of each block, in [0, 1], for the reading "per block" alone; lengths are then counted in blocks, 0..L.

    Returns
    -------
    Fit
        β, its interval, and the divergence that remains.

    Raises
    ------
    InputError
        If there are fewer than two lengths, the shapes differ, a power is negative, not finite or on a length
        without a path, or all are zero; if participations are missing, not asked for, or no probabilities.

    Examples
    --------
    >>> from skipglass.theory import DepthEnsemble
    >>> e = DepthEnsemble(depth=50, beta=0.5)
    >>> print(fit(e.lengths, e.weights**2, {r: math.comb(49, r - 1) for r in range(1, 51)}).headline())
    coherent model (paths add in amplitude): β = 0.5, KL divergence ... nats
    >>> power = np.convolve([0.8, 0.2], [0.1, 0.9])  # of (0.8 + 0.2 t)(0.1 + 0.9 t)
    >>> fit(range(3), power, {0: 1, 1: 2, 2: 1}, "per block", participation=[0.2, 0.9]).distance < 1e-12
    True
    """
    check.choice("reading", reading, (*READINGS, PER_BLOCK))
    if (reading == PER_BLOCK) != (participation is not None):
        raise InputError(
            'reading "per block" needs participation=(L,), of each block'
            if participation is None
            else f'participation is for reading "per block" alone, found reading {reading!r}'
        )
    draws, seed = check.integer("resamples", resamples, 1), check.seed("seed", seed)
    r, q, log_paths = _validate(lengths, power, census)
    if participation is not None:
        return _per_block(r, q, participation)
    log_paths *= 2 if reading == "coherent" else 1
    # For each sample, Σ q times the distance of its mean length from the shortest and from the longest length.
    offsets = (r - r[0]).astype(np.float64)
    above, below = offsets @ q, (offsets[-1] - offsets) @ q
    theta = _theta(offsets, log_paths, float(_log_odds(above.sum(), below.sum())))
    log_predicted = _log_predicted(offsets, log_paths, theta)
    measured = q.sum(axis=1) / q.sum()
    distance = _divergence(measured, log_predicted)
    interval = None
    if q.shape[1] > 1:
        first, last = _extremes(above, below, draws, seed)
        interval = _beta(_theta(offsets, log_paths, first)), _beta(_theta(offsets, log_paths, last))
    return Fit(reading, _beta(theta), interval, distance, r, measured, np.exp(log_predicted))


def _per_block(r: NDArray[np.int64], q: Array, participation: ArrayLike) -> Fit:
    """The independent model whose blocks take part each with its own probability."""
    try:
        p = np.asarray(participation, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("participation must be numbers, (L,)") from None
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise InputError(
            "participation must hold one probability for each block, (L,) in [0, 1], for independent blocks to be a "
            f"model; found {p.min(initial=np.inf):.3g} to {p.max(initial=-np.inf):.3g} in the shape {p.shape}"
        )
    if r[-1] > p.size or r[0] < 0:
        raise InputError(f"{p.size} participations were given, and lengths of {r[0]} to {r[-1]} blocks measured")
    # the coefficients of Π_l (1 - p_l + p_l t), one block after the other
    distribution = np.ones(1)
    for one in p:
        distribution = np.convolve(distribution, [1 - one, one])
    measured = q.sum(axis=1) / q.sum()
    with np.errstate(divide="ignore"):
        distance = _divergence(measured, np.log(distribution[r]))
    return Fit(PER_BLOCK, math.nan, None, distance, r, measured, distribution[r])


def _divergence(measured: Array, log_predicted: Array) -> float:
    """KL(measured ‖ predicted), with the logarithms as they are: the prediction itself may underflow."""
    seen = measured > 0
    return max(0.0, float(measured[seen] @ (np.log(measured[seen]) - log_predicted[seen])))


def _validate(
    lengths: ArrayLike, power: ArrayLike, census: Mapping[int, int]
) -> tuple[NDArray[np.int64], Array, Array]:
    """Lengths that have paths, ascending; squared norms (R, N), scaled to at most one; ln γ_r."""
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
        raise InputError("power contains squared norms, which must be finite and not negative; found others")
    if not q.any():
        raise InputError("all squared norms are zero: the gradient is, and no distribution over lengths is defined")
    order = np.argsort(r)
    r, q = r[order].astype(np.int64), (q / q.max()).reshape(r.size, -1)[order]
    # Lengths without paths are left out; no part of a gradient can lie there.
    counts = [census.get(length, 0) for length in r.tolist()]
    has_paths = np.array([count > 0 for count in counts])
    impossible = r[~has_paths & q.any(axis=1)]
    if impossible.size:
        raise InputError(f"the census has no path of length {impossible[0]}, where a part of the gradient was measured")
    if has_paths.sum() < 2:
        raise InputError("all paths have one length, which every β describes; measure another unit or network")
    return r[has_paths], q[has_paths], np.array([math.log(count) for count in counts if count > 0])


@np.errstate(divide="ignore", invalid="ignore")
def _log_odds(above: ArrayLike, below: ArrayLike) -> Array:
    """ln(above/below): infinite where one is zero, NaN where both are."""
    return np.log(above) - np.log(below)


def _theta(offsets: Array, log_paths: Array, log_odds: float) -> float:
    """θ = 2 ln β at which the mean length has the given log odds; infinite where they are."""
    if math.isinf(log_odds):
        return log_odds

    def excess(theta: float) -> float:
        terms = log_paths + theta * offsets
        return float(logsumexp(terms, b=offsets) - logsumexp(terms, b=offsets[-1] - offsets)) - log_odds

    # The log odds increase without bound with θ: widen the bracket until it holds the root.
    reach = 1.0
    while excess(-reach) > 0 or excess(reach) < 0:
        reach *= 2
    return float(brentq(excess, -reach, reach, xtol=1e-14, rtol=8.9e-16, maxiter=500))


@np.errstate(over="ignore")
def _beta(theta: float) -> float:
    """β = exp(θ/2), infinite where it exceeds the range of floats."""
    return float(np.exp(theta / 2))


def _log_predicted(offsets: Array, log_paths: Array, theta: float) -> Array:
    """The logarithms of the reading's fractions at θ; in its limits all is on one end."""
    if math.isinf(theta):
        return np.where(offsets == (offsets[0] if theta < 0 else offsets[-1]), 0.0, -math.inf)
    terms = log_paths + theta * offsets
    return terms - logsumexp(terms)


def _extremes(above: Array, below: Array, draws: int, seed: int) -> tuple[float, float]:
    """The percentile interval of the log odds, over samples drawn with replacement."""
    samples = above.size
    counts = np.random.default_rng(seed).multinomial(samples, np.full(samples, 1 / samples), size=draws)
    log_odds = _log_odds(counts @ above, counts @ below)
    # NaN where no drawn sample has a gradient, which says nothing about β.
    ranked = np.sort(log_odds[~np.isnan(log_odds)])
    first, last = (round(share * (ranked.size - 1)) for share in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(ranked[first]), float(ranked[last])
