"""Where the user's code failed inside a measurement, and what to do about it, read after the fact.

A forward pass that fails is told by its traceback: the innermost frame that belongs to a module of the model, and the
expression at which the code of the model stood. Nothing is registered anywhere, and a pass that succeeds pays nothing.
A backward pass runs in autograd's engine, which leaves no frames: where it fails it is run once more with a listener on
each operation, and the last one that was heard is the one.
"""

import ast
import inspect
import linecache
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import BackwardHook

from skipglass.errors import InputError, UserError, one_line
from skipglass.graph.nodes import Graph, Place, near
from skipglass.graph.operations import operation

__all__ = ["Where", "attempt", "in_backward", "in_forward", "in_hook", "in_loss", "own_frames", "signature"]

Where = Callable[[Exception], str]
"""Says where an exception was raised and what to do, to end the sentence that says what it is."""

LONGEST = 60  # characters of an expression that are shown: our choice


def attempt(what: str, call: Callable[[], Any], where: Where | None = None) -> Any:
    """Call the user's code; its own mistakes become one line.

    Raises
    ------
    InputError
        With what the code raised, and where.
    """
    try:
        return call()
    except (UserError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise InputError(f"{what} raised {one_line(error).rstrip('.')}{where(error) if where else ''}") from error


def in_forward(model: nn.Module, args: Iterable[Any], kwargs: dict[str, Any]) -> Where:
    """Tell the module and the operation at which a forward pass failed, and what to look at."""

    def where(error: Exception) -> str:
        module, name = _innermost(error, model)
        place = f"{name} ({type(module).__name__})" if name else f"the model itself ({type(module).__name__})"
        return f", in {place}{_at(error)}; {_advice(error, model, module, [*args, *kwargs.values()])}"

    return where


def in_loss(outputs: Any, targets: Any) -> Where:
    """Tell where a loss function failed, and what it was called with."""

    def where(error: Exception) -> str:
        called = f"outputs {_described([outputs])}"
        called += " alone, as there are no targets" if targets is None else f" and targets {_described([targets])}"
        return f"{_at(error)}; it is called with {called}"

    return where


def in_backward(graph: Graph, loss: Tensor, model: nn.Module | None) -> Where:
    """Tell the operation and the module at which a backward pass fails, by running it once more."""

    def where(error: Exception) -> str:
        return (
            f"{_backwards_place(error, graph, loss, model)}; a measurement runs pieces of the backward pass, several "
            "times: check that loss.backward(retain_graph=True) runs twice"
        )

    return where


def in_hook(graph: Graph, place: Place, model: nn.Module | None) -> Where:
    """Tell on which tensor the hook sits that failed."""

    def where(error: Exception) -> str:
        node = graph.nodes[place[0]]
        return (
            f"{_at(error)}, on the output of {operation(node)}{near(node, model)}; a hook takes any gradient of the "
            "tensor's shape, and returns one, or None"
        )

    return where


def own_frames(error: BaseException) -> list[FrameType]:
    """The frames of a traceback that are neither PyTorch's nor this package's, outermost first."""
    ours = ("torch", "skipglass", "contextlib")
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [f for f in frames if f.f_globals.get("__name__", "").partition(".")[0] not in ours]


def signature(model: nn.Module) -> str:
    """What a model's forward method takes, as text."""
    with suppress(TypeError, ValueError):
        names = [str(p.replace(annotation=inspect.Parameter.empty)) for p in _parameters(model)]
        return f"({', '.join(names)})"
    return "other arguments"


def _parameters(model: nn.Module) -> Iterable[inspect.Parameter]:
    return inspect.signature(model.forward).parameters.values()


def _innermost(error: BaseException, model: nn.Module) -> tuple[nn.Module, str]:
    """The module of the model whose code was running, innermost, and its name."""
    names = {id(m): name for name, m in model.named_modules()}
    for frame, _ in reversed([*traceback.walk_tb(error.__traceback__)]):
        owner = frame.f_locals.get("self")
        if isinstance(owner, nn.Module) and id(owner) in names:
            return owner, names[id(owner)]
    return model, ""


def _at(error: BaseException) -> str:
    """The innermost expression of the user's code, or of one of PyTorch's modules, at which an exception passed."""
    walked = zip(traceback.walk_tb(error.__traceback__), traceback.extract_tb(error.__traceback__), strict=True)
    for (frame, _), summary in reversed([*walked]):
        if _computes(frame) and (shown := _expression(summary)):
            return "" if shown.startswith("raise ") else f", at {shown}"
    return ""


def _computes(frame: FrameType) -> bool:
    """Whether a frame is code that a user would recognise: a model's, not what calls modules and operations."""
    name = frame.f_globals.get("__name__", "")
    if name.partition(".")[0] == "torch":
        return name.startswith("torch.nn.modules.") and name != "torch.nn.modules.module"
    return name.partition(".")[0] != "skipglass" or name.startswith("skipglass.models.")


def _expression(summary: traceback.FrameSummary) -> str:
    """The expression that was being evaluated, where the source is there to be read."""
    first, last = summary.lineno or 0, summary.end_lineno or summary.lineno or 0
    lines = [linecache.getline(summary.filename, n).encode() for n in range(first, last + 1)]
    # columns are counted in bytes; the end first, as both may lie in one line
    if lines and summary.colno is not None and summary.end_colno is not None:
        lines[-1] = lines[-1][: summary.end_colno]
        lines[0] = lines[0][summary.colno :]
    shown = b"".join(lines).decode(errors="replace").strip()
    with suppress(SyntaxError):  # a statement is shown as it stands
        parsed = ast.parse(f"({shown})", mode="eval").body
        shown = ast.unparse(parsed) if "\n" in shown else shown
        if isinstance(parsed, ast.Call) and len(shown) > LONGEST:
            shown = f"{ast.unparse(parsed.func)}(…)"
    shown = " ".join(shown.split())
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def _advice(error: Exception, model: nn.Module, module: nn.Module, given: list[Any]) -> str:
    """What to look at, by what PyTorch's text is about."""
    text = one_line(error)
    for pattern, advice in ADVICE:
        if re.search(pattern, text):
            return advice.format(
                given=_described(given),
                parameters=_described(model.parameters(), shapes=False) or "none",
                takes=signature(model),
                entries=getattr(module, "num_embeddings", 0) - 1,
            )
    return f"call the model on these inputs, {_described(given)}, by itself to see the whole traceback"


ADVICE = (
    (r"TypeError: .*forward\(\)", "its forward takes {takes}: give inputs as a tuple of positional or a mapping of "
     "named arguments"),
    (r"more than 1 value per channel", "give at least two samples, or call model.eval() first"),
    (r"IndexError: index out of range in self", "token ids must lie in 0..{entries}"),
    (r"'indices'", "token ids must be integers, and the inputs are {given}: call .long() on them"),
    (r"Inference tensors", "build the model, and let it compute, outside torch.inference_mode()"),
    (r"memory", "give fewer or smaller samples"),
    (r"dtype|scalar type|[Ff]loat and |Half|Double", "give inputs of the parameters' type, or model.float(): the "
     "inputs are {given}, the parameters {parameters}"),
    (r"same device|device \w+ is not|on device", "put inputs and model on one device: the inputs are {given}, the "
     "parameters {parameters}"),
    (r"requires grad", "a measurement runs the model with gradients on, as a training step does: let its forward "
     "method work so"),
    (r"(Runtime|Value|Index)Error: .*([Ss]hape|[Ss]ize|[Dd]im|mat1|channels|\dD\b)", "check the shape of the inputs, "
     "here {given}"),
)  # fmt: skip
"""What an exception's line is like → what to do. The first that fits."""


def _described(given: Iterable[Any], *, shapes: bool = True) -> str:
    """Tensors by shape, type and device, each kind once."""
    kinds = []
    for value in tree_leaves(list(given)):
        if isinstance(value, Tensor):
            parts = [str(tuple(value.shape))] if shapes and not value.is_nested else []
            parts += [str(value.dtype).removeprefix("torch.")]
            parts += [] if value.device.type == "cpu" else [f"on {value.device}"]
            kinds.append(" ".join(parts))
        elif shapes:
            kinds.append(type(value).__name__)
    return ", ".join(dict.fromkeys(kinds))


def _backwards_place(error: Exception, graph: Graph, loss: Tensor, model: nn.Module | None) -> str:
    """The operation at which a backward pass fails, as text; empty where it cannot be told."""
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
    # with several processes one alone does not repeat a pass: it might wait for the others
    several = torch.distributed.is_available() and torch.distributed.is_initialized()
    heard = [] if several else list(_heard(graph, loss))
    if not heard:
        return ""
    node = graph.nodes[heard[-1]]
    return f", in the operation {operation(node)}{near(node, model)}"


def _heard(graph: Graph, loss: Tensor) -> Iterator[int]:
    """The operations that one more backward pass begins, up to the one that fails; none if it succeeds."""
    heard: list[int] = []

    def listen(i: int) -> Callable[[object], None]:
        return lambda _gradients: heard.append(i)

    handles = [node.register_prehook(listen(i)) for i, node in enumerate(graph.nodes)]
    ends = [GradientEdge(graph.nodes[node], output) for node, output in graph.targets]
    try:
        torch.autograd.grad(loss, ends, torch.ones_like(loss), retain_graph=True, allow_unused=True)
    except Exception:  # whatever it raises was seen before
        yield from heard
    finally:
        for handle in handles:
            handle.remove()
