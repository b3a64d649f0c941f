"""Theorems 3 and 4 and Eq. 21, checked where they assume to be: at points with ∂L/∂λ_l = 0 (docs/mathematics.md §5).

A network of p layers whose one shortcut skips p - m of them, statistics held, a loss linear in the output. ∂L/∂λ_l is
linear in the targets, so that between two draws of them with different signs lie some that make it 0. There the weights
take a step of SGD, and what becomes of ∂L/∂λ_l is compared with the theorem. What it leaves out must shrink as μ².

Then the assumptions are dropped one by one, still at points where the true slope is 0: how the theorem's force compares
with the true one.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

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

__all__ = ["ASSUMPTIONS", "CLAIMS", "FORCES", "SingleSkip", "driving_force", "eq_21", "stationary"]

WIDTH, FEATURES, SAMPLES = 8, 6, 40
DEPTH, SKIPPED = 5, (2, 4)  # p, and the layers that the shortcut skips, from 0
STEPS = 2.0 ** -np.arange(14, 21)  # μ‖g‖/‖w‖: so small that a gate flips in few of the networks
ASSUMPTIONS = ("none", "linear loss", "constant statistics", "both", "both, and λ and shifts step too")
"""Which of the theorem's assumptions is dropped: the loss is cross entropy, batch statistics are live, more steps."""
TEXT = (
    "Theorems 3 and 4 say what a step of the weights makes of ∂L/∂λ_l and ∂L/∂C, where those are 0. They hold gates "
    "and statistics, and take the loss to be linear. There the error of the formulas shrinks as the square of the "
    "learning rate; a gate that flips ends that at once, as paths come and go. Sec. 4.1 has the second moments of "
    "untrained units rise by one per layer, which depends on how a branch is normalised."
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

    def inputs(self, x: Tensor) -> list[Tensor]:
        """What each layer takes, and what the last one gives, (units, N) each."""
        found = [x.T]
        for l, layer in enumerate(self.chain):
            h = layer(found[-1])
            # the one shortcut ends where the layer behind it begins
            found.append(h + found[self.skipped[0]] if l + 1 == self.skipped[1] else h)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, d) to (N,)."""
        return self.inputs(x)[-1].sum(dim=0)

    def gates(self, x: Tensor) -> Tensor:
        """Which ReLUs let a sample pass, (layer, unit, N)."""
        return torch.stack([layer.weight @ h > 0 for layer, h in zip(self.chain, self.inputs(x), strict=False)])


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
        # the slope is linear in the targets: between two signs it is 0 where the line says
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
    theorems = [[_theorem(kind, seed) for seed in range(networks)] for kind in KINDS]
    relaxed = [[_relaxed(which, seed) for seed in range(networks)] for which in ASSUMPTIONS]
    # networks along one dimension; theorems, and assumptions that are dropped, along another
    parts = [
        xr.combine_nested(theorems, ["theorem", "network"]).assign_coords(theorem=list(KINDS), step=STEPS),
        xr.combine_nested(relaxed, ["dropped", "network"]).assign_coords(dropped=list(ASSUMPTIONS)),
        xr.concat([eq_21(seed) for seed in range(networks)], "network"),
    ]
    about = {"depth": DEPTH, "skipped": SKIPPED[1] - SKIPPED[0], "width": WIDTH, "samples": SAMPLES}
    whole = xr.merge(parts).assign_coords(network=np.arange(networks)).assign_attrs(about)
    return whole.transpose("theorem", "dropped", "network", "step")


def force_of(kind: str, p: int, m: int, through: Any, around: Any, both: Any) -> Any:
    """The force of Eqs. 24, 25 and 27, from ‖g_p‖², ‖g_m‖² and g_p·g_m, numbers or arrays."""
    if kind == "global":
        return m * around + p * through + (m + p) * both
    return through + both + (around + both) * (kind == "unskipped")


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


def _theorem(kind: str, seed: int) -> xr.Dataset:
    """One network at a stationary point: what a step makes of the slope, and what the theorem says."""
    x = _inputs(seed)
    model = SingleSkip(seed, "none" if kind == "global" else "paper")
    # running statistics of this batch alone, then held: the theorem takes them as constants
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

    # from here on ∂L/∂λ_l, or ∂L/∂C, is 0 but for rounding
    y = stationary(slope, _signs(seed))
    rest = slope(y)
    # g_p goes through the one block there is, g_m around it
    block = paths.participation(model, x, y, _linear).blocks[0]
    split = scales.two_paths(model, x, y, _linear, block=block)
    # p layers through the block, m around it
    lengths = DEPTH, DEPTH - (SKIPPED[1] - SKIPPED[0])
    force = force_of(kind, *lengths, split.norm_p**2, split.norm_m**2, split.product)
    # steps that are the same fraction of ‖w‖ in every network
    rates = STEPS * float(torch.cat([w.detach().flatten() for w in weights]).norm()) / np.sqrt(split.unskipped)
    start, gates = [w.detach().clone() for w in weights], model.gates(x)
    # each step starts from the same weights
    change, flipped = [], []
    for mu in rates:
        with torch.no_grad():
            for l, (w, a) in enumerate(zip(weights, start, strict=True)):
                w.copy_(a - mu * (split.g_p[f"layers.{l}.weight"] + split.g_m[f"layers.{l}.weight"]))
        change.append(slope(y))
        flipped.append(int((model.gates(x) != gates).sum()))
    steps = {"change": change, "predicted": -rates * force, "rate": rates, "flipped": flipped}
    parts = {"rest": rest, "norm_p": split.norm_p, "norm_m": split.norm_m, "product": split.product}
    return xr.Dataset({name: ("step", values) for name, values in steps.items()} | parts)


def eq_21(seed: int) -> xr.Dataset:
    """C ∂L/∂C, and Σ r L_r with L_r by the exact split of the output."""
    x, y = _inputs(seed), _signs(seed)(0)
    model = ResidualMLP(FEATURES, depth=DEPTH, width=WIDTH, seeds=seed, dtype=torch.float64)
    split = paths.output_split(model, x, lambda outputs: _linear(outputs, y), unit="weights")
    slope = scales.drift(model, x, y, _linear, scales="C").slope[0]
    return xr.Dataset({"slope_c": float(slope), "eq21": float((split.lengths * split.parts).sum())})


def _relaxed(dropped: str, seed: int) -> xr.Dataset:
    """Theorem 3's force on a layer that is skipped and the true one, where its true slope is 0."""
    x = _inputs(seed)
    linear, live = dropped in ("none", "constant statistics"), dropped not in ("none", "linear loss")
    # another skippable layer in each network
    l = 1 + seed % (DEPTH - 1)
    model = ResidualMLP(
        FEATURES, 2, depth=DEPTH, width=WIDTH, normalization="batch", seeds=seed, dtype=torch.float64
    )  # fmt: skip
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

    # the network's own answers, as signs
    answers = (model(x) * torch.tensor([1.0, -1.0])).sum(dim=1).sign().detach()

    def draw(number: int) -> Tensor:
        """More and more of the network's answers, or of their opposites: chance leaves cross entropy one-sided."""
        chosen = torch.rand(SAMPLES, generator=torch.Generator().manual_seed(number)) < number / 100
        return torch.where(chosen, answers * (-1) ** number, _signs(seed)(number))

    y = stationary(slope, draw)
    theorem = float(scales.drift(model, x, y, loss_fn, theorem=True).force[l])
    # the whole derivative, or that of the weights alone, as the assumption has it
    if dropped == ASSUMPTIONS[-1]:
        true = scales.inner([scale], scales.twice(loss_fn(model(x), y), [scale], own)[1])
    else:
        true = float(scales.drift(model, x, y, loss_fn).force[l])
    return xr.Dataset({"theorem_force": theorem, "true_force": true})


def error_panel(data: xr.Dataset) -> Panel:
    """Return the error of the theorems against the learning rate, over the networks where no gate flips."""
    error = np.abs(data.change / data.predicted - 1).where((data.flipped == 0).all("step"))
    low, middle, high = (error.quantile(q, "network").transpose("theorem", "step").values for q in (0.25, 0.5, 0.75))
    names = ("Thm 3, unskipped", "Thm 3, skipped", "Thm 4")
    series = map(Series, names, [data.step.values] * len(names), middle, low, high)
    return Panel(
        "theorem-3-and-4-error",
        "Error of Theorems 3 and 4 after one step, at points with a slope of 0",
        "Below: the formula is nearer. The relative error of a first-order formula falls in proportion to the step; a "
        "rise with smaller steps would mean a wrong formula.",
        Axis("step length μ‖g‖/‖w‖", log=True),
        Axis("relative error of the new slope", log=True),
        tuple(series),
        note=f"Median and quartiles over those of {data.sizes['network']} networks in which no gate flips, depth "
        f"{data.attrs['depth']}, one shortcut around {data.attrs['skipped']} layers, float64.",
    )


def first_order(recordings: Recordings, *, kinds: Sequence[str]) -> Numbers:
    """The order of the theorem's error in μ minus 2, where no gate flips, and how often its sign is wrong."""
    data = recordings["driving_force"]
    part = data.drop_dims("dropped").sel(theorem=list(kinds))
    p, m = data.attrs["depth"], data.attrs["depth"] - data.attrs["skipped"]
    squares = part.norm_p**2, part.norm_m**2, part["product"]
    predicted = -part.rate * xr.concat(
        [force_of(k, p, m, *(s.sel(theorem=k) for s in squares)) for k in kinds], "theorem"
    )
    if float((abs(part.rest) / abs(predicted).min("step")).max()) > STILL:
        raise Undecided("the points are not stationary")
    held = part.flipped == 0
    pairs = held & held.shift(step=1, fill_value=False)
    if not pairs.any():
        raise Undecided("every step flips a gate")
    # steps halve from one to the next, and the error with the square
    order = -np.log2(abs(part.change - predicted).clip(1e-300)).diff("step").where(pairs).values
    wrong = held & (np.sign(part.change) != np.sign(predicted))
    return {
        "order of the error in μ, minus 2": order[np.isfinite(order)] - 2,
        "share of wrong signs": float(wrong.sum() / held.sum()),
    }


def equation_21(recordings: Recordings) -> Numbers:
    """The relative difference between C ∂L/∂C and Σ r L_r."""
    data = recordings["driving_force"]
    return {"": (np.abs(data.slope_c - data.eq21) / np.abs(data.slope_c)).values}


def signs_kept(recordings: Recordings) -> Numbers:
    """How much more often than by chance the force has the theorem's sign, by what is dropped."""
    forces = recordings["driving_force"][["theorem_force", "true_force"]].transpose("dropped", "network")
    kept = skill(forces.theorem_force, forces.true_force)
    return {f"dropped: {name}": value for name, value in zip(forces.dropped.values, kept, strict=True)}


def forces(recordings: Recordings) -> Numbers:
    """The relative error of the theorem's force, by what is dropped."""
    data = recordings["driving_force"]
    error = np.abs(data.theorem_force / data.true_force - 1).transpose("dropped", "network")
    return {f"dropped: {name}": values for name, values in zip(data.dropped.values, error.values, strict=True)}


def force_is_off(recordings: Recordings) -> Numbers:
    """The relative error of the theorem's force where the loss is cross entropy and all else is as assumed."""
    return {"": forces(recordings)["dropped: linear loss"]}


CLAIMS = (
    Claim(
        "Theorem 3", "At ∂L/∂λ_l = 0 a step gives ∂L/∂λ_l = -(μ/λ_l) g_p·(g_p + g_m), for an unskipped layer "
        "-(μ/λ_l) ‖g_p + g_m‖².",
        "Thm. 3, Eqs. 24 and 25: |λ_l - μ ∂L(x, w - μg)/∂λ_l| > |λ_l|, of a layer that is skipped “if ‖g_p‖² + g_pᵀg_m "
        "> 0”; Eqs. 42 and 44 have the two slopes.",
        "at points where the slope is 0, while no gate flips", partial(first_order, kinds=["unskipped", "skipped"]),
        identity(0.1), "driving_force", figure="theorem-3-and-4-error",
        note="statistics and gates are held and the loss is linear in the output, as the theorem assumes",
    ),
    Claim(
        "Theorem 4", "At ∂L/∂C = 0 a step gives -(μ/C)(m‖g_m‖² + p‖g_p‖² + (m+p) g_p·g_m).",
        "Thm. 4: “assuming ∂L_N(x, w)/∂C = 0, then for a small learning rate 0 < μ ≪ 1 the following hold: ∂L_N(x, w - "
        "μg)/∂C ≈ -(μ/C)(m‖g_m‖² + p‖g_p‖² + (m + p) g_pᵀg_m)” (Eq. 27).",
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
        "true slope is 0?",
        "relative error of the theorem's force", forces, within(high=0.1), "driving_force", "ours",
        beside={"share of signs right minus the base rate": signs_kept},
    ),
    Claim(
        "Sec. 6, no assumptions", "The analysis of Sec. 4 assumes none of A1-A4.",
        "Sec. 6: “the analysis of the dynamic behavior of residual nets (Sec. 4) does not assume any of the above "
        "assumptions.”",
        "relative error of Theorem 3's force with cross entropy", force_is_off, identity(1e-6), "driving_force",
        "slips",
        note="Eq. 20 is the form of Lemma 3, which has A2-A4 and a loss linear in the output",
    ),
)  # fmt: skip


def _pages(recordings: Recordings, _figures: Sequence[str]) -> Pages:
    shown = error_panel(recordings["driving_force"]), recursion_panel(recordings["second_moments"])
    return [Section("What drives the scales: Theorems 3 and 4, Sec. 4.1", TEXT, shown)], {}


FORCES = computed(
    "drift", {"driving_force": driving_force, "second_moments": second_moments}, _pages, (*CLAIMS, *RECURSION_CLAIMS)
)
