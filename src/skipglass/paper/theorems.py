"""Theorems 1, 2 and 5 and Lemma 4, measured: numbers that a verdict can be drawn from."""

import math

import numpy as np
import torch
import xarray as xr

from skipglass.models import DenseNet
from skipglass.paths import census
from skipglass.report import Axis, Panel, Rule, Series
from skipglass.theory import DepthEnsemble, Mixture, complexity, peak_interval

__all__ = ["convergence_panels", "theorems"]

BETAS = (0.1, 0.5, 2.0)
DEPTHS = (10, 100, 1_000, 10_000, 100_000)
LEMMA_DEPTH = 200
ORDERS = (3, 4, 6, 10, 30, 100)
MIXTURES = 2_000
GATES = (0.25, 0.5, 0.75)  # ρ, which is β for weights drawn with C = 1/√n, Λ = n
DENSE = 22  # weight layers of the dense net, 6 a stage
BAND = 0.2  # relative half width of the band around β/(1+β) in Theorem 2


def theorems(seed: int = 0) -> xr.Dataset:
    """Measure the paper's statements on ε_r and on mixtures.

    Parameters
    ----------
    seed
        Of the random mixtures of Theorem 5.

    Returns
    -------
    xarray.Dataset
        ``peak_share`` argmax ε_r / p and ``outside`` Σ ε_r² out of the band, by β and depth; ``reached`` the
        peak at the middle of each of Lemma 4's intervals, by the wanted peak; ``start`` argmax ε_r / p where β is
        the gate probability; ``deepest`` argmax ε_r at β = p - 1 and a little below it; ``dense_paths`` the census of
        a dense net beside ``dense_sets``, the number of ways to choose its layers; ``excess`` the complexity of
        random mixtures of orders 2..p minus that of the pure p-spin, by p and draw.
    """
    ensembles = [[DepthEnsemble(p, beta) for p in DEPTHS] for beta in BETAS]
    wanted, lengths = np.arange(1, LEMMA_DEPTH + 1), list(range(1, DENSE + 1))
    return xr.Dataset(
        {
            "peak_share": (("beta", "depth"), [[_argmax(e) / e.depth for e in row] for row in ensembles]),
            "outside": (("beta", "depth"), [[_outside(e) for e in row] for row in ensembles]),
            "reached": ("wanted", [_reached(int(k)) for k in wanted]),
            "start": (("gate", "depth"), [[_argmax(DepthEnsemble(p, g)) / p for p in DEPTHS] for g in GATES]),
            "deepest": (
                ("depth", "side"),
                [[_argmax(DepthEnsemble(p, (p - 1) * side)) for side in (0.99, 1.01)] for p in DEPTHS],
            ),
            "dense_paths": ("length", _dense_paths(lengths)),
            "dense_sets": ("length", [math.comb(DENSE - 4, r - 4) if r >= 4 else 0 for r in lengths]),
            "excess": (("order", "draw"), _excess(np.random.default_rng(seed))),
        },
        coords={
            "beta": list(BETAS),
            "depth": list(DEPTHS),
            "wanted": wanted,
            "gate": list(GATES),
            "length": lengths,
            "order": list(ORDERS),
        },
        attrs={"band": BAND, "lemma_depth": LEMMA_DEPTH},
    )


def convergence_panels(recording: xr.Dataset) -> tuple[Panel, Panel]:
    """Return Theorems 1 and 2 as convergence in p.

    Parameters
    ----------
    recording
        By `theorems`.

    Returns
    -------
    tuple of Panel
        The place of the peak, and the mass outside of a band around its limit.
    """
    depths = recording.depth.values
    limits = [(beta, beta / (1 + beta)) for beta in recording.beta.values.tolist()]
    peaks = [Series(f"β = {beta:g}", depths, recording.peak_share.sel(beta=beta).values) for beta, _ in limits]
    masses = [Series(f"β = {beta:g}", depths, recording.outside.sel(beta=beta).values) for beta, _ in limits]
    depth = Axis("depth p", log=True)
    return (
        Panel(
            "theorem1",
            "Theorem 1: the place of the peak",
            "Each line approaches its dashed limit as the network deepens; a higher line is a deeper ensemble.",
            depth,
            Axis("argmax ε_r / p", zero=True),
            tuple(peaks),
            rules=tuple(Rule(limit, f"β/(1+β) = {limit:.3f}") for _, limit in limits),
            note="Exact.",
        ),
        Panel(
            "theorem2",
            "Theorem 2: the mass away from the peak",
            "A line that falls to 0 means that all of Σ ε_r² gathers around the peak.",
            depth,
            Axis("Σ ε_r² outside of the band", zero=True),
            tuple(masses),
            note=f"Exact. The band is β/(1+β) ± {recording.attrs['band']:.0%}.",
        ),
    )


def _argmax(e: DepthEnsemble) -> int:
    return int(np.argmax(e.weights)) + 1


def _outside(e: DepthEnsemble) -> float:
    alpha = e.beta / (1 + e.beta)
    inside = np.abs(e.lengths / e.depth - alpha) <= BAND * alpha
    return float((e.weights[~inside] ** 2).sum())


def _reached(k: int) -> int:
    low, high = peak_interval(LEMMA_DEPTH, k)
    return _argmax(DepthEnsemble(LEMMA_DEPTH, 2 * low if math.isinf(high) else (low + high) / 2))


def _dense_paths(lengths: list[int]) -> list[int]:
    """Paths of each length through a dense net, counted on its graph."""
    x = torch.zeros(1, 3, 8, 8, requires_grad=True)
    counts = census(DenseNet(DENSE, growth=2).eval()(x).sum(), x, unit="weights")
    return [counts.get(r, 0) for r in lengths]


def _excess(generator: np.random.Generator) -> list[list[float]]:
    """Dirichlet draws of three concentrations, so that sparse mixtures and even ones are both among them."""
    rows = []
    for p in ORDERS:
        pure = complexity(Mixture.pure(p))
        orders = range(2, p + 1)
        draws = [
            generator.dirichlet(np.full(p - 1, concentration))
            for concentration in (0.05, 0.3, 1.0)
            for _ in range(MIXTURES // 3)
        ]
        rows.append([complexity(Mixture(dict(zip(orders, d.tolist(), strict=True)))) - pure for d in draws])
    return rows
