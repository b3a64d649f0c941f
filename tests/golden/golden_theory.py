"""What the paper predicts, on a grid."""

import math
from itertools import product
from typing import Any

import numpy as np

import skipglass as sg
from golden import Cases, near, schema

TOLERANCE = 1e-12
ENSEMBLES = tuple(product((1, 2, 7, 100, 1500), (0.0, 0.01, 0.5, 1.0, 3.0), ("coherent", "independent")))
UNEQUAL = (0.3, 0.1, 2.0, 0.7, 0.5, 0.0, 1.2)
MIXTURES = {
    "pure 2": {2: 1.0},
    "pure 3": {3: 1.0},
    "pure 10": {10: 1.0},
    "field": {1: 1.0},
    "two and five": {2: 0.5, 5: 0.5},
    "with a field": {1: 0.6, 3: 0.4},
    "not normalised": {1: 3.0, 2: 0.25, 7: 2.0},
    "weak field": {1: 0.05, 2: 0.35, 4: 0.6},
}
SOME = 40  # entries kept of a long array


def kept(values: np.ndarray) -> dict[str, Any]:
    """A long array by its sum, its sum of squares and entries at even distances."""
    picked = np.unique(np.linspace(0, len(values) - 1, min(SOME, len(values))).astype(int))
    return {"sum": float(values.sum()), "squares": float(values @ values), "some": values[picked]}


def ensembles() -> dict[str, Any]:
    values = {}
    for depth, beta, reading in ENSEMBLES:
        e = sg.theory.DepthEnsemble(depth=depth, beta=beta, reading=reading)
        values[f"{depth} {beta} {reading}"] = about(e)
    for reading in ("coherent", "independent"):
        e = sg.theory.DepthEnsemble(depth=len(UNEQUAL), beta=np.array(UNEQUAL), reading=reading)
        values[f"unequal {reading}"] = about(e)
    e = sg.theory.DepthEnsemble(depth=10, beta=0.5)
    unequal = sg.theory.DepthEnsemble(depth=len(UNEQUAL), beta=np.array(UNEQUAL))
    return values | {"wording": {"equal": str(e), "unequal": str(unequal), "xarray": schema(e.to_xarray())}}


def about(e: Any) -> dict[str, Any]:
    mixtures = {}
    for field in (False, True):
        if field or (e.depth > 1 and np.any(e.beta)):
            mixtures[f"field {field}"] = about_mixture(e.mixture(field=field))
    return {
        "lengths": [int(e.lengths[0]), int(e.lengths[-1]), len(e.lengths)],
        "weights": kept(e.weights),
        "share": kept(e.share),
        "peak": e.peak,
        "mean_length": e.mean_length,
        "bands": [e.band(mass) for mass in (0.5, 0.9, 0.99)],
        "mixtures": mixtures,
    }


def about_mixture(m: Any) -> dict[str, Any]:
    q = np.linspace(-1, 1, 9)
    return {
        "orders": [int(m.orders[0]), int(m.orders[-1]), len(m.orders)],
        "powers": kept(m.powers),
        "nu1": m.nu1,
        "nu2": m.nu2,
        "alpha2": near(m.alpha2, max(1.0, m.nu1**2)),
        "ratio": m.ratio,
        "field": m.field,
        "xi": [m(q), m(q, derivative=1), m(q, derivative=2), m(q, derivative=3)],
        "complexity": near([float(sg.theory.complexity(m, index=k)) for k in (0, 1, 5, None)], 1.0),
        "threshold": threshold(m),
    }


def threshold(m: Any) -> float | None:
    """None where the landscape is trivial, or where the formula is not physical."""
    try:
        return float(sg.theory.threshold_energy(m))
    except sg.errors.InputError:
        return None


def mixtures() -> dict[str, Any]:
    made = {name: sg.theory.Mixture(powers) for name, powers in MIXTURES.items()}
    values: dict[str, Any] = {name: about_mixture(m) for name, m in made.items()}
    values["normalized"] = about_mixture(made["not normalised"].normalized())
    values["equal"] = sg.theory.Mixture.pure(3) == made["pure 3"]
    return values | {"wording": {name: repr(m) for name, m in made.items()}}


def levels() -> dict[str, Any]:
    energies = (-3.0, -1.8, -1.65, -1.64, -1.5, 0.0, 1.0)
    return {
        str(p): {
            "ground": sg.theory.ground_state_energy(p),
            "threshold": sg.theory.threshold_energy(p),
            "complexity": [
                near([sg.theory.level_complexity(p=p, energy=u, index=k) for u in energies], 1.0) for k in (0, 1, 4)
            ],
        }
        for p in (2, 3, 4, 10, 100)
    }


def numbers_of_critical_points() -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, powers in MIXTURES.items():
        m = sg.theory.Mixture(powers)
        own: dict[str, Any] = {
            str(size): sg.theory.expected_critical_points(m, size=size) for size in (1, 2, 3, 8, 31, 100)
        }
        own["log 300"] = sg.theory.expected_critical_points(m, size=300, log=True)
        for size in (1, 2, 3, 6, 11):
            found, errors = sg.theory.expected_critical_points(m, size=size, per_index=True)
            total = float(found.sum())
            own[f"each {size}"] = {"values": found, "errors are small": bool((errors <= 1e-10 * total).all())}
        values[name] = own
    return values


def thresholds() -> dict[str, Any]:
    depths = (1, 2, 3, 5, 10, 100, 1000)
    return {
        "trivialization": {
            reading: [float(sg.theory.trivialization_threshold(depth=p, reading=reading)) for p in depths]
            for reading in ("coherent", "independent")
        },
        "peak_interval": [
            [float(b) for b in sg.theory.peak_interval(depth=p, k=k)]
            for p, k in ((100, 1), (100, 30), (100, 100), (7, 3), (2, 1), (1, 1))
        ],
        "path_factor": [
            sg.theory.path_factor(400),
            sg.theory.path_factor(20, gate=0.3),
            sg.theory.path_factor(20, scale=0.1, unique=7),
        ],
        "branch_factor": [
            sg.theory.branch_factor(400),
            sg.theory.branch_factor(20, gate=0.3),
            sg.theory.branch_factor(20, scale=0.1),
        ],
    }


def fits() -> dict[str, Any]:
    random = np.random.default_rng(0)
    chain = {r: math.comb(11, r - 1) for r in range(1, 13)}
    deep = {r: math.comb(2999, r) for r in range(3000)}
    gaps = {1: 2, 3: 5, 4: 1, 9: 7}
    e = sg.theory.DepthEnsemble(depth=12, beta=0.4)
    samples = random.random((12, 9))
    samples[:, 3] = 0.0
    measured = {
        "exact": (e.lengths, e.weights**2, chain),
        "samples": (e.lengths, samples, chain),
        "shortest": (e.lengths, np.eye(12)[0], chain),
        "longest": (e.lengths, np.eye(12)[-1], chain),
        "deep": (np.arange(3000), np.exp(-0.5 * ((np.arange(3000) - 700) / 40) ** 2), deep),
        "gaps": (np.array([1, 3, 4, 9]), random.random((4, 6)), gaps),
    }
    values, wording = {}, {}
    for (name, (r, power, census)), reading in product(measured.items(), ("coherent", "independent")):
        found = sg.theory.fit(r, power, census, reading=reading, resamples=300, seed=1)
        values[f"{name} {reading}"] = {
            "reading": found.reading,
            "beta": found.beta,
            "interval": None if found.interval is None else [float(b) for b in found.interval],
            "distance": near(found.distance, 1.0),
            "lengths": kept(found.lengths.astype(float)),
            "measured": kept(found.measured),
            "predicted": kept(found.predicted),
        }
        wording[f"{name} {reading}"] = {"printed": str(found), "xarray": schema(found.to_xarray())}
    wording = {name: text for name, text in wording.items() if "exact" not in name}  # its distance is rounding
    return values | {"wording": wording}


SECTION: Cases = {
    "ensembles": ensembles,
    "mixtures": mixtures,
    "levels": levels,
    "critical points": numbers_of_critical_points,
    "thresholds": thresholds,
    "fits": fits,
}


def tolerance(_name: str) -> float:
    """The same for all."""
    return TOLERANCE
