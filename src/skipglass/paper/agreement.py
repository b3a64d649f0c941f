"""Counted critical points against the exact mean (Kac-Rice), case by case.

    python -m skipglass.paper.agreement results/glass/recordings/glass_agreement.nc 500

Case by case: sample glasses, find all their critical points, and compare the mean number, in total and of each
index, with `theory.expected_critical_points`. Seeds are fixed beforehand: glass i of case c has the seed
1,000,000 c + i, so that no two cases share couplings and the joint test sees independent cases.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from skipglass import check
from skipglass.paper.sampling import searched
from skipglass.record import Result, derived, mapping, names, number, save, variable
from skipglass.theory import Mixture, expected_critical_points
from skipglass.theory.mixture import require_mixture

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CASES", "Agreement", "agreement", "largest_z", "recording", "scores", "sweep", "z_limit"]

CASES: list[tuple[str, Mixture, int]] = [
    *((f"p = 3, Λ = {size}", Mixture.pure(3), size) for size in range(2, 9)),
    *((f"p = 4, Λ = {size}", Mixture.pure(4), size) for size in range(2, 7)),
    ("p = 5, Λ = 3", Mixture.pure(5), 3),
    ("orders 2 and 3, Λ = 5", Mixture({2: 0.4, 3: 0.6}), 5),
    ("field below its threshold strength, Λ = 5", Mixture({1: 0.3, 3: 0.7}), 5),  # x = 1.75: many points
    ("field above its threshold strength, Λ = 5", Mixture({1: 0.8, 3: 0.2}), 5),  # x = 0.857: trivial as Λ → ∞
]
"""Name, mixture and Λ of each case."""

LAYERED = [(Mixture.pure(3), 8), (Mixture.pure(4), 6)]
"""Cases whose energies a recording keeps, for `levels`."""

SEEDS_APART = 1_000_000


@dataclass(frozen=True, eq=False)
class Agreement(Result):
    """Measured and exact mean numbers of critical points of one case.

    Attributes
    ----------
    mixture, size
        The case.
    counts : ndarray
        (samples, Λ), how many critical points of index k each sample has.
    exact : ndarray
        (Λ,), E[Crt_k].
    energies, indices : ndarray
        Of all points of all samples, H/Λ and k.
    incomplete : int
        Samples without full evidence; they are counted all the same.
    within_bound, saturated : int
        Samples of which each holds.
    symmetric, euler : int or None
        Likewise; None where `Evidence` says that they do not apply.
    starts : int
        Newton iterations in all.
    """

    kind: ClassVar[str] = "agreement of one case"

    mixture: Mixture = mapping(key=int, decode=Mixture)
    size: int = number("Λ", of=int)
    counts: NDArray[np.int64] = variable("sample", "index", of=int, stored="count", shown=False)
    exact: NDArray[np.float64] = variable("index", shown=False)
    energies: NDArray[np.float64] = variable("point", stored="energy", shown=False)
    indices: NDArray[np.int64] = variable("point", of=int, stored="point_index", shown=False)
    incomplete: int = number(of=int, long_name="samples without full evidence")
    within_bound: int = number(of=int)
    saturated: int = number(of=int)
    symmetric: int | None = number(of=int)
    euler: int | None = number(of=int)
    starts: int = number(of=int)

    @property
    @derived(names("which", letter="index"))
    def which(self) -> tuple[str, ...]:
        """What the four columns below are about: all critical points, then those of each index."""
        return "all", *map(str, range(self.size))

    @property
    @derived(variable("which", letter="exact"))
    def expected(self) -> NDArray[np.float64]:
        """(1 + Λ,): the exact mean, in total, then of each index."""
        return scores(self.counts, self.exact)[0]

    @property
    @derived(variable("which", letter="measured"))
    def mean(self) -> NDArray[np.float64]:
        """(1 + Λ,): the mean number in total, then of each index."""
        return scores(self.counts, self.exact)[1]

    @property
    @derived(variable("which", letter="standard error"))
    def standard_error(self) -> NDArray[np.float64]:
        """(1 + Λ,): of the mean."""
        return scores(self.counts, self.exact)[2]

    @property
    @derived(variable("which"))
    def z(self) -> NDArray[np.float64]:
        """(1 + Λ,): (mean - expected)/standard error; 0 where a number never varies and is right."""
        return scores(self.counts, self.exact)[3]

    @property
    def hotelling(self) -> tuple[float, int]:
        """χ² and its degrees of freedom for all indices together, correlations allowed for.

        Hotelling's T² on the numbers that vary freely (Σ(-1)^k N_k and, in pure models, the symmetry do not), put on
        the scale of χ² through its exact law for normal numbers.
        """
        off, n = self.mean[1:] - self.exact, len(self.counts)
        values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(self.counts.T)))
        free = values > 1e-9 * max(values.max(), 1.0)
        d = int(free.sum())
        if d == 0:
            return 0.0, 0
        T2 = n * float(((off @ vectors[:, free]) ** 2 / values[free]).sum())
        p = stats.f.sf(T2 * (n - d) / (d * (n - 1)), d, n - d)
        return float(stats.chi2.isf(p, d)), d

    def headline(self) -> str:
        """The case, and how far its mean numbers lie from the exact ones."""
        return (
            f"{self.mixture!r}, size {self.size}: {len(self.counts)} samples, {self.incomplete} incomplete; the mean "
            f"numbers of critical points lie within {np.abs(self.z).max():.2f} standard errors of the exact ones."
        )


def agreement(mixture: Mixture, size: int, samples: int, seed: int = 0, jobs: int = 1) -> Agreement:
    """Count the critical points of sampled glasses.

    Parameters
    ----------
    mixture, size
        ξ and Λ.
    samples
        How many glasses, at least 2; their seeds are ``seed``, ``seed`` + 1, ….
    seed
        The first seed.
    jobs
        Worker processes (joblib); the result is the same for any number.

    Returns
    -------
    Agreement
        Measured against exact.

    Raises
    ------
    InputError
        If an argument is out of its range.

    Examples
    --------
    >>> a = agreement(Mixture.pure(2), size=3, samples=4)  # ± the eigenvectors of a symmetric matrix
    >>> a.mean, a.z
    (array([6., 2., 2., 2.]), array([0., 0., 0., 0.]))
    """
    mixture, size = require_mixture(mixture), check.integer("size", size, 2)
    samples, seed = check.integer("samples", samples, 2), check.seed("seed", seed)
    exact, _ = expected_critical_points(mixture, size, per_index=True)
    found = list(searched(mixture, size, range(seed, seed + samples), check.integer("jobs", jobs, 1)))
    evidence = [c.evidence for c in found]
    return Agreement(
        mixture=mixture,
        size=size,
        counts=np.array([c.counts for c in found]),
        exact=exact,
        energies=np.concatenate([c.energies for c in found]),
        indices=np.concatenate([c.indices for c in found]),
        incomplete=sum(not e.complete for e in evidence),
        within_bound=sum(e.within_bound for e in evidence),
        saturated=sum(e.saturated for e in evidence),
        symmetric=_holding([e.symmetric for e in evidence]),
        euler=_holding([e.euler for e in evidence]),
        starts=sum(e.starts for e in evidence),
    )


def _holding(found: list[bool | None]) -> int | None:
    """How many hold; whether evidence applies is the same for all samples of a case."""
    return None if None in found else sum(map(bool, found))


def scores(
    counts: NDArray[np.int64], exact: NDArray[np.float64], doubt: "NDArray[np.float64] | float" = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Compare counts with their exact mean, in total, then by index.

    Parameters
    ----------
    counts
        (samples, Λ), of each index.
    exact
        (Λ,), E[Crt_k].
    doubt
        (Λ,), the error of ``exact``.

    Returns
    -------
    tuple of ndarray
        Expected, mean, standard error of the mean, and z, each (1 + Λ,); z is 0 where only rounding is left.
    """
    table, expected, error = map(_with_total, (counts, exact, np.broadcast_to(doubt, exact.shape)))
    mean, spread = table.mean(0), table.std(0, ddof=1) / np.sqrt(len(table))
    off = mean - expected
    z = np.where(np.abs(off) <= 1e-9 + error, 0.0, off / np.maximum(np.hypot(spread, error), 1e-300))
    return expected, mean, spread, z


def _with_total(values: NDArray[np.generic]) -> NDArray[np.float64]:
    values = values.astype(float)
    return np.concatenate([values.sum(-1, keepdims=True), values], -1)


def largest_z(results: list[Agreement]) -> tuple[float, float]:
    """Return the largest |z| over all cases and indices, and its 99.9 % point (`z_limit`)."""
    z = np.concatenate([r.z for r in results])
    return float(np.abs(z).max()), z_limit(sum(r.hotelling[1] for r in results), len(results[0].counts))


def z_limit(free: int, samples: int) -> float:
    """Return the 99.9 % point of the largest |z| of ``free`` independent tests.

    Numbers that the symmetry or Σ(-1)^k N_k ties to others are no tests of their own: `Agreement.hotelling` counts
    those that are. Errors are estimated from the samples, so that a z follows Student's law.
    """
    return float(stats.t.isf((1 - 0.999 ** (1 / max(free, 1))) / 2, samples - 1))


def sweep(samples: int, jobs: int = 1, on_case: Callable[[str, Agreement], None] | None = None) -> list[Agreement]:
    """Run every case.

    Parameters
    ----------
    samples
        Glasses for each case, at most 1,000,000.
    jobs
        Worker processes.
    on_case
        Called with the name and the result of each case.

    Returns
    -------
    list of Agreement
        One for each of CASES.
    """
    results = []
    for case, (name, mixture, size) in enumerate(CASES):
        results.append(agreement(mixture, size, samples, seed=SEEDS_APART * case, jobs=jobs))
        if on_case is not None:
            on_case(name, results[-1])
    return results


def recording(results: list[Agreement]) -> "xr.Dataset":
    """Label a sweep: one table over cases and indices (-1: total), and the energies of the LAYERED cases by index.

    Parameters
    ----------
    results
        By `sweep`.

    Returns
    -------
    xarray.Dataset
        Numbers a case; NaN for indices that a case does not have.
    """
    import xarray as xr

    width = 1 + max(r.size for r in results)
    columns = ("expected", "mean", "standard_error", "z")
    table = {
        name: (
            ("case", "index"),
            np.array([np.pad(getattr(r, name), (0, width - 1 - r.size), constant_values=np.nan) for r in results]),
        )
        for name in columns
    }
    names = ("incomplete", "within_bound", "saturated", "starts")
    evidence = {name: ("case", np.array([getattr(r, name) for r in results])) for name in names}
    partial = {
        name: ("case", np.array([getattr(r, name) for r in results], dtype=float)) for name in ("symmetric", "euler")
    }  # NaN for None
    shown = [case for case, r in enumerate(results) if (r.mixture, r.size) in LAYERED]
    lengths = [len(results[case].energies) for case in shown]
    energies = np.concatenate([results[case].energies for case in shown]).astype(np.float32)
    points = {
        "energy": ("point", energies, {"long_name": "H/Λ"}),
        "point_index": ("point", np.concatenate([results[case].indices for case in shown]).astype(np.int8)),
        "point_case": ("point", np.repeat(shown, lengths).astype(np.int8)),
    }
    tests = np.array([r.hotelling for r in results])
    largest, limit = largest_z(results)
    return xr.Dataset(
        {
            **table,
            **evidence,
            **partial,
            **points,
            "chi2": ("case", tests[:, 0]),
            "dof": ("case", tests[:, 1]),
        },
        coords={
            "name": ("case", [name for name, _, _ in CASES][: len(results)]),
            "size": ("case", [r.size for r in results]),
            "index": np.arange(-1, width - 1),
        },
        attrs={
            "samples": len(results[0].counts),
            "largest_z": largest,
            "largest_z_limit": limit,
            "joint_p": float(stats.chi2.sf(tests[:, 0].sum(), tests[:, 1].sum())),
        },
    )


def _show(name: str, result: Agreement) -> None:
    sys.stderr.write(f"{name}\n{result}\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, and record what was counted."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("recording", type=Path)
    parser.add_argument("samples", type=int, help="glasses a case")
    given = parser.parse_args(arguments)
    save(recording(sweep(given.samples, on_case=_show)), given.recording, kind="agreement")


if __name__ == "__main__":
    main()
