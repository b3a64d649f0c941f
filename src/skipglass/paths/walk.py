"""One walk down the backward pass, in any algebra that says what crossing a counted step does.

The graph is cut into *regions* entered at one node, their head: at the loss, at a counted step, and wherever
two regions meet. A region runs as one public call of ``torch.autograd.grad`` from its head to the heads
below, once for each live channel; a node whose operands lead apart (a *fork*) is called by hand, and its
gradients are reduced and cast as the engine does. Every node so runs once for each live channel.

A *graded* gradient is a dict from channel to tensor. The channels are lengths r for the spectrum, and the
derivatives c_k = (1/k!) ∂ᵏ/∂tᵏ Σ_r g_r tʳ at t = 1 for the moments (MATH.md §6).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node

from skipglass.errors import InputError
from skipglass.paths.graph import Graph

__all__ = ["Counted", "Graded", "explain", "partition", "walk"]

Graded = dict[int, Tensor]
Counted = set[tuple[int, int]]
"""Counted steps: (node, slot) of an edge."""

FAINT = 1e-15  # our choice: far above float32's smallest normal number, 1e-38, a region's own shrinking included


@dataclass(frozen=True)
class Regions:
    """Heads in order, the forks among them, and for each other head the edges by which its region ends."""

    heads: list[int]
    forks: set[int]
    exits: dict[int, list[tuple[int, int]]]


def partition(graph: Graph, counted: Counted) -> Regions:
    """Cut the graph into single-entry regions whose ends do not lead to one another.

    Requested ends that lead to one another would each include what flows through the other, so where they
    do, the forks they spread from become heads of their own.
    """
    at_end = {node for node, _ in graph.targets}
    steps = {node for node, _ in counted}
    forks = {i for i in steps if len(graph.edges[i]) > 1}
    below = _reachable(graph)
    while True:
        head = _heads(graph, forks, steps | at_end)
        heads = sorted({i for i, h in enumerate(head) if h == i})
        exits: dict[int, dict[tuple[int, int], None]] = {h: {} for h in heads}
        ends: list[int] = [0] * len(head)  # bit sets of the heads each node leads to, within its region
        spread = set()
        for i in range(len(head) - 1, -1, -1):
            for e in graph.edges[i]:
                if head[e.to] == e.to:
                    exits[head[i]][e.to, e.output] = None
                    ends[i] |= 1 << e.to
                else:
                    ends[i] |= ends[e.to]
            if len(graph.edges[i]) > 1 and i not in forks and _some_lead_to_others(ends[i], below):
                spread.add(i)
        if not spread:
            return Regions(heads, forks, {h: list(ends) for h, ends in exits.items() if h not in forks})
        forks |= spread


def _heads(graph: Graph, forks: set[int], special: set[int]) -> list[int]:
    """The head of each node's region."""
    head = [-1] * len(graph.nodes)
    head[0] = 0
    for i, edges in enumerate(graph.edges):
        if i in special or i in forks:
            head[i] = i
        for e in edges:
            came = e.to if i in forks else head[i]
            head[e.to] = came if head[e.to] in {-1, came} else e.to
    return head


def _reachable(graph: Graph) -> list[int]:
    """For each node the bit set of the nodes below it."""
    below = [0] * len(graph.nodes)
    for i in range(len(below) - 1, -1, -1):
        for e in graph.edges[i]:
            below[i] |= below[e.to] | 1 << e.to
    return below


def _some_lead_to_others(ends: int, below: list[int]) -> bool:
    if ends & (ends - 1) == 0:
        return False
    rest = ends
    while rest:
        lowest = rest & -rest
        if below[lowest.bit_length() - 1] & ends:
            return True
        rest ^= lowest
    return False


def walk(graph: Graph, counted: Counted, cross: Callable[[Graded], Graded]) -> list[Graded]:
    """Send the gradient 1 of the loss down to x, applying ``cross`` at each counted step.

    Returns
    -------
    list of dict
        For each target its graded gradient.

    Raises
    ------
    InputError
        If the graph was freed or a tensor that it needs was overwritten.
    """
    regions = partition(graph, counted)
    arriving: list[dict[int, Graded]] = [{} for _ in graph.nodes]  # output → graded gradient
    meta = graph.nodes[0]._input_metadata[graph.loss.output_nr]
    one = torch.ones(meta.shape, dtype=meta.dtype, device=meta.device)
    arriving[0][graph.loss.output_nr] = {0: one}
    found: list[Graded] = [{} for _ in graph.targets]
    with torch.no_grad():
        for h in regions.heads:
            at, arriving[h] = arriving[h], {}
            for k, (node, output) in enumerate(graph.targets):
                if node == h:
                    found[k] = at.get(output, {})
            edges = graph.edges[h]
            if not edges or not at:
                continue
            try:
                if h in regions.forks:
                    leaving = _call(graph, h, at)
                    for e, graded in zip(edges, leaving, strict=True):
                        _arrive(arriving[e.to], e.output, cross(graded) if (h, e.slot) in counted else graded)
                else:
                    if (h, edges[0].slot) in counted:
                        at = {output: cross(graded) for output, graded in at.items()}
                    ends = regions.exits[h]
                    for (to, output), graded in zip(ends, _run(graph, h, ends, at), strict=True):
                        _arrive(arriving[to], output, graded)
            except RuntimeError as error:
                raise explain(error) from error
    return found


def _arrive(at: dict[int, Graded], output: int, graded: Graded) -> None:
    """Add a graded gradient to what has reached an output already."""
    if graded:
        before = at.get(output)
        at[output] = graded if before is None else add(before, graded)


def add(a: Graded, b: Graded) -> Graded:
    """Return the sum of two graded gradients."""
    return a | {r: a[r] + v if r in a else v for r, v in b.items()}


def _run(graph: Graph, head: int, ends: list[tuple[int, int]], at: dict[int, Graded]) -> list[Graded]:
    """Run a region in autograd's engine, one channel after the other."""
    inputs = [GradientEdge(graph.nodes[to], output) for to, output in ends]
    found: list[Graded] = [{} for _ in ends]
    for r in sorted({r for graded in at.values() for r in graded}):
        here = {output: graded[r] for output, graded in at.items() if r in graded}
        edges = [GradientEdge(graph.nodes[head], output) for output in here]
        scale = _scale(here.values())
        values = [v * scale for v in here.values()] if scale != 1 else list(here.values())
        gradients = torch.autograd.grad(edges, inputs, values, retain_graph=True, allow_unused=True)
        for graded, gradient in zip(found, gradients, strict=True):
            if gradient is not None:
                graded[r] = gradient / scale if scale != 1 else gradient
    return found


def _scale(values: Iterable[Tensor]) -> float:
    """A power of two that lifts vanishing values (long paths) out of the subnormal numbers, slow and inexact."""
    peak = 0.0
    for v in values:
        if v.numel():  # not a norm: the square of a faint value is zero, and the maximum norm is slow on a CPU
            lo, hi = torch.aminmax(torch.view_as_real(v) if v.is_complex() else v)
            peak = max(peak, -float(lo), float(hi))
    return 2.0 ** -math.frexp(peak)[1] if 0 < peak < FAINT else 1.0


def _call(graph: Graph, head: int, at: dict[int, Graded]) -> list[Graded]:
    """Call one node by hand, one channel after the other."""
    node, edges = graph.nodes[head], graph.edges[head]
    backward: Callable = node if callable(node) else node.apply  # type: ignore[attr-defined] # custom functions
    found: list[Graded] = [{} for _ in edges]
    for r in sorted({r for graded in at.values() for r in graded}):
        entering = [at.get(output, {}).get(r) for output in range(len(node._input_metadata))]
        leaving = backward(*entering)
        gradients = leaving if isinstance(leaving, tuple) else (leaving,)
        for graded, e in zip(found, edges, strict=True):
            if (gradient := gradients[e.slot]) is not None:
                graded[r] = _fit(gradient, graph.nodes[e.to], e.output)
    return found


def _fit(gradient: Tensor, node: Node, output: int) -> Tensor:
    """Undo broadcasting and cast, as the engine does between two nodes."""
    meta = node._input_metadata[output]
    if gradient.shape != meta.shape:
        gradient = gradient.sum_to_size(meta.shape)
    return gradient if gradient.dtype == meta.dtype else gradient.to(meta.dtype)


def explain(error: RuntimeError) -> Exception:
    """Turn autograd's complaint about a graph into the mistake behind it."""
    text = str(error)
    if "second time" in text or "been freed" in text:
        return InputError("the graph of the loss was freed; measure before backward(), or pass it retain_graph=True")
    if "inplace operation" in text:
        return InputError("a tensor of the graph was changed in place since the forward pass; measure before step()")
    return error
