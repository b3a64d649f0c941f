"""The statements of Sec. 5 on the spin glass itself, measured: its covariance, and the rates of its critical points."""

from collections.abc import Callable

import numpy as np
import torch
import xarray as xr

from skipglass.glass import SphericalGlass
from skipglass.theory import DepthEnsemble, Mixture, complexity, expected_critical_points

__all__ = ["landscape"]

MIXTURES = {
    "pure 3": Mixture.pure(3),
    "orders 2, 4": Mixture({2: 0.5, 4: 0.5}),
    "orders 1, 3": Mixture({1: 0.2, 3: 0.8}),
}
OVERLAPS = (1.0, 0.6, -0.3)
SIZE, SAMPLES = 6, 500
SIZES = (6, 12, 24)  # of the exact counts
INDICES = (0, 1, 2)
BETAS = np.linspace(0.02, 2.5, 63)
DEPTHS = (10, 100)


def landscape(on_mixture: Callable[[], None] | None = None) -> xr.Dataset:
    """Measure what Sec. 5 says of the Hamiltonian and of its critical points.

    Parameters
    ----------
    on_mixture
        Called after each of MIXTURES.

    Returns
    -------
    xarray.Dataset
        ``product`` H(w)H(w′)/Λ of points at given overlaps, by mixture and disorder sample, beside ``xi`` ξ(q);
        ``rate`` (1/Λ) ln E[Crt_k], exact, by mixture, size and index, beside ``limit`` θ_k; ``complexity`` θ_0
        by depth and β, no field.
    """
    products, rates = [], []
    for mixture in MIXTURES.values():
        products.append(_products(mixture))
        rates.append([_rates(mixture, size) for size in SIZES])
        if on_mixture is not None:
            on_mixture()
    return xr.Dataset(
        {
            "product": (("mixture", "overlap", "sample"), products),
            "xi": (("mixture", "overlap"), [[m(q) for q in OVERLAPS] for m in MIXTURES.values()]),
            "rate": (("mixture", "size", "index"), rates),
            "limit": (("mixture", "index"), [[complexity(m, k) for k in INDICES] for m in MIXTURES.values()]),
            "complexity": (
                ("depth", "beta"),
                [[complexity(DepthEnsemble(p, float(b)).mixture()) for b in BETAS] for p in DEPTHS],
            ),
        },
        coords={
            "mixture": list(MIXTURES),
            "overlap": list(OVERLAPS),
            "size": list(SIZES),
            "index": list(INDICES),
            "depth": list(DEPTHS),
            "beta": BETAS,
        },
        attrs={"glass_size": SIZE},
    )


def _products(mixture: Mixture) -> np.ndarray:
    """H(w)H(w′)/Λ for pairs of points at each overlap, over glasses of seeds 0, 1, …."""
    first, across = (SIZE**0.5 * torch.eye(SIZE, dtype=torch.float64)[k] for k in (0, 1))
    points = torch.stack([first, *(q * first + (1 - q * q) ** 0.5 * across for q in OVERLAPS)])
    energies = torch.stack([SphericalGlass(mixture, SIZE, seed=seed).energy(points) for seed in range(SAMPLES)])
    return (energies[:, 1:] * energies[:, :1] / SIZE).T.numpy()


def _rates(mixture: Mixture, size: int) -> np.ndarray:
    counts, _ = expected_critical_points(mixture, size, per_index=True)
    return np.log(counts[list(INDICES)]) / size
