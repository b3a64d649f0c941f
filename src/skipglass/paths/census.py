"""The census: how many paths of each length lead from a loss down to x, in exact integers.

Paths are told apart by their counted steps alone. With S(v) the set of counted steps that can come first
after v, N_s(t) the generating function of the paths that follow step s, and 1_x = 1 where x can be reached
without any step,

    F_v(t) = 1_x(v) + Σ_{s ∈ S(v)} t N_s(t),

so that an activation written as a sum, or a signal used twice by one operation, does not count twice.
"""

from collections.abc import Sequence
from itertools import zip_longest

from torch import Tensor, nn

from skipglass.graph import Graph, Target, Trace, as_trace
from skipglass.graph.regions import Counted

__all__ = ["census"]


def census(
    loss: Tensor | Trace,
    x: Target | None = None,
    unit: str = "blocks",
    model: nn.Module | None = None,
    blocks: Sequence[str] | None = None,
) -> dict[int, int]:
    """Count the paths of each length r: C(p-1, r-1) in the paper's chain of p weights, C(L, r) for L blocks.

    Packed projections (one matrix for Q, K and V) count once, three matrices three times.

    Parameters
    ----------
    loss
        A scalar with a live graph, or a `Trace`, which has its own x, model and blocks.
    x
        The tensor, or tuple of tensors, that the paths lead to.
    unit
        "blocks" or "weights".
    model, blocks
        Names the blocks, and what to count in their place; see `outline`.

    Returns
    -------
    dict of int to int
        Length to number of paths, lengths without a path left out.

    Raises
    ------
    InputError
        If there is no graph from the loss to x, or the unit is unknown.

    Examples
    --------
    >>> import torch
    >>> from skipglass.models import ResidualMLP
    >>> model, x = ResidualMLP(5, depth=4, width=3), torch.ones(1, 5, requires_grad=True)
    >>> census(model(x).sum(), x, "weights")
    {1: 1, 2: 3, 3: 3, 4: 1}
    """
    trace = as_trace(loss, x, model, blocks)
    return {r: n for r, n in enumerate(_generating_function(trace.graph, trace.counted(unit))) if n}


def _generating_function(graph: Graph, counted: Counted) -> list[int]:
    """F of the loss, as coefficients from t⁰ up."""
    step = {place: k + 1 for k, place in enumerate(sorted(counted))}  # bit 0 stands for x itself
    at_end = {node for node, _ in graph.targets}
    after: dict[int, list[int]] = {0: [1]}  # bit of a step s → t·N_s
    first = [0] * len(graph.nodes)  # S(v) as a bit set
    F: list[list[int]] = [[] for _ in graph.nodes]
    for i in range(len(graph.nodes) - 1, -1, -1):
        # every operand comes later in the order: its S and F are complete
        if i in at_end:
            first[i], F[i] = 1, [1]
        for e in graph.edges[i]:
            bits, values = first[e.to], F[e.to]
            if (i, e.slot) in step:  # whatever follows, this step comes first
                bit = step[i, e.slot]
                after[bit] = values = [0, *values]
                bits = 1 << bit
            first[i], F[i] = _union(first[i], F[i], bits, values, after)
    return F[0]


def _union(a: int, F_a: list[int], b: int, F_b: list[int], after: dict[int, list[int]]) -> tuple[int, list[int]]:
    """F of two sets of first steps together: what they share is counted once."""
    common = a & b
    if common == b:
        return a, F_a
    if common == a:
        return b, F_b
    # neither contains the other: add up, and take away once for each step that is in both
    total = [n + m for n, m in zip_longest(F_a, F_b, fillvalue=0)]
    while common:
        lowest = common & -common
        for r, n in enumerate(after[lowest.bit_length() - 1]):
            total[r] -= n
        common ^= lowest
    return a | b, total
