"""Downhill in the spin glasses of Section 5: how far descent gets, and whether every start ends in one minimum.

The glass of a network of depth 100 has interactions of a hundred orders; no couplings are stored, LazyGlass draws
it where the descents look. The pure 3-spin, with its couplings, shows what finite size does to the energy reached.

    python -m skipglass.paper.glass results/glass/recordings/glass_descent.nc
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from skipglass.errors import InputError
from skipglass.glass import LazyGlass, SphericalGlass, descend
from skipglass.paper.claim import Claim, Recordings, Undecided
from skipglass.paper.critical_points import layer_panels
from skipglass.paper.experiment import Experiment, Options, Pages, Recording, Tell
from skipglass.paper.rules import Numbers, below, within
from skipglass.record import save
from skipglass.report import Axis, Panel, Rule, Section, Series
from skipglass.theory import (
    DepthEnsemble,
    Mixture,
    ground_state_energy,
    threshold_energy,
    trivialization_threshold,
)
from skipglass.threads import one_thread

__all__ = [
    "CLAIMS", "GLASS", "depth_sweep", "finite_size", "glass_panels", "landmarks", "lazy_descents", "quick", "run_all",
]  # fmt: skip

TEXT = (
    "What the number of critical points means for an optimiser: descents in sampled glasses. Those of deep networks "
    "have interactions of a hundred orders, whose couplings nobody could store; they are drawn only where the "
    "descents look, exactly in law. Below β_c every start comes to the one minimum; above it they part."
)
DEPTH, SIZE, STEPS = 100, 4000, 40
FACTORS = (0.25, 0.5, 0.7, 0.85, 1.0, 1.15, 1.35, 1.7, 2.5, 5.0, 15.0, 50.0)
"""β/β_c: close around the threshold, up to β = 0.5."""
SEEDS, STARTS = (0, 1), 2
SAMPLES = {50: 16, 100: 12, 200: 8, 400: 4}
"""Disorder samples of the pure 3-spin by Λ, fewer where they cost more; two starts each."""


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


def depth_sweep(
    factors: tuple[float, ...] = FACTORS,
    seeds: tuple[int, ...] = SEEDS,
    size: int = SIZE,
    steps: int = STEPS,
    on_run: Callable[[], None] | None = None,
) -> xr.Dataset:
    """Descend the glass of a network of depth 100 for each β, with and without its field.

    Parameters
    ----------
    factors
        β/β_c.
    seeds
        Of the disorder.
    size, steps
        Λ, and the most steps of each descent.
    on_run
        Called after each glass.

    Returns
    -------
    xarray.Dataset
        `lazy_descents` by ``beta``, ``field`` and ``seed``, with the `landmarks`.
    """
    betas = [factor * trivialization_threshold(DEPTH) for factor in factors]
    rows = []
    for beta, field in product(betas, (True, False)):
        mixture = DepthEnsemble(DEPTH, beta).mixture(field=field)
        samples = []
        for seed in seeds:
            samples.append(lazy_descents(mixture, size, seed, steps=steps))
            if on_run is not None:
                on_run()
        known = {name: ((), value) for name, value in landmarks(mixture).items()}
        rows.append(xr.concat(samples, "seed").assign(known).assign_coords(beta=beta, field=field))
    grid = [xr.concat(rows[k : k + 2], "field") for k in range(0, len(rows), 2)]
    data = xr.concat(grid, "beta").assign_coords(seed=list(seeds))
    return data.assign_attrs(depth=DEPTH, size=size, steps=steps, threshold_beta=trivialization_threshold(DEPTH))


def finite_size(samples: dict[int, int] | None = None, on_run: Callable[[], None] | None = None) -> xr.Dataset:
    """Descend the pure 3-spin at several sizes, two starts a sample, to convergence.

    Parameters
    ----------
    samples
        {Λ: how many disorder samples}, their seeds 0, 1, ….
    on_run
        Called after each sample.

    Returns
    -------
    xarray.Dataset
        ``pure_energy``, ``pure_index`` and ``pure_converged`` by ``size``, ``sample`` and ``start``; NaN and -1
        where a size has fewer samples.
    """
    samples = SAMPLES if samples is None else samples
    shape = (len(samples), max(samples.values()), 2)
    energy, index, converged = np.full(shape, np.nan), np.full(shape, -1), np.zeros(shape, dtype=bool)
    for k, (size, count) in enumerate(samples.items()):
        for seed in range(count):
            h = SphericalGlass(Mixture.pure(3), size, seed=seed)
            run = descend(h, h.random_points(2, seed=seed), steps=3000, tolerance=1e-5)
            energy[k, seed], converged[k, seed] = run.energy, run.converged
            index[k, seed] = h.indices(run.end).cpu().numpy()
            if on_run is not None:
                on_run()
    dims = ("pure_size", "sample", "pure_start")
    return xr.Dataset(
        {"pure_energy": (dims, energy), "pure_index": (dims, index), "pure_converged": (dims, converged)},
        coords={"pure_size": list(samples)},
    )


def run_all(path: str, on_run: Callable[[], None] | None = None) -> None:
    """Record both at their full size in one file."""
    sweep = depth_sweep(on_run=on_run)
    save(xr.merge([sweep, finite_size(on_run=on_run)], combine_attrs="drop_conflicts"), path, kind="glass")


QUICK_FACTORS, QUICK_SEEDS, QUICK_SAMPLES = (0.25, 0.5, 1.0, 1.35, 2.5, 15.0, 50.0), (0,), {50: 4, 100: 3, 200: 2}
QUICK_RUNS = 2 * len(QUICK_FACTORS) * len(QUICK_SEEDS) + sum(QUICK_SAMPLES.values())


def quick(on_run: Callable[[], None] | None = None) -> xr.Dataset:
    """Both at a size that takes half a minute: Λ = 1000, one glass a mixture.

    Parameters
    ----------
    on_run
        Called after each of the QUICK_RUNS glasses.

    Returns
    -------
    xarray.Dataset
        As `run_all` records it.
    """
    swept = depth_sweep(QUICK_FACTORS, QUICK_SEEDS, size=1000, on_run=on_run)
    return xr.merge([swept, finite_size(QUICK_SAMPLES, on_run)], combine_attrs="drop_conflicts")


def glass_panels(recording: xr.Dataset) -> tuple[Panel, Panel, Panel]:
    """Return the energy reached against β, the overlap of two starts against β, and finite size at p = 3.

    Parameters
    ----------
    recording
        By `run_all`.

    Returns
    -------
    tuple of Panel
        Three panels.
    """
    return _energies(recording), _overlaps(recording), _sizes(recording)


def _setting(recording: xr.Dataset) -> str:
    a = recording.attrs
    return (
        f"p = {a['depth']}, Λ = {a['size']}, {recording.sizes['seed']} glasses a point, {recording.sizes['start']} "
        f"starts each, at most {a['steps']} steps of descent; {int(recording.converged.sum())} of "
        f"{recording.converged.size} descents had converged, the others were still going down."
    )


def _spread(name: str, x: Any, values: xr.DataArray, dims: tuple[str, ...]) -> Series:
    """The mean with whiskers from the lowest to the highest."""
    return Series(name, x, values.mean(dims), values.min(dims), values.max(dims), marks="points")


def _energies(recording: xr.Dataset) -> Panel:
    betas, threshold = recording.beta.values, recording.attrs["threshold_beta"]
    fine = np.geomspace(betas.min(), betas.max(), 80)
    known = {f: [landmarks(DepthEnsemble(DEPTH, b).mixture(field=f)) for b in fine] for f in (True, False)}
    reached = partial(_spread, x=betas, dims=("seed", "start"))
    return Panel(
        "glass-depth",
        f"Energy after {recording.attrs['steps']} steps of descent, network of depth 100",
        "Lower is better optimised: below β_c descent reaches the one minimum, the ground state at -√ν′; above it, it "
        "slows down on its way to the threshold -E_∞, the line at which minima give way to saddles.",
        Axis("β", log=True),
        Axis("energy per spin H/Λ"),
        (
            reached("descent, field kept", values=recording.energy.sel(field=True)),
            reached("descent, no field", values=recording.energy.sel(field=False)),
            Series("threshold -E_∞, field kept", fine, [k["threshold"] for k in known[True]]),
            Series("threshold -E_∞, no field", fine, [k["threshold"] for k in known[False]]),
            Series("ground state -E_0, field kept", fine, [k["ground"] for k in known[True]]),
            Series("ground state -E_0, no field", fine, [k["ground"] for k in known[False]]),
        ),
        marks="line",
        rules=(Rule(threshold, f"β_c = {threshold:.4g}", axis="x"),),
        note=_setting(recording) + " Dots: mean, whiskers: range. -E_∞ is drawn where its formula holds.",
    )


def _overlaps(recording: xr.Dataset) -> Panel:
    threshold = recording.attrs["threshold_beta"]
    return Panel(
        "glass-overlap",
        "Do two starts come to the same point?",
        "1 means that both descents came to one point, 0 to unrelated ones; left of β_c there is one minimum only.",
        Axis("β", log=True),
        Axis("overlap of the end points ⟨w,w'⟩/Λ", zero=True),
        tuple(
            _spread(name, recording.beta.values, recording.overlap.sel(field=field), ("seed",))
            for name, field in (("field kept", True), ("no field", False))
        ),
        rules=(Rule(threshold, f"β_c = {threshold:.4g}", axis="x"),),
        note=_setting(recording) + " Near β_c the descents are cut off before they meet; "
        "without a field and at small β the glass is nearly a quadratic form, with few low directions.",
    )


def _sizes(recording: xr.Dataset) -> Panel:
    u, sizes = recording.pure_energy, recording.pure_size.values
    mean, spread = u.mean(("sample", "pure_start")), u.std(("sample", "pure_start"), ddof=1)
    glasses = u.notnull().any("pure_start").sum("sample").values
    minima = int((recording.pure_index == 0).sum())
    scale = sizes ** (-2 / 3)  # the distance of the lowest eigenvalues at the edge of a semicircle
    slope, limit = np.polyfit(scale, mean, 1, w=np.sqrt(glasses) / spread)
    fine = np.linspace(sizes.min(), sizes.max(), 100)
    return Panel(
        "glass-size",
        "Energy that descent reaches in the pure 3-spin glass",
        "As Λ grows descent from random starts comes to lie at the threshold, well above the ground state.",
        Axis("Λ", "spins", zero=True),
        Axis("energy per spin H/Λ"),
        (
            Series("descent", sizes, mean, mean - spread, mean + spread, marks="points"),
            Series(f"fit {limit:.3f} + {slope:.2f} Λ^(-2/3)", fine, limit + slope * fine ** (-2 / 3)),
        ),
        rules=(
            Rule(threshold_energy(3), f"-E_∞ = {threshold_energy(3):.4f}"),
            Rule(ground_state_energy(3), f"-E_0 = {ground_state_energy(3):.4f}"),
        ),
        note=f"Mean and standard deviation over {', '.join(map(str, glasses))} glasses, two starts each; {minima} of "
        f"{int(u.notnull().sum())} end points are minima by their Hessian.",
    )


def one_minimum(recordings: Recordings) -> Numbers:
    """How far from 1 the overlap of two descents' ends is below β_c/2, and H/Λ from -√ν′; and above 2 β_c, from 0.9."""
    data, threshold = recordings["glass_descent"], recordings["glass_descent"].attrs["threshold_beta"]
    kept = data.sel(field=True)
    low, high = (kept.isel(beta=np.flatnonzero(c)) for c in (kept.beta < threshold / 2, kept.beta > 2 * threshold))
    if not low.beta.size or not high.beta.size or not np.isfinite(low.minimum).all():
        raise Undecided("minimum of glass_descent is not finite below β_c/2")
    return {
        "1 - overlap, below β_c/2": 1 - low.overlap.values,
        "|H/Λ + √ν′|, below β_c/2": np.abs(low.energy - low.minimum).values,
        "overlap beyond 0.9, above 2 β_c": np.maximum(high.overlap.values - 0.9, 0),
    }


def overlaps(recordings: Recordings) -> Numbers:
    """The overlap of two descents' ends by β/β_c, the field kept."""
    kept = recordings["glass_descent"].sel(field=True)
    ratio = kept.beta.values / kept.attrs["threshold_beta"]
    return {f"{r:.3g} β_c": kept.overlap.isel(beta=k).values for k, r in enumerate(ratio) if r < 0.6 or 2 < r < 20}


def ends(recordings: Recordings) -> Numbers:
    """The index of the point where each converged descent ends, by size."""
    data = recordings["glass_descent"]
    ran = np.isfinite(data.pure_energy)
    if not bool(ran.any()) or bool((data.pure_converged & ~ran).any()):
        raise Undecided("pure_energy of glass_descent is not finite")
    found = {}
    for size in data.pure_size.values:
        one = data.sel(pure_size=size)
        found[f"Λ = {int(size)}"] = one.pure_index.values[one.pure_converged.values]
    return {name: index for name, index in found.items() if index.size}


CLAIMS = (
    Claim(
        "Sec. 5, low index", "Descent avoids critical points of high index.",
        "Sec. 5: “It is presumed that the SGD algorithm will easily avoid critical points with a high index that "
        "have many "
        "descent directions, and maneuver towards low index critical points.”",
        "index of the critical point at which descent in the 3-spin ends, of Λ - 1 directions", ends, below(1.0),
        "glass_descent", figure="glass-size", note="descent without noise; descents that had not converged are left "
        "out",
    ),
    Claim(
        "Sec. 5, field", "With the paths of length 1, which the paper drops, β < β_c ≈ 1/p leaves one minimum.",
        "Eq. 28 sums from r = 2. What does the field r = 1 change?",
        f"descents in the glass of a network of depth {DEPTH}", one_minimum, within(high=0.01), "glass_descent", "ours",
        beside={"overlap of the ends of two descents": overlaps}, figure="glass-overlap",
    ),
)  # fmt: skip


def _descend(tell: Tell) -> xr.Dataset:
    done: list[int] = []

    def on_run() -> None:
        done.append(1)
        tell(len(done), QUICK_RUNS)

    with one_thread():  # small products, ten times slower on two
        return quick(on_run)


def _recordings(options: Options, folder: Path) -> dict[str, Recording]:
    return {"glass_descent": Recording("glass", _descend)}


def _pages(recordings: Recordings, _figures: Sequence[str]) -> Pages:
    energies, overlaps, sizes = glass_panels(recordings["glass_descent"])
    layers = layer_panels(recordings["glass_agreement"])[0]
    section = Section("Descents in the glass", TEXT, (energies, overlaps, sizes))
    return [section], {"glass": (layers, energies, overlaps)}


GLASS = Experiment(("glass",), {"glass_descent": "glass"}, _recordings, _pages, CLAIMS)
"""Its combined drawing has the layers of `critical_points` beside the descents."""


def _show() -> None:
    sys.stderr.write(".")


def main(arguments: Sequence[str] | None = None) -> None:
    """Descend, and record it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("recording")
    run_all(parser.parse_args(arguments).recording, on_run=_show)


if __name__ == "__main__":
    main()
