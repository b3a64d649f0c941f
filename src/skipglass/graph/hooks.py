"""Tensor hooks and retained gradients on a graph.

A tensor's hooks fire where a region ends and again where the next one starts; `find_hooks` finds them, so that the
walk can step over such a place by hand, which fires them once. ``retain_grad`` accumulates whatever passes, so
the tensors that ask for it get their gradient back.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from skipglass.errors import DecompositionError, InputError
from skipglass.graph.engine import fire, zero
from skipglass.graph.failures import attempt, in_hook
from skipglass.graph.nodes import Graph, Meta, Place

__all__ = ["Heard", "Hooks", "Silence", "find_hooks", "retained_gradients"]


class Heard(Exception):
    """Something computed where nothing should: a hook with a gradient, a checkpoint for a saved tensor."""


class Silence(TorchDispatchMode):
    """Under it any tensor operation raises, before it has an effect."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        raise Heard


class _ReadOnly(TorchDispatchMode):
    """Under it one piece of memory must not be written."""

    def __init__(self, memory: Tensor) -> None:
        super().__init__()
        self.address = memory.untyped_storage().data_ptr()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._schema.is_mutable and any(
            isinstance(value, Tensor) and value.untyped_storage().data_ptr() == self.address
            for value in (*args, *(kwargs or {}).values())
        ):
            raise DecompositionError(
                "a hook on a tensor changes the gradient in place, and with it what flows past the tensor; let the "
                "hook return a new gradient"
            )
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Hooks:
    """Tensor hooks and retained gradients on a graph.

    Attributes
    ----------
    changed
        The places where hooks change the gradient.
    retaining
        Tensors that may retain their gradient (``retain_grad``): the graph does not tell which of them belong to it.
    """

    changed: set[Place]
    retaining: list[Tensor]


def find_hooks(graph: Graph, model: nn.Module | None = None) -> Hooks:
    """Find hooks and retained gradients; each place is asked by handing it zeros, which fires its hooks once.

    A model names the module where one fails.

    Raises
    ------
    DecompositionError
        If a hook works in place: autograd itself then has no one gradient, as others may share the tensor.
    InputError
        If a hook fails, or nested tensors lie on the way, whose gradients have no shape to make zeros of.
    """
    for node, name in zip(graph.nodes, graph.operations, strict=True):
        if any(meta.is_nested_tensor for meta in node._input_metadata):
            raise InputError(f"{name} works on nested tensors, whose gradients cannot be measured; pad the sequences")
    zeros: dict[Meta, Tensor] = {}
    changed, heard = _asked(graph, zeros)
    # something computes there: ask once more, with computing allowed, after noting the gradients that are retained
    retaining = _living() if heard else []
    with retained_gradients(retaining):
        for place in heard:
            nothing = _zero(graph, place, zeros)
            with _ReadOnly(nothing):
                hooks = partial(fire, graph, *place, nothing)
                if attempt("a hook on a tensor", hooks, in_hook(graph, place, model)) is not nothing:
                    changed.add(place)
    return Hooks(changed, retaining)


@contextmanager
def retained_gradients(tensors: list[Tensor]) -> Iterator[None]:
    """Put back the gradients that these tensors retain, whatever passes in the block."""
    before = [(t, t.grad) for t in tensors]
    try:
        yield
    finally:
        for tensor, gradient in before:
            tensor.grad = gradient


def _asked(graph: Graph, zeros: dict[Meta, Tensor]) -> tuple[set[Place], list[Place]]:
    """The places that give back another gradient than they are handed, and those where something computes with it."""
    places = {e.place for edges in graph.edges for e in edges} | {(0, graph.loss.output_nr)}
    entering = [(place, _zero(graph, place, zeros)) for place in sorted(places)]
    changed, heard = set(), []
    with Silence():
        # under Silence nothing is computed: a hook that would raises instead
        for place, nothing in entering:
            try:
                if fire(graph, *place, nothing) is not nothing:
                    changed.add(place)
            except Exception:  # Heard, or whatever a hook makes of it
                heard.append(place)
    return changed, heard


def _zero(graph: Graph, place: Place, known: dict[Meta, Tensor]) -> Tensor:
    meta = graph.metas[place[0]][place[1]]
    if meta not in known:
        known[meta] = zero(meta)
    return known[meta]


def _living() -> list[Tensor]:
    """All tensors of this process that retain their gradient."""
    # types first: asking each object whether it is a tensor would wake lazy ones
    living = gc.get_objects()
    kinds = {kind for kind in set(map(type, living)) if issubclass(kind, Tensor)}
    return [o for o in living if type(o) in kinds and not o.is_leaf and o.retains_grad]
