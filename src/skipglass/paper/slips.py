"""Small slips of the paper, each computed as it is printed, and what of our text cannot be decided.

Equations of Theorem 3's proof are counted by its displays, (40) to (44). Our text of the paper came out of a PDF. Where
a bracket or a letter is missing in it, nobody can tell whether the paper has a slip: `UNDECIDED` lists those.
"""

import itertools
import math
from functools import partial

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from skipglass import scales
from skipglass.paper.arrays import by_setting
from skipglass.paper.claim import Claim, Recordings
from skipglass.paper.driving_force import FEATURES, SAMPLES, SingleSkip, stationary
from skipglass.paper.experiment import computed
from skipglass.paper.path_sum import enumerate_paths, open_gates, shapes
from skipglass.paper.rules import Numbers, agrees, exactly, identity, within
from skipglass.theory import DepthEnsemble

__all__ = ["CLAIMS", "DAMAGED", "SHORT", "SLIPS", "UNDECIDED", "force_on_scale", "measure"]

Array = NDArray[np.float64]

SHORT = (2, 10)  # m, p of Theorem 4's counterexample
RATIOS = (0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 100.0)  # ‖g_m‖/‖g_p‖
COSINES = (-1.0, -0.5, 0.0, 0.5, 1.0)  # between g_m and g_p
TAILS = ((10, 100, 1_000), (0.1, 0.5, 2.0), 0.2)  # p, β, relative distance from the peak, of Theorem 2's proof
ORDERS = (3, 10, 100)  # p of Eq. 50
GATES = (3, 8, 4, 256)  # p, n, d, N of the gates of Eq. 8
NETWORKS = 16

DAMAGED = "What our text of the paper does not decide"
UNDECIDED = (
    ("Lemma 4, proof", "β* at which the peak lies at r = p", "a binomial coefficient has lost its inner part"),
    ("Eq. 36", "the sum that the counts of a configuration have, ψ_r/Λ^r", "ψ_r and the power of Λ are missing"),
    ("Eq. 39", "the sum from r = 1, or from r = 0 as the Legendre polynomial needs", "the lower end is damaged"),
    ("Eq. 47", "m‖g_m‖², or m‖g_p‖² as our text has it", "Eq. 27 has m‖g_m‖²; the index is one letter"),
    ("after Theorem 3", "l ∉ l_1…l_m, or ∈ as our text has it", "an earlier version of the paper has ∉"),
)
"""Where it stands, what is in question, and why our text does not tell."""


def measure(seed: int = 0) -> xr.Dataset:
    """Compute all of them.

    Parameters
    ----------
    seed
        Of all draws.

    Returns
    -------
    xarray.Dataset
        ``scale_force`` (ratio, cosine) of Theorem 4; ``beyond`` the tails of Theorem 2's proof; ``printed`` and
        ``least`` (bound_order), what Eq. 50 takes for min_r (r-2)/r, and that minimum; ``scale`` and ``slope``
        (network) of Eq. 41; ``gate`` and ``path_mean``, ``path_low``, ``path_high`` of the gates on Eq. 8.
    """
    draws = np.random.default_rng(seed)
    return xr.merge([_scale_forces(), _tails(), _eq_50(), _eq_41(), _gates(draws)], combine_attrs="drop_conflicts")


def _eq_50() -> xr.Dataset:
    """1 - 2/p beside the minimum of (r-2)/r over r = 2..p."""
    least = [min((r - 2) / r for r in range(2, p + 1)) for p in ORDERS]
    return xr.Dataset(
        {"printed": ("bound_order", [1 - 2 / p for p in ORDERS]), "least": ("bound_order", least)},
        {"bound_order": list(ORDERS)},
    )


def force_on_scale(g_m: Array, g_p: Array, m: int, p: int) -> float:
    """Theorem 4's force on C, m‖g_m‖² + p‖g_p‖² + (m + p) g_p·g_m: C grows where it is positive."""
    return float(m * g_m @ g_m + p * g_p @ g_p + (m + p) * g_p @ g_m)


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


def _tails() -> xr.Dataset:
    """The part of Σ C(p, r)² β^2r that lies further than a fifth of the peak below and above it."""
    depths, betas, apart = TAILS
    table = []
    for beta, p in itertools.product(betas, depths):
        r, terms = np.arange(p + 1), DepthEnsemble(p + 1, beta).weights ** 2  # ∝ C(p, r)² β^2r
        peak, width = p * beta / (1 + beta), apart * p * min(beta, 1) / (1 + beta)
        table.append([terms[r < peak - width].sum(), terms[r > peak + width].sum()])
    shape = (len(betas), len(depths), 2)
    coordinates = {"tail_base": list(betas), "tail_order": list(depths), "side": ["lower", "upper"]}
    return (
        xr.DataArray(np.reshape(table, shape), coordinates, list(coordinates))
        .transpose("side", ...)
        .to_dataset(name="beyond")
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
    gate, table = [], np.empty((NETWORKS, p, 3))
    for k in range(NETWORKS):
        W = [draws.normal(size=shape) / math.sqrt(shape[1]) for shape in shapes(p, n, d)]
        gates = open_gates(W, draws.normal(size=(samples, d)))
        gate.append(gates.mean())
        for r in range(1, p + 1):
            often = enumerate_paths(p, n, d, r).is_open(gates).mean(axis=1)
            table[k, r - 1] = often.mean(), often.min(), often.max()
    names = ["path_mean", "path_low", "path_high"]
    where = [("gate_seed", range(NETWORKS)), ("gate_length", range(1, p + 1)), ("often", names)]
    return xr.DataArray(table, where).to_dataset("often").assign(gate=("gate_seed", gate))


def dominant(recordings: Recordings) -> Numbers:
    """Theorem 4's force on C with antiparallel gradients, by which of them is the longer."""
    force = recordings["slips"].scale_force.min("cosine", skipna=False)
    return {"‖g_p‖ > ‖g_m‖": force[force.ratio < 1], "‖g_m‖ > ‖g_p‖": force[force.ratio > 1]}


def lacking_tail(recordings: Recordings) -> Numbers:
    """What the lower tail leaves out for β < 1: the upper one, at the largest p."""
    tail = recordings["slips"].beyond.isel(tail_order=-1)
    lacking = tail.sel(side="upper") - tail.sel(side="lower")
    return by_setting("β = {tail_base:g}", lacking[lacking.tail_base < 1])


def slope_by_sign(recordings: Recordings) -> Numbers:
    """The slope after a step, by the sign of λ_l."""
    data = recordings["slips"]
    return {"λ_l > 0": data.slope[data.scale > 0], "λ_l < 0": data.slope[data.scale <= 0]}


def gates(recordings: Recordings) -> Numbers:
    """How often a path of the greatest length is open minus ρ^r: that of all paths, or of the rarest and commonest."""
    data = recordings["slips"].isel(gate_length=-1)
    wanted = data.gate**data.gate_length
    kinds = {"least": data.path_low, "mean": data.path_mean, "largest": data.path_high}
    return {name: (value - wanted).values for name, value in kinds.items()}


CLAIMS = (
    Claim(
        "Gates of paths", "On Eq. 8 every path of length r is open equally often, in ρ^r of the cases.",
        "The paper models the gates so, and says that “the independence assumption of A_ij” was “deemed unrealistic” "
        "(Sec. 2). How far off is it?",
        f"how often a path of length {GATES[0]} is open minus ρ^r, over the paths of a network", gates, agrees(0.05),
        "slips", "ours",
    ),
    Claim(
        "Theorem 2, proof", "It is enough that the lower tail vanishes for β < 1.",
        "App. B, proof of Thm. 2: “It is enough to show that lim_{p→∞} Σ_{r=1}^{α_1 p} ε_r² = 0 for β < 1.”",
        "part of Σ C(p, r)² β^2r more than 20 % above the peak, minus the part below, p = 1000", lacking_tail,
        exactly(high=0.0), "slips", "slips",
        note="the upper tail for β < 1 is left open, and so is the lower one for β > 1. Both vanish too: the theorem "
        "holds",
    ),
    Claim(
        "Theorem 3, proof", "∂L/∂λ_l < 0 after the step.",
        "App. B, proof of Thm. 3: “-μ (1/λ_l) ‖g_m + g_p‖² < 0”.",
        "∂L/∂λ_l after the step, where it was 0", slope_by_sign, within(high=0.0), "slips", "slips",
        note="it has the sign of -λ_l, so that |λ_l| grows all the same: the theorem holds",
    ),
    Claim(
        "Theorem 4, prose", "C grows if either ‖g_p‖ or ‖g_m‖ is dominant.",
        "Sec. 4.2, after Thm. 4: “if either ‖g_p‖ or ‖g_m‖ is dominant […], the scaling of the weights C will "
        "increase.”",
        f"m‖g_m‖² + p‖g_p‖² + (m+p) g_p·g_m over ‖g_p‖², m = {SHORT[0]}, p = {SHORT[1]}, least over angles", dominant,
        within(low=0.0), "slips", "slips",
        note="with antiparallel gradients it is (m‖g_m‖ - p‖g_p‖)(‖g_m‖ - ‖g_p‖): g_m has to be p/m times as long. "
        "An earlier version of the paper says “when deeper gradients become dominant”, which is right",
    ),
    Claim(
        "Theorem 5, proof", "min_r (r-2)/r = 1 - 2/p over r = 2..p.",
        "App. B, Eq. 50, which sets min_i((V″_ii - V′_ii)(V″_ii + V′_ii)^-1) to 1 - 2/p.",
        "1 - 2/p minus the minimum", lambda r: by_setting("p = {bound_order}", r["slips"].printed - r["slips"].least),
        identity(), "slips", "slips",
        note="the minimum is 0, at r = 2, so that the proof shows θ_k ≤ ½ ln(p-1) only. The theorem is true: "
        "½ ln x - (x-1)/(x+1) rises with x = ν″/ν′, which is largest for the pure p-spin",
    ),
)  # fmt: skip


SLIPS = computed("theorems", {"slips": measure}, claims=CLAIMS)
