"""Small slips of the paper, each computed: what is printed beside what it should be.

Numbers of equations are the paper's; those of Theorem 3's proof are counted by its displays, (40) to (44).
"""

import itertools
import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from skipglass import scales
from skipglass.data import Split, gaussian_mixture
from skipglass.models import evenly_spread
from skipglass.paper.driving_force import DEPTH, FEATURES, SAMPLES, SKIPPED, SingleSkip, stationary
from skipglass.paper.figure1 import RUNS
from skipglass.paper.path_sum import copies, enumerate_paths, mass, open_gates
from skipglass.training import Settings, train

__all__ = ["SHORT", "force_on_scale", "measure"]

Array = NDArray[np.float64]

SHORT = (2, 10)  # m, p of Theorem 4's counterexample
RATIOS = (0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 100.0)  # ‖g_m‖/‖g_p‖
COSINES = (-1.0, -0.5, 0.0, 0.5, 1.0)  # between g_m and g_p
LEGENDRE = (tuple(range(1, 9)), (0.1, 0.5, 0.9))  # p, β of Eq. 39
TAILS = ((10, 100, 1_000), (0.1, 0.5, 2.0), 0.2)  # p, β, relative distance from the peak, of Theorem 2's proof
SPREAD = (2, 4, 3, 2)  # p, n, d, Λ of Eq. 36: all different but p and Λ
GATES = (3, 8, 4, 256)  # p, n, d, N of the gates of Eq. 8
NETWORKS = 16
GAUSSIANS = (10, 50)


def measure(seed: int = 0) -> xr.Dataset:
    """Compute all of them.

    Parameters
    ----------
    seed
        Of all draws.

    Returns
    -------
    xarray.Dataset
        ``balance`` (moved, path) by which factor λ̂_m and λ̂_p grow when a λ_l does; ``scale_force`` (ratio, cosine)
        of Theorem 4; ``product``, ``printed`` and ``corrected`` (draw) sides of Eq. 47; ``lemma4_gap`` (depth,
        binomial) of the proof of Lemma 4; ``legendre_gap`` (order, base) between the sides of Eq. 39; ``beyond`` the
        tails of Theorem 2's proof; ``copies``, ``square`` and ``wanted`` (length) of Eq. 36; ``scale`` and ``slope``
        (network) of Eq. 41; ``gate`` and ``path_mean``, ``path_low``, ``path_high`` of the gates on Eq. 8;
        ``gaussians_change`` (classes, run) of |λ| in Fig. 1(d).
    """
    draws = np.random.default_rng(seed)
    return xr.merge(
        [_balance(draws), _scale_forces(), _eq_47(draws), _lemma_4(), _eq_39(), _tails(), _eq_36(seed), _eq_41(),
         _gates(draws), _gaussians()],
        combine_attrs="drop_conflicts",
    )  # fmt: skip


def force_on_scale(g_m: Array, g_p: Array, m: int, p: int) -> float:
    """Theorem 4's force on C, m‖g_m‖² + p‖g_p‖² + (m + p) g_p·g_m: C grows where it is positive."""
    return float(m * g_m @ g_m + p * g_p @ g_p + (m + p) * g_p @ g_m)


def _balance(draws: np.random.Generator) -> xr.Dataset:
    """After Theorem 3: which of λ̂_m = Π_{unskipped} λ/σ and λ̂_p = Π_{all} λ/σ grow with |λ_l|."""
    factor, ratios = 1.1, draws.normal(size=DEPTH)
    skipped = np.isin(np.arange(DEPTH), range(*SKIPPED))

    def products(values: Array) -> tuple[float, float]:
        return float(values[~skipped].prod()), float(values.prod())

    rows = []
    for l in (0, SKIPPED[0]):
        moved = ratios * np.where(np.arange(DEPTH) == l, factor, 1.0)
        rows.append([after / before for after, before in zip(products(moved), products(ratios), strict=True)])
    return xr.Dataset({"balance": (("moved", "path"), rows)}, {"moved": ["unskipped", "skipped"], "path": ["m", "p"]})


def _scale_forces() -> xr.Dataset:
    g_p = np.array([1.0, 0.0])
    table = [
        [force_on_scale(ratio * np.array([c, math.sqrt(1 - c**2)]), g_p, *SHORT) for c in COSINES] for ratio in RATIOS
    ]
    return xr.Dataset(
        {"scale_force": (("ratio", "cosine"), table)},
        {"ratio": list(RATIOS), "cosine": list(COSINES)},
        {"short": SHORT[0], "long": SHORT[1]},
    )


def _eq_47(draws: np.random.Generator) -> xr.Dataset:
    """(m g_m + p g_p)·(g_m + g_p), by its factors, as printed, and as Eq. 27 has it."""
    m, p = SHORT
    rows = []
    for g_m, g_p in draws.normal(size=(NETWORKS, 2, 5)):
        printed = (m + p) * (g_p @ g_p) + (m + p) * (g_p @ g_m)
        rows.append(((m * g_m + p * g_p) @ (g_m + g_p), printed, force_on_scale(g_m, g_p, m, p)))
    return xr.Dataset(
        {n: ("draw", c) for n, c in zip(("product", "printed", "corrected"), np.transpose(rows), strict=True)}
    )


def _lemma_4() -> xr.Dataset:
    """Ln of the last term over the one before it, at β = p: with the proof's C(p, r), and with C(p-1, r-1)."""
    depths = (2, 10, 100)
    gaps = [[math.log(p * math.comb(n, n) / math.comb(n, n - 1)) for p, n in ((p, p), (p, p - 1))] for p in depths]
    return xr.Dataset({"lemma4_gap": (("depth", "binomial"), gaps)}, {"depth": list(depths), "binomial": ["p", "p-1"]})


def _eq_39() -> xr.Dataset:
    """(1-β²)^p P_p((1+β²)/(1-β²)) - Σ_{r=1}^p C(p, r)² β^2r."""
    depths, betas = LEGENDRE
    gap = [
        [
            (1 - b * b) ** p * float(np.polynomial.legendre.legval((1 + b * b) / (1 - b * b), [0] * p + [1]))
            - sum(math.comb(p, r) ** 2 * b ** (2 * r) for r in range(1, p + 1))
            for b in betas
        ]
        for p in depths
    ]
    return xr.Dataset({"legendre_gap": (("order", "base"), gap)}, {"order": list(depths), "base": list(betas)})


def _tails() -> xr.Dataset:
    """The part of Σ C(p, r)² β^2r that lies further than a fifth of the peak below and above it."""
    depths, betas, apart = TAILS
    table = np.empty((2, len(betas), len(depths)))
    for (b, beta), (k, p) in itertools.product(enumerate(betas), enumerate(depths)):
        r = np.arange(p + 1)
        log = np.array([2 * (math.lgamma(p + 1) - math.lgamma(j + 1) - math.lgamma(p - j + 1)) for j in r])
        log += 2 * r * math.log(beta)
        terms = np.exp(log - log.max())
        peak, width = p * beta / (1 + beta), apart * p * min(beta, 1) / (1 + beta)
        table[:, b, k] = [terms[r < peak - width].sum() / terms.sum(), terms[r > peak + width].sum() / terms.sum()]
    return xr.Dataset(
        {"beyond": (("side", "tail_base", "tail_order"), table)},
        {"side": ["lower", "upper"], "tail_base": list(betas), "tail_order": list(depths)},
    )


def _eq_36(seed: int) -> xr.Dataset:
    """The copies of a configuration by the input they start from, evenly spread: what they sum to, and ‖α‖²."""
    p, n, d, unique = SPREAD
    generator = torch.Generator().manual_seed(seed)
    labels = [evenly_spread(n, n if l else d, unique, generator).numpy() for l in range(p)]
    alpha = [copies(labels, unique, r) for r in range(1, p + 1)]
    return xr.Dataset(
        {
            "copies": ("length", [float(a.sum(axis=1).max()) for a in alpha]),
            "square": ("length", [float((a**2).sum(axis=1).min()) for a in alpha]),
            "wanted": ("length", [mass(p, n, d, r) / unique**r for r in range(1, p + 1)]),
        },
        {"length": list(range(1, p + 1))},
        {"spread_depth": p, "spread_inputs": d, "spread_unique": unique},
    )


def _eq_41() -> xr.Dataset:
    """λ_l of an unskipped layer and ∂L/∂λ_l after a small step of the weights from where it was 0."""
    found = []
    for seed in range(NETWORKS):
        draw = torch.Generator().manual_seed(seed)
        x = torch.randn(SAMPLES, FEATURES, generator=draw, dtype=torch.float64)
        model = SingleSkip(seed)
        for layer in model.chain:
            layer.momentum = 1.0
        with torch.no_grad():
            model.train()(x)
        model.eval()

        def linear(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return -(targets * outputs).mean()

        def along(targets: torch.Tensor, model: SingleSkip = model, x: torch.Tensor = x) -> float:
            return float(scales.drift(model, x, targets, linear, scales=["layers.1.multiplier"]).slope[0])

        y = stationary(along, partial(_targets, seed))
        weights = [layer.weight for layer in model.chain]
        steps = torch.autograd.grad(linear(model(x), y), weights)
        with torch.no_grad():
            for weight, g in zip(weights, steps, strict=True):
                weight.sub_(1e-6 * g)
        scale = float(model.chain[1].multiplier)
        found.append((scale, along(y) / scale))
    return xr.Dataset({n: ("network", c) for n, c in zip(("scale", "slope"), np.transpose(found), strict=True)})


def _targets(seed: int, number: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(1000 * seed + number)
    return torch.randn(SAMPLES, generator=draw, dtype=torch.float64)


def _gates(draws: np.random.Generator) -> xr.Dataset:
    """How often each path of Eq. 8 is open: mean, least and largest over paths, beside ρ, how often a unit is."""
    p, n, d, samples = GATES
    gate, table = np.empty(NETWORKS), np.empty((3, NETWORKS, p))
    for k in range(NETWORKS):
        W = [draws.normal(size=(n, n if l else d)) / math.sqrt(n if l else d) for l in range(p)]
        gates = open_gates(W, draws.normal(size=(samples, d)))
        gate[k] = gates.mean()
        for r in range(1, p + 1):
            often = enumerate_paths(p, n, d, r).is_open(gates).mean(axis=1)
            table[:, k, r - 1] = often.mean(), often.min(), often.max()
    names = ("path_mean", "path_low", "path_high")
    return xr.Dataset(
        {"gate": ("gate_seed", gate)}
        | {n: (("gate_seed", "gate_length"), t) for n, t in zip(names, table, strict=True)},
        {"gate_seed": np.arange(NETWORKS), "gate_length": np.arange(1, p + 1)},
    )


@dataclass(frozen=True)
class _Mixture(Settings):
    """Fig. 1(d) with another number of Gaussians."""

    classes: int = 10

    def data(self, seed: int) -> Split:
        """Return the samples of one seed."""
        return gaussian_mixture(classes=self.classes, separation=self.separation, seed=seed)


def _gaussians() -> xr.Dataset:
    """What the two descriptions of Fig. 1(d)'s task make of |λ_l|, layers with a shortcut."""
    setting = RUNS["figure1d-gaussians-nearest"]
    rows = []
    for classes in GAUSSIANS:
        found = train(_Mixture(**setting, seeds=range(4), epochs=2, classes=classes))  # type: ignore[arg-type]
        value = found.multiplier_magnitude.isel(layer=slice(1, None)).mean("layer").transpose("evaluation", "seed")
        rows.append((value[-1] - value[0]).values)
    return xr.Dataset({"gaussians_change": (("classes", "run"), rows)}, {"classes": list(GAUSSIANS)})
