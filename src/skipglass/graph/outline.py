"""An outline of a network as its gradient sees it: weights, residual blocks, parallel sums, and what is doubtful."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from torch import nn

from skipglass import check
from skipglass.errors import InputError, warn
from skipglass.graph.merges import Merge, classify, sums_around
from skipglass.graph.naming import (
    common_prefix,
    name_of_operands,
    names_of_blocks,
    names_of_parameters,
    names_of_weights,
)
from skipglass.graph.nodes import Edge, Graph
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
        order) where no model names them or the name is another block's. "step#2" is the second use of a module.
    side
        Which operand of the addition is the branch: 0 the first, 1 the second, ….
    shortcut
        "identity", "projected", or "parallel" where ``blocks`` made a block of a parallel sum.
    merge
        Where it is in the graph.
    """

    name: str
    side: int
    shortcut: str
    merge: Merge


@dataclass(frozen=True)
class Doubt:
    """An operation that may hide a counted step; prints as it is listed under "opaque".

    Attributes
    ----------
    what
        The operation, with the module whose parameters it takes.
    kind
        "sum", which may be residual; "slice", a write to a part of a signal, which may be such a sum and may hold
        weights; "constant", a contraction with one, which may be a frozen weight; "decisive", the same where a block
        depends on it; "custom", a custom function; or "opaque", another operation that may hold weights.
    """

    what: str
    kind: str

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
    """

    blocks: tuple[Block, ...]
    weights: tuple[str, ...]
    sums: tuple[str, ...]
    norms: tuple[str, ...]
    doubtful: tuple[Doubt, ...]
    graph: Graph

    @property
    def opaque(self) -> tuple[str, ...]:
        """What is doubtful, in words."""
        return tuple(map(str, self.doubtful))

    def counted(self, unit: str) -> Counted:
        """Return the counted steps, (node, slot), of a unit; warn of what may hide some."""
        for doubt in self.doubts(unit):
            warn(doubt)
        if unit == "blocks":
            return {(b.merge.node, b.merge.branch.slot) for b in self.blocks if b.merge.branch}
        graph = self.graph
        weights = (i for i, role in enumerate(graph.roles) if role == "weight")
        return {(i, e.slot) for i in weights for e in graph.edges[i] if graph.contracts(i, e)}

    def doubts(self, unit: str) -> list[str]:
        """Say what may hide counted steps of a unit, a line for each kind."""
        check.choice("unit", unit, UNITS)
        lines = []
        for said, kinds in CONCERNS[unit]:
            listed = dict.fromkeys(doubt.what for doubt in self.doubtful if doubt.kind in kinds)
            lines += [f"{said}: {', '.join(listed)}"] if listed else []
        return lines

    def __str__(self) -> str:
        width = max([len(b.name) for b in self.blocks] + [5])
        lines = [f"{'block':{width}}  branch  shortcut"]
        lines += [f"{b.name:{width}}  {_operand(b.side):6}  {b.shortcut}" for b in self.blocks]
        for what in ("weights", "sums", "norms", "opaque"):
            listed = getattr(self, what)
            names = list(dict.fromkeys(listed))
            shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
            lines.append(f"{what}: {len(listed)}{f' ({shown})' if names else ''}")
        return "\n".join(lines)


def _operand(side: int) -> str:
    return ("first", "second")[side] if side < 2 else f"no. {side + 1}"


def read_outline(graph: Graph, model: nn.Module | None = None, blocks: Sequence[str] | None = None) -> PathGraph:
    """Find weights, blocks and parallel sums in a graph; see `skipglass.paths.outline`.

    Raises
    ------
    InputError
        If the model is no module, or a name in ``blocks`` fits nothing.
    """
    if model is not None and not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    names = names_of_parameters(model)
    # names come before merges, as they tell which constants are copies of parameters, and so weights
    weights = names_of_weights(graph, model, names)
    backwards = range(len(graph.nodes) - 1, -1, -1)
    hidden = {i: name_of_operands(graph, i, names) for i in backwards if graph.roles[i] in {"opaque", "custom"}}
    merges = classify(graph)[::-1]
    residual = [m for m in merges if m.branch is not None]
    modules = {} if model is None else dict(model.named_modules())
    called = names_of_blocks(graph, residual, weights | hidden, modules)
    found = [_block(merge, name) for merge, name in zip(residual, called, strict=True)]
    if blocks is not None:
        found = _chosen(graph, merges, weights, found, blocks)
    counted = {b.merge.node for b in found}
    others = [m for m in merges if m.node not in counted]
    doubts = _doubts(graph, hidden, {m.node for m in others if m.unsure}, {i for m in merges for i in m.constants})
    return PathGraph(
        tuple(found),
        tuple(weights.values()),
        tuple(f"{graph.operations[m.node]} ({len(graph.edges[m.node])})" for m in others),
        tuple(graph.operations[i] for i in backwards if graph.roles[i] == "norm"),
        tuple(doubts[i] for i in backwards if i in doubts),
        graph,
    )


def _block(merge: Merge, name: str) -> Block:
    side = 0 if merge.branch and merge.shortcut and merge.branch.slot < merge.shortcut.slot else 1
    return Block(name, side, merge.reason, merge)


def _doubts(graph: Graph, hidden: Mapping[int, str], unsure: set[int], decisive: set[int]) -> dict[int, Doubt]:
    """What is doubtful, by node."""
    doubts = {}
    for i, (name, role) in enumerate(zip(graph.operations, graph.roles, strict=True)):
        if name == "CopySlices" and len(graph.edges[i]) > 1:
            doubts[i] = Doubt("CopySlices in place on a slice", "slice")
        elif i in unsure:
            doubts[i] = Doubt(name, "sum")
        elif role in {"opaque", "custom"}:
            module = common_prefix([hidden[i]])
            kind = "custom" if name.startswith("custom ") else "opaque"
            doubts[i] = Doubt(f"{name} ({module})" if module else name, kind)
        elif role == "constant":
            doubts[i] = Doubt(f"{name} with a constant", "decisive" if i in decisive else "constant")
    return doubts


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
                Block(f"{name}#{k}" if k > 1 else name, graph.edges[m.node].index(m.branch), "parallel", m)
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
        fits = {name} if name in known else {b for b in known if b.startswith((f"{name}.", f"{name}#"))}
        if not fits:
            near = get_close_matches(name, known, n=3, cutoff=0.4) or known[:3]
            hint = f"nearest: {', '.join(near)}" if near else "so there is none to choose"
            found = f"{len(known)} were found, {hint} (a block is what a shortcut skips)"
            raise InputError(f"no residual block is called {name!r}; {found}")
        chosen |= fits
    return tuple(b for b in blocks if b.name in chosen)
