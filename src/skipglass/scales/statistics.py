"""Statistics of normalisations kept fixed: outputs as they were, and each normalisation an affine map.

Those of PyTorch's own functions are kept fixed call by call, whatever module calls them and however often. A module
that computes its running statistics itself (`ResidualLayer` of Eq. 22) is given those of the batch, and evaluated.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.overrides import TorchFunctionMode

from skipglass.graph import arguments, attempt, fitted
from skipglass.graph.failures import in_forward
from skipglass.graph.inputs import require_module
from skipglass.models import ResidualLayer

__all__ = ["copied", "hold_statistics", "statistics_held"]


@contextmanager
def statistics_held(model: nn.Module, inputs: object) -> Iterator[None]:
    """Inside the context the model's normalisations are affine maps, by the statistics that they have as it is found.

    Parameters
    ----------
    model
        Left in evaluation mode, but for batch norms that were in training; the caller puts modes and statistics back
        (`as_found`).
    inputs
        The batch.

    Yields
    ------
    None
        Once.

    Raises
    ------
    InputError
        If the model cannot be run.
    """
    # modules in evaluation keep their running statistics; of those in training, some call a function in HELD
    require_module(model)
    training = [m for m in model.modules() if m.training]
    model.eval()
    by_call = [m for m in training if _normalises_by_call(m)]
    own = [m for m in training if isinstance(getattr(m, "running_var", None), Tensor) and m not in by_call]
    for module in by_call:
        module.training = True
    # the others compute their statistics themselves: they are given those of the batch as running ones
    if own:
        hold_statistics(model, inputs, own)
    with _Replaced(HELD):
        yield


def _normalises_by_call(module: nn.Module) -> bool:
    """Whether a module leaves its statistics to a function in `HELD`."""
    if isinstance(module, ResidualLayer):
        return module.normalization == "batch"
    return type(module).forward in (_BatchNorm.forward, _InstanceNorm.forward)


class _Replaced(TorchFunctionMode):
    """Calls other functions in place of PyTorch's."""

    def __init__(self, by: Mapping[Callable, Callable]) -> None:
        super().__init__()
        self.by = by

    def __torch_function__(  # the protocol's name and arguments
        self, func: Callable, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return self.by.get(func, func)(*args, **(kwargs or {}))


# What follows has the signatures of PyTorch's own functions. Statistics are taken of the detached input.


def _batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    if training and input.numel() > input.shape[1]:  # PyTorch refuses one value per channel
        with torch.no_grad():
            _, running_mean, inverse = torch.native_batch_norm(input, None, None, None, None, True, 0.0, eps)
            training, running_var = False, inverse.pow(-2) - eps
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def _layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5, _=True):
    over = tuple(range(-len(normalized_shape), 0))
    variance, mean = torch.var_mean(input.detach(), over, correction=0, keepdim=True)
    return _affine((input - mean) * (variance + eps).rsqrt(), weight, bias)


def _rms_norm(input, normalized_shape, weight=None, eps=None):
    over = tuple(range(-len(normalized_shape), 0))
    square = input.detach().square().mean(over, keepdim=True)
    return _affine(input * (square + (torch.finfo(input.dtype).eps if eps is None else eps)).rsqrt(), weight)


def _group_norm(input, num_groups, weight=None, bias=None, eps=1e-5, _=True):
    # layer norm over the channels of a group and all places, with one weight per channel
    groups = input.reshape(len(input), num_groups, -1)
    weight, bias = (None if p is None else p.view(-1, *[1] * (input.ndim - 2)) for p in (weight, bias))
    return _affine(_layer_norm(groups, groups.shape[2:], eps=eps).view(input.shape), weight, bias)


def _instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    if use_input_stats:
        return _group_norm(input, input.shape[1], weight, bias, eps)
    return F.instance_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)


def _affine(z: Tensor, weight: Tensor | None, bias: Tensor | None = None) -> Tensor:
    z = z if weight is None else z * weight
    return z if bias is None else z + bias


HELD: dict[Callable, Callable] = {
    F.batch_norm: _batch_norm,
    F.layer_norm: _layer_norm,
    torch.layer_norm: _layer_norm,
    F.group_norm: _group_norm,
    torch.group_norm: _group_norm,
    F.instance_norm: _instance_norm,
    F.rms_norm: _rms_norm,
    torch.rms_norm: _rms_norm,
}


def _biased_batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    """PyTorch divides by the variance over n values, but keeps that over n - 1; this keeps what it divides by."""
    out = F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    n = input.numel() // input.shape[1]
    if n and training and running_var is not None:
        running_var.mul_((n - 1) / n)
    return out


def hold_statistics(model: nn.Module, inputs: object, modules: Sequence[nn.Module] | None = None) -> None:
    """Set running statistics to those of a batch, so that evaluation mode gives the outputs of training mode.

    Parameters
    ----------
    model
        In evaluation mode; the caller puts statistics and modes back (`as_found`).
    inputs
        The batch.
    modules
        Whose statistics; None takes all that have them.

    Raises
    ------
    InputError
        If the model cannot be run.
    """
    require_module(model)
    normed = [m for m in modules or model.modules() if isinstance(getattr(m, "running_var", None), Tensor)]
    before = [m.momentum for m in normed]
    (args, named), _ = fitted(model, *arguments(copied(inputs)))  # a model may write to its input
    try:
        # a momentum of 1 replaces the running statistics by those of this batch
        for module in normed:
            module.momentum = 1.0  # type: ignore[assignment]
            module.training = True
        with torch.no_grad(), torch.compiler.set_stance("force_eager"), _Replaced({F.batch_norm: _biased_batch_norm}):
            attempt("the model", lambda: model(*args, **named), in_forward(model, args, named))
    finally:
        for module, momentum in zip(normed, before, strict=True):
            module.momentum = momentum
            module.training = False


def copied(value: Any) -> Any:
    """Return a copy, nested as the original, that later changes do not reach."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {name: copied(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return value.copy()
    return tuple(copied(part) for part in value) if isinstance(value, (tuple, list)) else value
