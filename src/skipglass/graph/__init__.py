"""One backward pass, read and understood: what each node does to the signal, where signals merge, and names.

`trace` runs a model, or takes a live loss, and gives a `Trace`: the autograd graph with everything that a quantity
measured on it needs. The way from one to the other:

- `forward` runs a model on inputs and leaves it as found (`as_found`);
- `read` reads the live part of the graph, and `facts` says what each operation does;
- `PathGraph` holds what merges were found there: residual blocks, weights, parallel sums, doubts.
"""

from skipglass.graph.forward import LossFunction, attempt, eager, forward, prediction
from skipglass.graph.inputs import arguments, fitted, splittable
from skipglass.graph.nodes import Edge, Graph, Place, Target, leaves
from skipglass.graph.operations import Operation, contraction, facts, operation
from skipglass.graph.outline import UNITS, Block, PathGraph, named
from skipglass.graph.processes import gathered
from skipglass.graph.read import as_targets, read
from skipglass.graph.register import register
from skipglass.graph.saved import carried, dimensions, saved_tensor
from skipglass.graph.state import as_found
from skipglass.graph.trace import Trace, as_trace, trace

__all__ = [
    "UNITS",
    "Block",
    "Edge",
    "Graph",
    "LossFunction",
    "Operation",
    "PathGraph",
    "Place",
    "Target",
    "Trace",
    "arguments",
    "as_found",
    "as_targets",
    "as_trace",
    "attempt",
    "carried",
    "contraction",
    "dimensions",
    "eager",
    "facts",
    "fitted",
    "forward",
    "gathered",
    "leaves",
    "named",
    "operation",
    "prediction",
    "read",
    "register",
    "saved_tensor",
    "splittable",
    "trace",
]
