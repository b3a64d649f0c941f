"""Where a network contracts its signal with parameters, and what gradient a parameter gets there.

A *use* of a parameter is a weight operation above x that takes it, as it is or transposed, masked, normalised, cast.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from skipglass.graph import Graph, Place, leaves
from skipglass.graph.engine import fit, leaving, through
from skipglass.graph.nodes import Meta

__all__ = ["Uses"]


@dataclass(frozen=True)
class Uses:
    """The uses of all parameters in a graph.

    Attributes
    ----------
    graph
        Where they are.
    of
        For each weight operation, by node in forward order, the parameters that it takes; none where it is frozen.
    alone
        The nodes whose parameters the loss depends on in no other way: the engine may compute their gradient from
        that node down, as it meets them nowhere else.
    elsewhere
        The parameters, by id, that the loss also depends on otherwise than by these uses: an input embedding that is
        tied to the output layer, a weight that a penalty is taken of.
    """

    graph: Graph
    of: dict[int, list[Tensor]]
    alone: set[int]
    elsewhere: set[int]

    @classmethod
    def find(cls, graph: Graph, hooked: set[Place]) -> "Uses":
        """Find them; a node at which hooks have fired already is called by hand, and so never ``alone``."""
        of = {h: list(leaves(operand)) if (operand := _operand(graph, h)[0]) else [] for h in _weights(graph)}
        # go down from the loss by all ways but into the weights themselves: what is met so is used elsewhere too
        met = _met(graph, {(graph.nodes[h], _slot(graph, h)) for h in of})
        parameters = [p for own in of.values() for p in own]
        elsewhere = {id(p) for p in parameters if get_gradient_edge(p).node in met}
        number: dict[int, int] = {}
        for p in parameters:
            number[id(p)] = number.get(id(p), 0) + 1
        fired = {node for node, _ in hooked}
        alone = {
            h
            for h, own in of.items()
            if h not in fired and all(number[id(p)] == 1 and id(p) not in elsewhere for p in own)
        }
        return cls(graph, of, alone, elsewhere)

    def gradient(self, h: int, arriving: Mapping[int, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each parameter of a use with its gradient, given the gradients that arrive at the operation's outputs.

        The operation is linear in what arrives: the part of a gradient that has passed r counted steps gives the part
        of the parameter's gradient that has.
        """
        node, own = self.graph.nodes[h], self.of[h]
        if not own:
            return
        if h in self.alone:
            edges = [GradientEdge(node, output) for output in arriving]
            left = through(edges, own, list(arriving.values()))
        else:
            operand, output = _operand(self.graph, h)
            raw = leaving(self.graph, h, arriving)(_slot(self.graph, h))
            if raw is None or operand is None:
                return
            meta = operand._input_metadata[output]
            value = fit(raw, Meta(tuple(meta.shape), meta.dtype, meta.device))
            left = through([GradientEdge(operand, output)], own, [value])
        yield from ((p, v) for p, v in zip(own, left, strict=True) if v is not None)


def _weights(graph: Graph) -> list[int]:
    """The weight operations, in forward order."""
    return [i for i in range(len(graph.nodes) - 1, -1, -1) if graph.roles[i] == "weight"]


def _slot(graph: Graph, h: int) -> int:
    """Which operand of a weight operation is the weight."""
    way = graph.contraction(h)
    assert way is not None, "a weight contracts the signal"
    return way[1]


def _operand(graph: Graph, h: int) -> tuple[Node | None, int]:
    """The node and output that compute the weight; no node where it is frozen."""
    operands, slot = graph.nodes[h].next_functions, _slot(graph, h)
    return operands[slot] if slot < len(operands) else (None, 0)


def _met(graph: Graph, without: set[tuple[Node, int]]) -> set[Node]:
    """All nodes below the loss that are reached by other edges than these, (node, operand)."""
    met: set[Node] = {graph.loss.node}
    stack = [graph.loss.node]
    while stack:
        node = stack.pop()
        for slot, (after, _) in enumerate(node.next_functions):
            if after is not None and after not in met and (node, slot) not in without:
                met.add(after)
                stack.append(after)
    return met
