"""What users hang on a graph: hooks that change a gradient, and gradients that are retained.

A tensor's hooks fire where a region ends and again where the next one starts; `is_hooked` finds them, so that the
walk can step over such a place by hand, which fires them once. ``retain_grad`` accumulates whatever passes, so
the tensors that ask for it get their gradient back.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node

__all__ = ["is_hooked", "retained_gradients"]


def is_hooked(node: Node, output: int) -> bool:
    """Whether a hook on a node's output replaces the gradient that arrives there; fires it once, on zeros."""
    meta = node._input_metadata[output]
    zero = torch.zeros((), dtype=meta.dtype, device=meta.device).expand(meta.shape)
    edge = GradientEdge(node, output)
    try:
        (after,) = torch.autograd.grad(edge, edge, zero, retain_graph=True)
    except RuntimeError:  # a hook that works in place, or refuses zeros
        return True
    return after.data_ptr() != zero.data_ptr() or after.shape != zero.shape


@contextmanager
def retained_gradients() -> Iterator[None]:
    """Give back their ``grad`` to all tensors with ``retain_grad``, whatever passed meanwhile.

    The graph does not tell who listens, so the living tensors are asked: some milliseconds.
    """
    listening = [(t, t.grad) for t in _tensors() if not t.is_leaf and t.retains_grad]
    try:
        yield
    finally:
        for tensor, before in listening:
            tensor.grad = before


def _tensors() -> list[Tensor]:
    living = gc.get_objects()
    kinds = {kind for kind in set(map(type, living)) if issubclass(kind, Tensor)}
    return [o for o in living if type(o) in kinds]
