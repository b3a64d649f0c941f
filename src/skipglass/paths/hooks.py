"""What users hang on a graph: hooks that change a gradient, and gradients that are retained.

A tensor's hooks fire where a region ends and again where the next one starts; `listening` finds them, so that the
walk can step over such a place by hand, which fires them once. ``retain_grad`` accumulates whatever passes, so
the tensors that ask for it get their gradient back.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from skipglass.errors import DecompositionError
from skipglass.paths.forward import attempt
from skipglass.paths.graph import Graph, Meta
from skipglass.paths.walk import fire

__all__ = ["Heard", "Silence", "listening"]

Place = tuple[int, int]


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


@contextmanager
def listening(graph: Graph) -> Iterator[set[Place]]:
    """Give the (node, output) where hooks change the gradient; on leaving, retained gradients are as before.

    Each place is asked by handing it zeros, which fires its hooks once. Where something computes with them, a
    hook or ``retain_grad``, the living tensors are searched for those that retain: the graph does not tell.

    Raises
    ------
    DecompositionError
        If a hook works in place: autograd itself then has no one gradient, as others may share the tensor.
    InputError
        If a hook fails.
    """
    asked = {(to, output) for edges in graph.edges for _, to, output in edges} | {(0, graph.loss.output_nr)}
    zeros: dict[Meta, Tensor] = {}
    places = [(place, _zero(graph, place, zeros)) for place in sorted(asked)]
    changed, heard = set(), []
    with Silence():
        for place, zero in places:
            try:
                if fire(graph, *place, zero) is not zero:
                    changed.add(place)
            except Exception:  # Heard, or whatever a hook makes of it
                heard.append((place, zero))
    retaining = [(t, t.grad) for t in _tensors() if not t.is_leaf and t.retains_grad] if heard else []
    try:
        for place, zero in heard:
            with _ReadOnly(zero):
                if attempt("a hook on a tensor", partial(fire, graph, *place, zero)) is not zero:
                    changed.add(place)
        yield changed
    finally:
        for tensor, before in retaining:
            tensor.grad = before


def _zero(graph: Graph, place: Place, known: dict[Meta, Tensor]) -> Tensor:
    meta = graph.metas[place[0]][place[1]]
    if meta not in known:
        known[meta] = torch.zeros((), dtype=meta.dtype, device=meta.device).expand(meta.shape)
    return known[meta]


def _tensors() -> list[Tensor]:
    living = gc.get_objects()
    kinds = {kind for kind in set(map(type, living)) if issubclass(kind, Tensor)}
    return [o for o in living if type(o) in kinds]
