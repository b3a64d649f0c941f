"""The steps of a backward pass that carry the signal, from the loss down; some nodes are taken apart into several.

A node whose outputs depend on different operands (a hook that passes on several tensors, the gradients of a
convolution's input and of its weight) is one step for each output: else two signals that it merely hands on together
would look like one.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch.autograd.graph import Node

from skipglass.graph.operations import facts

__all__ = ["Operand", "Step", "taken_apart"]

Operand = tuple[int, Node, int]
"""(slot, node, output)"""


class Step(NamedTuple):
    """A node, the name of its operation and its live operands; ``part`` is the output it stands for, None for all."""

    node: Node
    part: int | None
    name: str
    operands: Sequence[Operand]


def taken_apart(steps: Sequence[Step], root: tuple[Node, int], ends: Sequence[tuple[Node, int]]) -> list[Step]:
    """Take apart what `Operation.parts` tells of, and leave out what then leads nowhere.

    Parameters
    ----------
    steps
        In topological order from the loss.
    root, ends
        (node, output) of the loss, and of each tensor of x.
    """
    asked: dict[Node, set[int]] = {}
    for node, output in (root, *ends):
        asked.setdefault(node, set()).add(output)
    # from the loss down: which outputs are asked for, and by which operands they depend on x
    apart: list[Step] = []
    for node, _, name, operands in steps:
        outputs, parts = asked.get(node), facts(name).parts
        if outputs is None:
            continue
        own = [Step(node, None, name, operands)]
        if parts is not None:
            each = [(output, *parts(output)) for output in sorted(outputs)]
            own = [Step(node, k, part, [way for way in operands if way[0] in slots]) for k, part, slots in each]
        apart += own
        for step in own:
            for _, after, output in step.operands:
                asked.setdefault(after, set()).add(output)
    # from x up: what still leads there
    leads: set[tuple[Node, int | None]] = set(ends)
    kept: list[Step] = []
    for step in reversed(apart):
        ways = [way for way in step.operands if leads & {(way[1], None), (way[1], way[2])}]
        at_end = any(node is step.node and step.part in {None, output} for node, output in ends)
        if ways or at_end:
            kept.append(step._replace(operands=ways))
        if ways:
            leads.add((step.node, step.part))
    return kept[::-1]
