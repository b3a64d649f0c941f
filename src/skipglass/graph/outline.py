"""An outline of a network as its gradient sees it: weights, residual blocks, parallel sums, and what is doubtful."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from torch import nn

from skipglass import check
from skipglass.errors import InputError, warn
from skipglass.graph import listing
from skipglass.graph.inputs import require_module
from skipglass.graph.listing import Sum
from skipglass.graph.merges import TOLD, Merge, classify, one_branch, sums_around
from skipglass.graph.naming import (
    common_prefix,
    name_of_operands,
    names_of_blocks,
    names_of_parameters,
    names_of_weights,
    places_of_sums,
)
from skipglass.graph.nodes import Edge, Graph
from skipglass.graph.operations import facts
from skipglass.graph.regions import Counted

__all__ = ["UNITS", "Block", "Doubt", "PathGraph", "named", "read_outline"]

UNITS = ("weights", "blocks")


@dataclass(frozen=True)
class Block:
    """One residual block.

    Attributes
    ----------
    name
        The module that holds its weights, the modules ("bottom+up") where it is none alone, or "block 3" (forward
        order) where no model names them. "step#2" is the second use of a module, "stage (sum 2)" the second block of
        those that a module holds and that no weights of their own tell apart.
    side
        Which operand of the addition is the branch: 0 the first, 1 the second, ….
    shortcut
        "identity", "projected", or "parallel" where ``blocks`` made a block of a parallel sum.
    merges
        Where it is in the graph: one sum, or several where its branch is written to several streams.
    """

    name: str
    side: int
    shortcut: str
    merges: tuple[Merge, ...]

    @property
    def merge(self) -> Merge:
        """The first of its sums."""
        return self.merges[0]


@dataclass(frozen=True)
class Doubt:
    """An operation that may hide a counted step; prints as it is listed under "opaque".

    Attributes
    ----------
    what
        The operation, with the module whose parameters it takes.
    why
        Of a sum the module in which it stands, and the reason.
    kind
        "sum", which may be residual; "slice", a write to a part of a signal, which may be such a sum and may hold
        weights; "constant", a contraction with one, which may be a frozen weight; "decisive", the same where a block
        depends on it; "custom", a custom function; or "opaque", another operation that may hold weights.
    """

    what: str
    kind: str
    why: str = ""

    def __str__(self) -> str:
        if self.kind in {"sum", "slice"}:
            return f"{self.what} (may be residual)"
        return f"{self.what} (blocks depend on it)" if self.kind == "decisive" else self.what


# for each unit: which kinds of doubt concern it, and what is said of them
CONCERNS = {
    "weights": (
        ("what these operations may hold is not counted as weights", {"custom", "opaque", "slice"}),
        (
            "contractions with a constant are not counted as weights, though it may be a frozen one",
            {"constant", "decisive"},
        ),
    ),
    "blocks": (
        ("what these operations may hold is not counted as blocks", {"custom"}),
        ("contractions with a constant are taken for frozen weights, and blocks depend on it", {"decisive"}),
        ("these sums may be residual, and are not counted", {"sum", "slice"}),
    ),
}


@dataclass(frozen=True)
class PathGraph:
    """What was found between a loss and x, in forward order; prints as a table.

    Attributes
    ----------
    blocks
        The residual merges, or those that were asked for.
    weights
        The name of each contraction with something computed from parameters alone.
    sums
        Sums that are not counted, as "operation (number of signals)".
    norms
        The normalisations that are one operation.
    doubtful
        Operations that may hide weights or nonlinearities, custom functions whatever they do, sums that may be
        residual and are not counted, and contractions with a constant. A frozen weight that was computed (masked,
        dequantised), or cast where no model is given, leaves no trace of its parameter: unit "weights" does not
        count it, and whether a sum is residual is decided as if it were a weight.
    graph
        The live part of the autograd graph.
    verdicts
        Every node in which signals are added, or may be, with what it is, why and where.
    """

    blocks: tuple[Block, ...]
    weights: tuple[str, ...]
    sums: tuple[str, ...]
    norms: tuple[str, ...]
    doubtful: tuple[Doubt, ...]
    graph: Graph
    verdicts: tuple[Sum, ...] = ()

    @property
    def opaque(self) -> tuple[str, ...]:
        """What is doubtful, in words."""
        return tuple(map(str, self.doubtful))

    def counted(self, unit: str) -> Counted:
        """Return the counted steps, (node, slot), of a unit; warn of what may hide some."""
        for doubt in self.doubts(unit):
            warn(doubt)
        if unit == "blocks":
            return {(m.node, m.branch.slot) for b in self.blocks for m in b.merges if m.branch}
        graph = self.graph
        weights = (i for i, role in enumerate(graph.roles) if role == "weight")
        return {(i, e.slot) for i in weights for e in graph.edges[i] if graph.contracts(i, e)}

    def doubts(self, unit: str) -> list[str]:
        """Say what may hide counted steps of a unit, a line for each kind."""
        check.choice("unit", unit, UNITS)
        lines = []
        for said, kinds in CONCERNS[unit]:
            listed = dict.fromkeys(f"{doubt.what}{doubt.why}" for doubt in self.doubtful if doubt.kind in kinds)
            lines += [f"{said}: {', '.join(listed)}"] if listed else []
        return lines

    def summary(self) -> str:
        """Return in one line how many sums are blocks, parallel and doubtful, and name the doubtful ones."""
        return listing.summary(len(self.blocks), self.verdicts)

    @property
    def unsure(self) -> int:
        """The number of doubtful sums, on which a depth in blocks rests."""
        return sum(one.verdict == "doubtful" for one in self.verdicts)

    def skips_left_out(self) -> str:
        """Return a note on the sums that look like skip connections and are not counted; "" where there are none."""
        return listing.note_of_skips(self.verdicts)

    def require_blocks(self) -> None:
        """Refuse a network in which no block was found but doubtful sums were.

        Raises
        ------
        InputError
            If so; the line names the sums and what to do.
        """
        listing.require_blocks(len(self.blocks), self.verdicts)

    def __str__(self) -> str:
        width = max([len(b.name) for b in self.blocks] + [5])
        lines = [f"{'block':{width}}  branch  shortcut"]
        lines += [f"{b.name:{width}}  {_operand(b.side):6}  {b.shortcut}" for b in self.blocks]
        for what in ("weights", "sums", "norms", "opaque"):
            listed = getattr(self, what)
            names = list(dict.fromkeys(listed))
            shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
            lines.append(f"{what}: {len(listed)}{f' ({shown})' if names else ''}")
        return "\n".join([*lines, *listing.lines(self.verdicts)])


def _operand(side: int) -> str:
    return ("first", "second")[side] if side < 2 else f"no. {side + 1}"


def read_outline(graph: Graph, model: nn.Module | None = None, blocks: Sequence[str] | None = None) -> PathGraph:
    """Find weights, blocks and parallel sums in a graph; see `skipglass.paths.outline`.

    Raises
    ------
    InputError
        If the model is no module, or a name in ``blocks`` fits nothing.
    """
    if model is not None:
        require_module(model)
    names = names_of_parameters(model)
    # names come before merges, as they tell which constants are copies of parameters, and so weights
    weights = names_of_weights(graph, model, names)
    backwards = range(len(graph.nodes) - 1, -1, -1)
    hidden = {i: name_of_operands(graph, i, names) for i in backwards if graph.roles[i] in {"opaque", "custom"}}
    merges = classify(graph)[::-1]
    residual = one_branch([m for m in merges if m.branch is not None], graph)
    modules = {} if model is None else dict(model.named_modules())
    called = names_of_blocks(graph, [same[0] for same in residual], weights | hidden, modules)
    found = [_block(same, name) for same, name in zip(residual, called, strict=True)]
    if blocks is not None:
        found = _chosen(graph, merges, weights, found, blocks)
    counted = {m.node: b.name for b in found for m in b.merges}
    others = [m for m in merges if m.node not in counted]
    places = places_of_sums(graph, [m for m in others if m.verdict != "apart"], weights, modules) | counted
    sums = {m.node: _sum(graph, m, places, m.node in counted) for m in merges if m.verdict != "apart"}
    return PathGraph(
        tuple(found),
        tuple(weights.values()),
        tuple(f"{graph.operations[m.node]} ({len(graph.edges[m.node])})" for m in others if m.plainly or m.unsure),
        tuple(graph.operations[i] for i in backwards if graph.roles[i] == "norm"),
        tuple(_doubts(graph, hidden, sums, {i for m in merges for i in m.constants})),
        graph,
        tuple(sums.values()),
    )


def _sum(graph: Graph, merge: Merge, places: Mapping[int, str], counted: bool) -> Sum:
    """What is said of one sum; one that is counted because it was asked for is a block."""
    verdict = "block" if counted else "parallel" if merge.verdict == "block" else merge.verdict
    reason = "not asked for" if merge.verdict == "block" and not counted else merge.reason
    signals = len(graph.edges[merge.node])
    where = places.get(merge.node, "")
    return Sum(
        graph.operations[merge.node], signals, verdict, reason, where, merge.by_form, merge.skips and not counted
    )


def _block(merges: tuple[Merge, ...], name: str) -> Block:
    merge = merges[0]
    side = 0 if merge.branch and merge.shortcut and merge.branch.slot < merge.shortcut.slot else 1
    return Block(name, side, merge.reason, merges)


def _doubts(graph: Graph, hidden: Mapping[int, str], sums: Mapping[int, Sum], decisive: set[int]) -> Iterator[Doubt]:
    """What is doubtful, in forward order."""
    for i in range(len(graph.nodes) - 1, -1, -1):
        name, role, advice = graph.operations[i], graph.roles[i], facts(graph.operations[i]).hidden
        shown = f"{name}, which {advice}" if advice else name
        unsure = i in sums and sums[i].verdict == "doubtful" and sums[i].reason not in TOLD
        if name == "CopySlices" and len(graph.edges[i]) > 1 and (role == "opaque" or unsure):
            yield Doubt("CopySlices in place on a slice", "slice", _why(sums.get(i)))
        elif unsure:
            yield Doubt(shown, "sum", _why(sums[i]))
        elif role in {"opaque", "custom"}:
            module = common_prefix([hidden[i]])
            kind = "custom" if name.startswith("custom ") or advice else "opaque"
            yield Doubt(f"{shown} ({module})" if module else shown, kind)
        elif role == "constant":
            yield Doubt(f"{name} with a constant", "decisive" if i in decisive else "constant")


def _why(one: Sum | None) -> str:
    return "" if one is None else f"{one.place} ({one.reason})"


def _chosen(
    graph: Graph, merges: Sequence[Merge], weights: Mapping[int, str], found: Sequence[Block], names: Sequence[str]
) -> list[Block]:
    """The blocks of these names: residual ones, or sides of sums that a module's weights make up."""
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"blocks must be a list of names, not {names!r}")
    chosen: dict[tuple[int, Edge | None], Block] = {}
    for name in names:
        # a residual block, or else a module whose weights are one side of a sum
        try:
            fits = list(named(found, [name]))
        except InputError as unknown:
            own = {weight for weight in weights.values() if weight.startswith(f"{name}.")}
            fits = [
                Block(f"{name}#{k}" if k > 1 else name, graph.edges[m.node].index(m.branch), "parallel", (m,))
                for k, m in enumerate(sums_around(graph, merges, weights, own), 1)
                if m.branch is not None
            ]
            if not fits:
                hint = "its weights make up no side of a sum" if own else "no module of that name holds a weight"
                raise InputError(f"{unknown}; {hint}") from None
        chosen |= {(b.merge.node, b.merge.branch): b for b in fits}
    return sorted(chosen.values(), key=lambda b: -b.merge.node)


def named(blocks: Sequence[Block], names: Sequence[str]) -> tuple[Block, ...]:
    """Return the blocks that are called, or lie below, one of the names: "layer3" gives "layer3.0", "layer3.1", ….

    Parameters
    ----------
    blocks
        To choose from.
    names
        Names of blocks, or dotted prefixes of them.

    Returns
    -------
    tuple of Block
        In the order of ``blocks``.

    Raises
    ------
    InputError
        If a name fits no block; the line lists the nearest that there are.
    """
    known = [b.name for b in blocks]
    chosen: set[str] = set()
    for name in names:
        fits = {name} if name in known else {b for b in known if b.startswith((f"{name}.", f"{name}#", f"{name} ("))}
        if not fits:
            near = get_close_matches(name, known, n=3, cutoff=0.4) or known[:3]
            hint = f"nearest: {', '.join(near)}" if near else "so there is none to choose"
            found = f"{len(known)} were found, {hint} (a block is what a shortcut skips)"
            raise InputError(f"no residual block is called {name!r}; {found}")
        chosen |= fits
    return tuple(b for b in blocks if b.name in chosen)
