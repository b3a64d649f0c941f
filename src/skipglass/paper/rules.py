"""How numbers become a verdict: a quantity by setting and seed, a region in which its mean should lie, four words.

A *setting* is one network, one task and one recipe; it has one number per seed. Numbers that involve chance are judged
by Student's t with n - 1 degrees of freedom, separately for each setting, at a level of 5 % over all settings of a row
(Holm 1979): a setting is *in* where its mean lies inside the region, *out* where it lies outside, and *undetermined*
where neither is significant.
Numbers without chance are compared with the region as they are.

The verdicts are

- *identity*: true by algebra or by construction, and no exception was found;
- *supported*: more settings are in than out;
- *not supported*: a counterexample to an identity, or at least as many settings are out as in;
- *undetermined*: no setting is in or out, as where every setting has one seed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = [
    "LEVEL",
    "Judged",
    "Numbers",
    "Rule",
    "Setting",
    "above",
    "agrees",
    "below",
    "exactly",
    "falls",
    "grows",
    "holm",
    "identity",
    "skill",
    "within",
]

Numbers = Mapping[str, ArrayLike]
"""{setting: one number per seed}."""

LEVEL = 0.05
"""Of each row's tests together, two-sided."""


@dataclass(frozen=True)
class Setting:
    """The numbers of one setting, and where they lie.

    Attributes
    ----------
    name
        In words.
    values
        One per seed, or per draw where nothing is random.
    side
        1 inside the region, -1 outside, 0 undetermined.
    p
        Of the test that decided it, Holm's correction included; NaN where there was none.
    small
        Whether the mean, though inside, is nearer to the region's end than counts as large.
    """

    name: str
    values: NDArray[np.float64]
    side: int
    p: float
    small: bool = False


@dataclass(frozen=True)
class Judged:
    """A verdict, and the settings that it rests on.

    Attributes
    ----------
    word
        "identity", "supported", "not supported" or "undetermined".
    settings
        In the order of the numbers.
    reason
        Why nothing is determined.
    """

    word: str
    settings: tuple[Setting, ...]
    reason: str = ""

    def count(self, side: int) -> int:
        """How many settings are inside (1), outside (-1) or undetermined (0)."""
        return sum(setting.side == side for setting in self.settings)

    @property
    def text(self) -> str:
        """The word, with what there is to count."""
        if self.word == "undetermined":
            return f"undetermined: {self.reason}"
        if self.word == "identity" or (len(self.settings) == 1 and self.word == "not supported"):
            return self.word
        counts = [f"{self.count(1)} of {len(self.settings)} setting{'s' * (len(self.settings) != 1)}"]
        if few := sum(setting.small for setting in self.settings):
            counts.append(f"{few} of them small")
        if self.count(0):
            counts.append(f"{self.count(0)} undetermined")
        return f"{self.word} ({', '.join(counts)})"


@dataclass(frozen=True)
class Rule:
    """Where the mean of a setting should lie.

    Attributes
    ----------
    low, high
        The ends of the region.
    exact
        Whether the numbers involve no chance: then every one of them has to lie inside, ends included.
    algebra
        Whether one exception refutes the statement.
    small
        A mean inside the region that is nearer to its end is called small.
    """

    low: float = -math.inf
    high: float = math.inf
    exact: bool = False
    algebra: bool = False
    small: float = 0.0

    @property
    def region(self) -> str:
        """The region in words."""
        if self.low == -self.high:
            return f"within ±{self.high:g}"
        if math.isinf(self.high):
            return f"above {self.low:g}"
        return f"below {self.high:g}" if math.isinf(self.low) else f"between {self.low:g} and {self.high:g}"

    @property
    def outside(self) -> str:
        """What lies on the other side of it, in words."""
        if math.isinf(self.high):
            return f"below {self.low:g}"
        return f"above {self.high:g}" if math.isinf(self.low) else f"not {self.region}"

    def judge(self, numbers: Numbers) -> Judged:
        """Return the verdict on numbers.

        Parameters
        ----------
        numbers
            {setting: one number per seed}.

        Returns
        -------
        Judged
            Undetermined where a number is not finite, as that of a network which diverged.
        """
        values = {str(name): np.atleast_1d(np.asarray(v, float)).ravel() for name, v in numbers.items()}
        unknown = tuple(Setting(name, v, 0, math.nan) for name, v in values.items())
        if not values or not all(v.size for v in values.values()):
            return Judged("undetermined", unknown, "no setting to judge")
        broken = sum(int((~np.isfinite(v)).sum()) for v in values.values())
        if broken:
            numbers_are = "1 number is" if broken == 1 else f"{broken} numbers are"
            return Judged("undetermined", unknown, f"{numbers_are} not finite")
        settings = self._exactly(values) if self.exact else self._by_chance(values)
        inside, outside = (sum(s.side == side for s in settings) for side in (1, -1))
        if self.algebra:
            return Judged("not supported" if outside else "identity", settings)
        if not inside and not outside:
            alone = all(s.values.size == 1 for s in settings)
            return Judged("undetermined", settings, "one seed per setting" if alone else "no significant effect")
        return Judged("supported" if inside > outside else "not supported", settings)

    def _exactly(self, values: Mapping[str, NDArray]) -> tuple[Setting, ...]:
        inside = {name: bool(((self.low <= v) & (v <= self.high)).all()) for name, v in values.items()}
        return tuple(
            Setting(name, v, 1 if inside[name] else -1, math.nan, inside[name] and self._is_small(v))
            for name, v in values.items()
        )

    def _by_chance(self, values: Mapping[str, NDArray]) -> tuple[Setting, ...]:
        tests = {name: self._test(v) for name, v in values.items()}
        # one family of tests per row: the settings with a spread
        tested = [name for name, (side, _) in tests.items() if side]
        corrected = dict(zip(tested, holm([tests[name][1] for name in tested]), strict=True))
        found = []
        for name, v in values.items():
            p = corrected.get(name, math.nan)
            side = tests[name][0] if p <= LEVEL else 0
            found.append(Setting(name, v, side, p, side == 1 and self._is_small(v)))
        return tuple(found)

    def _test(self, v: NDArray) -> tuple[int, float]:
        """The side of the mean, and the two-sided p of Student's t; (0, 1) for one number."""
        if v.size < 2:
            return 0, 1.0
        above_low, below_high = (_larger(v, self.low), _larger(-v, -self.high))
        # inside: above one end and below the other; outside: beyond one of them
        inside, outside = max(above_low, below_high), 1 - max(above_low, below_high)
        if math.isfinite(self.low) and math.isfinite(self.high):
            outside = min(1 - above_low, 1 - below_high)
        return (1, min(1.0, 2 * inside)) if inside <= outside else (-1, min(1.0, 2 * outside))

    def _is_small(self, v: NDArray) -> bool:
        return bool(min(v.mean() - self.low, self.high - v.mean()) < self.small)


def _larger(v: NDArray, bound: float) -> float:
    """The one-sided p of "the mean is larger than the bound"."""
    if math.isinf(bound):
        return 0.0
    error = v.std(ddof=1) / math.sqrt(v.size)
    if error == 0:  # seeds that agree in every digit; on the bound itself they say nothing
        return 0.5 - 0.5 * float(np.sign(v.mean() - bound))
    return float(stats.t.sf((v.mean() - bound) / error, v.size - 1))


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values corrected for how many there are (Holm 1979): the k-th smallest of m times m - k + 1.

    Parameters
    ----------
    p
        Of the tests of one row.

    Returns
    -------
    list of float
        In the same order, at most 1, and no smaller than a corrected one before it in size.

    Examples
    --------
    >>> holm([0.04, 0.01, 0.03])
    [0.06, 0.03, 0.06]
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate([(len(p) - k) * p[j] for k, j in enumerate(order)]) if len(p) else np.array([])
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in corrected]


def skill(predicted: ArrayLike, actual: ArrayLike) -> NDArray[np.float64]:
    """Return how much more often signs agree than those of two independent series as often positive as these.

    Parameters
    ----------
    predicted, actual
        (seed, …): numbers whose signs are compared.

    Returns
    -------
    ndarray
        (seed,): share of equal signs minus the base rate P(+)Q(+) + P(-)Q(-); 0 is no skill.

    Examples
    --------
    >>> skill([[1, 1, 1, 1]], [[1, 1, 1, -1]])  # right in 75 %, as anyone who always says "up"
    array([0.])
    """
    a, b = (np.asarray(v, float).reshape(len(np.asarray(v)), -1) for v in (predicted, actual))
    known = np.where(np.isfinite(a) & np.isfinite(b), 0.0, math.nan)
    up, rises = (a > 0) + known, (b > 0) + known
    agree = ((a > 0) == (b > 0)) + known
    p, q = up.mean(axis=1), rises.mean(axis=1)
    return agree.mean(axis=1) - (p * q + (1 - p) * (1 - q))


def identity(tolerance: float = 1e-12) -> Rule:
    """Errors of something that is true by algebra or by construction; one above the tolerance refutes it."""
    return Rule(-tolerance, tolerance, exact=True, algebra=True)


def exactly(low: float = -math.inf, high: float = math.inf) -> Rule:
    """Numbers of something that is true by algebra or by construction; one outside refutes it."""
    return Rule(low, high, exact=True, algebra=True)


def within(low: float = -math.inf, high: float = math.inf) -> Rule:
    """Numbers without chance, setting by setting."""
    return Rule(low, high, exact=True)


def grows(small: float = 0.0) -> Rule:
    """A change above 0; below ``small`` it is called small."""
    return Rule(low=0.0, small=small)


def falls(small: float = 0.0) -> Rule:
    """A change below 0; above ``-small`` it is called small."""
    return Rule(high=0.0, small=small)


def above(bound: float, small: float = 0.0) -> Rule:
    """A mean above a bound."""
    return Rule(low=bound, small=small)


def below(bound: float, small: float = 0.0) -> Rule:
    """A mean below a bound."""
    return Rule(high=bound, small=small)


def agrees(margin: float) -> Rule:
    """Deviations whose mean is shown to be smaller than a margin, on both sides (a test of equivalence).

    Few or scattered numbers leave it undetermined: what agrees has been measured well enough to disagree.
    """
    return Rule(-margin, margin)
