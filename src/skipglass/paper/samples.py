"""Many samples of one glass: counts of critical points against the exact mean, energies of descents, on any workers."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from skipglass import check
from skipglass.errors import InputError
from skipglass.glass import SphericalGlass, critical_points
from skipglass.paper.glass import landmarks, lazy_descents
from skipglass.report import Axis, Panel, Rule, Series
from skipglass.theory import Mixture, expected_critical_points

__all__ = ["compared", "count_panel", "counts", "descent_panel", "descents", "over_seeds"]

BATCH = 20  # samples searched side by side: our choice; the same for any number of workers


def over_seeds(call: Callable[[Any], Any], seeds: Sequence[Any], workers: int = 1) -> Iterator[Any]:
    """Call a function for each seed, on several processes; results come in the order of the seeds.

    Parameters
    ----------
    call
        Of one seed (or batch of seeds) alone, so that the number of workers changes nothing.
    seeds
        One a sample, or batches of them.
    workers
        Processes. joblib's backend can be chosen around the call by `joblib.parallel_config`.

    Yields
    ------
    Any
        What ``call`` returns.

    Raises
    ------
    InputError
        If joblib is needed and not installed.
    """
    if check.integer("workers", workers, 1) == 1:
        yield from map(call, seeds)
        return
    try:
        from joblib import Parallel, delayed
    except ImportError:
        raise InputError(f"{workers} workers need joblib: install skipglass[train], or ask for one worker") from None
    yield from Parallel(n_jobs=workers, return_as="generator")(delayed(call)(seed) for seed in seeds)


def counts(
    mixture: Mixture, size: int, seeds: Sequence[int], workers: int = 1, on_sample: Callable[[], None] | None = None
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

    Returns
    -------
    xarray.Dataset
        ``count`` by sample and index, ``complete`` by sample, ``exact`` and its ``exact_error`` by index.

    Raises
    ------
    InputError
        If there are fewer than two samples: one has no standard error.
    """
    if len(seeds) < 2:
        raise InputError(f"samples must be at least 2, to have a standard error, not {len(seeds)}")
    exact, error = expected_critical_points(mixture, size, per_index=True)
    batches = [seeds[k : k + BATCH] for k in range(0, len(seeds), BATCH)]
    found = []
    for batch in over_seeds(partial(_count, mixture, size), batches, workers):
        found += batch
        if on_sample is not None:
            for _ in batch:
                on_sample()
    return xr.Dataset(
        {
            "count": (("sample", "index"), np.array([count for count, _ in found])),
            "complete": ("sample", np.array([complete for _, complete in found])),
            "exact": ("index", exact),
            "exact_error": ("index", error),
        },
        coords={"sample": list(seeds), "index": np.arange(size)},
        attrs={"size": size, "mixture": repr(mixture)},
    )


def _count(mixture: Mixture, size: int, seeds: Sequence[int]) -> list[tuple[np.ndarray, bool]]:
    found = critical_points([SphericalGlass(mixture, size, seed=seed) for seed in seeds], warn=False)
    return [(np.bincount(c.indices, minlength=size), c.complete) for c in found]


def compared(recording: xr.Dataset) -> list[tuple[str, float, float, float, float]]:
    """Rows (index, exact, measured, standard error, z) of `counts`, the total last."""
    count = recording["count"].values
    table = np.column_stack([count, count.sum(1)])
    exact = np.append(recording.exact.values, recording.exact.values.sum())
    doubt = np.append(recording.exact_error.values, recording.exact_error.values.sum())
    mean, error = table.mean(0), table.std(0, ddof=1) / math.sqrt(len(table))
    off = mean - exact
    # where every sample has the same count, rounding of the exact value is all that may differ
    z = np.where(np.abs(off) <= 1e-9 + doubt, 0.0, off / np.maximum(np.hypot(error, doubt), 1e-300))
    names = [*map(str, recording.index.values), "total"]
    return list(zip(names, exact.tolist(), mean.tolist(), error.tolist(), z.tolist(), strict=True))


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
        One point a start.
    """
    sample = recording.sample.values
    names = {"threshold": "-E_∞", "minimum": "-√ν′", "ground": "-E_0"}
    setting = recording.attrs.get("name", recording.attrs["mixture"])
    known = {name: recording.attrs[name] for name in names if math.isfinite(recording.attrs[name])}
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
        rules=tuple(Rule(value, f"{names[name]} = {value:.4f}") for name, value in known.items()),
        note=f"{setting}; at most {recording.attrs['steps']} steps each.",
    )
