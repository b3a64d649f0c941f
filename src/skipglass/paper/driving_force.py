"""Theorems 3 and 4 and Eq. 21, checked where they assume to be: at points with ∂L/∂λ_l = 0 (docs/mathematics.md §5).

A network of p layers whose one shortcut skips p - m of them, statistics held, a loss linear in the output. Between two
draws of the weights where ∂L/∂λ_l has different signs lies a point where it is 0; there the weights take a step of SGD,
and what becomes of ∂L/∂λ_l is compared with the theorem. What it leaves out must shrink as μ².

Then the assumptions are dropped one by one, still at points where the true slope is 0: how the theorem's force compares
with the true one.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from scipy.optimize import brentq
from torch import Tensor, nn

from skipglass import paths, scales
from skipglass.errors import InputError
from skipglass.models import ResidualLayer, ResidualMLP

__all__ = ["ASSUMPTIONS", "SingleSkip", "driving_force", "stationary"]

WIDTH, FEATURES, SAMPLES = 8, 6, 40
DEPTH, SKIPPED = 5, (2, 4)  # p, and the layers that the shortcut skips, from 0
STEPS = 2.0 ** -np.arange(10, 16)  # μ‖g‖/‖w‖; below 1e-3 few gates flip
ASSUMPTIONS = ("all", "nonlinear loss", "live statistics", "batch norm", "all of them, and every parameter steps")
"""What is left of the theorem's assumptions: all hold; then which is dropped."""
LOSSES = ("linear", "cross entropy")


class SingleSkip(nn.Module):
    """A chain of p layers with one shortcut around some of them, as in Sec. 4.2; its output is the sum of all units.

    Parameters
    ----------
    seed
        Of the weights and of λ, which take both signs.
    normalization
        "paper" (Eq. 22) or "none".
    skipped
        The first layer that is skipped, and the first behind the shortcut.
    """

    def __init__(self, seed: int, normalization: str = "paper", skipped: tuple[int, int] = SKIPPED) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        shapes = [(WIDTH, FEATURES)] + [(WIDTH, WIDTH)] * (DEPTH - 1)
        self.skipped = skipped
        self.layers = nn.ModuleList(
            ResidualLayer(
                torch.randn(shape, generator=draw, dtype=torch.float64) / shape[1] ** 0.5,
                skip=False,
                normalization=normalization,
                placement="after",
            )
            for shape in shapes
        )
        for layer in self.layers:
            if normalization == "paper":
                with torch.no_grad():
                    layer.multiplier.normal_(generator=draw)
                layer.multiplier.requires_grad_(False)  # the theorem's step is one of the weights alone

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, d) to (N,)."""
        h = x.T
        for l, layer in enumerate(self.layers):
            if l == self.skipped[0]:
                around = h
            h = layer(h)
            if l + 1 == self.skipped[1]:
                h = h + around
        return h.sum(dim=0)


def stationary(
    slope: Callable[[], float], draw: Callable[[int], Sequence[Tensor]], parameters: Sequence[Tensor], tries: int = 60
) -> float:
    """Move parameters to a point where a slope is 0: on a line between two draws where its signs differ.

    Parameters
    ----------
    slope
        At the parameters as they are.
    draw
        Values like ``parameters``, by number.
    parameters
        Changed in place.
    tries
        Draws to look at.

    Returns
    -------
    float
        What is left of the slope.

    Raises
    ------
    InputError
        If the slope has the same sign everywhere.
    """

    def go(start: Sequence[Tensor], stop: Sequence[Tensor], t: float) -> float:
        with torch.no_grad():
            for p, a, b in zip(parameters, start, stop, strict=True):
                p.copy_(torch.lerp(a, b, t))
        return slope()

    first = draw(0)
    sign = np.sign(go(first, first, 0.0))
    for number in range(1, tries):
        other = draw(number)
        if np.sign(go(first, other, 1.0)) == -sign:
            t = brentq(lambda t, stop=other: go(first, stop, t), 0.0, 1.0, xtol=1e-16, rtol=1e-15)
            return go(first, other, t)
    raise InputError(f"the slope has one sign at {tries} draws: no stationary point was found")


def driving_force(networks: int = 20) -> xr.Dataset:
    """Measure all of it.

    Parameters
    ----------
    networks
        Seeds of each check.

    Returns
    -------
    xarray.Dataset
        `change` and `predicted` (theorem, network, step) of the slope, its rest at the start; `slope_c` and `eq21`
        (network,); `true_force` and `theorem_force` (assumption, network, layer).
    """
    kinds = ("unskipped", "skipped", "global")
    measured = [[_theorem(kind, seed) for seed in range(networks)] for kind in kinds]
    names = ("change", "predicted", "moved")
    data = {k: (("theorem", "network", "step"), np.array([[m[k] for m in row] for row in measured])) for k in names}
    rest = np.array([[m["rest"] for m in row] for row in measured])
    forces = np.array([[_relaxed(which, seed) for seed in range(networks)] for which in ASSUMPTIONS])
    eq21 = np.array([_eq_21(seed) for seed in range(networks)])
    return xr.Dataset(
        {
            **data,
            "rest": (("theorem", "network"), rest),
            "slope_c": ("network", eq21[:, 0]),
            "eq21": ("network", eq21[:, 1]),
            "theorem_force": (("assumption", "network", "layer"), forces[..., 0]),
            "true_force": (("assumption", "network", "layer"), forces[..., 1]),
        },
        {"theorem": list(kinds), "step": STEPS, "assumption": list(ASSUMPTIONS), "network": np.arange(networks)},
        {"depth": DEPTH, "skipped": SKIPPED[1] - SKIPPED[0], "width": WIDTH, "samples": SAMPLES},
    )


def _batch(seed: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed + 10_000)
    x = torch.randn(SAMPLES, FEATURES, generator=draw, dtype=torch.float64)
    return x, torch.arange(SAMPLES) % 2  # balanced: all outputs have one sign, and L would have it too


def _linear(outputs: Tensor, targets: Tensor) -> Tensor:
    """Lemma 3: both of the paper's losses, averaged over gates, are linear in the output."""
    return ((1 - 2 * targets) * outputs).mean()


def _theorem(kind: str, seed: int) -> dict[str, np.ndarray | float]:
    """One network at a stationary point: what a step makes of the slope, and what the theorem says."""
    x, y = _batch(seed)
    model = SingleSkip(seed, "none" if kind == "global" else "paper")
    if kind != "global":
        _calibrate(model, x)
    model.eval()
    layer = model.layers[SKIPPED[0] if kind == "skipped" else 1]
    weights = [l.weight for l in model.layers]

    def slope() -> float:
        if kind == "global":
            g = torch.autograd.grad(_linear(model(x), y), weights)
            return float(sum((w * part).sum() for w, part in zip(weights, g, strict=True)))
        layer.multiplier.requires_grad_()
        (g,) = torch.autograd.grad(_linear(model(x), y), layer.multiplier)
        layer.multiplier.requires_grad_(False)
        return float(layer.multiplier * g)

    rest = stationary(
        slope, lambda number: [l.weight.detach() for l in SingleSkip(1000 * seed + number + 1).layers], weights
    )
    split = scales.two_paths(model, x, y, _linear, block=paths.participation(model, x, y, _linear).blocks[0])
    p, m = DEPTH, DEPTH - (SKIPPED[1] - SKIPPED[0])
    force = {
        "unskipped": split.unskipped,
        "skipped": split.skipped,
        "global": m * split.norm_m**2 + p * split.norm_p**2 + (m + p) * split.product,
    }[kind]
    g = [(split.g_p[f"layers.{l}.weight"] + split.g_m[f"layers.{l}.weight"]) for l in range(p)]
    start, norm = (
        [w.detach().clone() for w in weights],
        float(torch.cat([w.detach().flatten() for w in weights]).norm()),
    )
    rates = STEPS * norm / np.sqrt(split.unskipped)
    change = []
    for mu in rates:
        with torch.no_grad():
            for w, a, part in zip(weights, start, g, strict=True):
                w.copy_(a - mu * part)
        change.append(slope())
    moved = -rates * np.array(change)  # the next step of ln|λ|
    return {"change": np.array(change), "predicted": -rates * force, "moved": moved, "rest": rest}


def _calibrate(model: SingleSkip, x: Tensor) -> None:
    for layer in model.layers:
        layer.momentum = 1.0
    with torch.no_grad():
        model.train()(x)


def _eq_21(seed: int) -> tuple[float, float]:
    """C ∂L/∂C, and Σ r L_r with L_r by the exact split of the output."""
    x, y = _batch(seed)
    model = ResidualMLP(FEATURES, depth=DEPTH, width=WIDTH, seeds=seed, dtype=torch.float64)
    split = paths.output_split(model, x, lambda outputs: _linear(outputs, y))
    slope = scales.drift(model, x, y, _linear, scales="C").slope[0]
    return float(slope), float((split.lengths * split.parts).sum())


def _relaxed(which: str, seed: int) -> np.ndarray:
    """Theorem 3's force on each skipped layer and the true one, where its true slope is 0, (layer, 2)."""
    x, y = _batch(seed)
    everything = which == ASSUMPTIONS[-1]
    linear = which in ("all", "live statistics", "batch norm")
    normalization = "batch" if which == "batch norm" or everything else "paper"
    live = which == "live statistics" or everything

    def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
        return _linear(outputs[:, 0], targets) if linear else F.cross_entropy(outputs, targets)

    def build(number: int) -> ResidualMLP:
        model = ResidualMLP(
            FEATURES, 2, depth=DEPTH, width=WIDTH, normalization=normalization, seeds=number, dtype=torch.float64
        )
        draw = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for layer in model.layers:
                layer.multiplier.normal_(generator=draw)
        return model

    found = []
    for l in range(1, DEPTH):
        model = build(seed)
        model.calibrate(x)
        model.train(live)
        layer: ResidualLayer = model.layers[l]  # type: ignore[assignment]
        own = list(model.parameters())

        def slope(model: ResidualMLP = model, layer: ResidualLayer = layer) -> float:
            (g,) = torch.autograd.grad(loss_fn(model(x), y), layer.multiplier)
            return float((layer.multiplier * g).sum())

        stationary(slope, lambda number: [p.detach() for p in build(1000 * seed + number + 1).parameters()], own)
        theorem = scales.drift(model, x, y, loss_fn, theorem=True).force[l]
        true = scales.drift(model, x, y, loss_fn).force[l]
        found.append([theorem, _all_step(model, x, y, loss_fn, layer) if everything else true])
    return np.array(found)


def _all_step(model: nn.Module, x: Tensor, y: Tensor, loss_fn: Callable, layer: ResidualLayer) -> float:
    """The force where every parameter steps: the full row of the Hessian."""
    own = list(model.parameters())
    (row,) = scales.twice(loss_fn(model(x), y), [layer.multiplier], own)[1]
    return float((layer.multiplier * row).sum())
