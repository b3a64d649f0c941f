"""Whether a backward pass is linear, by a walk of two channels, and where it first fails to be."""

from collections.abc import Collection

from torch import Tensor

from skipglass.paths.graph import Target
from skipglass.paths.outline import PathGraph
from skipglass.paths.regions import Counted, Regions, partition
from skipglass.paths.verify import bound, capture, reference, size, verify
from skipglass.paths.walk import Arrived, Graded, walk

__all__ = ["locate", "require_linear"]


def require_linear(
    loss: Tensor, x: Target, found: PathGraph, counted: Counted, hooked: Collection[tuple[int, int]]
) -> None:
    """Check that what passes an odd and an even number of counted steps sums to autograd's gradient.

    Raises
    ------
    DecompositionError
        If it does not.
    """
    parts = walk(found.graph, partition(found.graph, counted, hooked=hooked), counted, _alternate)
    verify(found.graph, [list(part.values()) for part in parts], reference(loss, x))


def locate(loss: Tensor, found: PathGraph, regions: Regions, counted: Counted) -> str:
    """Name the operation above which the parts still sum to autograd's gradient, and below which they do not.

    The counted steps are told apart by two channels only, odd and even, which is enough to part what a backward
    pass that is not linear treats otherwise together than apart.

    Parameters
    ----------
    loss, found, regions, counted
        The failed decomposition.

    Returns
    -------
    str
        An end to the error's sentence; empty where no such place is found.
    """
    graph = found.graph
    _, known = capture(loss, graph, regions)
    first: list[int] = []

    def visit(h: int, at: Arrived) -> None:
        for output, graded in at.items():
            terms = list(graded.values())
            if first or not terms or (h, output) not in known:
                continue
            if not size(sum(terms[1:], terms[0]) - known[h, output]) <= bound(graph) * sum(map(size, terms)):
                first.append(h)

    walk(graph, regions, counted, _alternate, visit)
    if not first:
        return ""
    above = [b.name for b in found.blocks if b.merge.node < first[0] <= b.merge.join]
    block = f", in {above[-1]}" if above else ""
    return f"; they first fail to where {graph.operations[first[0]]} gave its output{block}"


def _alternate(graded: Graded) -> Graded:
    return {1 - r: v for r, v in graded.items()}
