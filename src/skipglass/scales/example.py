"""An example of what a model takes, for reading its graph when no inputs are given."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import UninitializedParameter

from skipglass.errors import InputError, one_line

__all__ = ["example"]

SIDES = (32, 224)  # of images: CIFAR's, ImageNet's; our choice
MISFITS = (RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError)
"""What PyTorch and models raise for inputs of a wrong shape, number or kind."""


def example(model: nn.Module) -> object:
    """Make inputs of the kind that the first layer takes: zeros, two samples.

    A Hugging Face model has its ``dummy_inputs``; a first convolution takes (2, channels, 32, …), or 224 where that is
    too small; a first linear layer takes (2, features).

    Parameters
    ----------
    model
        Run under ``no_grad`` to see whether the example fits; the caller keeps its state.

    Returns
    -------
    object
        A tensor, or a dict of tensors by argument.

    Raises
    ------
    InputError
        If no example fits, with what was tried and why it failed: the inputs must then be given. What a wrong input
        does not explain (memory that runs out, a module that is missing) is raised as it is.
    """
    failed = []
    for tried, inputs in _candidates(model):
        try:
            with torch.no_grad():
                _ = model(**inputs) if isinstance(inputs, dict) else model(inputs)
        except torch.OutOfMemoryError:
            raise
        except MISFITS as error:
            failed.append(f"{tried} raised {one_line(error)}")
        else:
            return inputs
    why = "; ".join(failed) or "it has no convolution or linear layer"
    raise InputError(f"no example of what a {type(model).__name__} takes could be made ({why}); pass inputs")


def _candidates(model: nn.Module) -> Iterator[tuple[str, dict[str, Tensor] | Tensor]]:
    """What to try, with a description."""
    given = getattr(model, "dummy_inputs", None)
    if isinstance(given, dict):
        yield "its dummy_inputs", {name: value for name, value in given.items() if isinstance(value, Tensor)}
    layers = (m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)))
    first = next((m for m in layers if not isinstance(m.weight, UninitializedParameter)), None)
    if first is None:
        return
    channels = first.in_features if isinstance(first, nn.Linear) else first.in_channels
    # both sides give the same shape for a linear layer, which is tried once
    for shape in dict.fromkeys((2, channels, *[side] * (first.weight.ndim - 2)) for side in SIDES):
        yield f"an input of shape {shape}", first.weight.new_zeros(shape)
