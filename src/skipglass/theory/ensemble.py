"""The depth ensemble: how the paths of a residual network share its output by length (Sec. 3, Eqs. 14-19).

A path of length r crosses r weight matrices; the first layer has no shortcut, so r = 1..p, and

    ε̂_r = C(p-1, r-1) β^r,    ε_r = ε̂_r / (Σ_s ε̂_s²)^{1/2}.

With a factor β_l for each layer, ε̂_r is the coefficient of t^r in β_1 t Π_{l≥2} (1 + β_l t). β_1 multiplies
every path and drops out of ε_r.

Two readings of a real network. *Coherent* (Eqs. 14-15, shared weights): paths add in amplitude, ε_r is the
amplitude of length r. *Independent* (weights i.i.d. and centred): paths add in power, and ε_r² is
proportional to C(p-1, r-1) b^{2r}; ``beta`` is then b.
"""

import functools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from skipglass import check
from skipglass.errors import InputError
from skipglass.record import Result, coordinate, derived, number, text, variable
from skipglass.theory.mixture import Mixture

__all__ = ["LETTERS", "READINGS", "DepthEnsemble", "peak_interval"]

LETTERS = {"coherent": "β", "independent": "b"}
"""What each reading calls the strength of a branch."""
READINGS = tuple(LETTERS)
MAX_DEPTH = 10**8  # our choice: 2.4 GB of weights
MAX_BETA = 1e150  # beyond it b² overflows; ε_p is 1 to the last digit long before


@dataclass(frozen=True, eq=False)
class DepthEnsemble(Result):
    """The distribution of path lengths in a residual network of depth p.

    Parameters
    ----------
    depth
        p ≥ 1, the number of weight layers.
    beta
        β = ρ n C / √Λ (Eq. 17), one number or one for each of the p layers; b in the independent reading.
        0 is the limit in which only the shortest path remains.
    reading
        "coherent" or "independent" (see the module).

    Raises
    ------
    InputError
        If the depth is below 1, β is negative, not finite or of the wrong length, or the reading is unknown.

    Examples
    --------
    >>> e = DepthEnsemble(depth=100, beta=0.5)
    >>> e.peak, round(e.mean_length, 3), e.band(0.99)
    (34, 33.916, (25, 42))
    """

    kind = "depth ensemble"

    depth: int = number("p", of=int, long_name="depth", shown=False)
    beta: "float | NDArray[np.float64]" = variable("layer?", letter="{letter}", shown=False)
    reading: str = text("reading", default="coherent", shown=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", check.integer("depth", self.depth, 1, MAX_DEPTH))
        object.__setattr__(self, "beta", _validate_beta(self.beta, self.depth))
        check.choice("reading", self.reading, READINGS)

    @property
    def letter(self) -> str:
        """What the reading calls the strength of a branch: β or b."""
        return LETTERS[self.reading]

    @property
    @derived(coordinate("length", letter="r", long_name="path length", units="weight matrices"))
    def lengths(self) -> NDArray[np.int64]:
        """(p,) the path lengths r = 1..p."""
        return np.arange(1, self.depth + 1)

    @cached_property
    @derived(variable("length", letter="ε_r", stored="weight"))
    def weights(self) -> NDArray[np.float64]:
        """(p,) ε_r, with Σ ε_r² = 1."""
        power = 1.0 if self.reading == "coherent" else 0.5
        factor = self._factor
        terms = _equal(self.depth, factor, power) if isinstance(factor, float) else _unequal(factor, power)
        return _read_only(terms / np.sqrt(terms @ terms))

    @property
    @derived(variable("length", letter="share", long_name="share of the gradient"))
    def share(self) -> NDArray[np.float64]:
        """(p,) the fraction of the gradient that the reading expects on paths of length r; the sum is 1.

        ε_r / Σ ε_s in the coherent reading (the parts are aligned), ε_r² in the independent one (orthogonal).
        In both, r-1 is distributed as the number of branches taken: binomial for equal layers.
        """
        terms = self.weights if self.reading == "coherent" else self.weights**2
        return terms / terms.sum()

    @property
    def peak(self) -> int:
        """argmax_r ε_r; for equal layers min(p, 1 + ⌊pβ/(1+β)⌋). Rounding decides between two tied lengths."""
        factor = self._factor
        if isinstance(factor, float):
            return min(self.depth, 1 + math.floor(self.depth * (factor / (1 + factor))))
        return int(np.argmax(self.weights)) + 1

    @property
    def mean_length(self) -> float:
        """Σ r ε_r²."""
        return float(self.lengths @ self.weights**2)

    def band(self, mass: float = 0.99) -> tuple[int, int]:
        """Return the shortest band of lengths that holds at least ``mass`` of Σ ε_r² (Thm 2).

        Parameters
        ----------
        mass
            In (0, 1].

        Returns
        -------
        tuple of int
            The first and the last length of the band, both included.

        Raises
        ------
        InputError
            If the mass is not in (0, 1].
        """
        cumulative = np.concatenate([[0.0], np.cumsum(self.weights**2)])
        reached = cumulative[:-1] + check.real("mass", mass, 0.0, 1.0, above=True) * cumulative[-1]
        # last[k] is where the shortest band that begins at length k+1 ends, up to rounding; p+1 if there is none.
        starts = np.arange(self.depth)
        last = np.maximum(np.searchsorted(cumulative, reached * (1 - 4e-16)), starts + 1)
        first = int(np.argmin(np.where(last <= self.depth, last - starts, self.depth + 1)))
        return first + 1, int(last[first])

    def mixture(self, field: bool = False) -> Mixture:
        """Return the spin glass of this ensemble (Eq. 28).

        Parameters
        ----------
        field
            Keep the order r = 1, which the paper drops; without it the ε_r², r ≥ 2, are renormalised.

        Returns
        -------
        Mixture
            {r: ε_r²} with Σ ε_r² = 1.

        Raises
        ------
        InputError
            If nothing is left without the field (depth 1, or β = 0).
        """
        shortest = 0 if field else 1
        powers = self.weights[shortest:] ** 2
        if not powers.any():
            raise InputError(f"depth {self.depth} at this beta has paths of length 1 only, a field: use field=True")
        return Mixture(dict(zip(self.lengths[shortest:].tolist(), powers.tolist(), strict=True))).normalized()

    @property
    def _factor(self) -> "float | NDArray[np.float64]":
        """β, or b² in the independent reading: the ratio of one more branch to none."""
        return self.beta if self.reading == "coherent" else self.beta**2

    def __repr__(self) -> str:
        return f"DepthEnsemble(depth={self.depth}, beta={self.beta!r}, reading={self.reading!r})"

    def headline(self) -> str:
        """Return the parameters, and where the ensemble has its mass."""
        beta = f"{self.beta:g}" if isinstance(self.beta, float) else f"{self.beta.min():g}..{self.beta.max():g}"
        lo, hi = self.band()
        return (
            f"depth ensemble, p = {self.depth}, {self.letter} = {beta}, {self.reading} reading: peak at length "
            f"{self.peak}, mean length {self.mean_length:.4g}, 99 % of Σ ε_r² in lengths {lo} to {hi}"
        )


def peak_interval(depth: int, k: int) -> tuple[float, float]:
    """Return the β for which ε_r peaks at length k: Lemma 4 in closed form.

    argmax_r ε_r = k exactly for β in [(k-1)/(p-k+1), k/(p-k)]: unique inside, tied with a neighbour at
    the ends.

    Parameters
    ----------
    depth
        p ≥ 1.
    k
        The wanted peak, 1..p.

    Returns
    -------
    tuple of float
        (β_low, β_high); β_high is infinite for k = p.

    Raises
    ------
    InputError
        If ``k`` is not a length of this depth.

    Examples
    --------
    >>> peak_interval(depth=100, k=34)
    (0.4925373134328358, 0.5151515151515151)
    """
    p = check.integer("depth", depth, 1)
    k = check.integer("k", k, 1, p)
    return (k - 1) / (p - k + 1), k / (p - k) if k < p else math.inf


def _validate_beta(beta: object, depth: int) -> "float | NDArray[np.float64]":
    try:
        values = np.asarray(beta).astype(np.float64, casting="same_kind")
    except (TypeError, ValueError):
        raise InputError(f"beta must be a number or {depth} numbers, one per layer, not {beta!r}") from None
    if values.shape not in ((), (depth,)):
        raise InputError(f"beta must be a number or one value for each of the {depth} layers, not shape {values.shape}")
    bad = values[~((values >= 0) & (values <= MAX_BETA))]
    if bad.size:
        raise InputError(f"beta must be finite and not negative (at most {MAX_BETA:g}), found {bad.flat[0]:g}")
    return _read_only(values) if values.ndim else float(values)


def _read_only(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values.flags.writeable = False
    return values


def _equal(p: int, beta: float, power: float) -> NDArray[np.float64]:
    """[C(p-1, r-1) β^{r-1}]^power up to a factor, r = 1..p."""
    # The ratio of the terms r+1 and r is β (p-r)/r: above 1 below the peak k, and below 1 from there on.
    k = min(p, 1 + math.floor(p * (beta / (1 + beta))))
    r = np.arange(1.0, p)
    terms = np.ones(p)
    # Products of ratios outward from the peak only fall, so that they underflow but never overflow. The power is
    # taken of the ratios, so that no term underflows before its root is taken.
    np.cumprod((beta * ((p - r[k - 1 :]) / r[k - 1 :])) ** power, out=terms[k:])
    if k > 1:
        below = r[k - 2 :: -1]
        terms[k - 2 :: -1] = np.cumprod((below / ((p - below) * beta)) ** power)
    return terms


def _unequal(beta: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Coefficients of Π_{l≥2} (1 + β_l t)/(1 + β_l) up to a factor, to the power.

    Each is the probability of taking that many branches when layer l takes its own with probability β_l/(1+β_l).
    """
    # All terms are positive, so that no digit is lost. The factor keeps terms down to 1e-600 of the largest.
    factors = np.stack([1 / (1 + beta[1:]), beta[1:] / (1 + beta[1:])], axis=1)
    terms = functools.reduce(np.convolve, factors, np.array([2.0**1000])) ** power
    return terms / terms.max()
