"""Which weight takes up each batch norm, found in the graph of a forward pass (no module or name is looked at).

With fixed statistics a batch norm maps channel c to λ_c (z_c - μ_c)/σ_c + β_c. Its factor goes into

- the weight *before* it, W ← (λ/σ) W, if nothing else reads that weight's output. Behind a ReLU this holds for
  the factor |λ|/σ, since R(c z) = c R(z) for c > 0; the sign of λ stays;
- else the weight *behind* it (pre-activation, where the norm reads a shared stream), W ← W (|λ|/σ), as
  λ (z - μ)/σ + β = |λ|/σ · (sign(λ)(z - μ) + βσ/|λ|) and the factor commutes with ReLU and pooling;
- else nowhere, with the reason.
"""

from collections import Counter
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from skipglass.errors import InputError
from skipglass.graph.forward import eager, forward
from skipglass.graph.operations import CONTRACTIONS
from skipglass.graph.read import Graph, leaves, read
from skipglass.graph.state import as_found
from skipglass.scales.absorption import Absorption, Norm, Pairs
from skipglass.scales.channels import HOMOGENEOUS, Axis, across, shape_of
from skipglass.scales.example import example

__all__ = ["pairs"]


def pairs(model: nn.Module, inputs: object = None) -> Pairs:
    """Read which weight of a network takes up each of its batch norms.

    A SyncBatchNorm counts by its running statistics, which are over all processes; none of them waits for another.

    Parameters
    ----------
    model
        Any module, run once in eval mode and left as found.
    inputs
        What the model takes; only the operations of the pass count, not the values. None makes an example from
        the first layer (see `example`).

    Returns
    -------
    Pairs
        In forward order.

    Raises
    ------
    InputError
        If the model cannot be run, or a piece of it is hidden.

    Examples
    --------
    >>> print(pairs(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2)),
    ...             torch.ones(2, 3, 5, 5)))
    weight  takes up
    0       1 (behind it)
    4       -
    """
    model = eager(model)
    with as_found(model):
        model.eval()
        given = example(model) if inputs is None else inputs
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.requires_grad_()  # a frozen one would leave no trace in the graph
        with forward(model, given, loss_fn=_everything) as run:
            return _Reader(read(run.loss, run.x), model).result()


def _everything(outputs: object) -> Tensor:
    """The sum of all that a model gives, so that no use of a signal is missed."""
    total = [t.real.sum() for t in _tensors(outputs) if t.requires_grad]
    if not total:
        raise InputError("the model gives no floating-point tensor that depends on its inputs")
    return torch.stack([t.double() for t in total]).sum()


def _tensors(outputs: object) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    return [t for part in outputs for t in _tensors(part)] if isinstance(outputs, (list, tuple)) else []


@dataclass(frozen=True)
class _Weight:
    """A contraction with one parameter: its bias, (axis, groups) of the side it gives and of the one it reads, and the
    signal's axis.
    """

    name: str
    bias: str | None
    bias_known: bool
    out: tuple[int, int]
    into: tuple[int, int]
    signal: int


@dataclass
class _Reader:
    graph: Graph
    model: nn.Module
    left: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = {id(t): name for name, t in (*self.model.named_parameters(), *self.model.named_buffers())}
        self.above: dict[tuple[int, int], list[int]] = {}
        for i, edges in enumerate(self.graph.edges):
            for e in edges:
                self.above.setdefault((e.to, e.output), []).append(i)
        self.short = _short_names([name for name, _ in self.model.named_parameters()])

    def result(self) -> Pairs:
        backwards = range(len(self.graph.nodes) - 1, -1, -1)
        weights = {i: w for i in backwards if (w := self._weight(i)) is not None}
        self.weights = weights
        norms: dict[str, Norm] = {}
        found: dict[str, list[Absorption | str]] = {}
        for i in backwards:
            if "BatchNorm" in self.graph.operations[i] and self.graph.roles[i] == "norm":
                norm = self._norm(i)
                if isinstance(norm, Norm):
                    norms[norm.name] = norm
                    found.setdefault(norm.name, []).append(self._absorbed(i, norm.name))
                else:
                    self.left[norm] = "it has no running statistics"
        uses = Counter(w.name for w in weights.values())
        kept = []
        for name, ways in found.items():
            why = _why_not(ways, uses, found)
            if why:
                self.left[name] = why
            else:
                kept += [w for w in dict.fromkeys(ways) if isinstance(w, Absorption)]
        return Pairs({self.short.get(w.name, w.name): w.name for w in weights.values()}, norms, tuple(kept), self.left)

    def _norm(self, i: int) -> Norm | str:
        node = self.graph.nodes[i]
        multiplier, shift = (self._parameter(node.next_functions[slot][0]) for slot in (1, 2))
        statistics = [getattr(node, f"_saved_running_{what}", None) for what in ("mean", "var")]
        mean, variance = (None if s is None else self.names.get(id(s)) for s in statistics)
        name = multiplier or mean or f"batch norm {i}"
        name = self.short.get(name, name.rsplit(".", 1)[0] if mean else name)
        if mean is None or variance is None or getattr(node, "_saved_training", True):
            return name
        return Norm(name, multiplier, shift, mean, variance, float(node._saved_eps))  # type: ignore[attr-defined]

    def _parameter(self, node: torch.autograd.graph.Node | None) -> str | None:
        """The one parameter that an operand is, seen through nothing but copies."""
        found = [] if node is None else list(leaves(node))
        return self.names.get(id(found[0])) if len(found) == 1 else None

    def _weight(self, i: int) -> _Weight | None:
        """Read a contraction; one whose weight is computed goes on the list of what is left."""
        if self.graph.roles[i] != "weight":
            return None
        name, node = self.graph.operations[i], self.graph.nodes[i]
        live = {e.slot for e in self.graph.edges[i]}
        own, other = next((o, w) for o, w, _ in CONTRACTIONS[name] if o in live and w not in live)
        operand = node.next_functions[other][0]
        flipped, leaf = _through_transposes(operand)
        parameter = None if leaf is None else self.names.get(id(leaf))
        if parameter is None:
            computed = "+".join(self.names.get(id(p), "?") for p in (leaves(operand) if operand else ()))
            self.left[computed or f"weight {i}"] = f"a weight computed by {operand.name() if operand else name}"
            return None
        bias_slot = {"Addmm": 0, "Linear": 2}.get(name, 2 if "Conv" in name else None)
        bias, known = None, True
        if bias_slot is not None and bias_slot < len(node.next_functions):
            after = node.next_functions[bias_slot][0]
            bias = self._parameter(after)
            known = bias_slot not in live and (after is None or bias is not None)
        if "Conv" in name:
            transposed = bool(getattr(node, "_saved_transposed", "Transpose" in name))
            groups = int(getattr(node, "_saved_groups", 1))
            sides = ((1, groups), (0, 1)) if transposed else ((0, 1), (1, groups))
            return _Weight(parameter, bias, known, *sides, signal=1)
        first = other < own  # W h, rather than h W
        out = (0 if first or name.endswith("Linear") else 1) ^ flipped
        return _Weight(parameter, bias, known, (out, 1), (1 - out, 1), signal=0 if first else -1)

    def _absorbed(self, i: int, name: str) -> Absorption | str:
        """The weight that takes up a norm, or why there is none."""
        before = self._before(i, name)
        if isinstance(before, Absorption):
            return before
        behind = self._behind(i, name)
        return behind if isinstance(behind, Absorption) else f"{before}, and {behind}"

    def _before(self, i: int, name: str) -> Absorption | str:
        axis: Axis | None = Axis(1)
        positive = False
        (edge,) = self.graph.edges[i]
        while axis is not None:
            at = edge.to
            if len(self.above[at, edge.output]) > 1:
                return "what it reads is read by others too"
            if at in self.weights:
                return self._taken(name, self.weights[at], axis, at, behind=False, positive=positive)
            if len(self.graph.edges[at]) != 1:
                return f"what it reads comes from {self._called(at)}"
            positive |= self.graph.operations[at] in HOMOGENEOUS
            axis = across(self.graph, at, axis, upwards=False)
            (edge,) = self.graph.edges[at]
        return f"what it reads comes from {self._called(at)}"

    def _behind(self, i: int, name: str) -> Absorption | str:
        axis: Axis | None = Axis(1)
        at = i
        while axis is not None:
            readers = self.above.get((at, 0), [])
            if len(readers) != 1:
                return "its result is read more than once" if readers else "no weight reads its result"
            below, at = at, readers[0]
            if at in self.weights and self._reads(at, below):
                return self._taken(name, self.weights[at], axis, below, behind=True, positive=True)
            if len(self.graph.edges[at]) != 1:
                return f"its result goes into {self._called(at)}"
            axis = across(self.graph, at, axis, upwards=True)
        return f"its result goes into {self._called(at)}"

    def _reads(self, at: int, below: int) -> bool:
        """Whether a weight contracts this signal, rather than being added to it."""
        slots = {own for own, _, _ in CONTRACTIONS[self.graph.operations[at]]}
        return any(e.to == below and e.slot in slots for e in self.graph.edges[at])

    def _called(self, at: int) -> str:
        return "the input" if not self.graph.edges[at] else self.graph.operations[at]

    def _taken(self, name: str, w: _Weight, axis: Axis, at: int, *, behind: bool, positive: bool) -> Absorption | str:
        shape = shape_of(self.graph, at)
        if axis.place != w.signal % len(shape):
            return f"its channels are not those of {w.name}"
        if behind:
            return Absorption(name, w.name, None, True, positive, *w.into, axis.repeat)
        if not w.bias_known or axis.repeat > 1:
            return f"something else is added to the result of {w.name}"
        return Absorption(name, w.name, w.bias, False, positive, *w.out, 1)


def _through_transposes(node: torch.autograd.graph.Node | None) -> tuple[int, Tensor | None]:
    """The parameter behind transposes and copies, and whether it is transposed; None if it is computed."""
    flipped = 0
    while node is not None:
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, Tensor):
            return flipped, leaf
        name = node.name()
        if name.startswith(("TBackward", "TransposeBackward", "PermuteBackward")):
            flipped ^= 1
        elif not name.startswith(("ToCopyBackward", "CloneBackward", "AliasBackward")):
            return flipped, None
        node = node.next_functions[0][0]
    return flipped, None


def _why_not(ways: list[Absorption | str], uses: Counter[str], found: dict[str, list[Absorption | str]]) -> str:
    """Why a batch norm is left alone: nothing takes it up, or it or its weight is shared in ways that differ."""
    for way in ways:
        if isinstance(way, str):
            return way if len(ways) == 1 else f"it is used {len(ways)} times, and once {way}"
    taken = [way for way in ways if isinstance(way, Absorption)]
    if len({(way.behind, way.positive) for way in taken}) > 1:
        return f"it is used {len(ways)} times, in different ways"
    for way, times in Counter(taken).items():
        if uses[way.weight] != times:
            return f"{way.weight} is used {uses[way.weight]} times, not always with this batch norm"
    return ""


def _short_names(names: list[str]) -> dict[str, str]:
    """Parameters by their module, if they are the module's only matrix; else by their full name."""
    return {name: name.rsplit(".", 1)[0] if name.endswith((".weight", ".multiplier")) else name for name in names}
