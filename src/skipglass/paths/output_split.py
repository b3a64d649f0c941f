"""The output of a piecewise-linear network by path length (docs/mathematics.md §6).

With gates fixed, ReLU, max pooling and batch norm with fixed statistics make Y linear in the input x and in the
constants b added on the way (biases, and β - λ·mean/σ of each batch norm). Splitting every gradient by length,

    Y_r = ⟨(∂Y/∂x)_r, x⟩ + Σ_b ⟨(∂Y/∂b)_r, b⟩,    Σ_r Y_r = Y,

the paper's sum over paths (Eq. 9) with its A_ij, measured. A path from a constant crosses what lies above it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skipglass.errors import DecompositionError, InputError
from skipglass.graph.engine import Graded
from skipglass.graph.forward import attempt
from skipglass.graph.outline import PathGraph
from skipglass.graph.read import Graph, as_targets, read
from skipglass.graph.regions import Counted, partition
from skipglass.graph.state import as_found
from skipglass.graph.trace import Trace
from skipglass.graph.verify import inner, reference, verify
from skipglass.paths.constants import Constants
from skipglass.paths.walk import walk

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["OutputSplit", "output_split"]

Array = NDArray[np.float64]
BOUNDS = {torch.float64: 1e-10, torch.float32: 1e-4}  # our choice: 100 times a gradient's, for its inner products
HALF = 5e-2
PIECEWISE_LINEAR = frozenset(
    {"Relu", "LeakyRelu", "PreluKernel", "Abs", "Max", "Maximum", "Min", "Minimum", "Amax", "Amin", "Sort", "Topk"}
    | {"MaxPool1D", "MaxPool2DWithIndices", "MaxPool3DWithIndices", "AdaptiveMaxPool2D"}
)
"""Nonlinear operations that are linear on each of their pieces, without a constant of their own."""


@dataclass(frozen=True, eq=False)
class OutputSplit:
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

    lengths: NDArray[np.int64]
    parts: Array
    constants: Array
    output: float
    error: float
    unit: str

    def __str__(self) -> str:
        lines = [f"output {self.output:.6g} by length in {self.unit}, error {self.error:.0e}", "   r   Y_r  constants"]
        rows = zip(self.lengths, self.parts, self.constants, strict=True)
        return "\n".join([*lines, *(f"{r:4d}  {part: .6g}  {constant: .6g}" for r, part, constant in rows)])

    def to_xarray(self) -> "xr.Dataset":
        """Return Y_r and what of it comes from constants, by length."""
        import xarray as xr

        return xr.Dataset(
            {
                "part": ("length", self.parts, {"long_name": "Y_r"}),
                "constants": ("length", self.constants, {"long_name": "of Y_r, from biases"}),
            },
            coords={"length": ("length", self.lengths, {"long_name": f"path length r ({self.unit})"})},
            attrs={"output": self.output, "error": self.error, "unit": self.unit},
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw Y_r by length, with the part from constants beside it; return the axes."""
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1] if ax is None else ax
        ax.bar(self.lengths - 0.2, self.parts, width=0.4, label="Y_r")
        ax.bar(self.lengths + 0.2, self.constants, width=0.4, label="of it from constants")
        ax.set(xlabel=f"path length r ({self.unit})", ylabel="part of the output", title=f"Y = {self.output:.4g}")
        ax.legend()
        return ax


def output_split(
    model: nn.Module,
    inputs: Tensor,
    output: Callable[[Tensor], Tensor] = torch.sum,
    unit: str = "blocks",
) -> OutputSplit:
    """Split the output of a piecewise-linear network by path length, exactly: Σ_r Y_r = Y.

    Parameters
    ----------
    model
        In the mode that is to be measured; batch norm must use fixed statistics.
    inputs
        A batch of floating-point inputs.
    output
        Picks the scalar Y out of the model's output, linearly: the sum of all, or ``lambda y: y[:, 3].sum()``.
    unit
        "weights", the paper's r, or "blocks", residual branches.

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
        x = inputs.detach().clone()
        x.requires_grad_(x.is_floating_point())
        as_targets(x)
        with Constants(x) as seen:
            y = attempt("the model", lambda: model(x))
            Y = attempt("output", lambda: output(y))
    found = Trace(Y, x, model).outline
    seen.keep_reached(Y)
    targets = (x, *seen.zeros)
    graph = read(Y, targets)
    counted = _counted(found, graph, unit)
    parts = walk(graph, partition(graph, counted), counted, lambda graded: {r + 1: v for r, v in graded.items()})
    verify(graph, [list(part.values()) for part in parts], reference(Y, targets))
    products = [_products(part, value) for part, value in zip(parts, (x, *seen.values), strict=True)]
    live = {r for product in products for r in product}
    lengths = np.arange(min(live), max(live) + 1)
    table = np.array([[product.get(int(r), 0.0) for r in lengths] for product in products])
    error = _certify(table, float(Y.detach()), Y.dtype, graph)
    return OutputSplit(lengths, table.sum(axis=0), table[1:].sum(axis=0), float(Y.detach()), error, unit)


def _counted(found: PathGraph, graph: Graph, unit: str) -> Counted:
    """The counted steps, by the numbers of the graph that leads to the constants too.

    Blocks are those of the paths to x: a constant inside a branch would otherwise count as a way around it.
    """
    if unit == "weights":
        return replace(found, graph=graph).counted(unit)
    number = {node: i for i, node in enumerate(graph.nodes)}
    return {(number[found.graph.nodes[i]], slot) for i, slot in found.counted(unit)}


def _products(part: Graded, value: Tensor) -> dict[int, float]:
    return {r: inner([g], [value.detach().expand_as(g)]) for r, g in part.items()}


def _certify(table: Array, output: float, dtype: torch.dtype, graph: Graph) -> float:
    """The gap between the parts and Y, or an error that names what may not be piecewise linear."""
    size, gap = float(np.abs(table).sum()), abs(float(table.sum()) - output)
    error = gap / size if size else (math.inf if gap else 0.0)
    bound = BOUNDS.get(dtype, HALF)
    if error <= bound:
        return error
    suspects = {
        name
        for name, role, edges in zip(graph.operations, graph.roles, graph.edges, strict=True)
        if role in {"product", "opaque", "custom"}
        or (role == "nonlinear" and edges and name not in PIECEWISE_LINEAR)
        or (role == "norm" and "BatchNorm" not in name)
    }
    causes = ", ".join(sorted(suspects)) or "a constant that is not seen (padding, concatenation)"
    raise DecompositionError(
        f"the parts sum to {table.sum():.6g}, the output is {output:.6g} (error {error:.1e}, bound {bound:g}): the "
        f"network is not piecewise linear with known constants, because of {causes}; split its gradient with spectrum"
    )
