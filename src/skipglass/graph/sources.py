"""Which piece of an operand a piece of an operation's result comes from.

Pieces are followed downwards, from a sum to the signals that it is made of: through what takes a piece, puts pieces
side by side, gives entry for entry or works along some axes only. Every other operation needs all of its operands.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from math import prod

import torch
from torch import Tensor

from skipglass.graph.nodes import Edge, Graph
from skipglass.graph.operations import facts
from skipglass.graph.pieces import WHOLE, Axis, Piece, tidy
from skipglass.graph.saved import axis, carried, dimensions, saved_tensor

__all__ = ["source"]

Shape = tuple[int, ...]
Axes = list[Axis]

MANY = 100_000  # our choice: of an index, or of a piece that changes its shape, no more entries are looked at


def source(graph: Graph, node: int, output: int, piece: Piece, edge: Edge) -> Piece | None:
    """Return the piece of an operand that a piece of a result comes from; None where it comes from other operands.

    Parameters
    ----------
    graph, node, output
        The operation, and which of its results it is.
    piece
        The piece of that result.
    edge
        By which operand to go down.

    Returns
    -------
    Piece or None
        The smallest that is known to hold all that is needed.
    """
    known, shape = facts(graph.operations[node]), graph.shape(*edge.place)
    if known.joins:
        return _joined(graph, node, piece, edge)
    if node in graph.writes:
        return graph.writes[node].source(piece, edge.slot, shape)
    if known.picks:
        return tidy(_picked(graph, node, output, piece, shape), shape)
    if not piece:
        return WHOLE
    return tidy(_worked(graph, node, output, piece, edge), shape)


# signals side by side


def _joined(graph: Graph, node: int, piece: Piece, edge: Edge) -> Piece | None:
    """Of signals side by side, which a Stack's axis tells apart, or the parts of a complex number."""
    name, shape, ndim = graph.operations[node], graph.shape(*edge.place), len(graph.shape(node))
    dim = ndim if name == "Complex" else axis(graph.nodes[node]._saved_dim, ndim)  # type: ignore[attr-defined]
    along = piece[dim] if dim < len(piece) else None
    if name != "Cat":
        return tidy(piece[:dim] + piece[dim + 1 :], shape) if along is None or edge.slot in along else None
    begin = None if along is None else _begin(graph, node, edge.slot, dim)
    if along is None or begin is None:
        return tidy((*piece[:dim], None, *piece[dim + 1 :]), shape) if piece else WHOLE
    own = frozenset(k - begin for k in along if begin <= k < begin + shape[dim])
    return tidy((*piece[:dim], own, *piece[dim + 1 :]), shape) if own else None


def _begin(graph: Graph, node: int, slot: int, dim: int) -> int | None:
    """Where an operand of a Cat begins along the axis; None if that depends on constants, which leave no trace."""
    operands = graph.nodes[node].next_functions
    sizes = [None if after is None else int(after._input_metadata[k].shape[dim]) for after, k in operands]
    before = [size for size in sizes[:slot] if size is not None]
    if None not in sizes[:slot]:
        return sum(before)
    # all that is unknown stands before it
    return None if None in sizes[slot:] else graph.shape(node)[dim] - sum(s for s in sizes[slot:] if s is not None)


# pieces of a signal


def _picked(graph: Graph, node: int, output: int, piece: Piece, shape: Shape) -> Axes:
    """Of an operation that takes a piece of its operand."""
    name, taken = graph.operations[node], graph.nodes[node]
    if name in {"Index", "UnsafeIndex"}:
        return _indexed(taken._saved_indices, piece, shape)  # type: ignore[attr-defined]
    if name == "Gather":
        return _gathered(taken, shape)
    if not hasattr(taken, "_saved_dim") and name != "Unbind":  # Take, MaskedSelect
        return [None] * len(shape)
    dim = axis(taken._saved_dim, len(shape))  # type: ignore[attr-defined]
    entries, below = _entries(graph, node, output, dim, shape), list(piece) or [None] * len(graph.shape(node, output))
    if name in {"Select", "Unbind"}:
        return [*below[:dim], frozenset(entries), *below[dim:]]
    along = below[dim]
    return [*below[:dim], frozenset(entries if along is None else (entries[k] for k in along)), *below[dim + 1 :]]


def _entries(graph: Graph, node: int, output: int, dim: int, shape: Shape) -> Sequence[int]:
    """Which entries along its axis an operation takes for one of its results, in their order there."""
    name, taken, size = graph.operations[node], graph.nodes[node], shape[dim]
    if name == "Select":
        return [axis(taken._saved_index, size)]  # type: ignore[attr-defined]
    if name == "Unbind":
        return [output]
    if name in {"Slice", "NarrowCopy"}:
        begin, end = (_signed(getattr(taken, f"_saved_{which}", None)) for which in ("start", "end"))
        return range(size)[begin : end : getattr(taken, "_saved_step", 1)]
    if name == "IndexSelect":
        return _listed(saved_tensor(taken, "index"), size) or range(size)
    begin = sum(graph.shape(node, k)[dim] for k in range(output))  # of the pieces that a Split gives
    return range(begin, begin + graph.shape(node, output)[dim])


def _signed(saved: int | None) -> int | None:
    return saved - 2**64 if saved is not None and saved >= 2**63 else saved


def _listed(index: Tensor | None, size: int) -> list[int]:
    """The entries that an index names; none if they are too many to look at."""
    if index is None or index.numel() > MANY:
        return []
    return [axis(k, size) for k in index.flatten().tolist()]


def _indexed(indices: Iterable[Tensor | None], piece: Piece, shape: Shape) -> Axes:
    """Of x[i], x[:, i, j] or x[mask]: what each index names; a piece of the result only where one index is there."""
    below: Axes = [None] * len(shape)
    used, d = [], 0
    for index in indices:
        # a mask stands for as many axes as it has
        masks = index is not None and index.dtype in {torch.bool, torch.uint8}
        for column in index.nonzero().unbind(1) if masks and index is not None else [index]:
            if column is not None:
                below[d] = frozenset(_listed(column, shape[d])) or None
                used.append((d, column))
            d += 1
    if len(used) != 1 or not piece:
        return below
    at, column = used[0]
    own, entries = piece[at] if column.ndim == 1 else None, _listed(column, shape[at])
    if own is not None and entries:
        below[at] = frozenset(entries[k] for k in own)
    return [*piece[:at], below[at], *piece[at + column.ndim :]]


def _gathered(taken: object, shape: Shape) -> Axes:
    """Of a gather: the entries that its index names, and as far along the other axes as the index goes."""
    index: Tensor = taken._saved_index  # type: ignore[attr-defined]
    dim = axis(taken._saved_dim, len(shape))  # type: ignore[attr-defined]
    below: Axes = [frozenset(range(size)) for size in index.shape]
    below[dim] = frozenset(_listed(index, shape[dim])) or None
    return below


# all else


def _worked(graph: Graph, node: int, output: int, piece: Piece, edge: Edge) -> Axes:
    """Of any other operation, for a piece that is not all of its result."""
    name, taken, known = graph.operations[node], graph.nodes[node], facts(graph.operations[node])
    new, old = graph.shape(node, output), graph.shape(*edge.place)
    nothing: Axes = [None] * len(old)
    if known.views:
        return list(_reshaped(piece, new, old))
    if known.merges in {"sum", "overwritten"} and not known.entrywise:
        return list(piece) if edge.slot == 0 and new == old else nothing
    if known.pools or known.convolves:
        return [piece[0], *nothing[1:]] if len(new) == len(old) else nothing
    if known.contracts:
        return _contracted(graph, node, piece, edge) or nothing
    if name in {"ViewAsReal", "ViewAsComplex"}:  # an axis of parts, of the shape or beside it, or lost on the way
        return [*piece, *nothing[len(piece) :]]
    if not (known.along or known.entrywise or known.permutes or known.copies or known.sums or known.role == "norm"):
        return nothing
    # each axis by itself: along some the operation works, the others are carried on
    dims = _normed(graph, node, len(old)) if known.role == "norm" else dimensions(taken, max(len(old), 1))
    moves = name in {"Squeeze", "Unsqueeze", "Expand"}
    below = []
    for d, size in enumerate(old):
        at = carried(taken, name, old, new, d, dims)
        kept = at is not None and new[at] == size and (moves or d not in dims)
        below.append(piece[at] if kept and at is not None else None)
    return below


def _normed(graph: Graph, node: int, ndim: int) -> set[int]:
    """The axes that a normalisation works along."""
    taken, name = graph.nodes[node], graph.operations[node]
    if (shape := getattr(taken, "_saved_normalized_shape", None)) is not None:
        return set(range(ndim - len(shape), ndim))
    if facts(name).over_samples:  # a batch norm, channel by channel
        return set(range(ndim)) - {1} if getattr(taken, "_saved_training", True) else set()
    return set(range(1, ndim))


def _contracted(graph: Graph, node: int, piece: Piece, edge: Edge) -> Axes | None:
    """Of a product of matrices, (…, i, k) times (…, k, j): rows of the one, columns of the other."""
    name, ndim = graph.operations[node], len(graph.shape(*edge.place))
    left, right, _ = facts(name).contracts[0]
    if ndim != len(piece) or ndim < 2 or name in {"Addbmm", "ConvTbc"}:
        return None
    if edge.slot == left:
        return [*piece[:-1], None]
    return [*piece[:-2], None, piece[-1]] if edge.slot == right else list(piece)


def _reshaped(piece: Piece, new: Shape, old: Shape) -> Iterator[Axis]:
    """Of another shape of the same entries: axes that are kept, split or put together, each group of them by itself."""
    for own, theirs in _groups(new, old):
        sizes, given = [new[k] for k in own], [piece[k] for k in own]
        if len(own) == len(theirs) == 1:
            yield given[0]
            continue
        read = prod(size if s is None else len(s) for size, s in zip(sizes, given, strict=True))
        if all(s is None for s in given) or read > MANY:
            yield from [None] * len(theirs)
            continue
        # number the entries of the group, and read the numbers in the other shape
        numbers = [
            _number(at, sizes) for at in product(*(range(n) if s is None else s for n, s in _both(sizes, given)))
        ]
        inner = [prod(old[k] for k in theirs[j + 1 :]) for j in range(len(theirs))]
        for k, step in zip(theirs, inner, strict=True):
            yield frozenset(number // step % old[k] for number in numbers)


def _both(sizes: Sequence[int], given: Sequence[Axis]) -> Iterator[tuple[int, Axis]]:
    return zip(sizes, given, strict=True)


def _number(at: Sequence[int], sizes: Sequence[int]) -> int:
    number = 0
    for k, size in zip(at, sizes, strict=True):
        number = number * size + k
    return number


def _groups(new: Shape, old: Shape) -> Iterator[tuple[list[int], list[int]]]:
    """The smallest groups of axes of two shapes that hold the same entries."""
    i, j = 0, 0
    while i < len(new) or j < len(old):
        own, theirs = [i] if i < len(new) else [], [j] if j < len(old) else []
        i, j = i + len(own), j + len(theirs)
        while (a := prod(new[k] for k in own)) != (b := prod(old[k] for k in theirs)):
            if (a < b or j == len(old)) and i < len(new):
                own, i = [*own, i], i + 1
            elif j < len(old):
                theirs, j = [*theirs, j], j + 1
            else:
                break
        yield own, theirs
