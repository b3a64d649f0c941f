"""Mean and variance of the path length, without the spectrum: two channels whatever the depth (docs/mathematics.md §6).

With c_k = Σ_r C(r, k) g_r the expansion of g(t) = Σ_r g_r tʳ about t = 1, crossing a counted step maps
c_k ← c_k + c_{k-1}, and in the signed shares ⟨g_r, g⟩/‖g‖²

    mean = ⟨c₁, g⟩/‖g‖²,    variance = 2⟨c₂, g⟩/‖g‖² + mean - mean².

c₀ is the gradient itself, which one ordinary backward pass gives wherever a region ends: only c₁ and c₂ are walked.
Where a region is *checked*, the test gradient c₀ - a c₁ runs through it too, and must leave as the difference of what
c₀ and c₁ give; a backward pass that is not linear fails this. Where the gradient at x is so small that it may consist
of rounding errors, one more backward pass starts with a in place of 1, and must give a times as much.
"""

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skipglass.graph import Graph, Place, Target, Trace, as_targets, as_trace
from skipglass.graph.engine import Arrived, Graded
from skipglass.graph.operations import foreign
from skipglass.graph.regions import Regions
from skipglass.graph.shares import Shares
from skipglass.graph.verify import HALF, Captured, bound, capture, judge, relative, size, wide
from skipglass.paths.cost import announce
from skipglass.paths.locate import located
from skipglass.paths.walk import Algebra, walk
from skipglass.record import Result, number, text, variable

__all__ = ["Moments", "moments"]

TEST = 3
"""The channel of the test gradient c₀ - a c₁, after those of c₀, c₁ and c₂."""
A = 2.7  # our choice: rectified gradients of one sign add up, clipped ones may in whole multiples
FEW = 8  # with so few regions all are checked
EVERY = 5  # our choice: of more regions each fifth, so that a call stays below 3.5 backwards
ROUNDINGS, SMALL = 10, 1e-2
"""Our choice: a gap of this many roundings of the largest gradient above passes where a gradient is smaller than
``SMALL`` times that one: behind a softmax gradients cancel, exactly where its entries are alike."""
NOISE = 5
"""Our choice: how many times its bound a small gradient at x in half precision may be off its multiple."""


@dataclass(frozen=True, eq=False)
class Moments(Result):
    """Mean and variance of the path length.

    Attributes
    ----------
    mean
        Σ_r r·share_r, the effective depth.
    variance
        Of the length under the signed shares; it may be negative, as shares may.
    unit
        "weights" or "blocks".
    error
        The largest ‖(c₀ - a c₁) - c₀ + a c₁‖/(‖c₀‖ + a ‖c₁‖) where all that arrives has been checked: below every
        region with hooks or custom functions, and below a fifth of the others. A gradient that cancels to rounding
        is compared with the largest that was met above it; that at x with itself.
    """

    kind = "moments"

    mean: float = variable(letter="Σ_r r·share_r", long_name="mean length", units="{unit}", decode=float)
    variance: float = variable(long_name="variance of the length", units="{unit}²", decode=float)
    unit: str = text("unit", shown=False)
    error: float = number(long_name="largest relative error of the checks")

    def headline(self) -> str:
        """Say how long the paths are."""
        if math.isnan(self.mean):
            return f"The gradient is zero: the mean path length in {self.unit} is undefined."
        return f"The gradient passes {self.mean:.4g} {self.unit} on average, with variance {self.variance:.4g}."


def moments(
    loss: Tensor | Trace,
    x: Target | None = None,
    unit: str = "blocks",
    model: nn.Module | None = None,
    blocks: Sequence[str] | None = None,
) -> Moments:
    """Return mean and variance of the path length of ∂loss/∂x.

    Costs about 3.4 backward passes, whatever the depth; memory beyond the forward's: the gradient at every cut,
    and three cuts of two channels. Hooks on tensors of the graph fire on every channel.

    Parameters
    ----------
    loss
        A scalar with a live graph, or a `Trace`, which has its own x, model and blocks.
    x
        The tensor, or tuple of tensors, whose gradient is split.
    unit
        "blocks" or "weights".
    model, blocks
        Names the blocks, and what to count in their place; see `outline`.

    Returns
    -------
    Moments
        NaN where the gradient is zero.

    Raises
    ------
    InputError
        If there is no graph from the loss to x, it was freed, or the unit is unknown.
    DecompositionError
        If the walk does not give back autograd's gradient.

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> print(moments(torch.nn.Linear(2, 2)(x).sum(), x, "weights").mean)
    1.0
    """
    trace = as_trace(loss, x, model, blocks)
    counted = trace.counted(unit)
    with trace.measuring():
        regions = trace.regions(unit)
        begin = time.perf_counter()
        g, known = capture(trace.loss, trace.graph, regions)
        announce("moments", 3.5, time.perf_counter() - begin)
        expansion = Expansion(trace.graph, regions, known)
        parts = walk(trace.graph, regions, counted, expansion)
        at_x = _scaled(trace, g) if size(*g) < expansion.resolved * expansion.largest else 0.0
        # in half precision the roundings of many steps show in a gradient that is none of them
        at_x /= NOISE if bound(trace.graph) >= HALF else 1
        with located(trace, regions, counted):
            error = judge(trace.graph, max(expansion.error, at_x))
    shares = Shares(g)
    # at x: mean and variance from ⟨c₁, g⟩ and ⟨c₂, g⟩
    c1, c2 = ([part.get(k, torch.zeros_like(v)) for part, v in zip(parts, g, strict=True)] for k in (1, 2))
    first, second = (shares.total(shares.of(c)) for c in (c1, c2))
    return Moments(first, 2 * second + first - first**2, unit, error)


def _scaled(trace: Trace, g: list[Tensor]) -> float:
    """How far the gradient at x is from growing with that of the loss: rounding errors do not."""
    with torch.no_grad():
        start = torch.full_like(trace.loss, A)
    larger = torch.autograd.grad(trace.loss, as_targets(trace.x), start, retain_graph=True)
    gaps = [wide(a) - A * wide(b) for a, b in zip(larger, g, strict=True)]
    return relative(size(*gaps), A * size(*g))


class Expansion(Algebra):
    """The algebra of c₁ and c₂, with c₀ known everywhere, and the largest error met so far."""

    def __init__(self, graph: Graph, regions: Regions, known: Captured) -> None:
        self.graph, self.known, self.error, self.largest = graph, known, 0.0, 0.0
        eps = max(torch.finfo(kind).eps for kind in graph.dtypes if kind.is_floating_point or kind.is_complex)
        self.resolved = min(SMALL, ROUNDINGS * eps / bound(graph))
        self.checked = _checked(graph, regions)
        # a sum can be compared only if every region that adds to it is checked
        unchecked = {end for h in regions.heads if h not in self.checked | regions.forks for end in regions.exits[h]}
        self.compared = {end for h in self.checked for end in regions.ends(graph, h)} - unchecked
        ways = Counter(end for h in regions.heads for end in regions.ends(graph, h))
        self.alone = {end for end, n in ways.items() if n == 1}

    def visit(self, h: int, at: Arrived) -> None:
        """Compare the test gradient that has arrived, and put the known c₀ beside c₁ and c₂."""
        for output in range(len(self.graph.metas[h])):
            if (h, output) not in self.known:
                continue
            # c holds the c₁ and c₂ that have arrived, and the test gradient if one was sent
            c0, c = self.known.pop((h, output)), at.setdefault(output, {})
            test = c.pop(TEST, None)
            if test is not None and (h, output) in self.compared:
                self._compare(test, c0, c.get(1))
            c[0] = c0
            if h in self.checked:
                c[TEST] = _test_gradient(c0, c.get(1))

    def cross(self, c: Graded) -> Graded:
        """c_k ← c_k + c_{k-1}, and c₀ - a c₁ ← c₀ - a (c₁ + c₀)."""
        crossed = dict(c)
        for k in (2, 1):  # a missing channel is zero: above the first counted step only c₀ is not
            if k - 1 in c:
                crossed[k] = c[k] + c[k - 1] if k in c else c[k - 1]
        if TEST in c:
            crossed[TEST] = _test_gradient(c[TEST], c[0])
        return crossed

    def send(self, h: int, end: Place | None, c: Graded) -> Graded:
        """Do not propagate c₀: it was captured already. Propagate the test gradient to where it can be compared."""
        c0 = c.pop(0, None)
        if end is None:
            return c
        # a fork is called by hand, without the hooks on its node: what it gives is held against the engine's gradient
        if c0 is not None and end in self.alone and c0.data_ptr() != self.known[end].data_ptr():
            self._compare(c0, self.known[end])
        if end not in self.compared:
            c.pop(TEST, None)
        elif TEST not in c and c0 is not None:
            c[TEST] = _test_gradient(c0, c.get(1))
        return c

    def _compare(self, found: Tensor, c0: Tensor, c1: Tensor | None = None) -> None:
        """Note how far a gradient is from c₀ - a c₁."""
        own = size(c0) + (0.0 if c1 is None else A * size(c1))
        self.largest = max(self.largest, own)
        error = relative(size(found - _test_gradient(c0, c1)), max(own, self.resolved * self.largest))
        self.error = error if math.isnan(error) else max(self.error, error)


def _test_gradient(c0: Tensor, c1: Tensor | None) -> Tensor:
    """c₀ - a c₁."""
    return c0 if c1 is None else torch.sub(c0, c1, alpha=A)


def _checked(graph: Graph, regions: Regions) -> set[int]:
    """The regions and custom forks to check: all with custom functions or hooks, and a part of the others."""
    checked = {regions.head[i] for i, name in enumerate(graph.operations) if foreign(name)}
    checked |= {regions.head[node] for node, _ in regions.hooked}
    checked |= {h for h in regions.heads if not regions.hooked.isdisjoint(regions.ends(graph, h))}
    rest = [h for h in regions.heads if h not in regions.forks and graph.edges[h]]
    # the loss's own region, which may be the largest, is not the first to be checked
    return checked | set(rest if len(rest) <= FEW else rest[EVERY // 2 :: EVERY])
