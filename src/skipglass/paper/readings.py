"""The two readings of ε_r on networks built for them, and on Eq. 8 itself.

Y_r, the part of the output on paths of length r, is measured by the exact split of the gradient (`paths.spectrum`):
without biases Y_r = ⟨(∂Y/∂x)_r, x⟩. Each reading says what its mean square is, up to one factor:

    coherent       Λ unique weights, evenly spread (A2-A4), over inputs:      ε_r² ∝ (C(p-1, r-1) β^r)²
    independent    weights i.i.d. and centred, over weights and inputs:       ε_r² ∝ C(p-1, r-1) b^{2r}

with gates that depend on neither. Then the network is linear in its inputs, and for inputs of unit variance the mean
square of Y_r over them is ‖(∂Y/∂x)_r‖², exactly.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from skipglass.models import GatedMLP, redundant_weights
from skipglass.paper.arrays import by_setting
from skipglass.paper.claim import Claim, Recordings
from skipglass.paper.experiment import Pages, computed
from skipglass.paper.rules import Numbers, grows, within
from skipglass.paths import spectrum
from skipglass.report import Axis, Panel, Rule, Section, Series, Slider
from skipglass.theory import DepthEnsemble, fit

__all__ = ["CLAIMS", "NETWORKS", "READINGS", "census", "distance", "measure", "measured", "panels", "reading_of"]

Array = NDArray[np.float64]

DEPTH, WIDTH, INPUTS, GATE = 8, 128, 32, 0.5  # p, n, d, ρ
UNIQUE = 4  # Λ: a thirty-second of n, so that ρn/Λ copies average the gates
BETAS = (0.25, 0.5, 1.0, 2.0, 4.0)
SEEDS = 128
SAMPLES = 4  # inputs a network, where gates depend on them
NETWORKS = {
    "redundant, mean gates": ("redundant", "mean"),
    "redundant, drawn gates": ("redundant", "drawn"),
    "independent, drawn gates": ("independent", "drawn"),
    "independent, ReLU first": ("independent", "relu first"),
    "redundant, Eq. 8": ("redundant", "relu"),
    "independent, Eq. 8": ("independent", "relu"),
}
"""Weights and gates."""
CLOSE = 0.05
"""Total variation up to which a network counts as described by its reading: our choice. It is the distance of the means
over all networks, so that their scatter can only add to it."""
TEXT = (
    "The analysis takes the network for a sum over paths (Eq. 9), gathers paths with the same weights (Lemmas 1 and 2) "
    "and reads the output's variance off their numbers (Eqs. 14, 15). On networks built to its assumptions the output, "
    "split exactly by path length, is what the theory says; on Eq. 8 itself, whose gates depend on its weights, the "
    "shape is right and β is not."
)
UNIQUES = (1, 4, 16, 32, 64, 128)  # Λ up to n


def reading_of(network: str) -> str:
    """The reading that is to hold for a network's weights."""
    return "coherent" if NETWORKS[network][0] == "redundant" else "independent"


def census() -> dict[int, int]:
    """{r: C(p-1, r-1)}: the numbers of paths by length, up to n^r."""
    return {r: math.comb(DEPTH - 1, r - 1) for r in range(1, DEPTH + 1)}


def measure(seed: int = 0) -> xr.Dataset:
    """Measure the mean square of Y_r for each network of `NETWORKS`.

    Parameters
    ----------
    seed
        Of all draws.

    Returns
    -------
    xarray.Dataset
        ``power``, the mean of Y_r² over inputs, by network, β (b, for independent weights), seed and length;
        ``by_unique``, the same for redundant weights with drawn gates at β = 1, by Λ; ``alignment``, s = Σ w/(√Λ C) of
        weights drawn uniformly from the sphere, and ``fitted``, the β fitted to each such network over that of Eq. 17;
        ``uniform``, the mean square of Y_r of those.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = {"redundant": _redundant(generator), "independent": _independent(generator)}
    power = [
        [_mean_square([beta * w for w in weights[kind]], gates, generator) for beta in BETAS]
        for kind, gates in NETWORKS.values()
    ]
    by_unique = [_mean_square(_redundant(generator, unique), "drawn", generator) for unique in UNIQUES]
    alignment, fitted, uniform = _alignments(generator)
    return xr.Dataset(
        {
            "power": (("network", "beta", "seed", "length"), power),
            "by_unique": (("unique", "seed", "length"), by_unique),
            "alignment": ("seed", alignment),
            "fitted": ("seed", fitted),
            "uniform": (("seed", "length"), uniform),
        },
        coords={
            "network": list(NETWORKS),
            "beta": list(BETAS),
            "seed": np.arange(SEEDS),
            "length": np.arange(1, DEPTH + 1),
            "unique": list(UNIQUES),
        },
        attrs={"depth": DEPTH, "width": WIDTH, "gate": GATE, "unique": UNIQUE},
    )


def _redundant(generator: torch.Generator, unique: int = UNIQUE, alignment: float | None = 1.0) -> list[torch.Tensor]:
    """With β = ρnC/√Λ = 1."""
    C = math.sqrt(unique) / (GATE * WIDTH)
    sizes = {"depth": DEPTH, "width": WIDTH, "unique": unique}
    return redundant_weights(INPUTS, **sizes, scale=C, alignment=alignment, generator=generator, seeds=(SEEDS,))


def _independent(generator: torch.Generator) -> list[torch.Tensor]:
    """With b = √(ρn) C = 1."""
    shapes = [(SEEDS, WIDTH, WIDTH if l else INPUTS) for l in range(DEPTH)]
    return [torch.randn(shape, generator=generator, dtype=torch.float64) / math.sqrt(GATE * WIDTH) for shape in shapes]


def _mean_square(weights: list[torch.Tensor], gates: str, generator: torch.Generator) -> Array:
    """The mean of Y_r² over inputs, (SEEDS, p)."""
    seed = int(torch.randint(2**31, (), generator=generator))
    model = GatedMLP(weights, gates, gate=GATE, seed=seed)
    # gates that do not look at the input leave Y linear in it: the mean over inputs is then exact
    linear = gates in ("mean", "drawn")
    x = torch.randn(SEEDS, 1 if linear else SAMPLES, INPUTS, generator=generator, dtype=torch.float64)
    x.requires_grad_()
    split = spectrum(model(x).sum(), x, keep=True, unit="weights")
    assert isinstance(split.gradients, torch.Tensor)
    if linear:
        return split.gradients.square().sum(dim=(-2, -1)).numpy().T
    return (split.gradients * x.detach()).sum(dim=-1).square().mean(dim=-1).numpy().T


def _alignments(generator: torch.Generator) -> tuple[Array, Array, Array]:
    weights = _redundant(generator, alignment=None)
    C = math.sqrt(UNIQUE) / (GATE * WIDTH)
    # s = Σ w/(√Λ C), which Eq. 17 takes to be 1
    alignment = weights[0].mean(dim=(-2, -1)).numpy() * math.sqrt(UNIQUE) / C
    power = _mean_square(weights, "mean", generator)
    return alignment, np.array([fit(np.arange(1, DEPTH + 1), row, census()).beta for row in power]), power


def measured(power: xr.DataArray) -> tuple[Array, Array]:
    """ε_r² and its standard error, from the mean squares of Y_r over networks.

    Parameters
    ----------
    power
        Along ``seed`` and ``length``.

    Returns
    -------
    tuple of ndarray
        Ratio of means over networks, and its jackknife error, (p,) each.
    """
    q = power.transpose("seed", "length").values
    count, total = len(q), q.sum(axis=0)
    # the jackknife: the ratio without each network in turn
    without = (total - q) / (total - q).sum(axis=1, keepdims=True)
    error = np.sqrt((count - 1) / count * np.square(without - without.mean(axis=0)).sum(axis=0))
    return total / total.sum(), error


def distance(power: xr.DataArray, beta: float, reading: str) -> float:
    """The total variation between measured and predicted ε_r², 0 (equal) to 1 (on different lengths)."""
    # half of the summed differences of two distributions over lengths
    predicted = DepthEnsemble(power.sizes["length"], beta, reading).weights ** 2
    total = power.transpose("seed", "length").values.sum(axis=0)
    return float(np.abs(total / total.sum() - predicted).sum() / 2)


def panels(recording: xr.Dataset) -> tuple[Panel, ...]:
    """Return where theory and network meet, and where they do not.

    Parameters
    ----------
    recording
        By `measure`.

    Returns
    -------
    tuple of Panel
        The coherent reading, the independent one, Eq. 8 beside both, distances, and what the coherent reading needs:
        redundancy, and aligned weights.
    """
    return (
        _reading_panel(recording, "redundant, drawn gates", "Λ unique weights, evenly spread: the coherent reading"),
        _reading_panel(recording, "independent, drawn gates", "Independent weights: the independent reading"),
        _relu_panel(recording),
        _distance_panel(recording),
        _redundancy_panel(recording),
        _alignment_panel(recording),
    )


def _setting(recording: xr.Dataset) -> str:
    a = recording.attrs
    return (
        f"p = {a['depth']}, n = {a['width']}, ρ = {a['gate']:g}, Λ = {a['unique']} where weights are redundant; "
        f"{recording.sizes['seed']} networks"
    )


def _reading_panel(recording: xr.Dataset, network: str, title: str) -> Panel:
    reading, r = reading_of(network), recording.length.values
    letter = "β" if reading == "coherent" else "b"
    lines, points = [], []
    for beta in recording.beta.values.tolist():
        weights = DepthEnsemble(r.size, beta, reading).weights
        lines.append(Series(f"{letter} = {beta:g}", r, weights))
        points.append(_amplitude(recording.power.sel(network=network, beta=beta)))
    x = np.tile(r, len(points))
    y, low, high = (np.concatenate(column) for column in zip(*points, strict=True))
    return Panel(
        f"reading-{reading}",
        title,
        f"Points on the lines mean that the output splits over path lengths as ε_r says; a larger {letter} is a deeper "
        "ensemble.",
        Axis("path length r"),
        Axis("ε_r", zero=True),
        (*lines, Series("measured", x, y, low, high, marks="points")),
        note=f"Lines: theory, nothing fitted. Gates drawn once per unit. {_setting(recording)}; bars: two standard "
        "errors of their mean.",
    )


def _amplitude(power: xr.DataArray) -> tuple[Array, Array, Array]:
    """ε_r with two standard errors each way."""
    square, error = measured(power)
    return np.sqrt(square), np.sqrt(np.maximum(square - 2 * error, 0)), np.sqrt(square + 2 * error)


def _relu_panel(recording: xr.Dataset) -> Panel:
    betas, r = recording.beta.values.tolist(), recording.length.values
    frames = []
    for beta in betas:
        readings = {
            "coherent reading": DepthEnsemble(r.size, beta),
            "coherent reading, all gates open": DepthEnsemble(r.size, beta / recording.attrs["gate"]),
            "independent reading": DepthEnsemble(r.size, beta, "independent"),
        }
        frame = [Series(name, r, ensemble.weights) for name, ensemble in readings.items()]
        for network in ("redundant, Eq. 8", "independent, Eq. 8"):
            y, low, high = _amplitude(recording.power.sel(network=network, beta=beta))
            frame.append(Series(f"measured: {network.split(',')[0]}", r, y, low, high, marks="points"))
        frames.append(tuple(frame))
    return Panel(
        "reading-relu",
        "Eq. 8 itself, the ReLU last",
        "Points off their line mean that gates which depend on weights and inputs break the reading: redundant weights "
        "belong on the coherent line, and lie where β/ρ has it; independent weights belong on the independent line.",
        Axis("path length r"),
        Axis("ε_r", zero=True),
        slider=Slider("β or b", betas, frames),
        shown=len(betas) // 2,
        note=f"{_setting(recording)}; bars: two standard errors of their mean.",
    )


def _distance_panel(recording: xr.Dataset) -> Panel:
    betas, shown = recording.beta.values, [name for name in NETWORKS if name != "redundant, mean gates"]
    return Panel(
        "reading-distance",
        "How far each network is from its reading",
        "0 is agreement and 1 no length in common; a higher line is a network that its reading describes worse.",
        Axis("β (b for independent weights)", zero=True),
        Axis("total variation of ε_r²", log=True),
        tuple(Series(name, betas, list(far(recording, name).values())) for name in shown),
        note=f"{_setting(recording)}. With the gates' mean ρ in place of gates redundant networks agree to rounding.",
    )


def _redundancy_panel(recording: xr.Dataset) -> Panel:
    n, uniques = recording.attrs["width"], recording.unique.values
    rows = [recording.by_unique.sel(unique=u) for u in uniques]
    coherent = [distance(row, 1.0, "coherent") for row in rows]
    b = np.sqrt(uniques / (recording.attrs["gate"] * n))
    independent = [distance(row, k, "independent") for row, k in zip(rows, b.tolist(), strict=True)]
    return Panel(
        "reading-redundancy",
        "How much redundancy the coherent reading needs",
        "The lower line is the reading that describes the network better; to the right there are fewer copies of each "
        "weight, and gates no longer average out.",
        Axis("Λ, number of unique weights", log=True),
        Axis("total variation of ε_r²", log=True),
        (
            Series("to the coherent reading", uniques, coherent),
            Series("to the independent reading", uniques, independent),
        ),
        rules=(Rule(n, "Λ = n", axis="x"),),
        note=f"β = 1 for every Λ, so that b = √(Λ/(ρn)) grows; drawn gates. {_setting(recording)}.",
    )


def _alignment_panel(recording: xr.Dataset) -> Panel:
    s = np.abs(recording.alignment.values)
    ends = [0.0, float(s.max())]
    return Panel(
        "reading-alignment",
        "What A2-A4 leave open: the sum of the unique weights",
        "A point further up is a deeper ensemble at the same C, ρ, n and Λ. On the line the fitted β is |s| times that "
        "of Eq. 17; the paper's value is the one at |s| = 1.",
        Axis("|s| = |Σ w| / (√Λ C)", zero=True),
        Axis("fitted β / (ρnC/√Λ)", zero=True),
        (Series("networks", s, recording.fitted.values, marks="points"), Series("fitted = |s|", ends, ends)),
        note=f"Unique weights drawn uniformly from their sphere; the gates' mean ρ. {_setting(recording)}.",
    )


def far(data: xr.Dataset, network: str, opened: float = 1.0) -> dict[str, float]:
    """Return the total variation between measured and predicted ε_r² by β, which is taken ``opened`` times as large."""
    power = data.power.sel(network=network)
    betas = data.beta.values.tolist()
    return {f"β = {b:g}": distance(power.sel(beta=b), b * opened, reading_of(network)) for b in betas}


def all_far(data: xr.Dataset, *networks: str) -> dict[str, float]:
    """Return the same by network and β."""
    return {f"{name}, {beta}": off for name in networks for beta, off in far(data, name).items()}


def coherent(recordings: Recordings) -> Numbers:
    """The same for weights with |Σ w| = √Λ C, and for each network whose weights are uniform on their sphere."""
    data = recordings["readings"]
    alone = [distance(data.uniform.isel(seed=[k]), 1.0, "coherent") for k in range(data.sizes["seed"])]
    aligned = all_far(data, "redundant, mean gates", "redundant, drawn gates")
    return {**aligned, "uniform on the sphere, β = 1": alone}


def scale_sets_depths(recordings: Recordings) -> Numbers:
    """The least growth of the mean length between neighbouring scales C, by kind of network."""
    data = recordings["readings"].sortby("beta")
    mean = (data.power * data.length).sum("length", skipna=False) / data.power.sum("length", skipna=False)
    return by_setting("{network}", mean.diff("beta").min("beta"))


CLAIMS = (
    Claim(
        "Eqs. 14, 15", "With A2-A4 the part of the output on paths of length r has variance ε_r².",
        "Eqs. 14, 15: “Assuming A4 and […] denoting the scaled weights […], we can link the distribution of Y to the "
        "distribution on x”, with ε_r = (1/Z) C(p-1, r-1) (ρnC/√Λ)^r.",
        "total variation of ε_r² from Eq. 15", coherent, within(high=CLOSE), "readings", figure="reading-coherent",
        beside={"β fitted to weights uniform on their sphere, over |Σ w|/(√Λ C) times that of Eq. 17":
                lambda r: {"": r["readings"].fitted / np.abs(r["readings"].alignment)}},
        note="it holds when |Σ w| = √Λ C, as on average over the sphere; A2-A4 leave the sum of the weights open, and "
        "β is proportional to it",
    ),
    Claim(
        "Eq. 15 on Eq. 8", "The ε_r with β = ρnC/√Λ describe the network of Eq. 8, whose gates are ReLUs.",
        "Sec. 4: “The expression for the output of a residual net in Eq. 15 provides valuable insights into the "
        "machinery at work when optimizing such models.”",
        "total variation of ε_r² from Eq. 15", lambda r: far(r["readings"], "redundant, Eq. 8"),
        within(high=CLOSE), "readings", figure="reading-relu",
        beside={
            "with β at ρ = 1, n C/√Λ": lambda r: far(r["readings"], "redundant, Eq. 8", 1 / GATE),
            "independent weights, from the independent reading": lambda r: far(r["readings"], "independent, Eq. 8"),
        },
        note="only β is wrong: redundant weights open all gates of a sample together, which makes ρ = 1",
    ),
    Claim(
        "Claim 1", "The scale C of the weights sets the depths of the ensemble.",
        "Sec. 4, claim 1: “The distribution of the depths of the networks within the ensemble is controlled by the "
        "scaling parameter C.”",
        "least growth of the mean path length from one β to the next, in weight matrices", scale_sets_depths, grows(),
        "readings", figure="reading-coherent",
    ),
    Claim(
        "Independent weights", "With independent weights ε_r² ∝ C(p-1, r-1) b^(2r), b² = ρnC².",
        "Sec. 4 takes Λ = N, where weights are no longer shared: what does Eq. 15 become?",
        "total variation of ε_r² from the independent reading",
        lambda r: all_far(r["readings"], "independent, drawn gates", "independent, ReLU first"), within(high=CLOSE),
        "readings", "ours", figure="reading-independent",
    ),
)  # fmt: skip


def _pages(recordings: Recordings, _figures: Sequence[str]) -> Pages:
    shown = panels(recordings["readings"])
    return [Section("The network as paths: Sec. 3", TEXT, shown)], {"paths": shown}


READINGS = computed("theorems", {"readings": measure}, _pages, CLAIMS)
