"""The truth that a network's author knows, measured without the package, and compared with what the package says.

The author passes the branch of every block through `Author.branch`. In a second run of the same network each branch
passes a gate, the identity whose backward signal is multiplied by a number t_k. A path crosses a branch or it does
not, so that the gradient g(t_1, …, t_L) is affine in each t_k, and

- the participation of block k is ⟨g - g(t_k = 0), g⟩/‖g‖², exactly;
- with all t_k = t, g(t) = Σ_r g_r tʳ: the parts are solved for from L + 1 Chebyshev nodes in [-1, 1]. In float64 and
  for L ≤ 10 the condition number is below 1e4, the error below 1e-11 of Σ‖g_r‖.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

Run = Callable[[tuple[Tensor, ...], "Author"], Tensor]
"""A network: from x and its author's notes to the loss of each sample, (N,)."""
Inputs = Callable[[], tuple[Tensor, ...]]
"""A new x of the same values: what a network hangs on it in one run is not there in the next."""

TOLERANCE = 1e-9
"""Of parts and participations, relative to Σ‖g_r‖: a hundred times the error of the interpolation."""

COUNTED = {"block"}
OPTIONAL = {"open", "free"}
"""Verdicts of sums that may be counted: "open" ones must be counted or doubted, "free" ones need neither."""
DOUBTED = {"doubtful"}
UNCOUNTED = {"parallel", "uncounted"}
"""Sums that must not be counted; a "parallel" one needs no doubt and gets none, an "uncounted" one may have one."""


class NothingToCompare(Exception):
    """The gradient is zero, infinite or NaN."""


@dataclass
class Mark:
    """What the author says of one sum: which operand is the branch, and what the right verdict is."""

    verdict: str = "block"
    side: int | None = 1
    shortcut: str | None = "identity"
    place: str = ""
    signal: tuple[object, int] | None = None

    def __str__(self) -> str:
        return f"{self.place or '?'} ({self.verdict}, branch {self.side}, shortcut {self.shortcut})"


class Gate(torch.autograd.Function):
    """The identity; it multiplies the backward signal by its author's factor for this branch."""

    @staticmethod
    def forward(ctx, z, author, number):
        ctx.author, ctx.number = author, number
        return z.clone()

    @staticmethod
    def backward(ctx, g):
        ctx.author.crossed.add(ctx.number)
        return ctx.author.factors[ctx.number] * g, None, None


@dataclass
class Author:
    """Notes where blocks are while a network runs; with ``gated``, each branch passes a gate as well.

    ``second`` is the second tensor of x where there are two, for a part that reads a condition.
    """

    gated: bool = False
    marks: list[Mark] = field(default_factory=list)
    asides: set[str] = field(default_factory=set)
    factors: dict[int, float] = field(default_factory=dict)
    crossed: set[int] = field(default_factory=set)
    second: Tensor | None = None
    place: str = ""
    closed: bool = False

    def branch(
        self, z: Tensor, side: int | None = 1, shortcut: str | None = "identity", verdict: str = "block"
    ) -> Tensor:
        """Mark z as the branch of a sum that follows; return it, behind a gate if there are any."""
        number = len(self.marks)
        if self.closed:  # a checkpoint computes its part anew: the backward pass uses the gates of the first time
            return Gate.apply(z, self, -1) if self.gated else z
        # not with gates: a gate that held the author of nodes above it would hold itself
        signal = None if self.gated or z.grad_fn is None else (z.grad_fn, z.output_nr)
        self.marks.append(Mark(verdict, side, shortcut, self.place, signal))
        self.factors[number] = 1.0
        return Gate.apply(z, self, number) if self.gated else z

    def aside(self, verdict: str) -> None:
        """Say that a sum is there that is no block, or is doubtful."""
        if not self.closed:
            self.asides.add(verdict)


@dataclass
class Truth:
    """What is right for a network, by gates alone."""

    live: list[int]
    marks: list[Mark]
    asides: set[str]
    gradient: Tensor
    participation: list[float]
    at: Callable[[dict[int, float]], Tensor]
    samples_apart: bool

    def parts(self, counted: list[int]) -> Tensor:
        """The g_r, r = 0..L, where these marks are counted."""
        R = len(counted)
        nodes = np.cos(np.pi * (2 * np.arange(R + 1) + 1) / (2 * (R + 1)))
        values = torch.stack([self.at(dict.fromkeys(counted, float(t))) for t in nodes])
        powers = torch.linalg.inv(torch.tensor(np.vander(nodes, increasing=True), dtype=values.dtype))
        return torch.tensordot(powers, values, dims=1)

    @property
    def verdicts(self) -> set[str]:
        return self.asides | {mark.verdict for mark in self.marks}


def flat(g: tuple[Tensor, ...]) -> Tensor:
    """One row for each sample."""
    return torch.cat([part.flatten(1) for part in g], 1)


def truth(run: Run, inputs: Inputs, seed: int) -> Truth:
    """Run a network with gates, and measure what its author knows."""
    author, x = Author(gated=True), inputs()
    torch.manual_seed(seed)
    losses = run(x, author)
    author.closed = True
    loss = losses.sum()

    def at(factors: dict[int, float]) -> Tensor:
        author.factors = {k: factors.get(k, 1.0) for k in author.factors} | {-1: 1.0}
        return flat(torch.autograd.grad(loss, x, retain_graph=True))

    author.crossed.clear()
    g = at({})
    live = sorted(author.crossed - {-1})
    first = flat(torch.autograd.grad(losses[0], x, retain_graph=True))
    square = float((g * g).sum())
    if not 0 < square < np.inf:
        raise NothingToCompare
    participation = [float(((g - at({k: 0.0})) * g).sum()) / square for k in live]
    return Truth(
        live,
        [author.marks[k] for k in live],
        author.asides,
        g,
        participation,
        lambda factors: at({live[k]: t for k, t in factors.items()}),
        bool((first[1:] == 0).all()),
    )


def noted(run: Run, inputs: Inputs, seed: int) -> tuple[Tensor, tuple[Tensor, ...], list[Mark]]:
    """Run the network as it is: the loss, x, and its author's notes."""
    author, x = Author(), inputs()
    torch.manual_seed(seed)
    losses = run(x, author)
    author.closed = True
    return losses.sum(), x, author.marks


@dataclass
class Found:
    """What the package says of a network: one entry a block."""

    names: list[str]
    sides: list[int]
    shortcuts: list[str]
    signals: list[list[tuple[object, int]]]
    sources: list[list[tuple[object, int]]]
    participation: list[float]
    gradients: Tensor
    lengths: list[int]
    shares: list[float]
    mean: float | str
    doubts: list[str]
    samples_apart: bool
    doubtful: int


def ask(loss: Tensor, x: tuple[Tensor, ...], model: torch.nn.Module | None) -> Found:
    """Measure a live loss with the package."""
    import warnings

    from skipglass import errors, paths, trace

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        t = trace(model, loss=loss, x=x if len(x) > 1 else x[0])
        s = paths.spectrum(t, keep=True)
        p = paths.participation_of(t)
        try:
            mean = paths.moments(t, unit="blocks").mean
        except errors.DecompositionError as refused:
            mean = str(refused)
    graph, read = s.graph, s.graph.graph
    # a branch that is written to several streams has one merge in each
    branches = [[m.branch.place for m in b.merges if m.branch] for b in graph.blocks]
    sources = [[below for place in places for below in taken_from(read, place)] for places in branches]
    kept = s.gradients if isinstance(s.gradients, tuple) else (s.gradients,)
    return Found(
        [block.name for block in graph.blocks],
        [block.side for block in graph.blocks],
        [block.shortcut for block in graph.blocks],
        [[(read.nodes[node], output) for node, output in places] for places in branches],
        [[(read.nodes[node], output) for node, output in places] for places in sources],
        list(p.share),
        torch.cat([part.flatten(2) for part in kept], 2),
        [int(r) for r in s.lengths],
        list(s.share),
        mean,
        graph.doubts("blocks"),
        s.independent_samples,
        graph.unsure,
    )


def taken_from(graph: Any, place: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """What a signal is a view or a piece of, or a multiple, by operations on it alone."""
    while graph.roles[place[0]] == "linear" and len(graph.edges[place[0]]) == 1:
        place = graph.edges[place[0]][0].place
        yield place


def matched(marks: list[Mark], shares: list[float], found: Found, close: float) -> dict[int, int]:
    """For each block that was found the author's mark: the same signal, or the one that it is taken from.

    Or else the nearest participation: it alone does not tell blocks apart that pass on nothing, as those do that write
    to other tokens than the loss reads.
    """
    pairs: dict[int, int] = {}
    for told in (found.signals, found.sources):
        for block, signals in enumerate(told):
            free = [k for k in range(len(marks)) if k not in pairs.values()]
            own = [k for signal in signals for k in free if marks[k].signal == signal]
            if own and block not in pairs:
                pairs[block] = own[0]
    for block, share in enumerate(found.participation):
        if block in pairs:
            continue
        free = [k for k in range(len(marks)) if k not in pairs.values()]
        best = min(free, key=lambda k: abs(shares[k] - share), default=None)
        if best is not None and abs(shares[best] - share) <= close:
            pairs[block] = best
    return pairs


def compare(true: Truth, notes: list[Mark], found: Found, tolerance: float = TOLERANCE) -> list[str]:
    """What is wrong, a line for each.

    Parameters
    ----------
    true
        By gates, in float64.
    notes
        The author's of the run that was measured; only those of branches that a gradient crosses are compared.
    found
        What the package says.
    tolerance
        Relative to Σ‖g_r‖; a larger one compares labels and the depth alone, as under autocast.
    """
    signals = [notes[k] for k in true.live]
    g, exact = true.gradient, tolerance <= TOLERANCE
    size = float(g.norm())
    scale = max(1.0, sum(float(part.norm()) for part in found.gradients) / size)
    close = 10 * tolerance * scale
    pairs = matched(signals, true.participation, found, close)
    wrong = []
    for block, name in enumerate(found.names):
        label = f"block {name!r} (branch {found.sides[block]}, participation {found.participation[block]:.6f})"
        if block not in pairs:
            wrong.append(f"extra: {label} is none of the author's")
            continue
        mark = signals[pairs[block]]
        share = true.participation[pairs[block]]
        if mark.verdict not in COUNTED | OPTIONAL:
            wrong.append(f"extra: {label} is {mark}")
        if mark.side is not None and mark.side != found.sides[block]:
            wrong.append(f"side: {label}, the author's {mark}")
        if mark.shortcut is not None and mark.shortcut != found.shortcuts[block]:
            wrong.append(f"shortcut: {label} {found.shortcuts[block]}, the author's {mark}")
        if abs(share - found.participation[block]) > close:
            wrong.append(f"participation: {label}, by gates {share:.6f}")
    missing = [mark for k, mark in enumerate(signals) if k not in pairs.values()]
    wrong += [f"missing: {mark}" for mark in missing if mark.verdict in COUNTED]
    wrong += _doubts(true, missing, found)
    if len(set(found.names)) < len(found.names):
        wrong.append(f"name: two blocks have one name, {found.names}")
    if true.samples_apart != found.samples_apart and exact:
        wrong.append(f"samples: independent {true.samples_apart}, found {found.samples_apart}")
    if not any(line.startswith(("extra", "missing")) for line in wrong):
        wrong += _parts(true, sorted(pairs.values()), found, tolerance, scale)
    return wrong


def _doubts(true: Truth, missing: list[Mark], found: Found) -> list[str]:
    """Doubt where it is due, and none where all is plain."""
    due = [mark for mark in missing if mark.verdict in {"open", "doubtful"}]
    wrong = []
    if not found.doubtful and (due or "doubtful" in true.asides):
        wrong.append(f"silent: no doubt names {'; '.join(map(str, due)) or 'a doubtful sum'}")
    if found.doubts and not true.verdicts & (OPTIONAL | DOUBTED | {"uncounted"}):
        wrong.append(f"alarm: {found.doubts}, and there is nothing to doubt")
    return wrong


def _parts(true: Truth, counted: list[int], found: Found, tolerance: float, scale: float) -> list[str]:
    """Every g_r, its share of the batch, and the mean length."""
    parts, g, wrong = true.parts(counted), true.gradient, []
    square = float((g * g).sum())
    shares = [float((part * g).sum()) / square for part in parts]
    depth = sum(r * share for r, share in enumerate(shares))
    close = 10 * tolerance * scale
    if isinstance(found.mean, str):
        wrong.append(f"moments: {found.mean}")
    mean = depth if isinstance(found.mean, str) else found.mean
    for told, value in (("moments", mean), ("spectrum", float(np.dot(found.lengths, found.shares)))):
        if not abs(value - depth) <= close * max(1, len(counted)):
            wrong.append(f"depth: {told} {value:.9f}, by gates {depth:.9f}")
    if tolerance > TOLERANCE:
        return wrong
    said = {r: k for k, r in enumerate(found.lengths)}
    for r, part in enumerate(parts):
        own = found.gradients[said[r]] if r in said else torch.zeros_like(part)
        share = found.shares[said[r]] if r in said else 0.0
        if float((own - part).norm()) > tolerance * scale * g.norm() or not abs(share - shares[r]) <= close:
            wrong.append(f"share: length {r} {share:.9f}, by gates {shares[r]:.9f}")
    wrong += [f"share: length {r} is longer than any path" for r in found.lengths if r >= len(parts)]
    return wrong
