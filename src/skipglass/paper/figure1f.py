"""Figure 1(f), and what the paper leaves out of it: the field, the threshold, and finite Λ."""

import numpy as np
from numpy.typing import NDArray

from skipglass.report import Axis, Panel, Rule, Series, Slider
from skipglass.theory import DepthEnsemble, complexity, expected_critical_points, trivialization_threshold

__all__ = ["beta_panel", "complexity_panel", "field_panel", "finite_panel"]

DEPTHS = (10, 100)
SIZES = (10, 30, 100, 500)


def complexity_panel() -> Panel:
    """Return Fig. 1(f): the complexity of fixed index against β, orders r ≥ 2 as in the paper."""
    betas = np.linspace(0.02, 2.5, 125)
    return Panel(
        "figure1f",
        "(f) Critical points of a finite index, no field",
        "A rise means exponentially more critical points of each finite index; the paper's claim is that the "
        "number rises with β, as the ensemble deepens. θ_k is the limit of (1/Λ) ln E[Crt_k].",
        Axis("β"),
        Axis("complexity θ_k", "nats per weight", zero=True),
        tuple(Series(f"p = {p}", betas, _rates(p, betas)) for p in DEPTHS),
        note="Exact (Eq. 33), orders r ≥ 2 as the paper has them. The paper does not give p.",
    )


def field_panel(depth: int = 100) -> Panel:
    """Return the same with the field r = 1 kept, for small β, with the threshold of triviality."""
    threshold = trivialization_threshold(depth)
    betas = np.linspace(threshold / 4, 4 * threshold, 151)
    shown = {
        "no field, all indices": (None, False),
        "no field, minima (paper)": (0, False),
        "field kept, all indices": (None, True),
        "field kept, minima": (0, True),
        "field kept, saddles k = 1": (1, True),
    }
    return Panel(
        "figure1f-field",
        f"(f) What the field changes, p = {depth}",
        "Left of the threshold the landscape with its field is trivial: minima have rate 0 and saddles a negative "
        "rate, which means that there are none; right of it, and everywhere without the field, numbers of critical "
        "points grow exponentially.",
        Axis("β"),
        Axis("rate (1/Λ) ln E[Crt]", "nats per weight"),
        tuple(Series(name, betas, _rates(depth, betas, *which)) for name, which in shown.items()),
        rules=(Rule(threshold, f"β_c = {threshold:.4g}", axis="x"),),
        note=f"Exact. β_c·p = {threshold * depth:.4g}: branches scaled below about 1/depth leave one minimum.",
    )


def finite_panel(depth: int = 100) -> Panel:
    """Return (1/Λ) ln E[Crt] at finite Λ with the field kept, beside its limit."""
    threshold = trivialization_threshold(depth)
    betas = np.geomspace(threshold / 10, 300 * threshold, 60)
    mixtures = [DepthEnsemble(depth, float(b)).mixture(field=True) for b in betas]
    finite = [
        Series(f"Λ = {size}", betas, [expected_critical_points(m, size, log=True) / size for m in mixtures])
        for size in SIZES
    ]
    return Panel(
        "figure1f-finite",
        f"(f) Critical points of all indices at finite Λ, p = {depth}",
        "Higher means more critical points for each weight; the curves of larger Λ approach the limit, which is 0 "
        "left of the threshold.",
        Axis("β", log=True),
        Axis("(1/Λ) ln E[Crt]", "nats per weight", zero=True),
        (*finite, Series("Λ → ∞", betas, _rates(depth, betas, None, True))),
        rules=(Rule(threshold, f"β_c = {threshold:.4g}", axis="x"),),
        note="Exact Kac–Rice counts (quadrature over the GOE density), field kept.",
    )


def beta_panel(depth: int = 100) -> Panel:
    """Return the histogram of ε_r with a slider for β."""
    betas = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0]
    ensembles = [DepthEnsemble(depth, beta) for beta in betas]
    frames = [(Series("ε_r", e.lengths, e.weights),) for e in ensembles]
    captions = [
        f"peak {e.peak}, mean length {e.mean_length:.2f}, complexity {complexity(e.mixture()):.3f} "
        f"({complexity(e.mixture(field=True)):.3f} with the field)"
        for e in ensembles
    ]
    return Panel(
        "figure1-beta",
        f"The depth ensemble as β grows, p = {depth}",
        "Move the slider: as β grows the weight moves right, to longer paths, and the complexity rises.",
        Axis("path length r", "weight matrices"),
        Axis("ε_r", zero=True),
        marks="bar",
        slider=Slider("β", betas, frames, captions),
        shown=betas.index(0.5),
    )


def _rates(depth: int, betas: NDArray[np.float64], index: int | None = 0, field: bool = False) -> list[float]:
    """The complexity of an index, or of all, by β."""
    return [complexity(DepthEnsemble(depth, float(beta)).mixture(field=field), index) for beta in betas]
