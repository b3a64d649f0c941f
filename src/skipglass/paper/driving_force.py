"""Theorems 3 and 4 and Eq. 21, checked where they assume to be: at points with ∂L/∂λ_l = 0 (docs/mathematics.md §5).

A network of p layers whose one shortcut skips p - m of them, statistics held, a loss linear in the output. ∂L/∂λ_l is
linear in the targets, so that between two draws of them with different signs lie some that make it 0. There the weights
take a step of SGD, and what becomes of ∂L/∂λ_l is compared with the theorem. What it leaves out must shrink as μ².

Then the assumptions are dropped one by one, still at points where the true slope is 0: how the theorem's force compares
with the true one.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn

from skipglass import paths, scales
from skipglass.errors import InputError
from skipglass.models import ResidualLayer, ResidualMLP
from skipglass.paper.claim import Claim, Recordings, Undecided
from skipglass.paper.experiment import Pages, computed
from skipglass.paper.recursion import CLAIMS as RECURSION_CLAIMS
from skipglass.paper.recursion import recursion_panel, second_moments
from skipglass.paper.rules import Numbers, identity, skill, within
from skipglass.report import Axis, Panel, Section, Series

__all__ = ["ASSUMPTIONS", "CLAIMS", "FORCES", "SingleSkip", "driving_force", "stationary"]

WIDTH, FEATURES, SAMPLES = 8, 6, 40
DEPTH, SKIPPED = 5, (2, 4)  # p, and the layers that the shortcut skips, from 0
STEPS = 2.0 ** -np.arange(14, 21)  # μ‖g‖/‖w‖: so small that a gate flips in few of the networks
ASSUMPTIONS = ("none", "linear loss", "constant statistics", "both", "both, and λ and shifts step too")
"""Which of the theorem's assumptions is dropped: the loss is cross entropy, batch statistics are live, more steps."""
TEXT = (
    "Theorems 3 and 4 say what a step of the weights makes of ∂L/∂λ_l and ∂L/∂C, where those are 0. They hold gates "
    "and statistics, and take the loss to be linear. There the error of the formulas shrinks as the square of the "
    "learning rate; a gate that flips ends that at once, as paths come and go. Sec. 4.1 has the second moments of "
    "untrained units rise by one a layer, which depends on how a branch is normalised."
)
STILL = 1e-6  # of a step's change: how much of the slope may be left at a point that counts as stationary
KINDS = ("unskipped", "skipped", "global")


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
        for layer in self.chain:
            if normalization == "paper":
                with torch.no_grad():
                    layer.multiplier.normal_(generator=draw)
                layer.multiplier.requires_grad_(False)  # the theorem's step is one of the weights alone

    @property
    def chain(self) -> list[ResidualLayer]:
        """The layers, in order."""
        return [layer for layer in self.layers if isinstance(layer, ResidualLayer)]

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, d) to (N,)."""
        h = around = x.T
        for l, layer in enumerate(self.chain):
            around = h if l == self.skipped[0] else around
            h = layer(h) + around if l + 1 == self.skipped[1] else layer(h)
        return h.sum(dim=0)

    def gates(self, x: Tensor) -> Tensor:
        """Which ReLUs let a sample pass, (layer, unit, N)."""
        found: list[Tensor] = []
        hooks = [
            layer.register_forward_pre_hook(lambda layer, h: found.append(layer.weight @ h[0] > 0))
            for layer in self.chain
        ]
        self(x)
        for hook in hooks:
            hook.remove()
        return torch.stack(found)


def stationary(slope: Callable[[Tensor], float], draw: Callable[[int], Tensor], tries: int = 100) -> Tensor:
    """Find targets with which a slope that is linear in them is 0, between two draws where its signs differ.

    Parameters
    ----------
    slope
        By the targets.
    draw
        Targets, by number.
    tries
        Draws to look at.

    Returns
    -------
    Tensor
        Like a draw.

    Raises
    ------
    InputError
        If the slope has the same sign for all.
    """
    first = draw(0)
    at_first = slope(first)
    for number in range(1, tries):
        other = draw(number)
        at_other = slope(other)
        if at_first * at_other < 0:
            return torch.lerp(first, other, at_first / (at_first - at_other))
    raise InputError(f"the slope has one sign for {tries} draws of the targets: it is 0 between none of them")


def driving_force(networks: int = 20) -> xr.Dataset:
    """Measure all of it.

    Parameters
    ----------
    networks
        Seeds of each check.

    Returns
    -------
    xarray.Dataset
        ``change`` of the slope and what is ``predicted``, at which ``rate``, and how many gates ``flipped`` (theorem,
        network, step); what was left of the slope at the start, ``rest``, and ``norm_p``, ``norm_m`` and ``product`` of
        g_p and g_m, from which the prediction can be made again (theorem, network); ``slope_c`` and ``eq21``
        (network,); ``true_force`` and ``theorem_force`` (dropped, network).
    """
    measured = [[_theorem(kind, seed) for seed in range(networks)] for kind in KINDS]
    data: dict = {
        name: (("theorem", "network", "step"), np.array([[one[name] for one in row] for row in measured]))
        for name in ("change", "predicted", "rate", "flipped")
    }
    data |= {
        name: (("theorem", "network"), np.array([[one[name] for one in row] for row in measured]))
        for name in ("rest", "norm_p", "norm_m", "product")
    }
    forces = np.array([[_relaxed(which, seed) for seed in range(networks)] for which in ASSUMPTIONS])
    eq21 = np.array([_eq_21(seed) for seed in range(networks)])
    data |= {
        "slope_c": ("network", eq21[:, 0]),
        "eq21": ("network", eq21[:, 1]),
        "theorem_force": (("dropped", "network"), forces[..., 0]),
        "true_force": (("dropped", "network"), forces[..., 1]),
    }
    return xr.Dataset(
        data,
        {"theorem": list(KINDS), "step": STEPS, "dropped": list(ASSUMPTIONS), "network": np.arange(networks)},
        {"depth": DEPTH, "skipped": SKIPPED[1] - SKIPPED[0], "width": WIDTH, "samples": SAMPLES},
    )


def _inputs(seed: int) -> Tensor:
    return torch.randn(SAMPLES, FEATURES, generator=torch.Generator().manual_seed(seed + 10_000), dtype=torch.float64)


def _signs(seed: int) -> Callable[[int], Tensor]:
    """Draws of targets ±1 by number."""
    return lambda number: torch.randint(
        2, (SAMPLES,), generator=torch.Generator().manual_seed(1000 * seed + number)
    ).double().mul_(2).sub_(1)  # fmt: skip


def _linear(outputs: Tensor, targets: Tensor) -> Tensor:
    """Lemma 3: both of the paper's losses, averaged over gates, are linear in the output."""
    return -(targets * outputs).mean()


def _theorem(kind: str, seed: int) -> dict[str, np.ndarray | float]:
    """One network at a stationary point: what a step makes of the slope, and what the theorem says."""
    x = _inputs(seed)
    model = SingleSkip(seed, "none" if kind == "global" else "paper")
    if kind != "global":
        for layer in model.chain:
            layer.momentum = 1.0
        with torch.no_grad():
            model.train()(x)
    model.eval()
    asked = "C" if kind == "global" else [f"layers.{SKIPPED[0] if kind == 'skipped' else 1}.multiplier"]
    weights = [layer.weight for layer in model.chain]

    def slope(targets: Tensor) -> float:
        return float(scales.drift(model, x, targets, _linear, scales=asked).slope[0])

    y = stationary(slope, _signs(seed))
    rest = slope(y)
    block = paths.participation(model, x, y, _linear).blocks[0]
    split = scales.two_paths(model, x, y, _linear, block=block)
    p, m = DEPTH, DEPTH - (SKIPPED[1] - SKIPPED[0])
    force = {
        "unskipped": split.unskipped,
        "skipped": split.skipped,
        "global": m * split.norm_m**2 + p * split.norm_p**2 + (m + p) * split.product,
    }[kind]
    rates = STEPS * float(torch.cat([w.detach().flatten() for w in weights]).norm()) / np.sqrt(split.unskipped)
    start, gates = [w.detach().clone() for w in weights], model.gates(x)
    change, flipped = [], []
    for mu in rates:
        with torch.no_grad():
            for l, (w, a) in enumerate(zip(weights, start, strict=True)):
                w.copy_(a - mu * (split.g_p[f"layers.{l}.weight"] + split.g_m[f"layers.{l}.weight"]))
        change.append(slope(y))
        flipped.append(int((model.gates(x) != gates).sum()))
    steps = {"change": np.array(change), "predicted": -rates * force, "rate": rates, "flipped": np.array(flipped)}
    return {**steps, "rest": rest, "norm_p": split.norm_p, "norm_m": split.norm_m, "product": split.product}


def _eq_21(seed: int) -> tuple[float, float]:
    """C ∂L/∂C, and Σ r L_r with L_r by the exact split of the output."""
    x, y = _inputs(seed), _signs(seed)(0)
    model = ResidualMLP(FEATURES, depth=DEPTH, width=WIDTH, seeds=seed, dtype=torch.float64)
    split = paths.output_split(model, x, lambda outputs: _linear(outputs, y))
    slope = scales.drift(model, x, y, _linear, scales="C").slope[0]
    return float(slope), float((split.lengths * split.parts).sum())


def _relaxed(dropped: str, seed: int) -> tuple[float, float]:
    """Theorem 3's force on a layer that is skipped and the true one, where its true slope is 0."""
    x = _inputs(seed)
    linear, live = dropped in ("none", "constant statistics"), dropped not in ("none", "linear loss")
    model, l = (
        ResidualMLP(FEATURES, 2, depth=DEPTH, width=WIDTH, normalization="batch", seeds=seed, dtype=torch.float64),
        1 + seed % (DEPTH - 1),
    )
    for number, layer in enumerate(layer for layer in model.layers if isinstance(layer, ResidualLayer)):
        nn.init.normal_(layer.multiplier, generator=torch.Generator().manual_seed(1000 * seed + number))
    model.calibrate(x)
    model.train(live)
    own, scale = list(model.parameters()), model.get_parameter(f"layers.{l}.multiplier")

    def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
        """Two outputs: their difference, or the cross entropy with (1 ± y)/2 as the classes' probabilities."""
        if linear:
            return _linear(outputs[:, 0] - outputs[:, 1], targets)
        return F.cross_entropy(outputs, torch.stack([1 + targets, 1 - targets], dim=1) / 2)

    def slope(targets: Tensor) -> float:
        return scales.inner([scale], torch.autograd.grad(loss_fn(model(x), targets), scale))

    answers = (model(x) * torch.tensor([1.0, -1.0])).sum(dim=1).sign().detach()

    def draw(number: int) -> Tensor:
        """More and more of the network's answers, or of their opposites: chance leaves cross entropy one-sided."""
        chosen = torch.rand(SAMPLES, generator=torch.Generator().manual_seed(number)) < number / 100
        return torch.where(chosen, answers * (-1) ** number, _signs(seed)(number))

    y = stationary(slope, draw)
    theorem = float(scales.drift(model, x, y, loss_fn, theorem=True).force[l])
    if dropped != ASSUMPTIONS[-1]:
        return theorem, float(scales.drift(model, x, y, loss_fn).force[l])
    return theorem, scales.inner([scale], scales.twice(loss_fn(model(x), y), [scale], own)[1])


def error_panel(data: xr.Dataset) -> Panel:
    """Return the error of the theorems against the learning rate, over the networks where no gate flips."""
    part = data[["change", "predicted", "flipped"]].transpose("theorem", "network", "step")
    error = np.abs(part.change / part.predicted - 1).where((part.flipped == 0).all("step"))
    series = [
        Series(name, part.step.values, e.median("network"), e.quantile(0.25, "network"), e.quantile(0.75, "network"))
        for name, e in zip(("Thm 3, unskipped", "Thm 3, skipped", "Thm 4"), error, strict=True)
    ]
    return Panel(
        "theorem-3-and-4-error",
        "Error of Theorems 3 and 4 after one step, at points with a slope of 0",
        "Below: the formula is nearer. The relative error of a first-order formula falls in proportion to the step; a "
        "rise with smaller steps would mean a wrong formula.",
        Axis("step length μ‖g‖/‖w‖", log=True),
        Axis("relative error of the new slope", log=True),
        tuple(series),
        note=f"Median and quartiles over those of {part.sizes['network']} networks in which no gate flips, depth "
        f"{data.attrs['depth']}, one shortcut around {data.attrs['skipped']} layers, float64.",
    )


def first_order(recordings: Recordings, *, kinds: Sequence[str]) -> Numbers:
    """The order of the theorem's error in μ minus 2, where no gate flips, and how often its sign is wrong."""
    data = recordings["driving_force"]
    part = data.drop_dims("dropped").sel(theorem=list(kinds)).transpose("theorem", "network", "step", ...)
    predicted = _predicted(part)
    if float((abs(part.rest) / abs(predicted).min("step")).max()) > STILL:
        raise Undecided("the points are not stationary")
    held = part.flipped.values == 0
    pairs = held[..., :-1] & held[..., 1:]
    if not pairs.any():
        raise Undecided("every step flips a gate")
    rest = np.abs(part.change - predicted).values
    order = -np.diff(np.log2(np.maximum(rest, 1e-300)), axis=-1) / -np.diff(np.log2(part.step.values))
    wrong = (np.sign(part.change) != np.sign(predicted)).values
    return {
        "order of the error in μ, minus 2": order[pairs] - 2,
        "share of wrong signs": float(wrong[held].mean()),
    }


def _predicted(part: xr.Dataset) -> xr.DataArray:
    """The right-hand sides of Eqs. 24, 25 and 27, times λ_l or C, from the gradients along the two kinds of paths."""
    p, m = part.attrs["depth"], part.attrs["depth"] - part.attrs["skipped"]
    through, around, both = part.norm_p**2, part.norm_m**2, part["product"]
    force = {
        "unskipped": around + through + 2 * both,
        "skipped": through + both,
        "global": m * around + p * through + (m + p) * both,
    }
    rows = [force[str(kind)].sel(theorem=kind) for kind in part.theorem.values]
    return -(part.rate * xr.concat(rows, dim="theorem")).transpose("theorem", "network", "step")


def equation_21(recordings: Recordings) -> Numbers:
    """The relative difference between C ∂L/∂C and Σ r L_r."""
    data = recordings["driving_force"]
    return {"": (np.abs(data.slope_c - data.eq21) / np.abs(data.slope_c)).values}


def signs_kept(recordings: Recordings) -> Numbers:
    """How much more often than by chance the force has the theorem's sign, by what is dropped."""
    data = recordings["driving_force"]
    return {
        f"dropped: {name}": skill(
            *(data[kind].sel(dropped=name).values[None] for kind in ("theorem_force", "true_force"))
        )
        for name in data.dropped.values.tolist()
    }


def forces(recordings: Recordings) -> Numbers:
    """The relative error of the theorem's force, by what is dropped."""
    data = recordings["driving_force"]
    error = np.abs(data.theorem_force / data.true_force - 1)
    return {f"dropped: {name}": error.sel(dropped=name).values for name in data.dropped.values.tolist()}


def force_is_off(recordings: Recordings) -> Numbers:
    """The relative error of the theorem's force where the loss is cross entropy and all else is as assumed."""
    return {"": forces(recordings)["dropped: linear loss"]}


CLAIMS = (
    Claim(
        "Theorem 3", "At ∂L/∂λ_l = 0 a step gives ∂L/∂λ_l = -(μ/λ_l) g_p·(g_p + g_m), for an unskipped layer "
        "-(μ/λ_l) ‖g_p + g_m‖².",
        "Eqs. 24, 25: |λ_l| grows in the step, for a skipped layer “if ‖g_p‖² + g_p·g_m > 0”.",
        "at points where the slope is 0, while no gate flips", partial(first_order, kinds=["unskipped", "skipped"]),
        identity(0.1), "driving_force", figure="theorem-3-and-4-error",
        note="statistics and gates are held and the loss is linear in the output, as the theorem assumes",
    ),
    Claim(
        "Theorem 4", "At ∂L/∂C = 0 a step gives -(μ/C)(m‖g_m‖² + p‖g_p‖² + (m+p) g_p·g_m).",
        "Eq. 27.",
        "at points where the slope is 0, while no gate flips", partial(first_order, kinds=["global"]), identity(0.1),
        "driving_force", figure="theorem-3-and-4-error",
    ),
    Claim(
        "Eq. 21", "C ∂L/∂C weighs each path by its length.",
        "Sec. 4: “the addition of a multiplier r indicates that the derivative is increasingly influenced by deeper "
        "networks.”",
        "relative difference between C ∂L/∂C and Σ r L_r", equation_21, identity(1e-10), "driving_force",
    ),
    Claim(
        "Theorem 3, assumptions", "The theorem's force on λ_l is the true one where its assumptions do not hold.",
        "Theorem 3 needs a loss linear in the output and constant statistics. What is left without them, where the "
        "true "
        "slope is 0?",
        "relative error of the theorem's force", forces, within(high=0.1), "driving_force", "ours",
        beside={"share of signs right minus the base rate": signs_kept},
    ),
    Claim(
        "Sec. 6, no assumptions", "The analysis of Sec. 4 assumes none of A1-A4.",
        "Sec. 6: “the analysis of the dynamic behavior of residual nets (Sec. 4) does not assume any of the above "
        "assumptions.”",
        "relative error of Theorem 3's force with cross "
        "entropy", force_is_off, identity(1e-6), "driving_force", "slips",
        note="Eq. 20 is the form of Lemma 3, which has A2-A4 and a loss linear in the output",
    ),
)  # fmt: skip


def _pages(recordings: Recordings, _figures: Sequence[str]) -> Pages:
    shown = error_panel(recordings["driving_force"]), recursion_panel(recordings["second_moments"])
    return [Section("What drives the scales: Theorems 3 and 4, Sec. 4.1", TEXT, shown)], {}


FORCES = computed(
    "drift", {"driving_force": driving_force, "second_moments": second_moments}, _pages, (*CLAIMS, *RECURSION_CLAIMS)
)
