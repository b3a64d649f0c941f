"""One eager forward pass for measuring: from (model, inputs, targets, loss_fn) to a loss and the x to split.

What is split: the floating-point inputs, or the input embedding where the inputs are token ids. Without a
``loss_fn`` the loss is, in this order,

- the outputs' own ``loss`` where they carry one (Hugging Face, called with labels);
- without targets the sum over samples of each one's largest output, the last token's where outputs are
  (samples, tokens, classes): the score of what the network would answer;
- for integer targets the mean cross entropy of the outputs with them, position by position (nothing is shifted);
- for floating-point targets of the outputs' shape the mean squared error.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from skipglass.errors import InputError
from skipglass.graph.failures import attempt, in_forward, in_loss
from skipglass.graph.inputs import (
    arguments,
    as_tensor,
    differentiable,
    fitted,
    require_dense,
    require_module,
    splittable,
    unsplit,
)
from skipglass.graph.nodes import Target
from skipglass.graph.state import held

__all__ = [
    "Forward",
    "LossFunction",
    "arguments",
    "attempt",
    "check_values",
    "default_loss",
    "eager",
    "forward",
    "prediction",
    "splittable",
]

LossFunction = Callable[..., Tensor]


@dataclass(frozen=True, eq=False)
class Forward:
    """What a forward pass left: the loss with its graph, what to split, and the eager model that names things.

    ``notes`` say which inputs were cast, and which were not split.
    """

    loss: Tensor
    x: Target
    outputs: Any
    model: nn.Module
    notes: tuple[str, ...] = ()


@contextmanager
def forward(
    model: nn.Module, inputs: object, targets: object = None, loss_fn: LossFunction | None = None
) -> Iterator[Forward]:
    """Run a model once with gradients on, and leave it as it was found when the context is left.

    Parameters
    ----------
    model
        Any module; a compiled one runs eagerly, a distributed one by the module it wraps.
    inputs
        A tensor or NumPy array, a tuple of positional or a mapping of named arguments. The floating-point tensors
        among them are split (not those whose name ends in "mask" and whose values are integers, or no more than two),
        or the input embedding of token ids.
    targets
        Passed on to the loss.
    loss_fn
        loss_fn(outputs, targets), or loss_fn(outputs) without targets; see the module for the default.

    Yields
    ------
    Forward
        Valid inside the context.

    Raises
    ------
    InputError
        If there is nothing to split, the model or the loss fails, or the loss is no scalar with a graph.

    Examples
    --------
    >>> model = nn.Linear(3, 2)
    >>> with forward(model, torch.ones(4, 3), torch.zeros(4, dtype=torch.long)) as run:
    ...     run.x.shape, run.loss.requires_grad
    (torch.Size([4, 3]), True)
    """
    model = eager(model)
    if loss_fn is not None and not callable(loss_fn):
        raise InputError(f"loss_fn must be a function of (outputs, targets), not {type(loss_fn).__name__}")
    (args, kwargs), notes = fitted(model, *arguments(inputs))
    notes += unsplit(model, args, kwargs)
    targets = as_tensor(targets)
    # from here on the model is as found again when the context ends
    with held(model):
        with splittable(model, args, kwargs) as ((positional, named), leaves):
            run = partial(model, *positional, **named)
            outputs = attempt("the model", run, in_forward(model, positional, named))
        if loss_fn is None:
            loss = attempt("the loss", partial(default_loss, outputs, targets), in_loss(outputs, targets))
        else:
            rest = () if targets is None else (targets,)
            loss = attempt("loss_fn", partial(loss_fn, outputs, *rest), in_loss(outputs, targets))
        yield Forward(_checked(loss), leaves[0] if len(leaves) == 1 else tuple(leaves), outputs, model, tuple(notes))


def eager(model: nn.Module) -> nn.Module:
    """Return the module to run: the one inside a compiled or a distributed wrapper.

    Raises
    ------
    InputError
        If it is no module, spread over devices in a way that hides its parameters, or has parameters without values.
    """
    require_module(model)
    # wrappers whose inside can run by itself
    if isinstance(model, torch._dynamo.eval_frame.OptimizedModule):
        return eager(model._orig_mod)
    if isinstance(model, nn.parallel.DistributedDataParallel):
        return eager(model.module)
    # and those that hide what it is made of
    for module in model.modules():
        kind = type(module).__name__
        if kind in {"DataParallel", "FullyShardedDataParallel"}:
            what = "pass model.module" if kind == "DataParallel" else "use fully_shard, or measure an unsharded copy"
            raise InputError(f"{kind} hides the parameters of the network; {what}")
        if isinstance(module, torch.jit.ScriptModule):
            raise InputError("TorchScript hides the network's operations; pass the module it was made from")
    check_values(model)
    return model


def check_values(model: nn.Module) -> None:
    """Refuse a model whose lazy layers have not been run, or whose weights are not loaded or can have no graph.

    Raises
    ------
    InputError
        By the name of the first parameter or buffer of which this holds.
    """
    for name, p in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(p):
            raise InputError(f"{name} has no values yet, as its layer is lazy: run the model once")
        if p.is_meta:
            raise InputError(f"{name} has no values, as it is on the meta device; load the weights first")
        if p.is_inference() and isinstance(p, nn.Parameter):
            raise InputError(f"{name} was made under torch.inference_mode(), and has no graph; build the model outside")


def _checked(loss: object) -> Tensor:
    if not isinstance(loss, Tensor):
        raise InputError(f"the loss must be a tensor, not {type(loss).__name__}; loss_fn returns one number")
    if loss.is_complex():
        raise InputError("the loss is complex, which has no gradient; take its real part, or its abs()")
    if loss.is_meta:
        raise InputError("the loss is a tensor without data, on the device meta; run the model on another device")
    if loss.numel() != 1:
        raise InputError(f"the loss must be a scalar, found the shape {tuple(loss.shape)}; sum it or take its mean")
    if not loss.requires_grad:
        raise InputError("the loss does not depend on the inputs by differentiable operations; was it detached?")
    return loss


def prediction(outputs: object) -> Tensor:
    """Return what a model predicts: its ``logits``, its ``last_hidden_state``, or its first tensor.

    Raises
    ------
    InputError
        If the outputs hold no floating-point tensor.
    """
    if isinstance(outputs, Mapping):
        named = [outputs[k] for k in ("logits", "last_hidden_state") if k in outputs]
        outputs = (*named, *outputs.values())
    elif hasattr(outputs, "logits"):
        outputs = outputs.logits
    for tensor in outputs if isinstance(outputs, (tuple, list)) else (outputs,):
        if isinstance(tensor, Tensor) and differentiable(tensor):
            return tensor
    raise InputError(f"the model's output, {type(outputs).__name__}, holds no tensor; pass a loss_fn")


def default_loss(outputs: object, targets: object = None) -> Tensor:
    """Return the loss for lack of a ``loss_fn``; see the module.

    Raises
    ------
    InputError
        If outputs and targets do not fit each other.
    """
    own = outputs.get("loss") if isinstance(outputs, Mapping) else getattr(outputs, "loss", None)
    if isinstance(own, Tensor) and targets is None:
        return own
    y = prediction(outputs)
    if y.is_complex():
        raise InputError("the model's output is complex, which no loss is ready for; pass a loss_fn")
    if targets is None:
        scores = y[:, -1] if y.ndim == 3 else y
        return scores.flatten(1).max(dim=1).values.sum() if scores.ndim > 1 else scores.sum()
    if not isinstance(targets, Tensor):
        raise InputError(f"targets must be a tensor, not {type(targets).__name__}, or pass a loss_fn")
    require_dense("targets", targets)
    if differentiable(targets) and targets.shape == y.shape:
        return F.mse_loss(y, targets)
    # classes are the last dimension of the outputs, or the second
    if not differentiable(targets) and targets.dtype != torch.bool:
        for classes in {y.ndim - 1, min(1, y.ndim - 1)}:
            if y.ndim > 1 and y.shape[:classes] + y.shape[classes + 1 :] == targets.shape:
                return _cross_entropy(y.movedim(classes, 1), targets.long())
    kind = str(targets.dtype).removeprefix("torch.")
    raise InputError(
        f"targets of shape {tuple(targets.shape)} ({kind}) do not fit outputs of shape {tuple(y.shape)}; pass a loss_fn"
    )


def _cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    wrong = targets[(targets != -100) & ((targets < 0) | (targets >= scores.shape[1]))]  # -100: PyTorch's "ignore"
    if len(wrong):
        raise InputError(f"targets must be classes in 0..{scores.shape[1] - 1}, found {int(wrong[0])}")
    return F.cross_entropy(scores, targets)
