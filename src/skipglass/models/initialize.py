"""The initial weights of the CIFAR recipe (fb.resnet.torch; docs/mathematics.md §7)."""

import math

import torch
from torch import nn

from skipglass import check

__all__ = ["initialize"]


def initialize(model: nn.Module, seed: int) -> None:
    """Draw He's normal by fan-out for every convolution, and PyTorch's uniform for linear layers; biases are 0.

    Batch norm keeps PyTorch's start: multipliers 1, shifts 0.

    Parameters
    ----------
    model
        Changed in place.
    seed
        Of a generator of its own; the global one is left alone.
    """
    generator = torch.Generator().manual_seed(check.seed("seed", seed))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * math.prod(module.kernel_size)
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out), generator=generator)
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.zeros_(module.bias)
