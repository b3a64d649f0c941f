"""The gradient of every weight by path length (docs/mathematics.md §9).

A weight W acts on a signal a; with δ the gradient of the loss at what it gives out, ∂L/∂W is linear in δ (δ aᵀ for a
matrix). The walk that splits the gradient of x carries δ = Σ_r δ_r, by the number r of counted steps between the loss
and W, past every weight. So

    (∂L/∂W)_r = δ_r aᵀ,    Σ_r (∂L/∂W)_r = ∂L/∂W,

with the activation a as it is: r counts what lies above the weight, not what lies below it, nor the weight itself.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skipglass.errors import InputError
from skipglass.graph import Target, Trace, as_trace
from skipglass.graph.naming import names_of_parameters
from skipglass.graph.regions import Regions
from skipglass.graph.shares import over
from skipglass.graph.verify import capture, judge, reference, require_finite, size
from skipglass.paths.cost import announce, backwards, reached
from skipglass.paths.panels import fractions
from skipglass.paths.walk import walk
from skipglass.paths.weight_sums import Sums
from skipglass.paths.weight_uses import Uses
from skipglass.record import Result, coordinate, derived, names, number, text, texts, transient, variable
from skipglass.report import Axis, Panel, Series

__all__ = ["WeightSpectrum", "weight_spectrum"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WeightSpectrum(Result):
    """The gradients of W weights by path length, R lengths.

    The *update* is the gradient of all these weights together, one long vector. A length counts the steps between the
    loss and the weight: those of a weight in the last block are short.

    Attributes
    ----------
    lengths
        r, (R,), consecutive.
    weights
        The names of the parameters, in forward order.
    norm
        ‖(∂L/∂W)_r‖, (R, W).
    share
        ⟨(∂L/∂W)_r, ∂L/∂W⟩/‖∂L/∂W‖², (R, W); each column sums to 1, NaN where the gradient of a weight is zero.
    whole
        ‖∂L/∂W‖, (W,).
    effective_depth, energy_depth
        Σ_r r·share_r of each weight, (W,), and the mean of r weighted by the squared norms.
    update_norm, update_share, update_energy
        The same of the update by length, (R,): its norm, its signed share, and its squared norm over their sum.
    update_depth, update_energy_depth
        The mean length of the update, weighted by signed shares and by squared norms.
    error
        ‖Σ_r (∂L/∂W)_r - ∂L/∂W‖/Σ_r ‖(∂L/∂W)_r‖ over all weights; at most 1e-12, 1e-5 or 2e-2 in float64, float32 or
        half precision.
    frozen
        Weights that require no gradient, and so have none to split.
    elsewhere
        Parameters that are used in other ways too, as an input embedding tied to the output layer: only what they get
        as weights between the loss and x is split.
    unit
        "weights" or "blocks".
    gradients
        The (∂L/∂W)_r, (R, *W.shape) for each weight; None unless kept.
    """

    kind = "weight_spectrum"

    lengths: NDArray[np.int64] = coordinate("length", letter="r", long_name="path length r above the weight ({unit})")
    weights: tuple[str, ...] = names("weight")
    norm: Array = variable(
        "length", "weight", letter="‖(∂L/∂W)_r‖", long_name="norm of the part of a weight's gradient", shown=False
    )
    share: Array = variable("length", "weight", letter="share", long_name="⟨(∂L/∂W)_r, ∂L/∂W⟩/‖∂L/∂W‖²", shown=False)
    whole: Array = variable("weight", letter="‖∂L/∂W‖", long_name="norm of the weight's gradient")
    error: float = number(long_name="relative error of Σ (∂L/∂W)_r")
    frozen: tuple[str, ...] = texts("requires no gradient")
    elsewhere: tuple[str, ...] = texts("used in other ways too, split as a weight only")
    unit: str = text("unit", shown=False)
    gradients: tuple[Tensor, ...] | None = transient()

    @property
    @derived(variable("weight", letter="signed", long_name="mean length by signed shares", units="{unit}"))
    def effective_depth(self) -> Array:
        """Σ_r r·share_r of each weight, (W,)."""
        return self.lengths @ self.share

    @property
    @derived(variable("weight", letter="energy", long_name="mean length by squared norms", units="{unit}"))
    def energy_depth(self) -> Array:
        """Σ_r r ‖(∂L/∂W)_r‖²/Σ_r ‖(∂L/∂W)_r‖² of each weight, (W,)."""
        return self.lengths @ fractions(self.norm, axis=0)

    @property
    @derived(variable("length", letter="‖update_r‖", long_name="norm of the update's part of length r"))
    def update_norm(self) -> Array:
        """The norm of the update by length, (R,)."""
        return np.sqrt((self.norm**2).sum(axis=1))

    @property
    @derived(variable("length", letter="share", long_name="share of the update"))
    def update_share(self) -> Array:
        """The signed share of the update by length, (R,)."""
        square = self.whole**2
        return over(np.nan_to_num(self.share) @ square, square.sum())

    @property
    @derived(variable("length", letter="energy", long_name="squared norm of the update's part, over their sum"))
    def update_energy(self) -> Array:
        """The squared norm of the update by length over their sum, (R,)."""
        return fractions(self.update_norm)

    @property
    @derived(number(long_name="mean length of the update, by signed shares", units="{unit}"))
    def update_depth(self) -> float:
        """Σ_r r·share_r of the update."""
        return float(self.lengths @ self.update_share)

    @property
    @derived(number(long_name="mean length of the update, by squared norms", units="{unit}"))
    def update_energy_depth(self) -> float:
        """The mean length of the update weighted by squared norms."""
        return float(self.lengths @ self.update_energy)

    def headline(self) -> str:
        """Say how long the paths are that bring the update to the weights."""
        if math.isnan(self.update_depth):
            return "The gradients of all weights are zero: their shares are undefined."
        most = self.weights[int(np.argmax(self.whole))]
        return (
            f"Above a weight the gradient has passed {self.update_depth:.3g} {self.unit} on average over the whole "
            f"update ({self.update_energy_depth:.3g} by squared norms); {most} has the largest gradient of "
            f"{len(self.weights)} weights."
        )

    def panel(self) -> Panel:
        """The mean length of each weight's gradient, in forward order."""
        x = np.arange(1, len(self.weights) + 1)
        return Panel(
            "weight-spectrum",
            "Path length above each weight",
            "Each point is one weight: how many steps the part of the loss's gradient has passed, on average, that "
            "reaches it. A weight further from the loss may lie higher; where it does not, its update comes along "
            "shortcuts.",
            Axis("weight, from input to output"),
            Axis("mean path length", self.unit, zero=True),
            (Series("signed shares", x, self.effective_depth), Series("squared norms", x, self.energy_depth)),
            marks="points",
            note=f"The whole update: {self.update_depth:.3g} by signed shares, {self.update_energy_depth:.3g} by "
            "squared norms.",
        )


def weight_spectrum(
    loss: Tensor | Trace,
    x: Target | None = None,
    unit: str = "blocks",
    keep: bool = False,
    model: nn.Module | None = None,
    blocks: Sequence[str] | None = None,
) -> WeightSpectrum:
    """Split the gradient of every weight by path length, exactly: Σ_r (∂L/∂W)_r = ∂L/∂W.

    One walk gives all weights; it costs about R/2 full backward passes (those that a training step makes) for R
    lengths. Memory: a weight that is used once is summed up at once; one used in several places keeps R gradients.

    Parameters
    ----------
    loss
        A scalar with a live graph, which stays usable; or a `Trace`, which has its own x, model and blocks.
    x
        The tensor, or tuple of tensors, at which the network begins: weights above it are measured.
    unit
        What is counted between the loss and a weight: "blocks", residual branches, or "weights".
    keep
        Whether to keep the gradients themselves.
    model, blocks
        Names the weights, and what to count as blocks; see `outline`.

    Returns
    -------
    WeightSpectrum
        The parts by length and weight.

    Raises
    ------
    InputError
        If there is no graph from the loss to x, it was freed, no weight requires a gradient, or the unit is unknown.
    DecompositionError
        If the parts do not sum to autograd's gradient.

    Examples
    --------
    >>> from skipglass.models import ResidualMLP
    >>> model, x = ResidualMLP(5, depth=4, width=8), torch.ones(2, 5, requires_grad=True)
    >>> s = weight_spectrum(model(x).sum(), x, model=model)
    >>> s.weights, s.norm.shape
    (('layers.0.weight', 'layers.1.weight', 'layers.2.weight', 'layers.3.weight'), (4, 4))
    >>> bool(abs(s.update_share.sum() - 1) < 1e-6)
    True
    """
    trace = as_trace(loss, x, model, blocks)
    outline, graph, counted = trace.outline, trace.graph, trace.counted(unit)
    with trace.measuring():
        require_finite(trace.loss)
        uses = Uses.find(graph, trace.hooked)
        parameters = list({id(p): p for own in uses.of.values() for p in own}.values())
        if not parameters:
            raise InputError(
                f"weight_spectrum splits the gradients of weights between the loss and x, and none of the "
                f"{len(uses.of)} found there requires a gradient; set requires_grad_() on them before the forward pass"
                if uses.of
                else "weight_spectrum splits the gradients of weights between the loss and x, and found no weight there"
            )
        # regions end at every weight, for its δ_r to be seen there
        regions = trace.regions(unit, list(uses.of))
        begin = time.perf_counter()
        sums = Sums(uses, _gradients(trace, uses, regions, parameters), keep)
        seconds = time.perf_counter() - begin
        announce("weight_spectrum", backwards(graph, regions, reached(graph, regions, counted, None)), seconds)
        walk(graph, regions, counted, sums)
    sums.close()
    # from here on: (R, W) tables of numbers, a column for each parameter
    r = np.arange(min(sums.lengths, default=0), max(sums.lengths, default=0) + 1)
    norm, product = ([[table[id(p)].get(int(k), 0.0) for p in parameters] for k in r] for table in sums.tables)
    whole = np.array([size(sums.whole[id(p)]) for p in parameters])
    kept = tuple(_stacked(sums.kept[id(p)], r, p) for p in parameters) if keep else None
    return WeightSpectrum(
        lengths=r,
        weights=_unique([_name(p, names_of_parameters(trace.model)) for p in parameters]),
        norm=np.array(norm),
        share=over(np.array(product), whole**2),
        whole=whole,
        error=judge(graph, sums.error),
        frozen=tuple(dict.fromkeys(n for n, own in zip(outline.weights, uses.of.values(), strict=True) if not own)),
        elsewhere=_unique([_name(p, names_of_parameters(trace.model)) for p in parameters if id(p) in uses.elsewhere]),
        unit=unit,
        gradients=kept,
    )


def _gradients(trace: Trace, uses: Uses, regions: Regions, parameters: list[Tensor]) -> dict[int, Tensor]:
    """What the parts must sum to: autograd's gradient of every parameter, of one used elsewhere what its uses give."""
    whole = {id(p): g for p, g in zip(parameters, reference(trace.loss, tuple(parameters)), strict=True)}
    if uses.elsewhere:
        whole |= {name: torch.zeros_like(whole[name]) for name in uses.elsewhere}
        # a weight used elsewhere gets more than its uses as a weight give: sum these alone, at each of them
        known = capture(trace.loss, trace.graph, regions)[1]
        with torch.no_grad():
            for h in uses.of:
                arriving = {output: v for (node, output), v in known.items() if node == h}
                for p, g in uses.gradient(h, arriving) if arriving else ():
                    if id(p) in uses.elsewhere:
                        whole[id(p)] = whole[id(p)] + g
    return whole


def _stacked(parts: dict[int, Tensor], r: NDArray[np.int64], p: Tensor) -> Tensor:
    """The parts of one parameter's gradient, (R, *shape)."""
    return torch.stack([parts.get(int(k), torch.zeros_like(p)).detach() for k in r])


def _name(p: Tensor, known: dict[int, str]) -> str:
    return known.get(id(p), f"weight {tuple(p.shape)}")


def _unique(found: Sequence[str]) -> tuple[str, ...]:
    """Names of which a repeated one is numbered."""
    return tuple(f"{name}#{found[:k].count(name) + 1}" if name in found[:k] else name for k, name in enumerate(found))
