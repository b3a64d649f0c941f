"""Which weight absorbs each batch norm, read in the graph of a forward pass (no module is looked at).

With fixed statistics a batch norm maps channel c to λ_c (z_c - μ_c)/σ_c + β_c. Its factor is absorbed by

- the weight *before* it, W ← (λ/σ) W, if nothing else reads that weight's output. Behind a ReLU this holds for
  the factor |λ|/σ, since R(c z) = c R(z) for c > 0; the sign of λ stays;
- else the weight *behind* it (pre-activation, where the norm reads a shared stream), W ← W (|λ|/σ), as
  λ (z - μ)/σ + β = |λ|/σ · (sign(λ)(z - μ) + βσ/|λ|) and the factor commutes with ReLU and pooling;
- else by no weight, with the reason.
"""

from collections import Counter, defaultdict

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from skipglass.errors import InputError
from skipglass.graph import Graph, Place, as_found, eager, facts, forward, leaves, read
from skipglass.graph.engine import in_one_line
from skipglass.scales.absorption import Absorption, Norm, Pairs
from skipglass.scales.channels import Axis, across
from skipglass.scales.example import example
from skipglass.scales.weights import Weight, parameter_of, weight_of

__all__ = ["pairs"]


def pairs(model: nn.Module, inputs: object = None) -> Pairs:
    """Read which weight of a network absorbs each of its batch norms.

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
    weight  absorbs
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
        with forward(model, given, loss_fn=_sum_of_outputs) as run:
            names = {id(t): name for name, t in (*model.named_parameters(), *model.named_buffers())}
            with in_one_line():  # what is saved of a checkpoint is computed again
                return _pairs(read(run.loss, run.x), names)


def _sum_of_outputs(outputs: object) -> Tensor:
    """The sum of all that a model returns, so that no use of a signal is missed."""
    sums = [t.real.sum().double() for t in tree_leaves(outputs) if isinstance(t, Tensor) and t.requires_grad]
    if not sums:
        raise InputError("the model gives no floating-point tensor that depends on its inputs")
    return torch.stack(sums).sum()


def _pairs(graph: Graph, names: dict[int, str]) -> Pairs:
    forwards = range(len(graph.nodes) - 1, -1, -1)
    weights: dict[int, Weight] = {}
    left: dict[str, str] = {}
    for i in forwards:
        if graph.roles[i] == "weight":
            weight = weight_of(graph, i, names)
            if isinstance(weight, Weight):
                weights[i] = weight
            else:
                left |= weight
    # a module that is used several times is one norm, with a weight, or a reason why there is none, for each use
    norms: dict[str, Norm] = {}
    uses: dict[str, list[Absorption | str]] = defaultdict(list)
    for i in forwards:
        if graph.roles[i] == "norm" and facts(graph.operations[i]).over_samples:
            name, norm = _norm(graph, i, names)
            if isinstance(norm, Norm):
                norms[name] = norm
                uses[name].append(_absorption(graph, weights, i, name))
            else:
                left[name] = norm
    times = Counter(w.name for w in weights.values())
    kept: list[Absorption] = []
    for name, ways in uses.items():
        agreed = _agreed(ways, times)
        if isinstance(agreed, str):
            left[name] = agreed
        else:
            kept += agreed
    return Pairs({_layer(w.name): w.name for w in weights.values()}, norms, tuple(kept), left)


def _norm(graph: Graph, i: int, names: dict[int, str]) -> tuple[str, Norm | str]:
    """A batch norm by name, or why it has no fixed factor."""
    node = graph.nodes[i]
    operands = [node.next_functions[slot][0] for slot in (1, 2)]
    multiplier, shift = (parameter_of(operand, names)[0] for operand in operands)
    mean, variance = (names.get(id(getattr(node, f"_saved_running_{what}", None))) for what in ("mean", "var"))
    # it goes by what λ is, or is computed from, or else by its mean
    own = [names[id(p)] for p in leaves(operands[0]) if id(p) in names] if operands[0] else []
    where = mean or f"batch norm {i}"
    name = _layer(own[0]) if own else where.rpartition(".")[0] or where
    if mean is None or variance is None or getattr(node, "_saved_training", True):
        return name, "it has no running statistics"
    if [o is not None for o in operands] != [p is not None for p in (multiplier, shift)]:
        return name, "its λ or β is no parameter of the model, but computed"
    return name, Norm(name, multiplier, shift, mean, variance, float(node._saved_eps))  # type: ignore[attr-defined]


def _layer(parameter: str) -> str:
    """The module of a parameter, where that is its main one; else the parameter's own name."""
    return parameter.rsplit(".", 1)[0] if parameter.endswith((".weight", ".multiplier")) else parameter


def _absorption(graph: Graph, weights: dict[int, Weight], i: int, norm: str) -> Absorption | str:
    """The weight that absorbs one use of a batch norm, or why there is none."""
    before = _before(graph, weights, i, norm)
    if isinstance(before, Absorption):
        return before
    behind = _behind(graph, weights, i, norm)
    return behind if isinstance(behind, Absorption) else f"{before}, and {behind}"


def _before(graph: Graph, weights: dict[int, Weight], i: int, norm: str) -> Absorption | str:
    """Follow the channels that a batch norm reads down to the weight that gives them."""
    at, positive = i, False
    axis: Axis | None = Axis(1)
    while axis is not None:
        (edge,) = graph.edges[at]
        at = edge.to
        if len(readers := _readers(graph, edge.place)) > 1:
            return f"{len(readers)} operations read its input"
        if (w := weights.get(at)) is not None:
            if axis.place != w.signal % len(graph.shape(at)):
                return f"its channels are not those of {w.name}"
            if w.biased or axis.repeat > 1:
                return f"more than a bias is added to the product with {w.name}"
            return Absorption(norm, w.name, w.bias, False, positive, *w.out, 1)
        if len(graph.edges[at]) != 1:
            break
        # a positive factor of these channels can be moved below this operation
        positive |= graph.roles[at] != "linear"
        axis = across(graph, at, axis, upwards=False)
    return f"its input comes from {graph.operations[at]}" if graph.edges[at] else "its input is the network's own"


def _behind(graph: Graph, weights: dict[int, Weight], i: int, norm: str) -> Absorption | str:
    """Follow the channels that a batch norm gives up to the weight that reads them."""
    at = i
    axis: Axis | None = Axis(1)
    while axis is not None:
        readers = _readers(graph, (at, 0))
        if len(readers) != 1:
            return f"{len(readers)} operations read its output"
        below, at = at, readers[0]
        w = weights.get(at)
        # the signal may also be added to the product with a weight
        if w is not None and any(e.to == below and graph.contracts(at, e) for e in graph.edges[at]):
            if axis.place != w.signal % len(graph.shape(below)):
                return f"its channels are not those of {w.name}"
            return Absorption(norm, w.name, None, True, True, *w.into, axis.repeat)
        if len(graph.edges[at]) != 1:
            break
        # a positive factor of these channels can be moved above this operation
        axis = across(graph, at, axis, upwards=True)
    return f"its output enters {graph.operations[at]}"


def _readers(graph: Graph, place: Place) -> list[int]:
    """The nodes that read one signal, once for each operand."""
    return [i for i in dict.fromkeys(graph.users[place[0]]) for e in graph.edges[i] if e.place == place]


def _agreed(ways: list[Absorption | str], times: Counter[str]) -> list[Absorption] | str:
    """What absorbs a batch norm, if each of its uses allows it, in the same way, and so does each use of the weight."""
    absorptions = [way for way in ways if isinstance(way, Absorption)]
    for way in ways:
        if isinstance(way, str):
            return way if len(ways) == 1 else f"it is used {len(ways)} times, and of one use {way}"
    if len({(a.behind, a.positive) for a in absorptions}) > 1:
        return f"it is used {len(ways)} times, in different ways"
    for a, number in Counter(absorptions).items():
        if times[a.weight] != number:
            return f"{a.weight} is used {times[a.weight]} times, not always with this batch norm"
    return list(dict.fromkeys(absorptions))
