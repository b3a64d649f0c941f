"""One backward pass, read and understood: what each node does, where signals merge, names."""

from skipglass.graph.operations import facts
from skipglass.graph.read import read
from skipglass.graph.trace import Trace, as_trace, trace

__all__ = ["Trace", "as_trace", "facts", "read", "trace"]
