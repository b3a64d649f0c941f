"""What a walk will cost, in backwards, before it is walked: live channels times the work of each region.

A *backward* is one ``torch.autograd.grad(loss, x)`` on the same graph. A region's work is taken to be the number
of entries that its operations give out, our choice: within some 20 % for networks of like blocks.
"""

import logging
import math
from collections.abc import Sequence

from torch import Tensor, nn

from skipglass import check
from skipglass.graph import Graph, Target, Trace, as_trace
from skipglass.graph.regions import Counted, Regions

__all__ = ["announce", "backwards", "cost", "reached"]

LONG = 60.0  # seconds; calls that take longer say so first
log = logging.getLogger("skipglass.paths")


def cost(
    loss: Tensor | Trace,
    x: Target | None = None,
    unit: str = "blocks",
    max_length: int | None = None,
    model: nn.Module | None = None,
    blocks: Sequence[str] | None = None,
) -> float:
    """Predict what `spectrum` costs, in backwards, if it carries every length: about half their number.

    Of a deep network it carries fewer, those of a band that is known only when it is met; this is an upper bound there.

    Parameters
    ----------
    loss, x, unit, max_length, model, blocks
        As for `spectrum`.

    Returns
    -------
    float
        The cost, the reference backward included.

    Raises
    ------
    InputError
        If there is no graph from the loss to x, or an argument is out of range.

    Examples
    --------
    >>> import torch
    >>> from skipglass.models import ResidualMLP
    >>> model, x = ResidualMLP(5, depth=20, width=4), torch.ones(1, 5, requires_grad=True)
    >>> loss = model(x).sum()
    >>> cost(loss, x, "weights") > 2 * cost(loss, x, "weights", max_length=3)
    True
    """
    if max_length is not None:
        check.integer("max_length", max_length)
    trace = as_trace(loss, x, model, blocks)
    regions = trace.regions(unit)
    return backwards(trace.graph, regions, reached(trace.graph, regions, trace.counted(unit), max_length))


def _work(graph: Graph, regions: Regions) -> dict[int, int]:
    """The entries that the operations of each region give out."""
    total = dict.fromkeys(regions.heads, 0)
    for i, h in enumerate(regions.head):
        total[h] += sum(math.prod(graph.metas[e.to][e.output].shape) for e in graph.edges[i])
    return total


def reached(graph: Graph, regions: Regions, counted: Counted, max_length: int | None) -> list[int]:
    """For each head the lengths of the paths that arrive there: bit r of a number is set if some have length r."""
    lengths = [0] * len(graph.nodes)
    lengths[0] = 1
    for h in regions.heads:
        ends, slots = regions.ends(graph, h), [e.slot for e in graph.edges[h]]
        # all ends of a region are reached by the one operand of its head
        if h not in regions.forks:
            slots = slots[:1] * len(ends)
        for (to, _), slot in zip(ends, slots, strict=True):
            lengths[to] |= _one_longer(lengths[h], max_length) if (h, slot) in counted else lengths[h]
    return lengths


def backwards(graph: Graph, regions: Regions, lengths: Sequence[int]) -> float:
    """The cost of a spectrum that carries every length: 1 + Σ channels·work/Σ work over regions."""
    weight = _work(graph, regions)
    # a region runs once for each length that arrives at its head
    return 1 + sum(lengths[h].bit_count() * weight[h] for h in regions.heads) / max(1, sum(weight.values()))


def _one_longer(lengths: int, max_length: int | None) -> int:
    """Every length plus one; those above ``max_length`` share one channel."""
    longer = lengths << 1
    if max_length is not None and longer >> (max_length + 2):
        longer = longer & ((1 << (max_length + 2)) - 1) | 1 << (max_length + 1)
    return longer


def announce(what: str, number: float, seconds: float, advice: str = "") -> None:
    """Say on the log, which goes to stderr unless configured, how long a call longer than a minute will take."""
    if number * seconds > LONG:
        minutes = max(1, number * seconds / 60)
        passes = f"{number:.0f} times a backward pass of {seconds:.1f} s"
        log.warning("%s: about %.0f minutes, %s%s", what, minutes, passes, advice)
