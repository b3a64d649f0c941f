"""Many samples of one glass: counts of critical points against the exact mean, energies of descents, on any workers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial

import numpy as np
import xarray as xr

from skipglass.errors import InputError
from skipglass.glass import CriticalPoints, Evidence, LazyGlass, descend
from skipglass.glass.search import Rules
from skipglass.paper.agreement import scores
from skipglass.paper.sampling import over_seeds, searched
from skipglass.report import Axis, Panel, Rule, Series
from skipglass.theory import Mixture, expected_critical_points, ground_state_energy, threshold_energy

__all__ = [
    "LANDMARKS", "STARTS", "STEPS", "compared", "count_panel", "counts", "descent_panel", "descents", "landmarks",
    "lazy_descents",
]  # fmt: skip

LANDMARKS = {"threshold": "-E_∞", "minimum": "-√ν′", "ground": "-E_0"}
"""What `landmarks` gives, and its letter."""
STARTS, STEPS = 2, 40
"""Descents in each glass, and the most steps of each."""
EVIDENCE = tuple(field.name for field in fields(Evidence))


def counts(
    mixture: Mixture,
    size: int,
    seeds: Sequence[int],
    workers: int = 1,
    on_sample: Callable[[], None] | None = None,
    max_starts: int = Rules.max_starts,
) -> xr.Dataset:
    """Count the critical points of each index in many samples, beside the exact mean.

    Parameters
    ----------
    mixture
        ξ.
    size
        Λ, small: all critical points are looked for.
    seeds
        One a sample, at least two.
    workers
        Processes.
    on_sample
        Called after each sample.
    max_starts
        Of each search.

    Returns
    -------
    xarray.Dataset
        ``count`` by sample and index, ``complete`` and its evidence by sample (-1 where it does not apply), ``exact``
        and its ``exact_error`` by index; ``energy``, ``point_index`` and ``point_sample`` of every critical point.

    Raises
    ------
    InputError
        If there are fewer than two samples: one has no standard error.
    """
    if len(seeds) < 2:
        raise InputError(f"samples must be at least 2, to have a standard error, not {len(seeds)}")
    exact, error = expected_critical_points(mixture, size, per_index=True)
    found = []
    for c in searched(mixture, size, seeds, workers, max_starts):
        found.append(c)
        if on_sample is not None:
            on_sample()
    return xr.Dataset(
        {
            "count": (("sample", "index"), np.array([c.counts for c in found])),
            "complete": ("sample", np.array([c.complete for c in found])),
            **{name: ("sample", _evidence(found, name)) for name in EVIDENCE},
            "energy": ("point", np.concatenate([c.energies for c in found]), {"long_name": "H/Λ"}),
            "point_index": ("point", np.concatenate([c.indices for c in found])),
            "point_sample": ("point", np.repeat(list(seeds), [len(c) for c in found])),
            "exact": ("index", exact),
            "exact_error": ("index", error),
        },
        coords={"sample": list(seeds), "index": np.arange(size)},
        attrs={"size": size, "mixture": repr(mixture)},
    )


def _evidence(found: list[CriticalPoints], name: str) -> np.ndarray:
    values = [getattr(c.evidence, name) for c in found]
    return np.array([-1 if value is None else int(value) for value in values])


def compared(recording: xr.Dataset) -> list[tuple[str, float, float, float, float]]:
    """Rows (index, exact, measured, standard error, z) of `counts`, the total last."""
    table = scores(recording["count"].values, recording.exact.values, recording.exact_error.values)
    columns = (np.roll(column, -1).tolist() for column in table)
    return list(zip([*map(str, recording.index.values), "total"], *columns, strict=True))


def count_panel(recording: xr.Dataset) -> Panel:
    """Return the mean count by index beside the exact one.

    Parameters
    ----------
    recording
        By `counts`.

    Returns
    -------
    Panel
        Bars for theory, points with a standard error for the samples.
    """
    rows = compared(recording)[:-1]
    index = recording.index.values
    _, exact, mean, error, _ = (np.array(column) for column in zip(*rows, strict=True))
    complete = int(recording.complete.sum())
    return Panel(
        "glass-counts",
        f"Critical points of the spherical spin glass, Λ = {recording.attrs['size']}",
        "Points on the bars mean that sampled glasses have as many critical points as Kac and Rice say.",
        Axis("index, descending directions"),
        Axis("mean number of critical points", zero=True),
        (
            Series("exact", index, exact, marks="bar"),
            Series("sampled", index, mean, mean - error, mean + error, marks="points"),
        ),
        note=f"{recording.attrs['mixture']}; {recording.sizes['sample']} samples, {complete} with evidence that all "
        "points were found; whiskers: one standard error.",
    )


def landmarks(mixture: Mixture) -> dict[str, float]:
    """Energies per spin that theory knows; NaN where it does not.

    Parameters
    ----------
    mixture
        ξ.

    Returns
    -------
    dict
        ``threshold``, -E_∞ (below it minima, above it saddles dominate), where its formula holds; ``minimum``, -√ν′,
        the one minimum of a trivial landscape (ν″ ≤ ν′); ``ground``, -E_0.
    """
    m, unit = mixture.normalized(), math.sqrt(mixture(1.0))
    try:
        threshold = threshold_energy(m)
    except InputError:
        threshold = math.nan
    return {
        "threshold": unit * threshold,
        "minimum": -unit * math.sqrt(m.nu1) if m.ratio <= 1 else math.nan,
        "ground": unit * ground_state_energy(m),
    }


def lazy_descents(mixture: Mixture, size: int, seed: int, starts: int = STARTS, steps: int = STEPS) -> xr.Dataset:
    """Descend one glass from several random starts, one after another.

    Each is drawn given all that the earlier ones saw, so they move in the same disorder.

    Parameters
    ----------
    mixture
        ξ.
    size
        Λ.
    seed
        Of the disorder and of the starts.
    starts, steps
        How many, and the most steps of each.

    Returns
    -------
    xarray.Dataset
        ``energy``, ``gradient_norm`` (over √ν′), ``evaluations`` and ``converged`` by start; ``overlap``, the
        mean ⟨w,w'⟩/Λ over pairs of end points, NaN for one start.
    """
    z = LazyGlass(mixture, size, seed=seed)
    runs = [descend(z, w, steps=steps) for w in z.random_points(starts, seed=seed)]
    pairs = [float(a.end @ b.end) / size for k, a in enumerate(runs) for b in runs[:k]]
    return xr.Dataset(
        {
            "energy": ("start", [float(run.energy) for run in runs]),
            "gradient_norm": ("start", [float(run.gradient_norms[-1]) / math.sqrt(mixture.nu1) for run in runs]),
            "evaluations": ("start", [int(run.evaluations) for run in runs]),
            "converged": ("start", [bool(run.converged) for run in runs]),
            "overlap": ((), np.mean(pairs) if pairs else math.nan),
        }
    )


def descents(
    mixture: Mixture,
    size: int,
    seeds: Sequence[int],
    *,
    starts: int,
    steps: int,
    workers: int = 1,
    on_sample: Callable[[], None] | None = None,
) -> xr.Dataset:
    """Descend many glasses of any orders from several starts each.

    Parameters
    ----------
    mixture
        ξ.
    size
        Λ.
    seeds
        One a glass.
    starts, steps
        Of each glass, and the most of each descent.
    workers
        Processes.
    on_sample
        Called after each glass.

    Returns
    -------
    xarray.Dataset
        `lazy_descents` by sample, with the `landmarks` as attributes.
    """
    found = []
    for sample in over_seeds(partial(_descents, mixture, size, starts, steps), seeds, workers):
        found.append(sample)
        if on_sample is not None:
            on_sample()
    data = xr.concat(found, "sample").assign_coords(sample=list(seeds))
    return data.assign_attrs(size=size, steps=steps, mixture=repr(mixture), **landmarks(mixture))


def _descents(mixture: Mixture, size: int, starts: int, steps: int, seed: int) -> xr.Dataset:
    return lazy_descents(mixture, size, seed, starts, steps)


def descent_panel(recording: xr.Dataset) -> Panel:
    """Return the energies reached in each sample, beside the landmarks.

    Parameters
    ----------
    recording
        By `descents`.

    Returns
    -------
    Panel
        One point for each start.
    """
    sample = recording.sample.values
    setting = recording.attrs.get("name", recording.attrs["mixture"])
    known = {sign: recording.attrs[name] for name, sign in LANDMARKS.items() if math.isfinite(recording.attrs[name])}
    return Panel(
        "glass-descents",
        f"Energy that descent reaches, Λ = {recording.attrs['size']}",
        "Points near -√ν′ have reached the one minimum; points above -E_∞ are on their way down to the threshold, "
        "where minima begin.",
        Axis("sample (seed)"),
        Axis("energy per spin H/Λ"),
        tuple(
            Series(f"start {k}", sample, recording.energy.isel(start=k).values, marks="points")
            for k in range(min(recording.sizes["start"], 7))
        ),
        rules=tuple(Rule(value, f"{sign} = {value:.4f}") for sign, value in known.items()),
        note=f"{setting}; at most {recording.attrs['steps']} steps each.",
    )
