"""An example of what a model takes, for reading its graph when no inputs are given."""

import torch
from torch import Tensor, nn
from torch.nn import UninitializedParameter

from skipglass.errors import InputError

__all__ = ["example"]

SIDES = (32, 224)  # of images: CIFAR's, ImageNet's; our choice


def example(model: nn.Module) -> object:
    """Make inputs of the kind that the first layer takes: zeros, two samples.

    A Hugging Face model has its ``dummy_inputs``; a first convolution takes (2, channels, 32, …), or 224 where that is
    too small; a first linear layer takes (2, features).

    Parameters
    ----------
    model
        Run under ``no_grad`` to see whether the example fits; the caller keeps its state.

    Raises
    ------
    InputError
        If no example fits: the inputs must then be given.
    """
    why = "it has no convolution or linear layer"
    for inputs in _candidates(model):
        try:
            with torch.no_grad():
                _ = model(**inputs) if isinstance(inputs, dict) else model(inputs)
        except Exception as error:  # a wrong guess fails in many ways; the next one is tried
            why = (str(error).splitlines() or [type(error).__name__])[0]
            continue
        return inputs
    raise InputError(f"no example of what a {type(model).__name__} takes could be made ({why}); pass inputs")


def _candidates(model: nn.Module) -> list[dict[str, Tensor] | Tensor]:
    found: list[dict[str, Tensor] | Tensor] = []
    given = getattr(model, "dummy_inputs", None)
    if isinstance(given, dict):
        found.append({name: value for name, value in given.items() if isinstance(value, Tensor)})
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or isinstance(weight, UninitializedParameter):
            continue
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            shapes = [(2, module.in_channels, *[side] * (weight.ndim - 2)) for side in SIDES]
            return [*found, *(weight.new_zeros(shape) for shape in shapes)]
        if isinstance(module, nn.Linear):
            return [*found, weight.new_zeros((2, module.in_features))]
    return found
