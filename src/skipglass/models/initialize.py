"""The initial weights of the CIFAR recipe (fb.resnet.torch; docs/mathematics.md §7)."""

import math

import torch
from torch import nn

from skipglass import check

__all__ = ["initialize"]


def initialize(model: nn.Module, seed: int) -> None:
    """Draw He's normal weights by fan-out for convolutions and PyTorch's uniform ones for linear layers; biases are 0.

    Batch norm keeps PyTorch's initial multipliers 1 and shifts 0.

    Parameters
    ----------
    model
        Changed in place.
    seed
        Seed of a generator used for this alone; the global one is not touched.
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
