"""Theorems 1, 2 and 5 and Lemma 4, measured: numbers that a verdict can be drawn from."""

import itertools
import math

import numpy as np
import torch
import xarray as xr

from skipglass.models import DenseNet
from skipglass.paper.arrays import by_setting, series_by
from skipglass.paper.claim import Claim, Recordings
from skipglass.paper.experiment import computed
from skipglass.paper.rules import Numbers, exactly, identity, within
from skipglass.paths import census
from skipglass.report import Axis, Panel, Rule, Section
from skipglass.theory import DepthEnsemble, Mixture, complexity, peak_interval

__all__ = ["CLAIMS", "THEOREMS", "convergence_panels", "theorems"]

BETAS = (0.1, 0.5, 2.0)
DEPTHS = (10, 100, 1_000, 10_000, 100_000)
LEMMA_DEPTH = 200
ORDERS = (3, 4, 6, 10, 30, 100)
MIXTURES = 2_000
GATES = (0.25, 0.5, 0.75)  # ρ, which is β for weights drawn with C = 1/√n, Λ = n
DENSE = 22  # weight layers of the dense net, 6 a stage
TEXT = "The weights ε_r of the path lengths gather around one length, the fraction β/(1+β) of the depth."
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
    limits = [beta / (1 + beta) for beta in recording.beta.values.tolist()]
    depth = Axis("depth p", log=True)
    return (
        Panel(
            "theorem1",
            "Theorem 1: the place of the peak",
            "Each line approaches its dashed limit as the network deepens; a higher line is a deeper ensemble.",
            depth,
            Axis("argmax ε_r / p", zero=True),
            series_by("β = {beta:g}", recording.peak_share),
            rules=tuple(Rule(limit, f"β/(1+β) = {limit:.3f}") for limit in limits),
            note="Exact.",
        ),
        Panel(
            "theorem2",
            "Theorem 2: the mass away from the peak",
            "A line that falls to 0 means that all of Σ ε_r² gathers around the peak.",
            depth,
            Axis("Σ ε_r² outside of the band", zero=True),
            series_by("β = {beta:g}", recording.outside),
            note=f"Exact. The band is β/(1+β) ± {recording.attrs['band']:.0%}.",
        ),
    )


def _argmax(e: DepthEnsemble) -> int:
    return int(np.argmax(e.weights)) + 1


def _outside(e: DepthEnsemble) -> float:
    alpha = e.beta / (1 + e.beta)
    # Theorem 2's band, around the limit of Theorem 1
    inside = np.abs(e.lengths / e.depth - alpha) <= BAND * alpha
    return float((e.weights[~inside] ** 2).sum())


def _reached(k: int) -> int:
    # a β inside of the interval, wherever it ends
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


def off_the_peak(share: xr.DataArray) -> xr.DataArray:
    """p times the distance of the peak's place from its limit."""
    return np.abs(share - share.beta / (1 + share.beta)) * share.depth


def theorem_2(recordings: Recordings) -> Numbers:
    """The mass outside of the band at the largest depth, and by how much it ever rises with depth."""
    outside = recordings["theorems"].outside.sortby("depth").transpose("beta", "depth")
    p = int(outside.depth[-1])
    return {
        f"outside at p = {p}": outside.values[:, -1],
        "rise with p": np.maximum(outside.diff("depth").values, 0),
    }


def histograms_shift(recordings: Recordings) -> Numbers:
    """The rise of the peak at p = 100 from one of the three β to the next."""
    peak = (recordings["theorems"].peak_share.sel(depth=100) * 100).sortby("beta")
    steps = zip(itertools.pairwise(peak.beta.values), peak.diff("beta").values, strict=True)
    return {f"β = {a:g} to {b:g}": rise for (a, b), rise in steps}


def ends_deep(recordings: Recordings) -> Numbers:
    """The peak just above β = p - 1 minus p, and just below it minus p - 1."""
    peak = recordings["theorems"].deepest.transpose("depth", "side")
    return {
        "β = 1.01 (p - 1)": (peak[:, 1] - peak.depth).values,
        "β = 0.99 (p - 1)": (peak[:, 0] - peak.depth + 1).values,
    }


def short_paths(recordings: Recordings) -> dict[str, tuple[float, float]]:
    """{net: how many paths take fewer than half of the layers that can be left out, and how many there are}."""
    counted = recordings["theorems"].dense_paths.sortby("length").astype(float)
    fixed = int(counted.length[counted > 0].min())
    free = int(counted.length.max()) - fixed
    found = {"dense net": (float(counted[counted.length < fixed + free / 2].sum()), float(counted.sum()))}
    found["chain"] = (0.0, 1.0)
    for layers, name in enumerate(("blocks of 1 layer", "blocks of 2 layers"), start=1):
        counts = [math.comb(free // layers, k) for k in range(free // layers + 1)]
        short = sum(count for k, count in enumerate(counts) if layers * k < free / 2)
        found[f"residual net, {name}"] = float(short), float(sum(counts))
    return found


def more_short_paths(recordings: Recordings) -> Numbers:
    """Short paths of a dense net minus those of other nets of as many layers."""
    (dense, _), *others = (found := short_paths(recordings)).values()
    return {name: dense - short for name, (short, _) in zip(list(found)[1:], others, strict=True)}


CLAIMS = (
    Claim(
        "Theorem 1", "The peak of ε_r lies at the fraction β/(1+β) of the depth as p → ∞.",
        "Eq. 18: “lim_{p→∞} (1/p) argmax_r(ε_r) = β/(1+β)”.",
        "p |argmax/p - β/(1+β)|",
        lambda r: by_setting("β = {beta:g}", off_the_peak(r["theorems"].peak_share)), exactly(high=1 + 1e-9),
        "theorems", figure="theorem1",
        note="the peak is never further from its limit than one layer, p = 10 to 100,000. Where pβ/(1+β) is a whole "
        "number, as the theorem assumes, two neighbouring ε_r are equal, which changes nothing as p → ∞",
    ),
    Claim(
        "Theorem 2", "The ε_r² concentrate in a narrow band around that peak.",
        "Eq. 19: “For any α_1 < β/(1+β) < α_2 […] lim_{p→∞} Σ_{r=α_1 p}^{α_2 p} ε_r² = 1”.",
        "Σ ε_r² further than 20 % from β/(1+β)", theorem_2, identity(1e-6), "theorems", figure="theorem2",
        beside={"largest over β": lambda r: by_setting("p = {depth}", r["theorems"].outside.max("beta"))},
    ),
    Claim(
        "Lemma 4", "A global scale of the weights shifts the peak to any length 1..p.",
        "Lemma 4: “For any integer 1 ≤ k ≤ p there exists a global scaling parameter C such that argmax_r(ε_r(C)) = "
        "k.”",
        f"distance of the peak from k at β in the middle of [(k-1)/(p-k+1), k/(p-k)], p = {LEMMA_DEPTH}",
        lambda r: {"": r["theorems"].reached - r["theorems"].wanted}, identity(0.0), "theorems", figure="figure1-beta",
    ),
    Claim(
        "Eq. 17", "For large enough β the longest paths dominate.",
        "Sec. 3, below Eq. 17: “for constant depth p and large enough β, argmax_r(ε_r) = p”.",
        "deviation of the peak from p, and just below the threshold from p - 1", ends_deep, identity(0.0), "theorems",
        note="“large enough” means β ≥ p - 1",
    ),
    Claim(
        "Fig. 1(a-c)", "At p = 100 a larger β moves the ε_r from shallow to deep.",
        "Sec. 3: “A simple global scaling of the weights is, therefore, enough to change the loss surface, from an "
        "ensemble of shallow conventional nets, to an ensemble of deep nets. This is illustrated in Fig. 1(a-c)”.",
        "rise of the peak, in layers", histograms_shift, exactly(low=1), "theorems", figure="figure1a",
    ),
    Claim(
        "Sec. 3, start", "With weights drawn at C = 1/√n and Λ = n the ensemble starts at less than half the depth.",
        "Sec. 3: “With this initialization and Λ = n, β = ρ and the maximal weight is obtained at less than half the "
        "network's depth”.",
        "argmax ε_r / p at p = 100,000",
        lambda r: by_setting("ρ = {gate:g}", r["theorems"].start.sortby("depth").isel(depth=-1)), exactly(high=0.5),
        "theorems", figure="theorem1",
        note="with He's C = √(2/n) and ρ = 1/2 the coherent reading has β = 1/√2, the independent one b = 1: half the "
        "depth exactly. Λ = n is a convention",
    ),
    Claim(
        "Sec. 6, dense nets", "Dense nets are covered with other path counts γ_r.",
        "Sec. 6: “the analysis presented in Sec. 3 can be generalized to architectures with arbitrary skip "
        "connections, "
        "including dense nets […] given that ψ_r is modified accordingly”.",
        f"paths of each length in a dense net of {DENSE} weight layers, minus the number of sets of layers",
        lambda r: {"": r["theorems"].dense_paths - r["theorems"].dense_sets}, identity(0.0), "theorems",
        note="every set of layers is one path, but for the four that no path can leave out",
    ),
    Claim(
        "Sec. 6, short paths", "Dense nets offer many more short paths.",
        "Sec. 6: “the additional shortcut paths decrease the initial capacity of the network by offering many more "
        "short paths from input to output”.",
        "paths with fewer than half of the layers that can be left out: those of a dense net minus those of another",
        more_short_paths, within(low=1), "theorems",
        beside={"their part of all paths": lambda r: {k: few / every for k, (few, every) in short_paths(r).items()}},
        note="a residual net with a shortcut around each layer has exactly as many; one with blocks of two layers "
        "has fewer, and they are a larger part of its paths",
    ),
    Claim(
        "Theorem 5", "No mixture of orders up to p has more critical points of a finite index than the pure p-spin.",
        "Eqs. 34, 35: the maximum of θ_k(ℝ, ε) over Σ_{r=2}^p ε_r² = 1 is at ε_p = 1.",
        f"excess of the complexity over the pure p-spin's, {MIXTURES - MIXTURES % 3} mixtures per p",
        lambda r: by_setting("p = {order}", r["theorems"].excess.clip(min=0)), identity(), "theorems",
        figure="figure1f", note="true, although the paper's proof is not (Eq. 50)",
    ),
)  # fmt: skip


THEOREMS = computed(
    "theorems",
    {"theorems": theorems},
    lambda recordings, _: ([Section("Theorems 1 and 2", TEXT, convergence_panels(recordings["theorems"]))], {}),
    CLAIMS,
)
