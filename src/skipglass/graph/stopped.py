"""Where a backward pass stops, or goes wrong: the operation, and the module in which it stands.

Autograd's engine leaves no frames. A pass that has failed is run once more with a listener on each operation: the last
one that is heard has failed, the first one that hears NaN has been given it by the one above. A pass that succeeds is
listened to by nothing.
"""

import traceback
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.utils.hooks import BackwardHook

from skipglass.errors import InputError
from skipglass.graph.failures import Where, expression, own_frames
from skipglass.graph.nodes import Graph, Place, near
from skipglass.graph.operations import operation

__all__ = ["Unplaced", "in_backward", "in_hook", "nowhere"]


class Unplaced(InputError):
    """What is wrong with a backward pass, and what to do, without the operation that is to stand between them.

    ``kind`` says how to find it: it "fails", code in it has "raised" the cause of this error, it gives "no gradient",
    or one that is "not finite".
    """

    def __init__(self, kind: str, fact: str, advice: str) -> None:
        super().__init__(f"{fact}; {advice}")
        self.kind, self.fact, self.advice = kind, fact, advice

    def placed(self, where: Where) -> InputError:
        """Return the error with the operation."""
        return InputError(f"{self.fact}{where(self)}; {self.advice}")


def in_backward(graph: Graph, loss: Tensor, model: nn.Module | None) -> Where:
    """Tell the operation and the module at which a backward pass goes wrong, by running it once more."""

    def where(error: Exception) -> str:
        if isinstance(error, Unplaced) and error.kind != "raised":
            return _operation(_culprit(error.kind, graph, loss), graph, model)
        return _in_code(error.__cause__ or error, graph, loss, model)

    return where


def nowhere(_error: Exception) -> str:
    """Tell nothing, as where no graph has been read yet."""
    return ""


def in_hook(graph: Graph, place: Place, model: nn.Module | None) -> Where:
    """Tell on which tensor the hook sits that failed."""

    def where(error: Exception) -> str:
        node = graph.nodes[place[0]]
        return (
            f"{expression(error)}, on the output of {operation(node)}{near(node, model)}; a hook takes any gradient of "
            "the tensor's shape, and returns one, or None"
        )

    return where


def _in_code(error: BaseException, graph: Graph, loss: Tensor, model: nn.Module | None) -> str:
    """Where an exception came from that the user's code raised, or an operation; empty where it cannot be told."""
    names = {} if model is None else {id(m): name for name, m in model.named_modules()}
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    # a hook on a module knows its module
    for frame in frames:
        owner = frame.f_locals.get("self")
        if isinstance(owner, BackwardHook) and id(owner.module) in names:
            return f", in a backward hook of {names[id(owner.module)] or type(owner.module).__name__}"
    # other Python code is that of a custom function, or a hook, which runs before the operation that is heard next
    if own_frames(error) and not any(frame.f_code.co_name == "apply" for frame in frames):
        return ""
    return _operation(_culprit("fails", graph, loss), graph, model)


def _operation(i: int | None, graph: Graph, model: nn.Module | None) -> str:
    if i is None:
        return ""
    return f", in the operation {operation(graph.nodes[i])}{near(graph.nodes[i], model)}"


def _culprit(kind: str, graph: Graph, loss: Tensor) -> int | None:
    """The operation that fails, gives no gradient, or gives one that is not finite; None where it cannot be told."""
    # with several processes one alone does not repeat a pass: it might wait for the others
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return None
    again = _again(graph, loss, values=kind == "not finite")
    if kind == "fails":
        return again.heard[-1] if again.failed and again.heard else None
    heard = set(again.heard) - set(again.empty)
    silent = [i for i in range(len(graph.nodes)) if i not in heard]
    wrong = silent if kind == "no gradient" else again.lost or [node for node, _ in graph.targets]
    # the first, from the loss down, that got no gradient or a wrong one: what lies above it got a right one
    return next((user for user in graph.users[wrong[0]] if user in heard), None) if wrong else None


@dataclass
class _Again:
    """What one more backward pass was heard to do: the operations it began, those given nothing, those given NaN."""

    heard: list[int]
    empty: list[int]
    lost: list[int]
    failed: bool = False


def _again(graph: Graph, loss: Tensor, *, values: bool) -> _Again:
    """Run a backward pass once more, with a listener on each operation, which may look at the values as well."""
    again = _Again([], [], [])

    def listen(i: int, given: tuple[Tensor | None, ...]) -> None:
        again.heard.append(i)
        if all(g is None for g in given):
            again.empty.append(i)
        if values and any(g is not None and not torch.isfinite(g).all() for g in given):
            again.lost.append(i)

    handles = [node.register_prehook(lambda given, i=i: listen(i, given)) for i, node in enumerate(graph.nodes)]
    ends = [GradientEdge(graph.nodes[node], output) for node, output in graph.targets]
    try:
        torch.autograd.grad(loss, ends, torch.ones_like(loss), retain_graph=True, allow_unused=True)
    except Exception:  # whatever it raises was seen before
        again.failed = True
    finally:
        for handle in handles:
            handle.remove()
    return again
