"""The one table of networks that drives the tests of paths."""

import cases_forms
import cases_small
import cases_transformers
import cases_vision
import pytest
from case import of
from cases_small import Auxiliary, Checkpointed, ConvNet, Recurrent, Shared, Step
from torch import Tensor, nn

__all__ = ["CASES", "NAMES", "Auxiliary", "Checkpointed", "ConvNet", "Recurrent", "Shared", "Step", "loss_of"]

CASES = cases_small.CASES | cases_forms.CASES | cases_transformers.CASES | cases_vision.CASES

NAMES = [
    pytest.param(name, marks=pytest.mark.zoo) if {"timm", "torchvision"} & set(case.needs) else name
    for name, case in CASES.items()
]
"""The names of the cases; those that run in .venv-zoo alone are marked so."""


def loss_of(model: nn.Module, *shape: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A model, its loss on a random x, and x, in float64."""
    model, x, run = of(model, *shape)
    return model, run(), x
