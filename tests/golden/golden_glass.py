"""Spin glasses by seed: energies and derivatives, critical points, descents and Langevin runs."""

from typing import Any

import numpy as np
from quiet import prepared

import skipglass as sg
from golden import Cases, near, schema

Mixture = sg.theory.Mixture
MIXTURES = {
    "pure 3": Mixture.pure(3),
    "with a field": Mixture({1: 0.1, 2: 0.3, 3: 0.6}),
    "even": Mixture({2: 0.5, 4: 0.5}),
    "high": Mixture({2: 0.2, 9: 0.8}),
}
RUNS = 1e-9  # a run of tens of steps carries rounding on
LAZY = 1e-6  # conditioned on points near to one another, up to a nugget of 1e-9


def spherical() -> dict[str, Any]:
    values: dict[str, Any] = {}
    wording = {}
    for name, m in MIXTURES.items():
        size = 5 if name == "high" else 9
        h = sg.glass.SphericalGlass(m, size=size, seed=3)
        w = h.random_points(4, seed=1)
        energy, gradient = h.energy_and_gradient(w)
        one = h.energy_and_gradient(w[0])
        values[name] = {
            "points": w,
            "energy": h.energy(w),
            "gradient": h.gradient(w),
            "hessian": h.hessian(w)[:2],
            "together": [energy, gradient],
            "at one point": [float(one[0]), one[1]],
            "indices": h.indices(w),
            "projected": h.energy(2.5 * w, project=True),
            "bytes": [h.nbytes, h.dense_nbytes],
        }
        wording[name] = repr(h)
    pure = sg.glass.SphericalGlass(Mixture.pure(3), size=4, seed=0)
    index, coefficient = pure.coefficients(3)
    values["coefficients"] = {"index": index, "coefficient": coefficient}
    return values | {"wording": wording}


def all_critical_points() -> dict[str, Any]:
    values, wording = {}, {}
    for name, m, size, seed in (
        ("pure 3, 4", Mixture.pure(3), 4, 0),
        ("pure 3, 5", Mixture.pure(3), 5, 2),
        ("pure 2, 5", Mixture.pure(2), 5, 1),
        ("mixed, 4", Mixture({2: 0.2, 3: 0.8}), 4, 1),
        ("field, 5", Mixture({1: 0.7, 3: 0.3}), 5, 0),
    ):
        found = sg.glass.critical_points(sg.glass.SphericalGlass(m, size=size, seed=seed))
        e = found.evidence
        odd = bool((m.orders % 2).all())
        values[name] = {
            "energies": found.energies,
            "indices": found.indices,
            "counts": found.counts,
            "complete": found.complete,
            "residuals are small": bool((found.residuals < 1e-8).all()),
            "evidence": [e.symmetric, e.euler, e.within_bound, e.saturated, e.characteristic, e.bound],
            "points": found.points if odd else np.abs(found.points.numpy()).sum(1),  # ±w have one energy
        }
        wording[name] = {"printed": str(found).splitlines()[0], "xarray": schema(found.to_xarray())}
    several = sg.glass.critical_points([sg.glass.SphericalGlass(Mixture.pure(3), size=3, seed=s) for s in range(4)])
    values["several"] = [found.energies for found in several]
    return values | {"wording": wording}


def trajectory(run: Any) -> dict[str, Any]:
    scale = float(np.abs(run.energies).max())
    return {
        "method": run.method,
        "energies": run.energies,
        "gradient_norms": near(run.gradient_norms, scale),
        "end": run.end.double(),
        "energy": run.energy,
        "size": run.size,
        "steps": run.steps,
        "converged": run.converged,
        "evaluations": run.evaluations,
        "acceptance": run.acceptance,
    }


def runs() -> dict[str, Any]:
    values, wording = {}, {}
    for name, m in MIXTURES.items():
        h = sg.glass.SphericalGlass(m, size=6, seed=4)
        w = h.random_points(2, seed=5)
        down = sg.glass.descend(h, w, steps=12)
        warm = sg.glass.langevin(h, w, temperature=0.4, steps=12, seed=6)
        values[f"{name}, down"] = trajectory(down)
        values[f"{name}, warm"] = trajectory(warm)
        wording[name] = {"down": schema(down.to_xarray()), "warm": schema(warm.to_xarray()), "printed": str(warm)}
    return values | {"wording": wording}


def to_the_end() -> dict[str, Any]:
    h = sg.glass.SphericalGlass(Mixture.pure(3), size=8, seed=0)
    done = sg.glass.descend(h, h.random_points(3))
    return {"energy": done.energy, "converged": done.converged, "shape": done.end.shape}


def lazy() -> dict[str, Any]:
    values: dict[str, Any] = {}
    wording = {}
    ensemble = sg.theory.DepthEnsemble(depth=100, beta=0.05).mixture(field=True)
    for name, m in {**MIXTURES, "of depth 100": ensemble}.items():
        z = sg.glass.LazyGlass(m, size=30, seed=2)
        w = z.random_points(3, seed=1)
        energy, gradient = z.energy_and_gradient(w)
        again = z.energy(w[1:2])
        values[name] = {
            "energy": energy,
            "gradient": gradient,
            "again": bool((again == energy[1:2]).all()),
            "evaluations": z.evaluations,
            "noise": near(z.noise, 1.0),
            "resolution": near(z.resolution, 1.0),
        }
        values[f"{name}, down"] = trajectory(sg.glass.descend(z, w[0], steps=5))
        warm = sg.glass.LazyGlass(m, size=30, seed=2)
        values[f"{name}, warm"] = trajectory(sg.glass.langevin(warm, w[:2], temperature=0.5, steps=5, seed=1))
        wording[name] = repr(z)
    return values | {"wording": wording}


SECTION: Cases = {
    case.__name__.replace("_", " "): prepared(case) for case in (spherical, all_critical_points, runs, to_the_end, lazy)
}


def tolerance(name: str) -> float:
    """Runs carry rounding on."""
    return {"lazy": LAZY, "runs": RUNS, "all critical points": RUNS, "to the end": RUNS}.get(name, 1e-12)
