"""The output of a piecewise-linear network by path length (docs/mathematics.md §6).

With gates fixed, ReLU, max pooling and batch norm with fixed statistics make Y linear in the input x and in the
constants b added on the way (biases, and β - λ·mean/σ of each batch norm). Splitting every gradient by length,

    Y_r = ⟨(∂Y/∂x)_r, x⟩ + Σ_b ⟨(∂Y/∂b)_r, b⟩,    Σ_r Y_r = Y,

the paper's sum over paths (Eq. 9) with its A_ij, measured. A path from a constant crosses what lies above it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skipglass.errors import DecompositionError, InputError
from skipglass.graph import Graph, Trace, as_found, as_targets, attempt, facts, read
from skipglass.graph.regions import partition
from skipglass.graph.verify import inner, reference, relative, verify
from skipglass.paths.constants import Constants
from skipglass.paths.spectrum import Lengths
from skipglass.paths.walk import walk
from skipglass.record import Result, coordinate, number, text, variable
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
        Y.
    error
        \|Σ Y_r - Y\| over the sum of all inner products' magnitudes, at most 1e-10, 1e-4 or 5e-2 in float64, float32
        or half precision.
    unit
        "weights" or "blocks".
    """

    kind = "output_split"

    lengths: NDArray[np.int64] = coordinate("length", letter="r", long_name="path length r ({unit})")
    parts: Array = variable("length", letter="Y_r", long_name="part of the output", stored="part")
    constants: Array = variable("length", letter="constants", long_name="of Y_r, from biases and normalisations")
    output: float = number("Y", shown=False)
    error: float = number(long_name="relative error of Σ Y_r")
    unit: str = text("unit", shown=False)

    def headline(self) -> str:
        """Name the output that was split."""
        return f"The output {self.output:.6g} by path length in {self.unit}."

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
        Picks the scalar Y out of the model's output, linearly: the sum of all, or ``lambda y: y[:, 3].sum()``.
    unit
        "blocks", residual branches, or "weights", the paper's r.

    Returns
    -------
    OutputSplit
        The parts by length.

    Raises
    ------
    InputError
        If the inputs are no tensor of floats, or Y is not a scalar that depends on them.
    DecompositionError
        If the parts do not sum to Y: the network is not piecewise linear, or adds a constant that is not seen.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> split = output_split(model, torch.ones(2, 3), unit="weights")
    >>> split.lengths, bool(abs(split.parts.sum() - split.output) < 1e-5)
    (array([0, 1, 2]), True)
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    if not isinstance(inputs, Tensor):
        raise InputError(f"inputs must be a tensor, not {type(inputs).__name__}")
    with as_found(model), torch.enable_grad():
        # every constant that is added gets a zero of its own to differentiate by
        x = inputs.detach().clone()
        x.requires_grad_(x.is_floating_point())
        as_targets(x)
        with Constants(x) as seen:
            y = attempt("the model", lambda: model(x))
            Y = attempt("output", lambda: output(y))
    # blocks are read on the way to x alone: a constant inside a branch would otherwise count as a way around it
    outline = Trace(Y, x, model).outline
    seen.keep_reached(Y)
    # from here on x and the zeros are all targets of one walk
    targets = (x, *seen.zeros)
    graph = read(Y, targets)
    _require_fixed_statistics(graph)
    numbers = {node: i for i, node in enumerate(graph.nodes)}
    whole = replace(outline, graph=graph) if unit == "weights" else outline
    counted = {(numbers[whole.graph.nodes[i]], slot) for i, slot in whole.counted(unit)}
    parts = walk(graph, partition(graph, counted), counted, Lengths(None))
    verify(graph, [list(part.values()) for part in parts], reference(Y, targets))
    # one row for x and one for each constant, one column for each length
    lengths = np.arange(min(min(part) for part in parts if part), max(max(part) for part in parts if part) + 1)
    table = np.zeros((len(parts), len(lengths)))
    for row, part, value in zip(table, parts, (x, *seen.values), strict=True):
        for r, g in part.items():
            row[r - lengths[0]] = inner([g], [value.detach().expand_as(g)])
    error = _certify(table, float(Y.detach()), Y.dtype, graph)
    return OutputSplit(lengths, table.sum(axis=0), table[1:].sum(axis=0), float(Y.detach()), error, unit)


def _require_fixed_statistics(graph: Graph) -> None:
    for node, name in zip(graph.nodes, graph.operations, strict=True):
        if facts(name).over_samples and getattr(node, "_saved_training", True):
            raise DecompositionError(
                "a batch norm uses the statistics of the batch (training mode), so the output is no piecewise-linear "
                "function of the input; call model.eval() first, or split the gradient with spectrum"
            )


def _certify(table: Array, output: float, dtype: torch.dtype, graph: Graph) -> float:
    """The gap between the parts and Y, or an error that names what may not be piecewise linear."""
    error = relative(abs(float(table.sum()) - output), float(np.abs(table).sum()))
    bound = BOUNDS.get(dtype, HALF)
    if error <= bound:
        return error
    suspects = {
        name
        for name, role, edges in zip(graph.operations, graph.roles, graph.edges, strict=True)
        if role in {"product", "opaque", "custom"}
        or (role == "nonlinear" and edges and not facts(name).piecewise_linear)
        or (role == "norm" and not facts(name).over_samples)
    }
    causes = ", ".join(sorted(suspects)) or "a constant that is not seen"
    raise DecompositionError(
        f"the parts sum to {table.sum():.6g}, the output is {output:.6g} (error {error:.1e}, bound {bound:g}): the "
        f"network is not piecewise linear with known constants, because of {causes}; split its gradient with spectrum"
    )
