"""One walk down the backward pass, in any algebra that says what crossing a counted step does.

A *graded* gradient is a dict from channel to tensor: the channels are lengths r for the spectrum, and the
derivatives c_k = (1/k!) ∂ᵏ/∂tᵏ Σ_r g_r tʳ at t = 1 for the moments (docs/mathematics.md §6).

A region (see `skipglass.graph.regions`) runs as one public call of ``torch.autograd.grad`` from its head to the heads
below, once for each live channel; a fork is called by hand, and its gradients are reduced and cast as the engine does.
Every node so runs once for each live channel.
"""

import math

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from skipglass.graph import Graph, Place
from skipglass.graph.engine import FAINT, Arrived, Graded, call, explain, fire, through
from skipglass.graph.regions import Counted, Regions

__all__ = ["Algebra", "walk"]

LARGEST_LIFT = 100  # 2¹⁰⁰ lifts the faintest subnormal number of float32, and fits its range
SAMPLED = 4096  # entries of a tensor that are looked at to see whether it is faint: our choice


class Algebra:
    """What a walk carries, and what happens to it on the way; the base carries the plain gradient in one channel."""

    def visit(self, h: int, at: Arrived) -> None:
        """See, and possibly change, all that has arrived at a head."""

    def cross(self, graded: Graded) -> Graded:
        """Return what a graded gradient becomes as it crosses a counted step."""
        return graded

    def send(self, h: int, end: Place | None, graded: Graded) -> Graded:
        """Return what leaves a head: by each end of a fork, or, with None, into the region that starts here."""
        return graded


def walk(graph: Graph, regions: Regions, counted: Counted, algebra: Algebra) -> list[Graded]:
    """Send the gradient 1 of the loss down to x.

    Parameters
    ----------
    graph, regions, counted
        Where to walk, in which pieces, and what counts.
    algebra
        What is carried.

    Returns
    -------
    list of dict
        For each target its graded gradient.

    Raises
    ------
    InputError
        If the graph was freed or a tensor that it needs was overwritten.
    """
    arriving: list[Arrived] = [{} for _ in graph.nodes]
    arriving[0][graph.loss.output_nr] = {0: _start(graph, regions)}
    parts: list[Graded] = [{} for _ in graph.targets]
    with torch.no_grad():
        for h in regions.heads:
            # heads come in topological order, so that nothing more will arrive at this one
            at, arriving[h] = arriving[h], {}
            algebra.visit(h, at)
            # a target may lie above others (x = (a, b), b computed from a): it keeps what has arrived, and sends it on
            for k, (node, output) in enumerate(graph.targets):
                if node == h:
                    parts[k] = dict(at.get(output, {}))
            if not graph.edges[h] or not at:
                continue
            try:
                if h in regions.forks:
                    _fork(graph, regions, h, at, counted, algebra, arriving)
                    continue
                # a counted node that is no fork has one live operand: all that leaves it crosses the step
                if (h, graph.edges[h][0].slot) in counted:
                    at = {output: algebra.cross(graded) for output, graded in at.items()}
                at = {output: algebra.send(h, None, graded) for output, graded in at.items()}
                _run(graph, h, regions.exits[h], at, arriving)
            except RuntimeError as error:
                raise explain(error) from error
    return parts


def _start(graph: Graph, regions: Regions) -> Tensor:
    """The gradient 1 of the loss, past its hooks where the engine will not fire them."""
    meta = graph.metas[0][graph.loss.output_nr]
    one = torch.ones(meta.shape, dtype=meta.dtype, device=meta.device)
    return fire(graph, 0, graph.loss.output_nr, one) if 0 in regions.forks else one


def _arrive(at: Arrived, output: int, r: int, value: Tensor) -> None:
    """Add a channel to what has reached an output already."""
    graded = at.setdefault(output, {})
    graded[r] = graded.pop(r) + value if r in graded else value


def _run(graph: Graph, head: int, ends: list[Place], at: Arrived, arriving: list[Arrived]) -> None:
    """Run a region in autograd's engine, one channel after the other."""
    inputs = [GradientEdge(graph.nodes[to], output) for to, output in ends]
    for r in sorted({r for graded in at.values() for r in graded}):
        here = {output: graded.pop(r) for output, graded in at.items() if r in graded}
        edges = [GradientEdge(graph.nodes[head], output) for output in here]
        values = list(here.values())
        # long paths carry little; the engine is slow and inexact where that falls below the normal numbers
        scale = _lift(values)
        if scale != 1:
            values = [v * scale for v in values]
        gradients: list[Tensor | None] = list(through(edges, inputs, values))
        # each tensor is let go as soon as it is through: one channel of one region lives twice, no more
        del here, values
        for k, (to, output) in enumerate(ends):
            gradient, gradients[k] = gradients[k], None
            if gradient is not None:
                _arrive(arriving[to], output, r, gradient if scale == 1 else gradient / scale)
            del gradient


def _lift(values: list[Tensor]) -> float:
    """A power of two that lifts vanishing values out of the subnormal numbers; 1 where they are large enough."""
    if any(_peak(v, 1 + v.numel() // SAMPLED) >= FAINT for v in values):
        return 1.0
    peak = max((_peak(v) for v in values), default=0.0)
    return 2.0 ** min(-math.frexp(peak)[1], LARGEST_LIFT) if 0 < peak < FAINT else 1.0


def _peak(v: Tensor, every: int = 1) -> float:
    """The largest magnitude among a tensor's entries, or every so many of them."""
    if not v.numel():
        return 0.0
    if every > 1 and v.is_contiguous():
        v = v.view(-1)[::every]
    # not a norm: the square of a faint value is zero, and the maximum norm is slow on a CPU
    lo, hi = torch.aminmax(torch.view_as_real(v) if v.is_complex() else v)
    return max(-float(lo), float(hi))


def _fork(
    graph: Graph,
    regions: Regions,
    h: int,
    at: Arrived,
    counted: Counted,
    algebra: Algebra,
    arriving: list[Arrived],
) -> None:
    """Call a fork by hand and cross the counted ones of its edges."""
    for e, graded in zip(graph.edges[h], call(graph, h, at), strict=True):
        # the engine would fire the hooks of the place below as the gradient enters it
        if e.place in regions.hooked:
            graded = {r: fire(graph, *e.place, v) for r, v in graded.items()}
        if (h, e.slot) in counted:
            graded = algebra.cross(graded)
        for r, v in sorted(algebra.send(h, e.place, graded).items()):
            _arrive(arriving[e.to], e.output, r, v)
