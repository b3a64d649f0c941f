"""What a contraction of the signal with one parameter is: its bias, and which dimensions run over channels."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch.autograd.graph import Node

from skipglass.graph import Graph, facts, leaves, operation

__all__ = ["Weight", "parameter_of", "weight_of"]


@dataclass(frozen=True)
class Weight:
    """A contraction with one parameter.

    Attributes
    ----------
    name, bias
        Names of parameters.
    biased
        Whether something that is no bias, or no single parameter, is added in the same operation.
    out, into
        (dimension of the parameter, groups) of the channels that it gives, and of those that it reads.
    signal
        Which dimension of the signal runs over channels, before and after.
    """

    name: str
    bias: str | None
    biased: bool
    out: tuple[int, int]
    into: tuple[int, int]
    signal: int


def weight_of(graph: Graph, i: int, names: Mapping[int, str]) -> Weight | dict[str, str]:
    """Read a contraction whose role is "weight".

    Parameters
    ----------
    graph, i
        The graph and the node.
    names
        Of the model's parameters, by ``id``.

    Returns
    -------
    Weight or dict
        {the parameters that it is computed from: how} where the weight is no single parameter.
    """
    way, known, node = graph.contraction(i), facts(graph.operations[i]), graph.nodes[i]
    assert way is not None  # as its role is "weight"
    own, other, saved = way
    operand = node.next_functions[other][0]
    parameter, transposed = parameter_of(operand, names)
    if parameter is None:
        computed = "+".join(names.get(id(p), "?") for p in (leaves(operand) if operand else ()))
        return {computed or f"weight {i}": f"a weight computed by {operand.name() if operand else 'no operation'}"}
    # what is added in the same operation is a bias, if it is a parameter
    slot = known.bias
    added = node.next_functions[slot][0] if slot is not None and slot < len(node.next_functions) else None
    bias, _ = parameter_of(added, names)
    biased = added is not None and bias is None
    if known.convolves:
        sides = ((0, 1), (1, int(getattr(node, "_saved_groups", 1))))
        transposing = getattr(node, "_saved_transposed", "Transpose" in graph.operations[i])
        return Weight(parameter, bias, biased, *(sides[::-1] if transposing else sides), signal=1)
    # W h has its channels first, h W last; what is saved as a "weight" is stored as (out, in), for h Wᵀ
    first = other < own
    out = (0 if first or saved == "weight" else 1) ^ transposed
    return Weight(parameter, bias, biased, (out, 1), (1 - out, 1), signal=0 if first else -1)


def parameter_of(node: Node | None, names: Mapping[int, str]) -> tuple[str | None, int]:
    """Return the name of the parameter behind transposes and copies, if it is one, and whether it is transposed."""
    transposed = 0
    while node is not None and ((known := facts(operation(node))).copies or known.permutes):
        transposed ^= known.permutes
        node = node.next_functions[0][0]
    return names.get(id(getattr(node, "variable", None))), transposed
