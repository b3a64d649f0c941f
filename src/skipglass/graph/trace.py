"""A trace: one backward pass from a loss down to x, analysed once, for every quantity that is measured on it.

Terms used throughout the package:

- a *place* is (node, output): where a gradient enters a node of autograd's graph;
- a *counted step* is (node, slot): an edge of the graph that makes a path one longer, in the unit asked for;
- a *region* is a piece of the graph that autograd's engine runs as one call (see `skipglass.graph.regions`).
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from skipglass import check
from skipglass.errors import InputError, asked
from skipglass.graph.engine import in_one_line
from skipglass.graph.failures import in_backward
from skipglass.graph.forward import LossFunction, forward
from skipglass.graph.hooks import Hooks, find_hooks, retained_gradients
from skipglass.graph.inputs import require_module
from skipglass.graph.nodes import Graph, Place, Target
from skipglass.graph.outline import UNITS, PathGraph, read_outline
from skipglass.graph.processes import gathered
from skipglass.graph.read import read
from skipglass.graph.recompute import repeatable_checkpoints
from skipglass.graph.regions import Counted, Regions, partition
from skipglass.graph.samples import apart
from skipglass.graph.state import as_found, held
from skipglass.graph.verify import reference

__all__ = ["Trace", "as_trace", "trace"]


class Trace:
    """A loss, the x whose gradient is measured, and what was read in the graph between them; made by `trace`.

    Everything is computed when it is first asked for, and once. The graph stays alive as long as the trace does;
    hooks that are registered after the first measurement are not seen.

    Attributes
    ----------
    loss, x
        The scalar, and the tensor or tuple of tensors whose gradient is measured.
    model
        The network that names weights and blocks; None leaves blocks numbered.
    blocks
        The names of what is counted as blocks; None counts the residual ones.
    outputs, notes
        What the model returned, where the trace was made by running one; and which of its inputs were cast, or left
        unsplit.
    """

    def __init__(
        self,
        loss: Tensor,
        x: Target,
        model: nn.Module | None = None,
        blocks: Sequence[str] | None = None,
        *,
        outputs: Any = None,
        notes: Sequence[str] = (),
        restores: bool = False,
    ) -> None:
        if model is not None:
            require_module(model)
        self.loss, self.x, self.model, self.blocks, self.outputs = loss, x, model, blocks, outputs
        self.notes = tuple(notes)
        self._restores, self._holding = restores, False
        self._counted: dict[str, Counted] = {}
        self._regions: dict[tuple[str, frozenset[int]], Regions] = {}

    @cached_property
    def graph(self) -> Graph:
        """The live part of the autograd graph."""
        with self._held():
            return read(self.loss, self.x, self.model)

    @cached_property
    def outline(self) -> PathGraph:
        """Weights, residual blocks, parallel sums and what was not understood."""
        with self._held():
            return read_outline(self.graph, self.model, self.blocks)

    @cached_property
    def gradient(self) -> list[Tensor]:
        """g = ∂loss/∂x by autograd, one tensor for each of x."""
        with self.measuring():
            return reference(self.loss, self.x)

    @cached_property
    def hooks(self) -> Hooks:
        """Hooks that change gradients, and tensors that retain theirs."""
        with self._held(self.graph):
            return find_hooks(self.graph, self.model)

    @property
    def hooked(self) -> set[Place]:
        """The places where hooks change the gradient."""
        return self.hooks.changed

    @cached_property
    def independent_samples(self) -> bool:
        """Whether no sample's gradient passes through another sample in the network."""
        with self.measuring():
            return apart(self.loss, self.outline, self.gradient, self.hooked)

    def counted(self, unit: str) -> Counted:
        """Return the counted steps of a unit, and warn (once) of what may hide some."""
        check.choice("unit", unit, UNITS)
        if unit not in self._counted:
            self._counted[unit] = self.outline.counted(unit)
        return self._counted[unit]

    def regions(self, unit: str, stops: Collection[int] = ()) -> Regions:
        """Return the graph cut into regions at the counted steps of a unit and at further nodes."""
        check.choice("unit", unit, UNITS)
        key = unit, frozenset(stops)
        if key not in self._regions:
            self._regions[key] = partition(self.graph, self.counted(unit), stops, self.hooked)
        return self._regions[key]

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Run a measurement: afterwards retained gradients are as before, and so is the model, where the trace has one.

        A backward pass may run parts of the model again (activation checkpoints) and so change its buffers. A
        measurement within another costs nothing more.
        """
        with (
            self._held(self.graph),
            torch.enable_grad(),
            retained_gradients(self.hooks.retaining),
            # innermost: a pass that failed is run once more in here, to see where
            in_one_line(in_backward(self.graph, self.loss, self.model)),
        ):
            yield

    @contextmanager
    def _held(self, graph: Graph | None = None) -> Iterator[None]:
        """Hold the model as it was found, and a sharded one gathered, unless that is done already."""
        if self._holding:
            yield
            return
        self._holding = True
        try:
            with in_one_line(), ExitStack() as stack:
                # a model that the trace ran itself runs as it did then; the user's own as the user has set things
                if self._restores and self.model is not None:
                    stack.enter_context(held(self.model))
                else:
                    stack.enter_context(gathered(self.model, graph))
                    stack.enter_context(nullcontext() if self.model is None else as_found(self.model))
                stack.enter_context(repeatable_checkpoints())
                yield
        finally:
            self._holding = False

    def __repr__(self) -> str:
        network = "" if self.model is None else f"{type(self.model).__name__}, "
        return f"Trace({network}{len(self.graph.nodes)} operations)"


def trace(
    model: nn.Module | None = None,
    inputs: object = None,
    targets: object = None,
    loss_fn: LossFunction | None = None,
    *,
    loss: Tensor | None = None,
    x: Target | None = None,
    blocks: Sequence[str] | None = None,
) -> Trace:
    """Analyse one backward pass, for several quantities to be measured on it.

    Parameters
    ----------
    model
        Any module, which runs once and is left as it was found; with ``loss`` and ``x`` it only names things.
    inputs, targets, loss_fn
        What to run it on; see `skipglass.measure`.
    loss, x
        A scalar with a live graph and the tensor, or tuple of tensors, whose gradient is to be measured, in place of
        ``inputs``.
    blocks
        What to count as blocks instead of the residual ones; see `outline`.

    Returns
    -------
    Trace
        Every quantity of `skipglass.paths` takes it in place of (loss, x).

    Raises
    ------
    InputError
        If neither or both of (model, inputs) and (loss, x) are given, or the model cannot be run.

    Examples
    --------
    >>> import skipglass as sg
    >>> model = sg.models.ResidualMLP(5, depth=4, width=8)
    >>> t = sg.trace(model, torch.ones(2, 5))
    >>> sg.paths.census(t), sg.paths.spectrum(t).lengths
    ({0: 1, 1: 3, 2: 3, 3: 1}, array([0, 1, 2, 3]))
    """
    if (loss is None) != (x is None) or (loss is None) == (inputs is None):
        both = "either (model, inputs) or both loss=… and x=…"
        what = both if asked() == "trace" else "the model and its inputs, found no inputs"
        raise InputError(f"{asked()} needs {what}")
    if loss is not None and x is not None:
        return Trace(loss, x, model, blocks)
    if model is None:
        raise InputError(f"{asked()} needs the model that is to be called with the inputs")
    with forward(model, inputs, targets, loss_fn) as run:
        made = Trace(run.loss, run.x, run.model, blocks, outputs=run.outputs, notes=run.notes, restores=True)
    _ = made.outline  # what cannot be measured is an error here
    return made


def as_trace(
    loss: Tensor | Trace, x: Target | None = None, model: nn.Module | None = None, blocks: Sequence[str] | None = None
) -> Trace:
    """Return the trace that was given, or one of a live (loss, x).

    Raises
    ------
    InputError
        If x is missing, or something is given beside a trace, which has its own.
    """
    if isinstance(loss, Trace):
        if any(given is not None for given in (x, model, blocks)):
            raise InputError(f"{asked()}: a Trace holds its own x, model and blocks; give those to skipglass.trace")
        return loss
    if isinstance(loss, nn.Module):
        raise InputError(f"{asked()} takes (loss, x) or a Trace, not a model: give it skipglass.trace(model, inputs)")
    if x is None:
        raise InputError(
            f"{asked()}: x is missing: the tensor, or tuple of tensors, whose gradient is to be measured; in place of "
            "(loss, x) it takes skipglass.trace(model, inputs)"
        )
    return Trace(loss, x, model, blocks)
