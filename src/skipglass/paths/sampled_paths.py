"""Single paths of a gradient, drawn at random (Veit, Wilber and Belongie, 2016, Sec. 4.3; docs/mathematics.md §9).

A choice S of k of the L residual blocks names one path: the gradient runs down through the branches of the chosen
blocks and through the shortcuts of all others. With g_S what arrives at x along it,

    Σ_{|S| = k} g_S = g_k,    n_k = mean over S of ‖g_S‖,    C(L, k)·n_k

is the sum of the norms of all paths of length k. Unlike ‖g_k‖ it knows no cancellation between paths. The forward pass
is that of the whole network. Lengths with few paths are summed exactly; of others paths are drawn.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skipglass import check
from skipglass.errors import InputError
from skipglass.graph import Block, Place, Target, Trace, as_trace
from skipglass.graph.engine import Arrived, Graded
from skipglass.graph.shares import norms, over
from skipglass.graph.verify import size
from skipglass.paths.census import census
from skipglass.paths.cost import announce
from skipglass.paths.outline import branches
from skipglass.paths.walk import Algebra, walk
from skipglass.record import Result, coordinate, derived, mapping, number, variable
from skipglass.report import Axis, Panel, Series

__all__ = ["SampledPaths", "sampled_paths"]

Array = NDArray[np.float64]
DRAWN = 32  # paths of each length: our choice, a relative error of some percent
TOGETHER = 32  # paths that are walked side by side: our choice, for memory


@dataclass(frozen=True, eq=False)
class SampledPaths(Result):
    """The norms of single paths by length, and of all paths of a length together, 1 + L lengths.

    Attributes
    ----------
    lengths
        k = 0..L, in blocks.
    paths
        {k: C(L, k)}.
    drawn
        How many paths of each length were walked, (1 + L,).
    norm, standard_error
        The mean of ‖g_S‖ over the paths drawn, and its standard error, (1 + L,); the error is 0 where all paths were.
    norm_per_sample
        The mean norm of each sample's own gradient, (1 + L, N); meaningless where the network couples the samples.
    total, share
        C(L, k) times the mean norm, relative to the largest, and over the sum, (1 + L,).
    effective_depth, depth_error
        Σ_k k·share_k, and its standard error.
    effective_depth_per_sample
        The same of each sample, (N,).
    """

    kind = "sampled_paths"

    lengths: NDArray[np.int64] = coordinate("length", letter="k", long_name="path length (blocks)")
    paths: dict[int, int] = mapping("length", key=int, of=int, letter="paths")
    drawn: NDArray[np.int64] = variable("length", of=int, letter="drawn", long_name="paths that were walked")
    norm: Array = variable("length", letter="‖g_S‖", long_name="mean norm of a path")
    standard_error: Array = variable("length", letter="±", long_name="standard error of the mean norm")
    norm_per_sample: Array = variable(
        "length", "sample", long_name="mean norm of a path within each sample", shown=False
    )

    @property
    @derived(variable("length", letter="share", long_name="C(L, k)‖g_S‖ over the sum"))
    def share(self) -> Array:
        """C(L, k) times the mean norm, over the sum, (1 + L,)."""
        return _shares(self.norm)

    @property
    @derived(number(long_name="mean length by C(L, k)‖g_S‖", units="blocks"))
    def effective_depth(self) -> float:
        """Σ_k k·share_k."""
        return float(self.lengths @ self.share)

    @property
    @derived(number(long_name="standard error of the mean length", units="blocks"))
    def depth_error(self) -> float:
        """The standard error of the mean length, to first order; lengths are drawn independently."""
        # ∂m/∂n_k = C(L, k) (k - m)/Σ C n, and C/Σ C n = share/n
        slope = (self.lengths - self.effective_depth) * over(self.share, self.norm)
        return float(np.sqrt(np.nansum((slope * self.standard_error) ** 2)))

    @property
    def effective_depth_per_sample(self) -> Array:
        """Σ_k k·share_k of each sample, (N,)."""
        return self.lengths @ _shares(self.norm_per_sample)

    def headline(self) -> str:
        """Say how long the paths are that carry norm."""
        if np.isnan(self.effective_depth):
            return "The gradient is zero along all paths that were drawn."
        return (
            f"Counted path by path, norm lies on paths of {self.effective_depth:.3g} ± {self.depth_error:.2g} of "
            f"{len(self.lengths) - 1} blocks on average ({int(self.drawn.sum())} paths walked)."
        )

    def panel(self) -> Panel:
        """The norm of a path, and of all paths of a length together."""
        low, high = self.share * (1 - self._relative), self.share * (1 + self._relative)
        return Panel(
            "sampled-paths",
            "The norm of single paths by length",
            "Each point is the number of paths of one length times the mean norm of the gradient along one of them, as "
            "a part of the sum over lengths; the bar is one standard error. Points further right mean that norm lies "
            "on longer paths.",
            Axis("path length k", "blocks"),
            Axis("C(L, k)·mean norm, over the sum", zero=True),
            (Series("all paths of the length", self.lengths, self.share, low, high),),
            marks="points",
            note=f"Mean length {self.effective_depth:.3g} ± {self.depth_error:.2g}.",
        )

    @property
    def _relative(self) -> Array:
        return np.nan_to_num(over(self.standard_error, self.norm))


def sampled_paths(
    loss: Tensor | Trace,
    x: Target | None = None,
    drawn: int = DRAWN,
    seed: int = 0,
    model: nn.Module | None = None,
    blocks: Sequence[str] | None = None,
) -> SampledPaths:
    """Draw single paths of each length and measure the norm of the gradient along each (Veit et al., 2016).

    A path of length k costs about k/L backward passes; a length with no more than ``drawn`` paths is enumerated.

    Parameters
    ----------
    loss
        A scalar with a live graph, which stays usable; or a `Trace`, which has its own x, model and blocks.
    x
        The tensor, or tuple of tensors, at which paths end.
    drawn
        Paths of each length, at least 2; drawn without replacement, all equally likely.
    seed
        Of the draw.
    model, blocks
        Names the blocks, and what to count in their place; see `outline`.

    Returns
    -------
    SampledPaths
        Norms by length, with standard errors.

    Raises
    ------
    InputError
        If there is no graph from the loss to x, ``drawn`` is below 2, or the blocks do not stand in a row: the paths
        of one length are then not the C(L, k) choices of k blocks.

    Examples
    --------
    >>> import torch
    >>> from skipglass.models import ResidualMLP
    >>> model, x = ResidualMLP(5, depth=4, width=8), torch.ones(2, 5, requires_grad=True)
    >>> s = sampled_paths(model(x).sum(), x)
    >>> s.lengths.tolist(), s.drawn.tolist(), s.standard_error.tolist()
    ([0, 1, 2, 3], [1, 3, 3, 1], [0.0, 0.0, 0.0, 0.0])
    """
    check.integer("drawn", drawn, 2)
    rng = np.random.default_rng(check.seed("seed", seed))
    trace = as_trace(loss, x, model, blocks)
    counted, found = trace.counted("blocks"), trace.outline.blocks
    L = len(found)
    walked: list[list[Array]] = [[] for _ in range(L + 1)]
    with trace.measuring():
        begin = time.perf_counter()
        _ = trace.gradient  # refuses a gradient that is NaN
        seconds = time.perf_counter() - begin
        _require_in_a_row(trace, L)
        chosen = [(k, S) for k in range(L + 1) for S in _choices(L, k, drawn, rng)]
        announce("sampled_paths", sum(k for k, _ in chosen) / L, seconds, "; a smaller drawn shortens it")
        regions, nothing = trace.regions("blocks"), [torch.zeros_like(v) for v in trace.gradient]
        for first in range(0, len(chosen), TOGETHER):
            some = chosen[first : first + TOGETHER]
            parts = walk(trace.graph, regions, counted, Single(found, [S for _, S in some]))
            for c, (k, _) in enumerate(some):
                # the channel of all that has crossed k blocks, and so each of those chosen
                path = [part.get(c * (L + 1) + k, v) for part, v in zip(parts, nothing, strict=True)]
                walked[k].append(np.array([size(*path), *norms(path)]))
    # from here on: for each length a table of paths, the norm of the batch and then those of the samples
    tables = [np.array(rows) for rows in walked]
    number = np.array([len(table) for table in tables])
    ways = [comb(L, k) for k in range(L + 1)]
    # drawn without replacement, the mean of n paths of C varies less by the factor 1 - n/C
    left = np.array([1 - len(table) / n for table, n in zip(tables, ways, strict=True)])
    spread = [table[:, 0].std(ddof=1) / np.sqrt(len(table)) if len(table) > 1 else 0.0 for table in tables]
    return SampledPaths(
        lengths=np.arange(L + 1),
        paths=dict(enumerate(ways)),
        drawn=number,
        norm=np.array([table[:, 0].mean() for table in tables]),
        standard_error=np.sqrt(left) * spread,
        norm_per_sample=np.array([table[:, 1:].mean(axis=0) for table in tables]),
    )


class Single(Algebra):
    """Single paths side by side; channel (1 + L) c + n is the c-th choice, after n of its branches.

    At a block that was chosen a path takes the branch, at another it does not. What leads around a chosen block by some
    third way (a second classifier further down) arrives with too few branches behind it.
    """

    def __init__(self, blocks: Sequence[Block], choices: Sequence[frozenset[int]]) -> None:
        self.choices, self.stride = choices, 1 + len(blocks)
        # at the sum of each block: the place where its branch begins, by node of the sum
        self.ways: dict[int, dict[Place, int]] = {}
        for l, block in enumerate(blocks):
            for node, edge in branches(block):
                self.ways.setdefault(node, {})[edge.place] = l

    def visit(self, h: int, at: Arrived) -> None:
        """At the loss, start every path with the whole gradient."""
        if h == 0:
            for graded in at.values():
                graded.update({c * self.stride: graded[0] for c in range(len(self.choices))})

    def cross(self, graded: Graded) -> Graded:
        """One branch more."""
        return {channel + 1: v for channel, v in graded.items()}

    def send(self, h: int, end: Place | None, graded: Graded) -> Graded:
        """At a block's sum, let each path go one way."""
        ways = self.ways.get(h, {})
        if end is None or not ways:
            return graded
        if end in ways:
            return {channel: v for channel, v in graded.items() if ways[end] in self._choice(channel)}
        return {channel: v for channel, v in graded.items() if not self._choice(channel).intersection(ways.values())}

    def _choice(self, channel: int) -> frozenset[int]:
        # no more than L branches lie behind it: each that it was sent along was chosen, and is met once
        return self.choices[channel // self.stride]


def _require_in_a_row(trace: Trace, L: int) -> None:
    """Refuse nested and parallel blocks."""
    if not L:
        raise InputError("sampled_paths draws paths through residual blocks, and found none; name some with blocks=[…]")
    found = census(trace, unit="blocks")
    wrong = next((k for k in range(L + 1) if found.get(k, 0) != comb(L, k)), None)
    if wrong is not None:
        raise InputError(
            f"sampled_paths chooses k of {L} blocks that stand in a row, and found {found.get(wrong, 0)} paths of "
            f"length {wrong} where {comb(L, wrong)} were expected (nested or parallel blocks, several ways around "
            "one); measure their sum by length with spectrum"
        )


def _choices(L: int, k: int, drawn: int, rng: np.random.Generator) -> Iterator[frozenset[int]]:
    """All choices of k of L blocks, or some at random, each at most once."""
    if comb(L, k) <= drawn:
        yield from map(frozenset, combinations(range(L), k))
        return
    seen: dict[frozenset[int], None] = {}
    while len(seen) < drawn:
        seen[frozenset(rng.choice(L, k, replace=False).tolist())] = None
    yield from islice(seen, drawn)


def _shares(norm: Array) -> Array:
    """C(L, k) times a norm, over the sum along the first axis; binomials relative to the largest, as floats hold."""
    L = len(norm) - 1
    ways = np.array([comb(L, k) / comb(L, L // 2) for k in range(L + 1)])
    total = norm * ways.reshape(-1, *[1] * (norm.ndim - 1))
    return over(total, total.sum(axis=0))
