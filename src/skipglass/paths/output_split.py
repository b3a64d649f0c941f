"""The output of a piecewise-linear network by path length (docs/mathematics.md §6).

With gates fixed, ReLU, max pooling and batch norm with fixed statistics make Y linear in the input x and in the
constants b added on the way (biases, and β - λ·mean/σ of each batch norm). Splitting every gradient by length,

    Y_r = ⟨(∂Y/∂x)_r, x⟩ + Σ_b ⟨(∂Y/∂b)_r, b⟩,    Σ_r Y_r = Y,

the paper's sum over paths (Eq. 9) with its A_ij, measured. A path from a constant crosses what lies above it.

With one output for each input, Y_r varies over the inputs as Y does, and its variance is what the paper's ε_r² stands
for (Eqs. 14-15; docs/mathematics.md §9).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skipglass import check
from skipglass.errors import DecompositionError, InputError
from skipglass.graph import UNITS, Graph, Trace, as_found, as_targets, attempt, eager, facts, read
from skipglass.graph.engine import in_one_line
from skipglass.graph.failures import in_forward
from skipglass.graph.inputs import require_dense
from skipglass.graph.nodes import near
from skipglass.graph.operations import TABLE
from skipglass.graph.regions import partition
from skipglass.graph.shares import over
from skipglass.graph.verify import reference, relative, verify, wide
from skipglass.paths.constants import Constants
from skipglass.paths.spectrum import Lengths
from skipglass.paths.walk import walk
from skipglass.record import Result, coordinate, derived, number, text, variable
from skipglass.report import Axis, Panel, Series

__all__ = ["OutputSplit", "output_split"]

Array = NDArray[np.float64]
BOUNDS = {torch.float64: 1e-10, torch.float32: 1e-4}  # our choice: 100 times a gradient's, for its inner products
HALF = 5e-2


@dataclass(frozen=True, eq=False)
class OutputSplit(Result):
    r"""The output Y by path length, R lengths.

    Attributes
    ----------
    lengths
        r, (R,), consecutive.
    parts
        Y_r, (R,); may cancel one another.
    constants
        (R,) what of Y_r comes from biases and normalisations rather than from the input.
    output
        Y; where each input has an output of its own, Y_r and Y are the sums over the inputs.
    error
        \|Σ Y_r - Y\| over the sum of all inner products' magnitudes, at most 1e-10, 1e-4 or 5e-2 in float64, float32
        or half precision.
    unit
        "weights" or "blocks".
    outputs, parts_per_sample
        Where each of N inputs has an output of its own, Y of each, (N,), and Y_r of each, (R, N); else None, as is
        what follows from them:
    variance
        Var(Y_r) over the inputs, (R,).
    share, effective_depth
        Cov(Y_r, Y)/Var(Y), (R,), which sums to 1 and may be negative, and Σ r·share_r.
    energy, energy_depth
        Var(Y_r)/Σ Var(Y_r), (R,), and Σ r·energy_r.
    """

    kind = "output_split"

    lengths: NDArray[np.int64] = coordinate("length", letter="r", long_name="path length r ({unit})")
    parts: Array = variable("length", letter="Y_r", long_name="part of the output", stored="part")
    constants: Array = variable("length", letter="constants", long_name="of Y_r, from biases and normalisations")
    output: float = number("Y", shown=False)
    error: float = number(long_name="relative error of Σ Y_r")
    unit: str = text("unit", shown=False)
    outputs: Array | None = variable("sample", long_name="output of each input", shown=False, default=None)
    parts_per_sample: Array | None = variable(
        "length", "sample", long_name="part of the output of each input", shown=False, default=None
    )

    @property
    @derived(variable("length", letter="Var(Y_r)", long_name="variance of Y_r over inputs"))
    def variance(self) -> Array | None:
        """Var(Y_r) over the inputs, (R,)."""
        return None if self.parts_per_sample is None else self.parts_per_sample.var(axis=1)

    @property
    @derived(variable("length", letter="share", long_name="Cov(Y_r, Y)/Var(Y)"))
    def share(self) -> Array | None:
        """Cov(Y_r, Y)/Var(Y) over the inputs, (R,); NaN where Y does not vary."""
        if self.parts_per_sample is None or self.outputs is None:
            return None
        deviation = self.outputs - self.outputs.mean()
        return over(self.parts_per_sample @ deviation, deviation @ deviation)

    @property
    @derived(variable("length", letter="energy", long_name="Var(Y_r)/Σ Var(Y_r)"))
    def energy(self) -> Array | None:
        """Var(Y_r)/Σ Var(Y_r) over the inputs, (R,)."""
        return None if self.variance is None else over(self.variance, self.variance.sum())

    @property
    @derived(number(long_name="mean length by signed shares", units="{unit}"))
    def effective_depth(self) -> float | None:
        """Σ_r r·share_r."""
        return None if self.share is None else float(self.lengths @ self.share)

    @property
    @derived(number(long_name="mean length by variance", units="{unit}"))
    def energy_depth(self) -> float | None:
        """Σ_r r·energy_r."""
        return None if self.energy is None else float(self.lengths @ self.energy)

    def headline(self) -> str:
        """Name the output that was split."""
        if self.outputs is None:
            return f"The output {self.output:.6g} by path length in {self.unit}."
        return (
            f"The output varies over {len(self.outputs)} inputs along paths of {self.effective_depth:.3g} {self.unit} "
            f"on average ({self.energy_depth:.3g} by the variances of its parts)."
        )

    def panel(self) -> Panel:
        """Y_r by length, beside what of it comes from constants."""
        return Panel(
            "output-split",
            "The output by path length",
            "Each bar is the part of the output that flows along paths of length r, beside it what of that starts at "
            "biases and normalisations; bars further right mean that the output depends on deeper paths.",
            Axis(f"path length r ({self.unit})"),
            Axis("part of the output", zero=True),
            (Series("Y_r", self.lengths, self.parts), Series("of it from constants", self.lengths, self.constants)),
            marks="bar",
            note=f"Y = {self.output:.4g}",
        )


def output_split(
    model: nn.Module,
    inputs: Tensor,
    output: Callable[[Tensor], Tensor] = torch.sum,
    unit: str = "blocks",
) -> OutputSplit:
    """Split the output of a piecewise-linear network by path length, exactly: Σ_r Y_r = Y.

    It runs the model itself, as the constants added on the way must be noted while it runs.

    Parameters
    ----------
    model
        In the mode that is to be measured; batch norm must use fixed statistics.
    inputs
        A batch of floating-point inputs.
    output
        Picks Y out of the model's output, linearly: the sum of all, ``lambda y: y[:, 3].sum()``, or one number for
        each input, ``lambda y: y[:, 3]``, whose variance over the inputs is then split too.
    unit
        "blocks", residual branches, or "weights", the paper's r.

    Returns
    -------
    OutputSplit
        The parts by length.

    Raises
    ------
    InputError
        If the inputs are no tensor of floats, or Y depends on them in no way, or is neither a scalar nor one number
        for each input.
    DecompositionError
        If the network is not piecewise linear, or adds a constant that is not seen: the parts do not sum to Y then.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> split = output_split(model, torch.ones(2, 3), unit="weights")
    >>> split.lengths, bool(abs(split.parts.sum() - split.output) < 1e-5)
    (array([0, 1, 2]), True)
    """
    model = eager(model)
    check.choice("unit", unit, UNITS)
    if not callable(output):
        raise InputError(f"output must be a function of the model's output, not {type(output).__name__}")
    if not isinstance(inputs, Tensor):
        raise InputError(f"output_split: inputs must be a tensor, not {type(inputs).__name__}")
    require_dense("inputs", inputs)
    with as_found(model), torch.enable_grad():
        # every constant that is added gets a zero of its own to differentiate by
        x = inputs.detach().clone()
        x.requires_grad_(x.is_floating_point())
        as_targets(x)
        with Constants(x, len(x) if x.ndim else None) as seen:
            y = attempt("the model", lambda: model(x), in_forward(model, (x,), {}))
            Y = attempt("output", lambda: output(y))
    # one number for each input: the variance over the inputs can be split, too
    alone = isinstance(Y, Tensor) and Y.ndim == 1 and len(Y) == len(x) > 1
    if not isinstance(Y, Tensor) or not (alone or Y.numel() == 1):
        found = f"the shape {tuple(Y.shape)}" if isinstance(Y, Tensor) else type(Y).__name__
        raise InputError(f"output must give a scalar, or one number for each of the {len(x)} inputs, found {found}")
    # a backward pass may run parts of the model again
    with as_found(model), in_one_line():
        return _split(model, x, seen, Y, alone, unit)


def _split(model: nn.Module, x: Tensor, seen: Constants, Y: Tensor, alone: bool, unit: str) -> OutputSplit:
    """Walk the graph of Y to x and to the zero of each constant at once."""
    total = Y.sum() if alone else Y
    # blocks are read on the way to x alone: a constant inside a branch would otherwise count as a way around it
    outline = Trace(total, x, model).outline
    seen.keep_reached(total)
    # from here on x and the zeros are all targets of one walk
    targets = (x, *seen.zeros)
    graph = read(total, targets)
    _require_fixed_statistics(graph)
    _require_piecewise_linear(graph, model)
    # the blocks were numbered in the graph to x alone: find them in this one
    numbers = {node: i for i, node in enumerate(graph.nodes)}
    whole = replace(outline, graph=graph) if unit == "weights" else outline
    counted = {(numbers[whole.graph.nodes[i]], slot) for i, slot in whole.counted(unit)}
    parts = walk(graph, partition(graph, counted), counted, Lengths(None))
    verify(graph, [list(part.values()) for part in parts], reference(total, targets))
    # one row for x and one for each constant, one column for each length, one layer for each output
    lengths = np.arange(min(min(part) for part in parts if part), max(max(part) for part in parts if part) + 1)
    outputs = wide(Y.detach()).reshape(-1).cpu().numpy()
    table = np.zeros((len(parts), len(lengths), len(outputs)))
    for row, part, value in zip(table, parts, (x, *seen.values), strict=True):
        for r, g in part.items():
            row[r - lengths[0]] = _products(g, value.detach().expand_as(g), len(outputs))
    # Y is Σ over rows of ⟨gradient, value⟩ if and only if the network is piecewise linear
    error = _certify(table, outputs, Y.dtype, graph)
    summed = table.sum(axis=2)
    return OutputSplit(
        lengths=lengths,
        parts=summed.sum(axis=0),
        constants=summed[1:].sum(axis=0),
        output=float(outputs.sum()),
        error=error,
        unit=unit,
        outputs=outputs if alone else None,
        parts_per_sample=table.sum(axis=0) if alone else None,
    )


def _products(g: Tensor, value: Tensor, samples: int) -> Array:
    """⟨g, value⟩ of each sample, whose rows lie together along the first dimension."""
    if samples > 1 and (not g.ndim or g.shape[0] % samples):
        raise DecompositionError(
            f"a constant of shape {tuple(g.shape)} belongs to no one of {samples} inputs: the output cannot be split "
            "input by input; give one number in all, as the sum of the outputs"
        )
    return (wide(g) * wide(value)).reshape(samples, -1).sum(dim=1).cpu().numpy()


def _require_fixed_statistics(graph: Graph) -> None:
    for node, name in zip(graph.nodes, graph.operations, strict=True):
        if facts(name).over_samples and getattr(node, "_saved_training", True):
            raise DecompositionError(
                "a batch norm uses the statistics of the batch (training mode), so the output is no piecewise-linear "
                "function of the input; call model.eval() first, or split the gradient with spectrum"
            )


def _require_piecewise_linear(graph: Graph, model: nn.Module) -> None:
    """Refuse what is known not to be, before anything is measured; what is not known is left to `_certify`."""
    for node, name, role, edges in zip(graph.nodes, graph.operations, graph.roles, graph.edges, strict=True):
        smooth = role == "nonlinear" and edges and not facts(name).piecewise_linear
        if name in TABLE and (smooth or role == "product" or (role == "norm" and not facts(name).over_samples)):
            raise DecompositionError(
                f"output_split needs a piecewise-linear network (ReLU, max pooling, batch norm with fixed statistics), "
                f"and found {name}{near(node, model)}; split the network's gradient with spectrum"
            )


def _certify(table: Array, outputs: Array, dtype: torch.dtype, graph: Graph) -> float:
    """The gap between the parts and Y, or an error that names what may not be piecewise linear."""
    found = table.sum(axis=(0, 1))
    worst = int(np.argmax(np.abs(found - outputs)))
    error = relative(abs(found[worst] - outputs[worst]), float(np.abs(table).sum(axis=(0, 1)).max()))
    bound = BOUNDS.get(dtype, HALF)
    if error <= bound:
        return error
    suspects = {name for name, role in zip(graph.operations, graph.roles, strict=True) if role in {"opaque", "custom"}}
    suspects |= {
        name
        for name, role, edges in zip(graph.operations, graph.roles, graph.edges, strict=True)
        if role == "nonlinear" and edges and not facts(name).piecewise_linear
    }
    causes = ", ".join(sorted(suspects)) or "a constant that is not seen, or samples that the network mixes"
    raise DecompositionError(
        f"the parts sum to {found[worst]:.6g}, the output is {outputs[worst]:.6g} (error {error:.1e}, bound "
        f"{bound:g}): the network is not piecewise linear with known constants, because of {causes}; split its "
        "gradient with spectrum"
    )
