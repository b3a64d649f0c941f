"""An outline of a network as its gradient sees it: weights, residual blocks, parallel sums, what stays opaque."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from torch import nn

from skipglass import check
from skipglass.errors import InputError, warn
from skipglass.graph.frozen import recognise
from skipglass.graph.merges import Merge, classify, sides
from skipglass.graph.naming import common_prefix, contracts, name_of_operands, name_of_weight, names_of_blocks
from skipglass.graph.read import Edge, Graph
from skipglass.graph.regions import Counted

__all__ = ["UNITS", "Block", "PathGraph", "named", "read_outline"]

UNITS = ("weights", "blocks")
UNSURE = " (may be residual)"
CONSTANT = " with a constant"
DECISIVE = " (blocks depend on it)"
DOUBTS = {
    "weights": "contractions with a constant are not counted as weights, though it may be a frozen one",
    "blocks": "contractions with a constant are taken for frozen weights, and blocks depend on it",
}


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
    opaque
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
    opaque: tuple[str, ...]
    graph: Graph

    def counted(self, unit: str) -> Counted:
        """Return the counted steps, (node, slot), of a unit; warn of what may hide some."""
        check.choice("unit", unit, UNITS)
        for doubt in self.doubts(unit):
            warn(doubt)
        if unit == "blocks":
            return {(b.merge.node, b.merge.branch.slot) for b in self.blocks if b.merge.branch}
        return {
            (i, e.slot) for i in _weights(self.graph) for e in self.graph.edges[i] if contracts(self.graph, i, e.slot)
        }

    def doubts(self, unit: str) -> list[str]:
        """Say what may hide counted steps of a unit, a line for each kind."""
        sums = [what for what in self.opaque if what.endswith(UNSURE)]
        constants = [what for what in self.opaque if what.removesuffix(DECISIVE).endswith(CONSTANT)]
        if unit == "blocks":
            hidden = [what for what in self.opaque if what.startswith("custom ") and what not in sums]
            constants = [what for what in constants if what.endswith(DECISIVE)]
        else:
            hidden = [what for what in self.opaque if what not in {*sums, *constants} or what.startswith("CopySlices")]
            sums = []
        return [
            f"{said}: {', '.join(dict.fromkeys(what.removesuffix(UNSURE).removesuffix(DECISIVE) for what in found))}"
            for said, found in (
                (f"what these operations may hold is not counted as {unit}", hidden),
                (DOUBTS[unit], constants),
                ("these sums may be residual, and are not counted", sums),
            )
            if found
        ]

    def __str__(self) -> str:
        width = max([len(b.name) for b in self.blocks] + [5])
        lines = [f"{'block':{width}}  branch  shortcut"]
        lines += [f"{b.name:{width}}  {_operand(b.side):6}  {b.shortcut}" for b in self.blocks]
        for what in ("weights", "sums", "norms", "opaque"):
            found = getattr(self, what)
            names = list(dict.fromkeys(found))
            shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
            lines.append(f"{what}: {len(found)}{f' ({shown})' if names else ''}")
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
    modules = {} if model is None else dict(model.named_modules())
    names: dict[int, str] = {}
    for prefix, module in modules.items():
        for name, p in module._parameters.items():
            names.setdefault(id(p), f"{prefix}.{name}" if prefix else name)
    copies = {} if model is None else recognise(graph, model.parameters())
    weights = {
        i: names[id(copies[i])] if i in copies else name_of_weight(graph, i, names) for i in reversed(_weights(graph))
    }
    hidden = {
        i: name_of_operands(graph, i, names) for i, role in enumerate(graph.roles) if role in {"opaque", "custom"}
    }
    merges = classify(graph)[::-1]
    found = _blocks(graph, merges, weights | hidden, modules)
    if blocks is not None:
        found = _chosen(graph, merges, weights, found, blocks)
    counted = {b.merge.node for b in found}
    unsure = {m.node for m in merges if m.unsure and m.node not in counted}
    decisive = {i for m in merges for i in m.constants}
    backwards = range(len(graph.nodes) - 1, -1, -1)
    return PathGraph(
        tuple(found),
        tuple(weights.values()),
        tuple(f"{graph.operations[m.node]} ({len(graph.edges[m.node])})" for m in merges if m.node not in counted),
        tuple(graph.operations[i] for i in backwards if graph.roles[i] == "norm"),
        tuple(what for i in backwards if (what := _not_understood(graph, i, hidden, unsure, decisive))),
        graph,
    )


def _blocks(graph: Graph, merges: list[Merge], weights: dict[int, str], modules: dict[str, nn.Module]) -> list[Block]:
    """The residual merges, by name."""
    residual = [m for m in merges if m.branch is not None]
    called = names_of_blocks(graph, residual, weights, modules)
    return [_block(merge, name) for merge, name in zip(residual, called, strict=True)]


def _block(merge: Merge, name: str) -> Block:
    side = 0 if merge.branch and merge.shortcut and merge.branch.slot < merge.shortcut.slot else 1
    return Block(name, side, "projected" if merge.projected else "identity", merge)


def _chosen(
    graph: Graph, merges: list[Merge], weights: dict[int, str], found: list[Block], names: Sequence[str]
) -> list[Block]:
    """The blocks of these names: residual ones, or sides of sums that a module's weights make up."""
    if (
        not isinstance(names, Sequence)
        or isinstance(names, str)
        or not names
        or not all(isinstance(name, str) for name in names)
    ):
        raise InputError(f"blocks must be a list of names, not {names!r}")
    chosen: dict[tuple[int, Edge | None], Block] = {}
    for name in names:
        try:
            fits = list(named(found, [name]))
        except InputError as unknown:
            own = {weight for weight in weights.values() if weight.startswith(f"{name}.")}
            fits = [
                Block(f"{name}#{k}" if k > 1 else name, graph.edges[m.node].index(m.branch), "parallel", m)
                for k, m in enumerate(sides(graph, merges, weights, own), 1)
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
    known = {b.name: b for b in blocks}
    chosen: set[str] = set()
    for name in names:
        fits = {name} & set(known) or {b for b in known if b.startswith((f"{name}.", f"{name}#"))}
        if not fits:
            near = get_close_matches(name, known, n=3, cutoff=0.4) or list(known)[:3]
            hint = f"nearest: {', '.join(near)}" if near else "so there is none to choose"
            found = f"{len(known)} were found, {hint} (a block is what a shortcut skips)"
            raise InputError(f"no residual block is called {name!r}; {found}")
        chosen |= fits
    return tuple(b for b in blocks if b.name in chosen)


def _not_understood(graph: Graph, i: int, hidden: dict[int, str], unsure: set[int], decisive: set[int]) -> str:
    """What may hide a weight: fused operations, and contractions with a constant that is no parameter; or a block."""
    name = graph.operations[i]
    if i in unsure or (name == "CopySlices" and len(graph.edges[i]) > 1):
        return f"{name}{' in place on a slice' if name == 'CopySlices' else ''}{UNSURE}"
    if i in hidden:
        module = common_prefix([hidden[i]]) if hidden[i] else ""
        return f"{name} ({module})" if module else name
    if graph.roles[i] != "constant":
        return ""
    return f"{name}{CONSTANT}{DECISIVE if i in decisive else ''}"


def _weights(graph: Graph) -> list[int]:
    return [i for i, role in enumerate(graph.roles) if role == "weight"]
