"""Downhill in the spin glasses of Section 5: how far descent gets, and whether every start ends in one minimum.

The glass of a network of depth 100 has interactions of a hundred orders; no couplings are stored, LazyGlass draws
it where the descents look. The pure 3-spin, with its couplings, shows what finite size does to the energy reached.

    python -m skipglass.paper.glass results/glass/recordings/glass_descent.nc
"""

import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import xarray as xr

from skipglass.glass import SphericalGlass, descend
from skipglass.paper.arrays import by_setting, series_by
from skipglass.paper.claim import Claim, Recordings, Undecided
from skipglass.paper.command import command, steps_of
from skipglass.paper.critical_points import layer_panels
from skipglass.paper.experiment import Experiment, Options, Pages, Recording, Tell
from skipglass.paper.rules import Numbers, below, within
from skipglass.paper.samples import LANDMARKS, STARTS, STEPS, descents, landmarks, lazy_descents
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
    "CLAIMS", "GLASS", "LANDMARKS", "both", "depth_sweep", "descents", "finite_size", "glass_panels", "landmarks",
    "lazy_descents", "quick", "run_all",
]  # fmt: skip

TEXT = (
    "What the number of critical points means for an optimiser: descents in sampled glasses. Those of deep networks "
    "have interactions of a hundred orders, whose couplings nobody could store; they are drawn only where the "
    "descents look, exactly in law. Below β_c every start comes to the one minimum; above it they part."
)
DEPTH, SIZE = 100, 4000
FACTORS = (0.25, 0.5, 0.7, 0.85, 1.0, 1.15, 1.35, 1.7, 2.5, 5.0, 15.0, 50.0)
"""β/β_c: close around the threshold, up to β = 0.5."""
SEEDS = (0, 1)
SAMPLES = {50: 16, 100: 12, 200: 8, 400: 4}
"""Disorder samples of the pure 3-spin by Λ, fewer where they cost more; two starts each."""


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
    fields, threshold = [True, False], trivialization_threshold(DEPTH)
    betas = [factor * threshold for factor in factors]
    rows = []
    for beta, field in product(betas, fields):
        # the paper drops the field, the paths of length 1; both are looked at
        mixture = DepthEnsemble(DEPTH, beta).mixture(field=field)
        found = descents(mixture, size, seeds, starts=STARTS, steps=steps, on_sample=on_run)
        rows.append(found.assign({name: found.attrs[name] for name in LANDMARKS}))
    grid = [rows[k : k + len(fields)] for k in range(0, len(rows), len(fields))]
    data = xr.combine_nested(grid, ["beta", "field"], combine_attrs="drop").rename(sample="seed")
    data = data.assign_coords(beta=betas, field=fields)
    return data.assign_attrs(depth=DEPTH, size=size, steps=steps, threshold_beta=threshold)


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
            # two starts in the same glass: do they end in the same minimum?
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
    save(both(on_run=on_run), path, kind="glass")


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
    return both(QUICK_FACTORS, QUICK_SEEDS, 1000, QUICK_SAMPLES, on_run)


def both(
    factors: tuple[float, ...] = FACTORS,
    seeds: tuple[int, ...] = SEEDS,
    size: int = SIZE,
    samples: dict[int, int] | None = None,
    on_run: Callable[[], None] | None = None,
) -> xr.Dataset:
    """Return `depth_sweep` and `finite_size` as one recording; the arguments are theirs."""
    swept = depth_sweep(factors, seeds, size, on_run=on_run)
    return xr.merge([swept, finite_size(samples, on_run)], combine_attrs="drop_conflicts")


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


def _by_field(values: xr.DataArray) -> xr.DataArray:
    return values.sortby("field", ascending=False).assign_coords(field=["field kept", "no field"])


def _energies(recording: xr.Dataset) -> Panel:
    betas, threshold = recording.beta.values, recording.attrs["threshold_beta"]
    fine = np.geomspace(betas.min(), betas.max(), 80)
    known = {
        word: [landmarks(DepthEnsemble(DEPTH, b).mixture(field=field)) for b in fine]
        for word, field in (("field kept", True), ("no field", False))
    }
    reached = series_by("descent, {field}", _by_field(recording.energy), ("seed", "start"), ends=True, marks="points")
    levels = [
        Series(f"{what}, {word}", fine, [each[name] for each in found])
        for name, what in (("threshold", "threshold -E_∞"), ("ground", "ground state -E_0"))
        for word, found in known.items()
    ]
    return Panel(
        "glass-depth",
        f"Energy after {recording.attrs['steps']} steps of descent, network of depth 100",
        "Lower is better optimised: below β_c descent reaches the one minimum, the ground state at -√ν′; above it, it "
        "slows down on its way to the threshold -E_∞, the line at which minima give way to saddles.",
        Axis("β", log=True),
        Axis("energy per spin H/Λ"),
        (*reached, *levels),
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
        series_by("{field}", _by_field(recording.overlap), "seed", ends=True, marks="points"),
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
    low, high = kept.sel(beta=kept.beta < threshold / 2), kept.sel(beta=kept.beta > 2 * threshold)
    if not low.beta.size or not high.beta.size or not np.isfinite(low.minimum).all():
        raise Undecided("minimum of glass_descent is not finite below β_c/2")
    return {
        "1 - overlap, below β_c/2": 1 - low.overlap,
        "|H/Λ + √ν′|, below β_c/2": abs(low.energy - low.minimum),
        "overlap beyond 0.9, above 2 β_c": np.maximum(high.overlap - 0.9, 0),
    }


def overlaps(recordings: Recordings) -> Numbers:
    """The overlap of two descents' ends by β/β_c, the field kept."""
    kept = recordings["glass_descent"].overlap.sel(field=True)
    ratio = kept.beta / recordings["glass_descent"].attrs["threshold_beta"]
    shown = (ratio < 0.6) | ((ratio > 2) & (ratio < 20))
    return by_setting("{beta:.3g} β_c", kept.assign_coords(beta=ratio.values)[shown.values])


def ends(recordings: Recordings) -> Numbers:
    """The index of the point where each converged descent ends, by size."""
    data = recordings["glass_descent"]
    ran = np.isfinite(data.pure_energy)
    if not bool(ran.any()) or bool((data.pure_converged & ~ran).any()):
        raise Undecided("pure_energy of glass_descent is not finite")
    return by_setting("Λ = {pure_size}", data.pure_index.where(data.pure_converged), gaps=True)


CLAIMS = (
    Claim(
        "Sec. 5, low index", "Descent avoids critical points of high index.",
        "Sec. 5: “It is presumed that the SGD algorithm will easily avoid critical points with a high index that have "
        "many descent directions, and maneuver towards low index critical points.”",
        "index of the critical point at which descent in the 3-spin ends, of Λ - 1 directions", ends, below(1.0),
        "glass_descent", figure="glass-size",
        note="descent without noise; descents that had not converged are left out. A descent that converges ends in a "
        "minimum from almost every start: what is shown is that saddles do not hold it up for long",
    ),
    Claim(
        "Sec. 5, field", "With the paths of length 1, which the paper drops, β < β_c ≈ 1/p leaves one minimum.",
        "Eq. 28 sums from r = 2. What does the field r = 1 change?",
        f"descents in the glass of a network of depth {DEPTH}", one_minimum, within(high=0.01), "glass_descent", "ours",
        beside={"overlap of the ends of two descents": overlaps}, figure="glass-overlap",
    ),
)  # fmt: skip


def _descend(tell: Tell) -> xr.Dataset:
    with one_thread():  # small products, ten times slower on two
        return quick(steps_of(tell, QUICK_RUNS))


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
    command("glass", lambda: both(on_run=_show), arguments)


if __name__ == "__main__":
    main()
