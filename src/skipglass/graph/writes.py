"""What a write to a slice of a tensor does, which autograd records as one node that tells nothing of it, CopySlices.

The node is asked: of a gradient of ones, a write leaves none for what it has overwritten and all for what it has added
to. The slice is read off gradients that number the entries along one axis.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.autograd.graph import Node

from skipglass.graph.pieces import WHOLE, Piece, tidy

__all__ = ["Write", "asked"]


@dataclass(frozen=True)
class Write:
    """A write that puts something in the place of a slice, or adds to it; with numbers as factors at most.

    Attributes
    ----------
    node
        Autograd's node: its first operand is the tensor that is written to, its second what is written.
    adds
        Whether it adds to what was there.
    fresh
        Whether what was there is constant, or was written before: then signals are only put side by side.
    """

    node: Node
    adds: bool
    fresh: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the tensor that is written to."""
        return tuple(self.node._input_metadata[0].shape)

    @cached_property
    def piece(self) -> Piece | None:
        """The slice; None where it cannot be told, as what is written was broadcast."""
        axes, count, entries = [], 1, 0
        for d, size in enumerate(self.shape):
            numbers = torch.arange(1, size + 1).view(-1, *[1] * (len(self.shape) - d - 1))
            written = _left(self.node, numbers)[1]
            if written is None:
                return None
            axes.append(frozenset(round(k) - 1 for k in written.double().unique().tolist()))
            count, entries = count * len(axes[-1]), written.numel()
        told = count == entries and all(s <= set(range(n)) for s, n in zip(axes, self.shape, strict=True))
        return tidy(axes, self.shape) if told else None

    @property
    def whole(self) -> bool:
        """Whether the slice is all of the tensor."""
        return self.piece == WHOLE

    def source(self, piece: Piece, slot: int, shape: tuple[int, ...]) -> Piece | None:
        """Return the piece of an operand of this shape that a piece comes from; None where it comes from the other."""
        if self.piece is None:
            return piece if slot == 0 else WHOLE
        wanted, written = self._axes(piece), self._axes(self.piece)
        if slot == 0:
            covered = all(s <= t for s, t in zip(wanted, written, strict=True))
            return None if covered and not self.adds else piece
        meet = [s & t for s, t in zip(wanted, written, strict=True)]
        if not all(meet):
            return None
        # number the entries of the slice: an axis of which one is written may be gone
        below = [frozenset(k for k, at in enumerate(sorted(t)) if at in s) for s, t in zip(meet, written, strict=True)]
        if len(below) > len(shape):
            below = [s for s, t in zip(below, written, strict=True) if len(t) > 1]
        return tidy(below, shape) if len(below) == len(shape) else WHOLE

    def _axes(self, piece: Piece) -> list[frozenset[int]]:
        axes: Piece = piece or (None,) * len(self.shape)
        return [frozenset(range(n)) if s is None else s for n, s in zip(self.shape, axes, strict=True)]


def asked(node: Node, base: bool, fresh: bool) -> Write | None:
    """Ask a CopySlices what it does; None where it does something else than to add or to put in place.

    Parameters
    ----------
    node
        The node.
    base
        Whether a signal is written to.
    fresh
        See `Write`.
    """
    try:
        before, written = _left(node, torch.ones(()))
    except RuntimeError:  # its graph was freed: the backward pass itself will say so
        return None
    if written is None or written.numel() == 0 or written.unique().numel() > 1:
        return None
    left = set() if before is None else set(before.unique().tolist())
    if not base or (left <= {0, 1} and 0 in left):
        return Write(node, False, fresh)
    return Write(node, True, False) if left and len(left - {1}) < 2 else None


@torch.no_grad()
def _left(node: Node, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """What a write leaves of a gradient for the tensor that it writes to and for what is written."""
    meta = node._input_metadata[0]
    entering = gradient.to(meta.device, meta.dtype).expand(tuple(meta.shape)).clone()
    leaving = node(entering)  # type: ignore[operator]
    if not isinstance(leaving, tuple) or len(leaving) != 2:
        return None, None
    return leaving[0], leaving[1]
