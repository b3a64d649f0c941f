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
from skipglass.paper.path_sum import configuration_sum, copies, mass, open_gates, path_sum
from skipglass.report import Axis, Panel, Rule, Series
from skipglass.theory import DepthEnsemble

__all__ = ["PLACEMENTS", "measure", "panels"]

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
CORRELATIONS = (-0.5, -0.25, 0.0, 0.5, 1.0)  # of any two inputs; -1/(d-1) is the least there is

GATED = (3, 3, 3)  # p, n, d of Lemma 3: 2^9 patterns of gates
GATE = 0.3  # ρ; not ½, where open and closed weigh the same
SCALES = np.geomspace(0.03, 3, 9)  # C of Lemma 3, from outputs that never reach the margin to ones that mostly do
INPUTS = 64
TIE_DEPTH = 200
DROPPED = ((10, 0.1), (10, 0.5), (100, 0.01), (100, 0.1), (100, 0.5))  # p, β


def measure(seed: int = 0) -> xr.Dataset:
    """Measure Eq. 9, Lemmas 1-3 and what the paper says beside them.

    Parameters
    ----------
    seed
        Of all draws.

    Returns
    -------
    xarray.Dataset
        By network and draw: the errors of ``path_sum`` and ``configuration_sum`` relative to the largest output, and
        ``uneven``, the largest deviation of a configuration's copies from ψ_r/Λ^r. By placement, draw and length:
        E[ξ²]/(ψ_r/Λ^r)², ``low`` (of those that occur), ``mean`` and ``high`` over the ``configurations``; ``rank`` of
        the covariance of the ξ, and their mean ``correlation``. By loss, scale and draw: the ``gap`` to C_1 + C_2 E[Y]
        relative to the loss, and ``reached``, how probably gates bring it to its kink. ``slope`` is C_2 by label.
    """
    generator = torch.Generator().manual_seed(seed)
    return xr.merge(
        [_sums(generator), _spread(generator), _correlated(generator), _losses(generator), _asides()],
        combine_attrs="drop_conflicts",
    )


def _sums(generator: torch.Generator) -> xr.Dataset:
    """Eq. 9 with independent weights, Lemma 1 with Λ unique ones, against the forward pass."""
    rows = [[_one_sum(*network, generator) for _ in range(SEEDS)] for network in NETWORKS]
    table = np.array(rows)
    names = ("path_sum", "configuration_sum", "uneven")
    labels = ["p = {}, n = {}, d = {}, Λ = {}".format(*network) for network in NETWORKS]
    return xr.Dataset(
        {name: (("network", "seed"), table[..., k]) for k, name in enumerate(names)},
        coords={"network": labels, "seed": np.arange(SEEDS)},
    )


def _one_sum(p: int, n: int, d: int, unique: int, generator: torch.Generator) -> tuple[float, float, float]:
    x = torch.randn(SAMPLES, d, generator=generator, dtype=torch.float64)
    free = [torch.randn(n, n if l else d, generator=generator, dtype=torch.float64) / math.sqrt(n) for l in range(p)]
    places = [evenly_spread(n, n if l else d, unique, generator) for l in range(p)]
    values = unique_weights(unique, 1 / math.sqrt(n), None, generator=generator)
    shared = [values[place] for place in places]
    found = path_sum([w.numpy() for w in free], x.numpy(), open_gates([w.numpy() for w in free], x.numpy()))
    labels = [place.numpy() for place in places]
    gates = open_gates([w.numpy() for w in shared], x.numpy())
    again = configuration_sum(values.numpy(), labels, x.numpy(), gates)
    uneven = max(
        np.abs(copies(labels, unique, r).sum(axis=1) * unique**r / mass(p, n, d, r) - 1).max() for r in range(1, p + 1)
    )
    return _error(found, GatedMLP(free)(x)), _error(again, GatedMLP(shared)(x)), float(uneven)


def _error(found: Array, forward: torch.Tensor) -> float:
    Y = forward.detach().numpy()
    return float(np.abs(found - Y).max() / np.abs(Y).max())


def _spread(generator: torch.Generator) -> xr.Dataset:
    """Lemma 2 by counting copies: ξ = Σ_i α_i x_i, so that E[ξ²] = ‖α‖² for uncorrelated inputs of unit variance."""
    p, _, d = SPREAD
    names = ("low", "mean", "high", "rank", "correlation")
    table = np.empty((len(PLACEMENTS), DRAWS, p, len(names)))
    for k, (kind, unique) in enumerate(PLACEMENTS.values()):
        for draw in range(DRAWS):
            labels = _places(kind, unique, generator)
            for r in range(1, p + 1):
                alpha = _thrown(unique, r, generator) if kind == "thrown" else copies(labels, unique, r)
                table[k, draw, r - 1] = _moments(alpha, mass(*SPREAD, r) / unique**r)
    count = [[unique**r for r in range(1, p + 1)] for _, unique in PLACEMENTS.values()]
    return xr.Dataset(
        {name: (("placement", "draw", "length"), table[..., k]) for k, name in enumerate(names)}
        | {"configurations": (("placement", "length"), count)},
        coords={"placement": list(PLACEMENTS), "draw": np.arange(DRAWS), "length": np.arange(1, p + 1)},
        attrs={"inputs": d},
    )


def _places(kind: str, unique: int, generator: torch.Generator) -> list[NDArray[np.int64]]:
    p, n, d = SPREAD
    shapes = [(n, n if l else d) for l in range(p)]
    if kind == "shuffled":
        return [(torch.randperm(a * b, generator=generator) % unique).reshape(a, b).numpy() for a, b in shapes]
    places = [evenly_spread(a, b, unique, generator).numpy() for a, b in shapes]
    if kind == "input":  # a value of its own for each input
        places[0] = np.broadcast_to(np.arange(d), (n, d))
    return places


def _thrown(unique: int, length: int, generator: torch.Generator) -> NDArray[np.int64]:
    """ψ_r/Λ^r copies of each configuration, each from an input at random: Lemma 1 holds, evenness does not."""
    d, count = SPREAD[-1], mass(*SPREAD, length) // unique**length
    starts = torch.randint(d, (unique**length, count), generator=generator)
    return np.stack([(starts == i).sum(dim=1).numpy() for i in range(d)], axis=1)


def _moments(alpha: NDArray[np.int64], wanted: float) -> tuple[float, ...]:
    square = (alpha**2).sum(axis=1) / wanted**2
    unit = alpha[square > 0] / np.linalg.norm(alpha[square > 0], axis=1, keepdims=True)
    number = len(unit)
    correlation = (np.square(unit.sum(axis=0)).sum() - number) / (number * (number - 1)) if number > 1 else 1.0
    return square[square > 0].min(), square.mean(), square.max(), float(np.linalg.matrix_rank(alpha)), correlation


def _correlated(generator: torch.Generator) -> xr.Dataset:
    """E[ξ²] = αᵀRα over the lower bound, evenly spread copies, inputs that all correlate by c."""
    p, _, d = SPREAD
    alpha = copies(_places("even", 3, generator), 3, p)
    wanted = mass(*SPREAD, p) / 3**p
    values = []
    for c in CORRELATIONS:
        R = (1 - c) * np.eye(d) + c
        values.append(np.einsum("ki,ij,kj->k", alpha, R, alpha).min() * d / wanted**2)
    return xr.Dataset({"correlated": ("input_correlation", values)}, coords={"input_correlation": list(CORRELATIONS)})


def _losses(generator: torch.Generator) -> xr.Dataset:
    """Lemma 3: the mean of each loss over all patterns of gates against C_1 + C_2 E[Y]."""
    p, n, d = GATED
    patterns = np.array(list(itertools.product([0.0, 1.0], repeat=p * n))).reshape(-1, p, n)
    weight = (GATE**patterns * (1 - GATE) ** (1 - patterns)).prod(axis=(1, 2))
    losses = ("hinge, labels ±1", "absolute, labels ±1", "absolute, labels ±sup |Y|")
    gap, reached = np.empty((2, len(losses), SCALES.size, SEEDS))
    expectation, slope = np.empty((SCALES.size, SEEDS)), np.empty((2, SCALES.size, SEEDS))
    for (k, scale), draw in itertools.product(enumerate(SCALES), range(SEEDS)):
        shapes = [(n, n if l else d) for l in range(p)]
        W = [scale * torch.randn(shape, generator=generator, dtype=torch.float64).numpy() for shape in shapes]
        x = torch.randn(INPUTS, d, generator=generator, dtype=torch.float64).numpy()
        label = np.where(torch.rand(INPUTS, generator=generator).numpy() < 0.5, -1.0, 1.0)
        Y = _all_outputs(W, x, patterns)
        mean = weight @ Y
        expected = path_sum(W, x, np.full((p, n, INPUTS), GATE))
        expectation[k, draw] = np.abs(mean - expected).max() / np.abs(mean).max()
        open_margin = weight @ (label * Y < 1)  # the hinge's Bernoulli variable, taken to be independent
        forms = (
            (np.maximum(0, 1 - label * Y), open_margin * (1 - label * expected), label * Y > 1),
            (np.abs(label - Y), 1 - label * expected, label * Y > 1),
            (np.abs(label * np.abs(Y).max() - Y), np.abs(Y).max() - label * expected, np.zeros_like(Y)),
        )
        for j, (loss, form, beyond) in enumerate(forms):
            gap[j, k, draw] = np.abs(weight @ loss - form).mean() / (weight @ loss).mean()
            reached[j, k, draw] = (weight @ beyond).mean()
        slope[:, k, draw] = [(-open_margin * label)[label == sign].mean() for sign in (-1, 1)]
    where = ("loss", "scale", "seed")
    return xr.Dataset(
        {
            "gap": (where, gap),
            "reached": (where, reached),
            "slope": (("label", "scale", "seed"), slope),
            "expectation": (("scale", "seed"), expectation),
        },
        coords={"loss": list(losses), "scale": SCALES, "label": [-1, 1], "seed": np.arange(SEEDS)},
        attrs={"gate": GATE, "patterns": len(patterns)},
    )


def _all_outputs(W: list[Array], x: Array, patterns: Array) -> Array:
    """Y under every pattern of gates, (patterns, N)."""
    h = patterns[:, 0, :, None] * (W[0] @ x.T)
    for l, weight in enumerate(W[1:], start=1):
        h = h + patterns[:, l, :, None] * (weight @ h)
    return h.sum(axis=1)


def _asides() -> xr.Dataset:
    """What Theorem 1 assumes (pβ/(1+β) a whole number k: ε_k and ε_{k+1} tie), and ε_1², which Eq. 15 drops."""
    k = np.arange(1, TIE_DEPTH)
    weights = [DepthEnsemble(TIE_DEPTH, j / (TIE_DEPTH - j)).weights for j in k]
    dropped = [DepthEnsemble(p, beta).weights[0] ** 2 for p, beta in DROPPED]
    return xr.Dataset(
        {
            "tie": ("peak", [abs(math.log(w[j] / w[j - 1])) for j, w in zip(k, weights, strict=True)]),
            "dropped": ("ensemble", dropped),
        },
        coords={"peak": k, "ensemble": [f"p = {p}, β = {beta:g}" for p, beta in DROPPED]},
        attrs={"tie_depth": TIE_DEPTH},
    )


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
    return _spread_panel(recording), _loss_panel(recording)


def _spread_panel(recording: xr.Dataset) -> Panel:
    d, shift = recording.attrs["inputs"], np.linspace(-0.2, 0.2, recording.sizes["placement"])
    series = []
    for place, offset in zip(recording.placement.values.tolist(), shift, strict=True):
        data = recording.sel(placement=place)
        x = recording.length.values + offset
        series.append(Series(place, x, data["mean"].mean("draw"), data.low.min("draw"), data.high.max("draw")))
    return Panel(
        "lemma2",
        "Lemma 2: the variance of one configuration's input",
        "Lower is more evenly spread over the inputs: Eq. 14 takes every point to lie on the lower bound.",
        Axis("path length r"),
        Axis("E[ξ²] / (ψ_r/Λ^r)²", log=True),
        tuple(series),
        marks="points",
        rules=(Rule(1 / d, "lower bound 1/d"), Rule(1.0, "upper bound")),
        note=f"p, n, d = {', '.join(map(str, SPREAD))}; {recording.sizes['draw']} draws; points: mean, bars: least "
        "and largest over draws and the configurations that occur; exact in the inputs. Shuffled weights have other "
        "numbers of copies than ψ_r/Λ^r, so the lemma does not cover them.",
    )


def _loss_panel(recording: xr.Dataset) -> Panel:
    series = []
    for loss in recording.loss.values.tolist():
        values = recording.gap.sel(loss=loss).transpose("seed", "scale").values
        series.append(Series(loss, recording.scale.values, values.mean(0), values.min(0), values.max(0)))
    return Panel(
        "lemma3",
        "Lemma 3: how far each loss is from C_1 + C_2 E[Y]",
        "At 0 the mean of the loss over gates is linear in the mean output, as the lemma says; a rise means that gates "
        "carry outputs past the kink of the loss.",
        Axis("C, standard deviation of the weights", log=True),
        Axis("|E[L] - (C_1 + C_2 E[Y])| / E[L]", zero=True),
        tuple(series),
        note=f"p, n, d = {', '.join(map(str, GATED))}, ρ = {recording.attrs['gate']:g}: all "
        f"{recording.attrs['patterns']} patterns of gates; labels ±1, or ± the largest |Y|. "
        f"Bands: least to largest of {recording.sizes['seed']} draws.",
    )
