"""Counted critical points against the exact mean (Kac-Rice), case by case.

    python -m skipglass.paper.agreement results/glass/recordings/glass_agreement.nc 500

Case by case: sample glasses, find all their critical points, and compare the mean number, in total and of each
index, with `theory.expected_critical_points`. Seeds are fixed beforehand: glass i of case c has the seed
1,000,000 c + i, so that no two cases share couplings and the joint test sees independent cases.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from skipglass import check
from skipglass.paper.sampling import searched
from skipglass.record import save
from skipglass.theory import Mixture, expected_critical_points
from skipglass.theory.mixture import require_mixture

__all__ = ["CASES", "agreement", "largest_z", "recording", "scores", "sweep", "z_limit"]

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


def agreement(mixture: Mixture, size: int, samples: int, seed: int = 0, jobs: int = 1) -> xr.Dataset:
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
    xarray.Dataset
        By index (-1: in total) the exact mean number, the measured one, its standard error and z; the joint test;
        ``counts`` of each sample; energies H/Λ and indices of all points of all samples; the Newton iterations, and of
        how many samples each evidence of completeness holds, NaN where it does not apply.

    Raises
    ------
    InputError
        If an argument is out of its range.

    Examples
    --------
    >>> a = agreement(Mixture.pure(2), size=3, samples=4)  # ± the eigenvectors of a symmetric matrix
    >>> a["mean"].values, a.z.values
    (array([6., 2., 2., 2.]), array([0., 0., 0., 0.]))
    """
    mixture, size = require_mixture(mixture), check.integer("size", size, 2)
    samples, seed = check.integer("samples", samples, 2), check.seed("seed", seed)
    # what Kac and Rice say, without sampling
    exact, _ = expected_critical_points(mixture, size, per_index=True)
    found = list(searched(mixture, size, range(seed, seed + samples), check.integer("jobs", jobs, 1)))
    # what the search found in each glass, and how sure it is that this is all
    counts, evidence = np.array([c.counts for c in found]), [c.evidence for c in found]
    # whether symmetry and Σ(-1)^k N_k say something (else None) is the same for all samples of a case
    partial = {name: np.array([getattr(e, name) for e in evidence], float).sum() for name in ("symmetric", "euler")}
    names = "expected", "mean", "standard_error", "z"
    chi2, dof = hotelling(counts, exact)
    return xr.Dataset(
        {
            **{name: ("index", values) for name, values in zip(names, scores(counts, exact), strict=True)},
            **{name: sum(getattr(e, name) for e in evidence) for name in ("within_bound", "saturated", "starts")},
            **partial,
            "incomplete": sum(not e.complete for e in evidence),
            "counts": (("sample", "own_index"), counts),
            "energy": ("point", np.concatenate([c.energies for c in found]), {"long_name": "H/Λ"}),
            "point_index": ("point", np.concatenate([c.indices for c in found])),
            "chi2": chi2,
            "dof": dof,
        },
        {"index": np.arange(-1, size)},
    )


def hotelling(counts: NDArray[np.int64], exact: NDArray[np.float64]) -> tuple[float, int]:
    """Return χ² and its degrees of freedom for all indices together, correlations allowed for.

    Hotelling's T² on the numbers that vary freely (Σ(-1)^k N_k and, in pure models, the symmetry do not), put on
    the scale of χ² through its exact law for normal numbers.
    """
    off, n = counts.mean(axis=0) - exact, len(counts)
    # combinations that never vary are no test
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(counts.T)))
    free = values > 1e-9 * max(values.max(), 1.0)
    d = int(free.sum())
    if d == 0:
        return 0.0, 0
    # the mean's distance from the exact one in units of its own covariance
    T2 = n * float(((off @ vectors[:, free]) ** 2 / values[free]).sum())
    p = stats.f.sf(T2 * (n - d) / (d * (n - 1)), d, n - d)
    return float(stats.chi2.isf(p, d)), d


def scores(
    counts: NDArray[np.int64], exact: NDArray[np.float64], doubt: NDArray[np.float64] | float = 0.0
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
    # a difference below rounding is none, also where no sample differs from another
    off = mean - expected
    z = np.where(np.abs(off) <= 1e-9 + error, 0.0, off / np.maximum(np.hypot(spread, error), 1e-300))
    return expected, mean, spread, z


def _with_total(values: NDArray[np.generic]) -> NDArray[np.float64]:
    values = values.astype(float)
    return np.concatenate([values.sum(-1, keepdims=True), values], -1)


def largest_z(results: Sequence[xr.Dataset]) -> tuple[float, float]:
    """Return the largest |z| over all cases and indices, and its 99.9 % point (`z_limit`)."""
    largest = max(float(abs(r.z).max()) for r in results)
    return largest, z_limit(sum(int(r.dof) for r in results), results[0].sizes["sample"])


def z_limit(free: int, samples: int) -> float:
    """Return the 99.9 % point of the largest |z| of ``free`` independent tests.

    Numbers that the symmetry or Σ(-1)^k N_k ties to others are no tests of their own: `hotelling` counts
    those that are. Errors are estimated from the samples, so that a z follows Student's law.
    """
    return float(stats.t.isf((1 - 0.999 ** (1 / max(free, 1))) / 2, samples - 1))


def sweep(
    samples: int, jobs: int = 1, on_case: Callable[[str, xr.Dataset], object] = lambda name, result: None
) -> list[xr.Dataset]:
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
    list of xarray.Dataset
        One for each of CASES.
    """
    results = []
    for case, (name, mixture, size) in enumerate(CASES):
        results.append(agreement(mixture, size, samples, seed=SEEDS_APART * case, jobs=jobs))
        on_case(name, results[-1])
    return results


def recording(results: Sequence[xr.Dataset]) -> xr.Dataset:
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
    tables = [r.drop_dims(("sample", "point")) for r in results]
    table = xr.concat(tables, "case", data_vars="all", join="outer")
    shown = [case for case, (_, mixture, size) in enumerate(CASES[: len(results)]) if (mixture, size) in LAYERED]
    energies = [results[case][["energy", "point_index"]] for case in shown]
    points = [one.assign(point_case=0 * one.point_index + case) for case, one in zip(shown, energies, strict=True)]
    small = {"energy": np.float32, "point_index": np.int8, "point_case": np.int8}
    largest, limit = largest_z(results)
    names, _, sizes = zip(*CASES[: len(results)], strict=True)
    return xr.merge([table, xr.concat(points, "point").astype(small)]).assign_coords(
        name=("case", list(names)), size=("case", list(sizes))
    ).assign_attrs(
        samples=results[0].sizes["sample"], largest_z=largest, largest_z_limit=limit,
        joint_p=float(stats.chi2.sf(float(table.chi2.sum()), float(table.dof.sum()))),
    )  # fmt: skip


def _show(name: str, result: xr.Dataset) -> None:
    """Print the table of one case."""
    table = result[["expected", "mean", "standard_error", "z"]].to_dataframe()
    sys.stderr.write(f"{name}: {int(result.incomplete)} of {result.sizes['sample']} incomplete\n{table}\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, and record what was counted."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("recording", type=Path)
    parser.add_argument("samples", type=int, help="glasses per case")
    given = parser.parse_args(arguments)
    save(recording(sweep(given.samples, on_case=_show)), given.recording, kind="agreement")


if __name__ == "__main__":
    main()
