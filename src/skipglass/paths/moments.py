"""Mean and variance of the path length, without the spectrum: two channels whatever the depth (docs/mathematics.md §6).

With c_k = Σ_r C(r, k) g_r the expansion of g(t) = Σ_r g_r tʳ about t = 1, crossing a counted step maps
c_k ← c_k + c_{k-1}, and in the signed shares ⟨g_r, g⟩/‖g‖²

    mean = ⟨c₁, g⟩/‖g‖²,    variance = 2⟨c₂, g⟩/‖g‖² + mean - mean².

c₀ is the gradient itself, which one ordinary backward pass gives wherever a region ends; only c₁ and c₂ are
walked. Where a region is *checked*, c₀ - a c₁ runs through it too, and must leave as that of what c₀ and c₁ give.
"""

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from skipglass.graph.engine import Arrived, Graded
from skipglass.graph.read import Graph, Target
from skipglass.graph.regions import Regions
from skipglass.graph.shares import Shares
from skipglass.graph.trace import Trace, as_trace
from skipglass.graph.verify import Captured, capture, judge, size
from skipglass.paths.cost import announce, work
from skipglass.paths.walk import walk

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Moments", "moments"]

CHECK = 3
"""The channel of c₀ - a c₁, after those of c₀, c₁ and c₂."""
A = 2.7  # our choice: rectified gradients of one sign add up, clipped ones may in whole multiples
PART_CHECKED = 0.2  # our choice: of the work, so that a call stays below 3.5 backwards
FEW = 8  # with so few regions all are checked


@dataclass(frozen=True)
class Moments:
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
        region with hooks or custom functions, and below a fifth of the others.
    """

    mean: float
    variance: float
    unit: str
    error: float

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return f"path length in {self.unit}: undefined, as the gradient is zero"
        return f"path length in {self.unit}: mean {self.mean:.4g}, variance {self.variance:.4g}, error {self.error:.0e}"

    def to_xarray(self) -> "xr.Dataset":
        """Return mean and variance, labelled.

        Returns
        -------
        xarray.Dataset
            Two numbers; unit and error are attributes.
        """
        import xarray as xr

        attributes = {"unit": self.unit, "error": self.error}
        return xr.Dataset({"mean": self.mean, "variance": self.variance}, attrs=attributes)


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
        A scalar with a live graph.
    x
        The tensor, or tuple of tensors, whose gradient is split.
    unit
        "weights" or "blocks".
    model
        Only names things; see `outline`.
    blocks
        What to count as blocks instead; see `outline`.

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
    >>> m = moments(torch.nn.Linear(2, 2)(x).sum(), x, "weights")
    >>> print(f"{m.mean:.3f} {m.unit}")
    1.000 weights
    """
    trace = as_trace(loss, x, model, blocks)
    graph, counted = trace.graph, trace.counted(unit)
    with trace.measuring():
        regions = trace.regions(unit)
        begin = time.perf_counter()
        g, known = capture(trace.loss, graph, regions)
        announce("moments", 3.5, time.perf_counter() - begin)
        expansion = Expansion(graph, regions, known)
        c = walk(graph, regions, counted, expansion.cross, expansion.visit, expansion.send)
    error = judge(graph, expansion.error)
    whole = Shares(g)
    first, second = (
        whole.total(whole.of([part[k] if k in part else torch.zeros_like(v) for part, v in zip(c, g, strict=True)]))
        for k in (1, 2)
    )
    return Moments(first, 2 * second + first - first**2, unit, error)


class Expansion:
    """The algebra of c₁ and c₂, with c₀ known everywhere, and the largest error met so far."""

    def __init__(self, graph: Graph, regions: Regions, known: Captured) -> None:
        self.known, self.error = known, 0.0
        self.outputs: dict[int, list[int]] = {}
        for node, output in known:
            self.outputs.setdefault(node, []).append(output)
        self.checked = _checked(graph, regions)
        unsure = {end for h in regions.heads if h not in self.checked | regions.forks for end in regions.exits[h]}
        self.compared = {end for h in self.checked for end in regions.ends(graph, h)} - unsure
        ways = Counter(end for h in regions.heads for end in regions.ends(graph, h))
        self.alone = {end for end, n in ways.items() if n == 1}

    def visit(self, h: int, at: Arrived) -> None:
        """Compare what has been checked, and put c₀ beside c₁ and c₂."""
        for output in self.outputs.get(h, ()):
            c0, c = self.known.pop((h, output)), at.setdefault(output, {})
            total = c.pop(CHECK, None)
            if total is not None and (h, output) in self.compared:
                self.compare(total, c0, c.get(1))
            c[0] = c0
            if h in self.checked:
                c[CHECK] = _mixed(c0, c.get(1))

    def compare(self, found: Tensor, c0: Tensor, c1: Tensor | None = None) -> None:
        """Note how far a gradient is from c₀ - a c₁."""
        difference = found - c0
        gap = size(difference if c1 is None else difference.add_(c1, alpha=A))
        scale = size(c0) + (0.0 if c1 is None else A * size(c1))
        error = gap / scale if scale else (math.inf if gap else 0.0)
        self.error = error if math.isnan(error) else max(self.error, error)

    def cross(self, c: Graded) -> Graded:
        """c_k ← c_k + c_{k-1}, and c₀ - a c₁ ← c₀ - a c₁ - a c₀."""
        crossed = {0: c[0]} if 0 in c else {}
        for k, lower in ((1, 0), (2, 1)):
            if terms := [c[j] for j in (k, lower) if j in c]:
                crossed[k] = terms[0] if len(terms) == 1 else terms[0] + terms[1]
        if CHECK in c:
            crossed[CHECK] = _mixed(c[CHECK], c[0])
        return crossed

    def send(self, h: int, end: tuple[int, int] | None, c: Graded) -> Graded:
        """Keep back c₀, which is known where it is going, and send c₀ - a c₁ where it can be compared."""
        c0 = c.pop(0, None)
        if end is not None:
            if c0 is not None and end in self.alone and c0.data_ptr() != self.known[end].data_ptr():
                self.compare(c0, self.known[end])  # what a fork gives by hand, without hooks on its node
            if end not in self.compared:
                c.pop(CHECK, None)
            elif CHECK not in c and c0 is not None:
                c[CHECK] = _mixed(c0, c.get(1))
        return c


def _mixed(c0: Tensor, c1: Tensor | None) -> Tensor:
    """c₀ - a c₁."""
    return c0 if c1 is None else torch.sub(c0, c1, alpha=A)


def _checked(graph: Graph, regions: Regions) -> set[int]:
    """The regions and custom forks to check: all with custom functions or hooks, and a part of the others."""
    suspect = {regions.head[i] for i, name in enumerate(graph.operations) if name.startswith("custom ")}
    suspect |= {regions.head[node] for node, _ in regions.hooked}
    suspect |= {h for h in regions.heads if not regions.hooked.isdisjoint((to, k) for to, k in regions.ends(graph, h))}
    rest = [h for h in regions.heads if h not in regions.forks and graph.edges[h]]
    if len(rest) <= FEW:
        return suspect | set(rest)
    weight, seen, spent = work(graph, regions), 0, 0
    for h in rest:
        seen += weight[h]
        if h not in suspect and spent + weight[h] <= PART_CHECKED * seen:
            spent += weight[h]
            suspect.add(h)
    return suspect
