"""Whether a backward pass is linear, by a walk of two channels, and where it first fails to be.

The channels tell paths with an even number of counted steps from those with an odd number, which is enough to separate
what a backward pass that is not linear would otherwise treat together.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from skipglass.errors import DecompositionError
from skipglass.graph import Trace
from skipglass.graph.engine import Arrived, Graded
from skipglass.graph.nodes import near
from skipglass.graph.regions import Counted, Regions
from skipglass.graph.verify import Captured, bound, capture, size, verify
from skipglass.paths.walk import Algebra, walk

__all__ = ["located", "require_linear"]


class Parity(Algebra):
    """Two channels, 0 for an even and 1 for an odd number of counted steps, compared with the whole gradient."""

    def __init__(self, known: Captured, tolerance: float) -> None:
        self.known, self.tolerance = known, tolerance
        self.first: int | None = None

    def cross(self, graded: Graded) -> Graded:
        """Swap the channels."""
        return {1 - r: v for r, v in graded.items()}

    def visit(self, h: int, at: Arrived) -> None:
        """Note the first head at which the channels do not sum to the known gradient."""
        for output, graded in at.items():
            terms = list(graded.values())
            if self.first is not None or not terms or (h, output) not in self.known:
                continue
            gap = size(sum(terms[1:], terms[0]) - self.known[h, output])
            if not gap <= self.tolerance * sum(map(size, terms)):
                self.first = h


def require_linear(trace: Trace, unit: str) -> None:
    """Check that what passes an odd and an even number of counted steps sums to autograd's gradient.

    Raises
    ------
    DecompositionError
        If it does not.
    """
    regions, counted = trace.regions(unit), trace.counted(unit)
    parts = walk(trace.graph, regions, counted, Parity({}, 0.0))
    with located(trace, regions, counted):
        verify(trace.graph, [list(part.values()) for part in parts], trace.gradient)


@contextmanager
def located(trace: Trace, regions: Regions, counted: Counted) -> Iterator[None]:
    """Let the error of a decomposition whose parts do not sum say where they first fail to.

    Parameters
    ----------
    trace, regions, counted
        What is decomposed.

    Raises
    ------
    DecompositionError
        The error that was raised inside, with the place at its end.
    """
    try:
        yield
    except DecompositionError as failed:
        raise DecompositionError(f"{failed}{_locate(trace, regions, counted)}") from None


def _locate(trace: Trace, regions: Regions, counted: Counted) -> str:
    """Name the operation above which the parts still sum to autograd's gradient, and below which they do not.

    Empty where no such place is found, and else an end to the error's sentence.
    """
    graph = trace.graph
    # the whole gradient wherever a region ends, from one ordinary backward pass: what the channels must sum to
    parity = Parity(capture(trace.loss, graph, regions)[1], bound(graph))
    walk(graph, regions, counted, parity)
    if parity.first is None:
        return ""
    above = [b.name for b in trace.outline.blocks if any(m.node < parity.first <= m.join for m in b.merges)]
    block = f", in {above[-1]}" if above else near(graph.nodes[parity.first], trace.model)
    return f"; they first fail to where {graph.operations[parity.first]} gave its output{block}"
