"""Whether a backward pass is linear, by a walk of two channels, and where it first fails to be."""

from skipglass.graph.engine import Arrived, Graded
from skipglass.graph.regions import Counted, Regions
from skipglass.graph.trace import Trace
from skipglass.graph.verify import bound, capture, size, verify
from skipglass.paths.walk import walk

__all__ = ["locate", "require_linear"]


def require_linear(trace: Trace, unit: str) -> None:
    """Check that what passes an odd and an even number of counted steps sums to autograd's gradient.

    Raises
    ------
    DecompositionError
        If it does not.
    """
    parts = walk(trace.graph, trace.regions(unit), trace.counted(unit), _alternate)
    verify(trace.graph, [list(part.values()) for part in parts], trace.gradient)


def locate(trace: Trace, regions: Regions, counted: Counted) -> str:
    """Name the operation above which the parts still sum to autograd's gradient, and below which they do not.

    The counted steps are told apart by two channels only, odd and even, which is enough to part what a backward
    pass that is not linear treats otherwise together than apart.

    Parameters
    ----------
    trace, regions, counted
        The failed decomposition.

    Returns
    -------
    str
        An end to the error's sentence; empty where no such place is found.
    """
    graph = trace.graph
    _, known = capture(trace.loss, graph, regions)
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
    above = [b.name for b in trace.outline.blocks if b.merge.node < first[0] <= b.merge.join]
    block = f", in {above[-1]}" if above else ""
    return f"; they first fail to where {graph.operations[first[0]]} gave its output{block}"


def _alternate(graded: Graded) -> Graded:
    return {1 - r: v for r, v in graded.items()}
