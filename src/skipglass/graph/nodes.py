"""The live part of an autograd graph: nodes, and the edges by which the signal runs through them.

Terms that the whole package uses:

- the *signal* is what x carries: everything between x and the loss that depends on x;
- an edge is *live* if x can be reached from it, so that the signal comes by it;
- a *place* is (node, output): where a gradient enters a node. It is one signal of the forward pass.
"""

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node

from skipglass.graph.operations import Contraction, contraction
from skipglass.graph.writes import Write, asked

__all__ = ["Edge", "Graph", "Meta", "Place", "Target", "leaves", "near"]

Target = Tensor | tuple[Tensor, ...]
"""The x whose gradient is measured."""
Place = tuple[int, int]
"""(node, output)"""


class Edge(NamedTuple):
    """One live step of the backward pass: from operand ``slot`` of a node to output ``output`` of node ``to``."""

    slot: int
    to: int
    output: int

    @property
    def place(self) -> Place:
        """Where the edge leads."""
        return self.to, self.output


class Meta(NamedTuple):
    """What autograd knows of a gradient before it is there."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


@dataclass(frozen=True)
class Graph:
    """The live part of an autograd graph, in topological order from the loss (0) down: edges lead to higher numbers.

    Attributes
    ----------
    nodes, operations, roles
        Autograd's nodes, the names of their operations and what they do to the signal. The role of a contraction with
        something computed from parameters alone is "weight", and with what leaves no trace of a parameter "constant".
    edges
        The live edges out of each node, by operand.
    loss
        Where the backward pass starts.
    targets
        For each tensor of x its place.
    parts
        For a node that stands here once for each of its outputs (see `Operation.parts`): which output it is.
    """

    nodes: list[Node]
    operations: list[str]
    roles: list[str]
    edges: list[list[Edge]]
    loss: GradientEdge
    targets: list[Place]
    parts: dict[int, int] = field(default_factory=dict)

    @cached_property
    def metas(self) -> list[tuple[Meta, ...]]:
        """What enters each node, by output."""
        return [tuple([Meta(tuple(m.shape), m.dtype, m.device) for m in n._input_metadata]) for n in self.nodes]

    @cached_property
    def dtypes(self) -> set[torch.dtype]:
        """What the gradients on the way consist of."""
        return {meta.dtype for metas in self.metas for meta in metas}

    @cached_property
    def answers(self) -> dict[Hashable, Any]:
        """What was found out about nodes, by the question (see `remembered`)."""
        return {}

    @cached_property
    def users(self) -> list[list[int]]:
        """The nodes above each node, one entry for each edge."""
        users: list[list[int]] = [[] for _ in self.nodes]
        for i, edges in enumerate(self.edges):
            for e in edges:
                users[e.to].append(i)
        return users

    @cached_property
    def writes(self) -> dict[int, Write]:
        """What the writes to slices do, of those that are understood."""
        writes: dict[int, Write] = {}
        for i in range(len(self.nodes) - 1, -1, -1):
            if self.operations[i] != "CopySlices" or len(self.nodes[i].next_functions) != 2:
                continue
            slots = {e.slot: e.to for e in self.edges[i]}
            if 1 in slots:
                below = writes.get(slots.get(0, -1))
                write = asked(self.nodes[i], 0 in slots, 0 not in slots or (below is not None and below.fresh))
                if write is not None:
                    writes[i] = write
        return writes

    @cached_property
    def constants(self) -> bool:
        """Whether anything is contracted with a constant, as soon as the weights are named."""
        return "constant" in self.roles

    @cached_property
    def known(self) -> dict[tuple[Hashable, ...], Any]:
        """What was found out about single operations and is asked for again."""
        return {}

    @cached_property
    def at_end(self) -> set[int]:
        """The nodes at which a tensor of x is reached."""
        return {node for node, _ in self.targets}

    def shape(self, node: int, output: int | None = None) -> tuple[int, ...]:
        """Return the shape of what a node has computed."""
        output = self.parts.get(node, 0) if output is None else output
        return tuple(self.nodes[node]._input_metadata[output].shape)

    def contraction(self, node: int) -> Contraction | None:
        """Return how a node contracts the signal with something that is no signal, if it does."""
        return contraction(self.operations[node], {e.slot for e in self.edges[node]})

    def contracts(self, node: int, edge: Edge) -> bool:
        """Tell whether the signal that comes by this edge is contracted with a weight, or a constant."""
        if self.roles[node] not in {"weight", "constant"}:
            return False
        way = self.contraction(node)
        return way is not None and way[0] == edge.slot


def leaves(root: Node) -> Iterator[Tensor]:
    """Yield the leaf tensors below a node, nearest first."""
    seen, queue = {root}, deque([root])
    while queue:
        node = queue.popleft()
        # AccumulateGrad, the node of a leaf, leads nowhere and knows its tensor
        following = node.next_functions
        if not following and isinstance(variable := getattr(node, "variable", None), Tensor):
            yield variable
        for after, _ in following:
            if after is not None and after not in seen:
                seen.add(after)
                queue.append(after)


def near(node: Node, model: nn.Module | None) -> str:
    """Say in which module of a model a node stands, or next to which, by the nearest parameter below it."""
    names = {} if model is None else {id(p): name for name, p in model.named_parameters()}
    nearest = next((names[id(leaf)] for leaf in leaves(node) if id(leaf) in names), None)
    if nearest is None:
        return ""
    return f" at {(nearest.rpartition('.')[0] or nearest).replace('_orig_mod.', '')}"  # torch.compile's wrapper
