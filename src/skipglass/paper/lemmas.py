"""Eq. 9 and Lemmas 1-3 on networks so small that every path, and every pattern of gates, can be listed.

What is random is the place of the weights, their values and the inputs; expectations over inputs (Lemma 2) and over
gates (Lemma 3) are exact sums.
"""

import itertools
import math

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from skipglass.models import GatedMLP, evenly_spread, unique_weights
from skipglass.paper.arrays import by_setting, series_by
from skipglass.paper.claim import Claim, Recordings
from skipglass.paper.experiment import computed
from skipglass.paper.path_sum import configuration_sum, copies, mass, open_gates, path_sum, shapes
from skipglass.paper.rules import Numbers, identity, within
from skipglass.report import Axis, Panel, Rule, Section, Series
from skipglass.theory import DepthEnsemble

__all__ = ["CLAIMS", "LEMMAS", "PLACEMENTS", "measure", "panels"]

Array = NDArray[np.float64]

NETWORKS = ((3, 4, 3, 2), (3, 6, 2, 3), (4, 4, 2, 4), (5, 3, 2, 3))  # p, n, d, Λ: at most 1,536 paths
SEEDS = 8
SAMPLES = 16

SPREAD = (3, 6, 3)  # p, n, d of Lemma 2
DRAWS = 50
PLACEMENTS = {
    "evenly spread, Λ = n/2": ("even", 3),
    "evenly spread, Λ = n": ("even", 6),
    "all from one input": ("input", 3),
    "copies thrown at random": ("thrown", 3),
    "weights shuffled, Λ = n": ("shuffled", 6),
}
"""Where the unique weights stand. Shuffled: each layer holds each value equally often, anywhere."""

GATED = (3, 3, 3)  # p, n, d of Lemma 3: 2^9 patterns of gates
GATE = 0.3  # ρ; not ½, where open and closed weigh the same
SCALES = np.geomspace(0.03, 3, 9)  # C of Lemma 3, from outputs that never reach the margin to ones that mostly do
INPUTS = 64
TEXT = (
    "Paths with the same weights are gathered (Lemma 1), the inputs that they carry are summed (Lemma 2), and the "
    "losses "
    "become linear in the output (Lemma 3). Networks with at most 1,536 paths let each statement be checked exactly."
)
DROPPED = ((10, 0.1), (10, 0.5), (100, 0.01), (100, 0.1), (100, 0.5))  # p, β


def measure(seed: int = 0) -> xr.Dataset:
    """Measure Eq. 9 and Lemmas 1-3.

    Parameters
    ----------
    seed
        Of all draws.

    Returns
    -------
    xarray.Dataset
        By network and draw: the errors of ``path_sum`` and ``configuration_sum`` relative to the largest output, and
        ``uneven``, the largest deviation of a configuration's copies from ψ_r/Λ^r. By placement, draw and length:
        E[ξ²]/(ψ_r/Λ^r)², ``low`` (of those that occur), ``mean`` and ``high`` over the configurations. By loss, scale
        and draw: the ``gap`` to C_1 + C_2 E[Y] relative to the loss, and ``reached``, how probably gates bring it to
        its kink. ``slope`` is C_2 by label; ``dropped`` is ε_1², which Eq. 15 leaves out, by ensemble.
    """
    generator = torch.Generator().manual_seed(seed)
    return xr.merge(
        [_sums(generator), _spread(generator), _losses(generator), _dropped()], combine_attrs="drop_conflicts"
    )


def _sums(generator: torch.Generator) -> xr.Dataset:
    """Eq. 9 with independent weights, Lemma 1 with Λ unique ones, against the forward pass."""
    names = ["path_sum", "configuration_sum", "uneven"]
    labels = ["p = {}, n = {}, d = {}, Λ = {}".format(*network) for network in NETWORKS]
    rows = [[_one_sum(*network, generator) for _ in range(SEEDS)] for network in NETWORKS]
    table = xr.DataArray(rows, [("network", labels), ("seed", range(SEEDS)), ("quantity", names)])
    return table.to_dataset("quantity")


def _one_sum(p: int, n: int, d: int, unique: int, generator: torch.Generator) -> tuple[float, float, float]:
    x = _normal((SAMPLES, d), generator)
    # Eq. 9: every weight is its own
    free = [_normal(shape, generator) / math.sqrt(n) for shape in shapes(p, n, d)]
    # Lemma 1: Λ values, each in equally many places
    labels = [evenly_spread(*shape, unique, generator).numpy() for shape in shapes(p, n, d)]
    values = unique_weights(unique, 1 / math.sqrt(n), None, generator=generator).numpy()
    shared = [values[label] for label in labels]
    found = path_sum(free, x, open_gates(free, x))
    again = configuration_sum(values, labels, x, open_gates(shared, x))
    # every configuration of r values should occur ψ_r/Λ^r times
    uneven = max(
        np.abs(copies(labels, unique, r).sum(axis=1) * unique**r / mass(p, n, d, r) - 1).max() for r in range(1, p + 1)
    )
    return _error(found, free, x), _error(again, shared, x), float(uneven)


def _error(found: Array, weights: list[Array], x: Array) -> float:
    Y = GatedMLP([torch.from_numpy(w) for w in weights])(torch.from_numpy(x)).detach().numpy()
    return float(np.abs(found - Y).max() / np.abs(Y).max())


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Array:
    return torch.randn(shape, generator=generator, dtype=torch.float64).numpy()


def _spread(generator: torch.Generator) -> xr.Dataset:
    """Lemma 2 by counting copies: ξ = Σ_i α_i x_i, so that E[ξ²] = ‖α‖² for uncorrelated inputs of unit variance."""
    draws = [[_moments(*place, generator) for _ in range(DRAWS)] for place in PLACEMENTS.values()]
    coordinates = {"placement": list(PLACEMENTS), "draw": range(DRAWS), "length": range(1, SPREAD[0] + 1)}
    table = xr.DataArray(draws, {**coordinates, "moment": ["low", "mean", "high"]}, [*coordinates, "moment"])
    return table.to_dataset("moment").assign_attrs(inputs=SPREAD[-1])


def _moments(kind: str, unique: int, generator: torch.Generator) -> list[list[float]]:
    """Least, mean and largest E[ξ²]/(ψ_r/Λ^r)² over the configurations that occur, for each length."""
    labels = _places(kind, unique, generator)
    found = []
    for r in range(1, SPREAD[0] + 1):
        alpha = _thrown(unique, r, generator) if kind == "thrown" else copies(labels, unique, r)
        # E[ξ²] = ‖α‖² by input, relative to all copies on one input
        square = (alpha**2).sum(axis=1) / (mass(*SPREAD, r) / unique**r) ** 2
        found.append([square[square > 0].min(), square.mean(), square.max()])
    return found


def _places(kind: str, unique: int, generator: torch.Generator) -> list[NDArray[np.int64]]:
    if kind == "shuffled":
        return [(torch.randperm(a * b, generator=generator) % unique).reshape(a, b).numpy() for a, b in shapes(*SPREAD)]
    places = [evenly_spread(*shape, unique, generator).numpy() for shape in shapes(*SPREAD)]
    if kind == "input":  # a value of its own for each input
        places[0] = np.broadcast_to(np.arange(SPREAD[-1]), places[0].shape)
    return places


def _thrown(unique: int, length: int, generator: torch.Generator) -> NDArray[np.int64]:
    """ψ_r/Λ^r copies of each configuration, each from an input at random: Lemma 1 holds, evenness does not."""
    d, count = SPREAD[-1], mass(*SPREAD, length) // unique**length
    starts = torch.randint(d, (unique**length, count), generator=generator)
    return np.stack([(starts == i).sum(dim=1).numpy() for i in range(d)], axis=1)


def _losses(generator: torch.Generator) -> xr.Dataset:
    """Lemma 3: the mean of each loss over all patterns of gates against C_1 + C_2 E[Y]."""
    p, n, _ = GATED
    patterns = np.array(list(itertools.product([0.0, 1.0], repeat=p * n))).reshape(-1, p, n)
    rows = [[_one_network(float(scale), patterns, generator) for _ in range(SEEDS)] for scale in SCALES]
    found = xr.combine_nested(rows, ["scale", "seed"]).assign_coords(scale=SCALES, seed=range(SEEDS))
    return found.assign_attrs(gate=GATE, patterns=len(patterns))


def _one_network(scale: float, patterns: Array, generator: torch.Generator) -> xr.Dataset:
    weight = (GATE**patterns * (1 - GATE) ** (1 - patterns)).prod(axis=(1, 2))  # how probable a pattern is
    W = [scale * _normal(shape, generator) for shape in shapes(*GATED)]
    x = _normal((INPUTS, GATED[-1]), generator)
    label = np.where(torch.rand(INPUTS, generator=generator).numpy() < 0.5, -1.0, 1.0)
    Y = _all_outputs(W, x, patterns)
    # the exact mean over all patterns, each as probable as it is
    mean, largest = weight @ Y, np.abs(Y).max()
    expected = path_sum(W, x, np.full((*patterns.shape[1:], INPUTS), GATE))
    violated = weight @ (label * Y < 1)  # the hinge's Bernoulli variable, taken to be independent
    # the loss, what it is by the lemma, and which patterns bring it to its kink
    losses = {
        "hinge, labels ±1": (np.maximum(0, 1 - label * Y), violated * (1 - label * expected), label * Y > 1),
        "absolute, labels ±1": (np.abs(label - Y), 1 - label * expected, label * Y > 1),
        "absolute, labels ±sup |Y|": (np.abs(label * largest - Y), largest - label * expected, np.zeros_like(Y)),
    }
    # how far the mean loss is from the linear form, relative to itself
    gaps = [np.abs(weight @ loss - form).mean() / (weight @ loss).mean() for loss, form, _ in losses.values()]
    return xr.Dataset(
        {
            "gap": ("loss", gaps),
            "reached": ("loss", [(weight @ beyond).mean() for _, _, beyond in losses.values()]),
            "slope": ("label", [(-violated * label)[label == sign].mean() for sign in (-1, 1)]),
            "expectation": np.abs(mean - expected).max() / np.abs(mean).max(),
        },
        {"loss": list(losses), "label": [-1, 1]},
    )


def _all_outputs(W: list[Array], x: Array, patterns: Array) -> Array:
    """Y under every pattern of gates, (patterns, N)."""
    h = patterns[:, 0, :, None] * (W[0] @ x.T)
    for l, weight in enumerate(W[1:], start=1):
        h = h + patterns[:, l, :, None] * (weight @ h)
    return h.sum(axis=1)


def _dropped() -> xr.Dataset:
    """ε_1², which the second line of Eq. 15 drops."""
    dropped = [DepthEnsemble(p, beta).weights[0] ** 2 for p, beta in DROPPED]
    return xr.Dataset({"dropped": ("ensemble", dropped)}, {"ensemble": [f"p = {p}, β = {b:g}" for p, b in DROPPED]})


def panels(recording: xr.Dataset) -> tuple[Panel, ...]:
    """Return Lemma 2 and Lemma 3 as panels.

    Parameters
    ----------
    recording
        By `measure`.

    Returns
    -------
    tuple of Panel
        The variance of ξ between its bounds, and the gap of the losses.
    """
    d, places = recording.attrs["inputs"], recording.placement.values.tolist()
    columns = (recording["mean"].mean("draw"), recording.low.min("draw"), recording.high.max("draw"))
    spread = [
        Series(place, recording.length + shift, *column)
        for place, shift, *column in zip(places, np.linspace(-0.2, 0.2, len(places)), *columns, strict=True)
    ]
    return (
        Panel(
            "lemma2",
            "Lemma 2: the variance of one configuration's input",
            "Lower is more evenly spread over the inputs: Eq. 14 takes every point to lie on the lower bound.",
            Axis("path length r"),
            Axis("E[ξ²] / (ψ_r/Λ^r)²", log=True),
            tuple(spread),
            marks="points",
            rules=(Rule(1 / d, "lower bound 1/d"), Rule(1.0, "upper bound")),
            note=f"p, n, d = {', '.join(map(str, SPREAD))}; {recording.sizes['draw']} draws; points: mean, bars: least "
            "and largest over draws and the configurations that occur; exact in the inputs. Shuffled weights have "
            "other numbers of copies than ψ_r/Λ^r, so the lemma does not cover them.",
        ),
        Panel(
            "lemma3",
            "Lemma 3: how far each loss is from C_1 + C_2 E[Y]",
            "At 0 the mean of the loss over gates is linear in the mean output, as the lemma says; a rise means that "
            "gates carry outputs past the kink of the loss.",
            Axis("C, standard deviation of the weights", log=True),
            Axis("|E[L] - (C_1 + C_2 E[Y])| / E[L]", zero=True),
            series_by("{loss}", recording.gap, "seed", ends=True),
            note=f"p, n, d = {', '.join(map(str, GATED))}, ρ = {recording.attrs['gate']:g}: all "
            f"{recording.attrs['patterns']} patterns of gates; labels ±1, or ± the largest |Y|. "
            f"Bands: least to largest of {recording.sizes['seed']} draws.",
        ),
    )


def lemma_2(recordings: Recordings) -> Numbers:
    """By how much E[ξ²] leaves its two bounds, and misses them where the lemma says that it reaches them."""
    data = recordings["lemmas"]
    ends = data[["low", "high"]].to_dataarray()
    kind = data.placement.str
    # shuffled weights have other numbers of copies than ψ_r/Λ^r: the lemma does not speak of them
    covered = data.sel(placement=~kind.contains("shuffled"))
    d = data.attrs["inputs"]
    return {
        "below the lower bound": np.maximum(1 - covered.low * d, 0),
        "above the upper bound": np.maximum(covered.high - 1, 0),
        "off the lower bound, copies evenly spread": ends.sel(placement=kind.startswith("evenly")) * d - 1,
        "off the upper bound, copies of one input": ends.sel(placement="all from one input") - 1,
    }


def lower_bound(recordings: Recordings) -> dict[str, Array]:
    """How far E[ξ²] is from its lower bound, by placement."""
    data = recordings["lemmas"]
    return by_setting("{placement}", data[["low", "high"]].to_dataarray() * data.attrs["inputs"] - 1)


def kink(recordings: Recordings) -> Numbers:
    """The gap of Lemma 3 where no pattern of gates brings an output to the kink of the loss."""
    data = recordings["lemmas"]
    return by_setting("{loss}", data.gap.where(data.reached == 0), gaps=True)


SPREAD_EVENLY = "evenly spread, Λ = n"  # where the paper says that the lower bound is reached
CLAIMS = (
    Claim(
        "Eq. 9", "The output is a sum over paths of input × gates × weights.",
        "Sec. 3: “the scalar output of the network is the sum of the outputs of the output layer p and is expressed "
        "as” Y = Σ_r Σ_i Σ_j x_ij A_ij Π_k w_ij^(k).",
        "error of the sum over all paths, over the largest output",
        lambda r: by_setting("{network}", r["lemmas"].path_sum), identity(), "lemmas",
    ),
    Claim(
        "Eqs. 2, 11", "With independent gates, open with probability ρ, E[Y] is the sum over paths with ρ^r.",
        "Sec. 3: “Making the modeling assumption that the ReLU gates are independent Bernoulli random variables with "
        "probability ρ, we obtain that for every path of length r, E[A] = ρ^r”.",
        "difference between the mean over all patterns of gates and the sum, over the largest output",
        lambda r: {"": r["lemmas"].expectation}, identity(), "lemmas",
    ),
    Claim(
        "Lemma 1", "With Λ unique weights, evenly spread, the output is a sum over configurations of weights.",
        "Sec. 3: “Assuming assumptions A2-A4 hold […], then the output can be expressed after reindexing as” Eq. 10.",
        "relative error", lambda r: {"sum": r["lemmas"].configuration_sum, "copies": r["lemmas"].uneven}, identity(),
        "lemmas",
    ),
    Claim(
        "Lemma 2", "(1/d)(ψ_r/Λ^r)² ≤ E[ξ²] ≤ (ψ_r/Λ^r)².",
        "Eq. 13: “Assuming A2-A3 hold […] the following holds”. Its proof reaches the lower end where all α_i are "
        "equal and the upper one where all copies start from one input.",
        "relative deviation of E[ξ²]", lemma_2, identity(), "lemmas", figure="lemma2",
        note="inputs are uncorrelated, with unit variance",
    ),
    Claim(
        "Below Lemma 2", "With Λ = n the lower bound of Lemma 2 is reached exactly.",
        "Sec. 3, below Eq. 13: “This approximation holds exactly when Λ = n, since all weight configurations of a "
        "particular length in Eq. 10 will appear the same number of times.”",
        "relative deviation of E[ξ²] from the lower bound", lambda r: {SPREAD_EVENLY: lower_bound(r)[SPREAD_EVENLY]},
        identity(), "lemmas", figure="lemma2",
        beside={"for other placements": lambda r: {k: v for k, v in lower_bound(r).items() if k != SPREAD_EVENLY}},
        note="what makes it exact is that every unit sends each weight out equally often: a smaller Λ that divides n "
        "does as well, and weights shuffled within each layer do not, with Λ = n either",
    ),
    Claim(
        "Lemma 3", "The mean of the hinge loss and of the absolute loss over gates is C_1 + C_2 E[Y].",
        "Eq. 16: “both the losses L^h_N(x) and L^a_N(x) can be generalized to a distribution of the form” C_1 + C_2 Y.",
        "|E[L] - (C_1 + C_2 E[Y])| / E[L]", lambda r: by_setting("{loss}, C = {scale:.2g}", r["lemmas"].gap),
        within(high=1e-12), "lemmas", figure="lemma3",
        beside={"where no gates bring an output to the kink of the loss": kink},
        note="it holds where no pattern of gates brings Y_x Y to 1 (hinge), or |Y| beyond |Y_x| (absolute)",
    ),
    Claim(
        "Lemma 3, constants", "C_1 and C_2 are positive constants.",
        "Below Eq. 16: “where C_1, C_2 are positive constants that do not affect the optimization process”.",
        "C_2 of the hinge loss", lambda r: by_setting("label {label:+d}", r["lemmas"].slope), within(low=0.0), "lemmas",
        "slips",
        note="C_2 is -Y_x times the probability that the margin is violated: it has the sign opposite to the label",
    ),
    Claim(
        "Eq. 15, second line", "The sum over path lengths may start from r = 2.",
        "Eq. 15: its first line sums from r = 1, its second from r = 2.",
        "variance that the second line omits, ε_1²", lambda r: by_setting("{ensemble}", r["lemmas"].dropped),
        identity(), "lemmas", "slips",
        note="it matters for shallow ensembles only; if it is kept, it acts as a magnetic field, and below β_c ≈ 1/p "
        "one minimum is left",
    ),
)  # fmt: skip


LEMMAS = computed(
    "theorems",
    {"lemmas": measure},
    lambda recordings, _: ([Section("Lemmas 1 to 3", TEXT, panels(recordings["lemmas"]))], {}),
    CLAIMS,
)
