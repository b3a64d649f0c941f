"""Batch norm's statistics held constant at those of one batch: outputs as in training mode, and samples apart."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from skipglass.errors import InputError
from skipglass.paths.forward import arguments

__all__ = ["copied", "hold_statistics"]


class _BiasedVariances(TorchFunctionMode):
    """Batch norm divides by the variance over n values, but keeps that over n - 1: make it keep what it divides by."""

    def __torch_function__(  # the protocol's name and arguments
        self, func: Callable, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is F.batch_norm:
            given = inspect.signature(F.batch_norm).bind(*args, **(kwargs or {})).arguments
            z, variance = given["input"], given["running_var"]
            if given.get("training") and variance is not None:
                n = z.numel() // z.shape[1]
                variance.mul_((n - 1) / n)
        return out


def hold_statistics(model: nn.Module, inputs: object) -> None:
    """Set running statistics to those of a batch, so that evaluation mode gives the outputs of training mode.

    Parameters
    ----------
    model
        In evaluation mode; the caller puts statistics and modes back (`as_found`).
    inputs
        The batch.

    Raises
    ------
    InputError
        If the model cannot be run.
    """
    normed = [m for m in model.modules() if isinstance(getattr(m, "running_var", None), torch.Tensor)]
    before = [m.momentum for m in normed]
    args, named = arguments(copied(inputs))  # a model may write to its input
    try:
        for module in normed:
            module.momentum = 1.0  # type: ignore[assignment]
            module.training = True
        with torch.no_grad(), torch.compiler.set_stance("force_eager"), _BiasedVariances():
            model(*args, **named)
    except Exception as error:  # the user's own code: as `forward` puts it
        text = (str(error).strip() or "no message").splitlines()[0]
        raise InputError(f"the model raised {type(error).__name__}: {text}") from error
    finally:
        for module, momentum in zip(normed, before, strict=True):
            module.momentum = momentum
            module.training = False


def copied(value: Any) -> Any:
    """Return a copy, nested as the original, that later changes do not reach."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {name: copied(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(copied(part) for part in value)
    return value
