"""Read the backward pass from a loss down to x, as PyTorch has recorded it, and say what each operation does there."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from skipglass.errors import InputError, asked
from skipglass.graph.broadcasts import written_out
from skipglass.graph.inputs import require_dense
from skipglass.graph.nodes import Edge, Graph, Meta, Place, Target, leaves, near
from skipglass.graph.operations import REGISTERED, TABLE, contraction, facts, operation, role
from skipglass.graph.saved import saved_parameter, saved_tensor
from skipglass.graph.steps import Operand, Step, taken_apart

__all__ = ["Edge", "Graph", "Meta", "Target", "as_targets", "leaves", "read"]


def as_targets(x: Target) -> tuple[Tensor, ...]:
    """Check x, a tensor or a tuple of tensors whose gradient is defined.

    Raises
    ------
    InputError
        If x is no tensor, holds integers or nothing, or requires no gradient.
    """
    targets = tuple(x) if isinstance(x, (tuple, list)) else (x,)
    if not targets:
        raise InputError(f"{asked()}: x must be a tensor or a tuple of tensors, found an empty one")
    for t in targets:
        if not isinstance(t, Tensor):
            raise InputError(f"{asked()}: x must be a tensor or a tuple of tensors, not {type(t).__name__}")
        if not t.is_meta:  # the structure can be read without any data
            require_dense("x", t)
        if not (t.is_floating_point() or t.is_complex()):
            kind = str(t.dtype).removeprefix("torch.")
            raise InputError(f"x holds {kind}s, which have no gradient; pass the output of the input embedding")
        if not t.requires_grad:
            raise InputError("x requires no gradient; call x.requires_grad_() before the forward pass")
    if not any(t.numel() for t in targets):
        raise InputError(f"x holds no entries, found the shape {tuple(targets[0].shape)}; give at least one sample")
    return targets


def read(loss: Tensor, x: Target, model: nn.Module | None = None) -> Graph:
    """Read the graph that leads from ``loss`` down to ``x``; a model names what is refused.

    Raises
    ------
    InputError
        If the loss is not a scalar with a graph, x is not reached, or a piece of the network is hidden.
    """
    if torch.is_inference_mode_enabled():
        raise InputError("torch.inference_mode() is on, which hides graphs; measure outside it")
    ends = [get_gradient_edge(t) for t in as_targets(x)]
    _check_loss(loss)
    root = get_gradient_edge(loss)
    wanted = {(e.node, e.output_nr) for e in ends}
    live = _live(root.node, wanted)
    if not live[root.node] and (root.node, root.output_nr) not in wanted:
        raise InputError("the loss does not depend on x; pass the tensor that the network was called with")
    if any(end.node not in live for end in ends):
        raise InputError("the loss does not depend on one of the tensors in x; leave it out")
    # nodes without a live operand that are no end carry no signal
    at_end = {e.node for e in ends}
    steps = [Step(v, None, operation(v), live.pop(v)) for v in reversed([*live]) if live[v] or v in at_end]
    names = {step.name for step in steps}
    if any(facts(name).refused for name in names):
        step = next(step for step in steps if facts(step.name).refused)
        raise InputError(_hides(step.node, facts(step.name).refused, model))
    if any(facts(name).parts for name in names):
        steps = taken_apart(steps, (root.node, root.output_nr), [(e.node, e.output_nr) for e in ends])
    graph = _numbered(steps, root, ends)
    _require_something_to_see(graph, model)
    for i in graph.writes:
        graph.roles[i] = "linear"
    for i in written_out(graph):
        graph.roles[i] = "opaque"
    return graph


def _numbered(steps: Sequence[Step], root: GradientEdge, ends: Sequence[GradientEdge]) -> Graph:
    """The graph of these steps."""
    number = {(step.node, step.part): i for i, step in enumerate(steps)}

    def place(node: Node, output: int) -> Place:
        whole = number.get((node, None))
        return (number[node, output] if whole is None else whole), output

    edges = [[Edge(slot, *place(after, output)) for slot, after, output in step.operands] for step in steps]
    roles = [_role(step.node, step.name, {e.slot for e in out}) for step, out in zip(steps, edges, strict=True)]
    parts = {i: step.part for i, step in enumerate(steps) if step.part is not None}
    targets = [place(e.node, e.output_nr) for e in ends]
    return Graph([step.node for step in steps], [step.name for step in steps], roles, edges, root, targets, parts)


def _require_something_to_see(graph: Graph, model: nn.Module | None) -> None:
    """Refuse a graph in which compiled or scripted functions hold the whole network: no sum lies outside them."""
    # sums that are seen, or that a hidden part may be: it is listed as such
    if any(len(edges) > 1 and facts(name).merges for name, edges in zip(graph.operations, graph.edges, strict=True)):
        return
    seen = any(role in {"weight", "constant"} for role in graph.roles)
    for i, name in enumerate(graph.operations):
        # beside an activation function that was compiled there are weights to count
        if facts(name).hidden and (not seen or any(leaf.ndim > 1 for leaf in _own(graph, i))):
            raise InputError(_hides(graph.nodes[i], facts(name).hidden, model))


def _own(graph: Graph, i: int) -> list[Tensor]:
    """The leaf tensors that a node takes besides the signal."""
    live = {e.slot for e in graph.edges[i]}
    others = [after for slot, (after, _) in enumerate(graph.nodes[i].next_functions) if slot not in live and after]
    return [leaf for after in others for leaf in leaves(after)]


def _hides(node: Node, advice: str, model: nn.Module | None) -> str:
    return f"{operation(node)}{near(node, model)} {advice}: paths inside it cannot be seen"


def _check_loss(loss: Tensor) -> None:
    if not isinstance(loss, Tensor):
        raise InputError(f"{asked()}: loss must be a tensor, not {type(loss).__name__}")
    if loss.numel() != 1:
        raise InputError(f"loss must be a scalar, found the shape {tuple(loss.shape)}; sum it or pick one entry")
    if loss.is_complex():
        raise InputError("loss is complex, which has no gradient; take its real part, or its abs()")
    if loss.grad_fn is None:
        raise InputError("loss has no graph; compute it from x outside torch.no_grad()")


def _live(root: Node, wanted: set[tuple[Node, int]]) -> dict[Node, Sequence[Operand]]:
    """The live operands of every node below ``root``, each node after those it leads to.

    No recursion, as graphs are deep; and ``next_functions`` is read twice, as keeping it would cost more: Python's
    garbage collector looks at everything that is kept.
    """
    live: dict[Node, Sequence[Operand]] = {}
    entered: set[Node] = set()
    stack = [root]
    while stack:
        node = stack[-1]
        # first visit: everything below comes first
        if node not in entered:
            entered.add(node)
            if operands := node.next_functions:
                stack += [after for after, _ in reversed(operands) if after is not None and after not in entered]
                continue
        # second visit: whether x can be reached from each operand is known
        stack.pop()
        if node not in live:
            live[node] = [
                (slot, after, output)
                for slot, (after, output) in enumerate(node.next_functions)
                if after is not None and (live[after] or (after, output) in wanted)
            ] or ()
    return live


def _role(node: Node, name: str, signals: set[int]) -> str:
    """What a node does to the signals that enter by these operands; see `Graph`."""
    if name in {"IndexReduce", "ScatterReduce"} and node._saved_reduce not in {"sum", "mean"}:  # type: ignore[attr-defined]
        return "nonlinear"
    if name == "CopySlices":  # in place on a view; with one operand alone it can hold neither a weight nor a sum
        return "opaque" if sum(after is not None for after, _ in node.next_functions) > 1 else "nonlinear"
    if (way := contraction(name, signals)) is not None:
        _, other, saved = way
        if facts(name).role == "weight":
            return "weight"
        if node.next_functions[other][0] is not None or isinstance(saved_parameter(node, saved), nn.Parameter):
            return "weight"
        return "linear" if _is_an_empty_state(saved_tensor(node, saved)) else "constant"
    kind = role(name, signals)
    if kind == "nonlinear" and name not in REGISTERED.values() and _may_hold_a_weight(node, name, signals):
        return "opaque"
    return "custom" if name.startswith("custom ") and name not in TABLE else kind


def _is_an_empty_state(constant: Tensor | None) -> bool:
    """Whether a constant holds a matrix of zeros for each of several samples, as a recurrence's state does at first."""
    several = constant is not None and constant.ndim == 3 and len(constant) > 1
    return several and constant is not None and constant.layout == torch.strided and not constant.any()


def _may_hold_a_weight(node: Node, name: str, signals: set[int]) -> bool:
    """Whether an operation that is not understood takes a matrix computed from parameters alone."""
    known = facts(name)
    if known.entrywise or known.role == "norm":
        return False
    return any(
        after is not None and slot not in signals and any(leaf.ndim > 1 for leaf in leaves(after))
        for slot, (after, _) in enumerate(node.next_functions[: known.reads])
    )
