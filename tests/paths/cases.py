"""The one table of networks that drives the tests of paths."""

import cases_forms
import cases_small
import cases_transformers
import cases_vision
from case import of
from cases_small import Auxiliary, Checkpointed, ConvNet, Recurrent, Shared, Step
from torch import Tensor, nn

__all__ = ["CASES", "Auxiliary", "Checkpointed", "ConvNet", "Recurrent", "Shared", "Step", "loss_of"]

CASES = cases_small.CASES | cases_forms.CASES | cases_transformers.CASES | cases_vision.CASES


def loss_of(model: nn.Module, *shape: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A model, its loss on a random x, and x, in float64."""
    model, x, run = of(model, *shape)
    return model, run(), x
