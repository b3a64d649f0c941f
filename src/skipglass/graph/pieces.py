"""Which piece of a signal is read, where only a part of it goes on.

A *piece* says for each axis of a signal which entries along it are read: a set of numbers, or None for all of them. It
does not matter by which operation it was taken: of five entries x[:, 0], x[:, -5] and x.split([1, 4], 1)[0] are one
piece. The piece of a complex signal has one axis more, its real and imaginary parts. What is no product of sets, such
as the entries under a mask, is taken for the smallest product that holds it.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from itertools import zip_longest

__all__ = ["WHOLE", "Axis", "Piece", "Shared", "shared", "tidy", "together"]

Axis = frozenset[int] | None
Piece = tuple[Axis, ...]
"""One entry for each axis, or `WHOLE`."""
WHOLE: Piece = ()


class Shared(IntEnum):
    """What two pieces of one signal have in common."""

    NOTHING = 0
    SOME = 1  # each has entries that the other lacks
    ONE = 2  # one of them lies in the other


def shared(a: Piece, b: Piece) -> Shared:
    """Say what two pieces have in common."""
    if WHOLE in {a, b}:
        return Shared.ONE
    axes = list(zip_longest(a, b))  # only one of the two may tell parts of a complex number apart
    if any(s is not None and t is not None and not s & t for s, t in axes):
        return Shared.NOTHING
    within = all(t is None or (s is not None and s <= t) for s, t in axes)
    around = all(s is None or (t is not None and t <= s) for s, t in axes)
    return Shared.ONE if within or around else Shared.SOME


def together(a: Piece, b: Piece, shape: Sequence[int]) -> Piece:
    """The smallest piece of a signal of this shape that holds both."""
    if WHOLE in {a, b}:
        return WHOLE
    return tidy((None if s is None or t is None else s | t for s, t in zip_longest(a, b)), shape)


def tidy(piece: Iterable[Axis], shape: Sequence[int]) -> Piece:
    """A piece of a signal of this shape, with None for every axis that is read as a whole."""
    sizes = (*shape, 2)
    axes = tuple(None if s is None or len(s) >= sizes[d] else s for d, s in enumerate(piece))
    return WHOLE if all(s is None for s in axes) else axes
