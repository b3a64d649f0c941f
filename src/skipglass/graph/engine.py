"""Autograd's engine, called between any two places of a graph, and single nodes called by hand.

A *place* is (node, output): where a gradient enters a node.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd import Variable
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import GradientEdge, Node

from skipglass.errors import InputError, UserError, one_line
from skipglass.graph.failures import Where, own_frames
from skipglass.graph.nodes import Graph, Meta

__all__ = ["FAINT", "Arrived", "Graded", "call", "explain", "fire", "fit", "in_one_line", "leaving", "through", "zero"]

Graded = dict[int, Tensor]
"""A graded gradient: channel (a length, a power of t - 1) → tensor."""
Arrived = dict[int, Graded]
"""What has arrived at a head: output → graded gradient."""

FAINT = 1e-15  # our choice: far above float32's smallest normal number, 1e-38, a region's own shrinking included


def fire(graph: Graph, node: int, output: int, value: Tensor) -> Tensor:
    """Let the hooks of a place change a gradient."""
    edge = (GradientEdge(graph.nodes[node], output),)
    return through(edge, edge, (value,))[0]


def through(
    starts: Sequence[GradientEdge], ends: Sequence[GradientEdge | Tensor], values: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Run autograd's engine from edges to edges; None where an end is not reached.

    ``torch.autograd.grad`` calls it so, after checks of shapes and types that take longer than a small node.
    """
    engine = Variable._execution_engine
    return engine.run_backward(tuple(starts), tuple(values), True, False, tuple(ends), True, accumulate_grad=False)


def call(graph: Graph, head: int, at: Arrived) -> list[Graded]:
    """Call one node by hand, one channel after the other."""
    edges = graph.edges[head]
    left: list[Graded] = [{} for _ in edges]
    for r in sorted({r for graded in at.values() for r in graded}):
        gradients = leaving(graph, head, {output: graded[r] for output, graded in at.items() if r in graded})
        for graded, e in zip(left, edges, strict=True):
            if (gradient := gradients(e.slot)) is not None:
                graded[r] = fit(gradient, graph.metas[e.to][e.output])
    return left


def leaving(graph: Graph, head: int, entering: Mapping[int, Tensor]) -> Callable[[int], Tensor | None]:
    """Call one node by hand with a gradient for some outputs; return what leaves it, by operand."""
    node = graph.nodes[head]
    backward: Callable = node if callable(node) else node.apply  # type: ignore[attr-defined] # custom functions
    slots = _given(node)
    # a node wants one gradient for each output, None where there is none; a custom function wants zeros
    given = [entering.get(output) for output in range(len(graph.metas[head]))]
    if isinstance(node, BackwardCFunction):
        given = [zero(m) if v is None else v for v, m in zip(given, graph.metas[head], strict=True)]
    left = backward(*given)
    gradients = left if isinstance(left, tuple) else (left,)
    return lambda slot: gradients[slots.get(slot, slot)]


def zero(meta: Meta) -> Tensor:
    """A gradient of zeros that takes no memory."""
    return torch.zeros((), dtype=meta.dtype, device=meta.device).expand(meta.shape)


def _given(node: Node) -> dict[int, int]:
    """For a custom function, where in its arguments each operand stands; it takes others than tensors too."""
    needed = getattr(node, "needs_input_grad", ())
    arguments = [k for k, needs in enumerate(needed) if needs]
    operands = [slot for slot, (after, _) in enumerate(node.next_functions) if after is not None]
    return dict(zip(operands, arguments, strict=True)) if len(operands) == len(arguments) else {}


def fit(gradient: Tensor, meta: Meta) -> Tensor:
    """Undo broadcasting and cast, as the engine does between two nodes."""
    # an operand that was broadcast gets the sum over what it was broadcast to
    if gradient.shape != meta.shape:
        gradient = gradient.sum_to_size(meta.shape)
    return gradient if gradient.dtype == meta.dtype else gradient.to(meta.dtype)


def explain(error: RuntimeError) -> Exception:
    """Turn autograd's complaint about a graph into the mistake behind it."""
    text = str(error)
    if "second time" in text or "been freed" in text:
        return InputError("the graph of the loss was freed; measure before backward(), or pass it retain_graph=True")
    if "inplace operation" in text:
        return InputError("a tensor of the graph was changed in place since the forward pass; measure before step()")
    if "not have been used" in text:
        return InputError("no gradient arrives at x, as an operation on the way has none (quantised weights, rounding)")
    if "donated" in text:
        return InputError(
            "a compiled part of the network frees what its backward pass needs; measure the model without "
            "torch.compile, or set torch._functorch.config.donated_buffer = False before it is compiled"
        )
    return error


@contextmanager
def in_one_line(where: Where | None = None) -> Iterator[None]:
    """Make one line of whatever a backward pass raises: a custom function, a hook or an operation that fails.

    Parameters
    ----------
    where
        Names the operation and the module.

    Yields
    ------
    None
        Once.

    Raises
    ------
    InputError
        With what was raised, and where in the user's code.
    """
    try:
        yield
    except (UserError, Warning, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if isinstance(error, RuntimeError) and "allocate memory" in str(error):
            raise  # whoever asked for so much is told what to ask for instead
        known = explain(error) if isinstance(error, RuntimeError) else error
        if isinstance(known, UserError):
            raise known from error
        said = f"{one_line(error).rstrip('.')}{_raised_in(error)}{where(error) if where else ''}"
        raise InputError(f"the backward pass raised {said}") from error


def _raised_in(error: Exception) -> str:
    """The innermost function that raised it and is neither PyTorch's nor ours."""
    frames, own = [frame for frame, _ in traceback.walk_tb(error.__traceback__)], own_frames(error)
    return f", in {own[-1].f_code.co_qualname}" if own and frames[-1] is own[-1] else ""
