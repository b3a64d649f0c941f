"""A small dense net for CIFAR (Huang et al., 2017), the architecture of the paper's Sec. 6.

Each layer sees the concatenated outputs of all earlier layers of its stage: h ← [h, W R(BN(h))]. Its paths, counted
in weights, have the lengths of a plain net in which any subset of a stage's layers is left out. It has no residual
blocks, because nothing is added.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skipglass import check
from skipglass.errors import InputError
from skipglass.models.initialize import initialize

__all__ = ["DenseLayer", "DenseNet"]

STAGES = 3
START = 16  # channels of the first convolution


class DenseLayer(nn.Module):
    """Batch norm, ReLU and a 3x3 convolution whose output is appended to its input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, growth, 3, 1, 1, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        """Map (N, channels, H, W) to (N, channels + growth, H, W)."""
        return torch.cat([h, self.conv(F.relu(self.bn(h)))], dim=1)


class DenseNet(nn.Module):
    """A dense net of three stages for 32x32 images.

    Parameters
    ----------
    depth
        3n + 4 weight layers on the longest path; 40 in the reference.
    growth
        Channels that each layer adds; 12 in the reference.
    classes
        Number of outputs of the last linear layer.
    seed
        Seed of the initial weights; see `initialize`.

    Raises
    ------
    InputError
        If the depth is not 3n + 4.

    Examples
    --------
    >>> DenseNet(depth=13, growth=4)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(self, depth: int = 40, *, growth: int = 12, classes: int = 10, seed: int = 0) -> None:
        super().__init__()
        check.integer("depth", depth, 7)
        if depth % STAGES != 1:
            raise InputError(f"depth must be 3n + 4 (7, 10, 13, … 40), found {depth}")
        check.integer("growth", growth)
        check.integer("classes", classes, 2)
        layers = (depth - 4) // STAGES
        first, second, third = (START + layers * growth * (k + 1) for k in range(STAGES))  # channels after each stage

        def stage(channels: int) -> nn.Sequential:
            # Layer k sees the input of its stage and the outputs of the k layers before it.
            return nn.Sequential(*[DenseLayer(channels + k * growth, growth) for k in range(layers)])

        def transition(channels: int) -> nn.Sequential:
            conv = nn.Conv2d(channels, channels, 1, bias=False)
            steps = {"bn": nn.BatchNorm2d(channels), "relu": nn.ReLU(), "conv": conv, "pool": nn.AvgPool2d(2)}
            return nn.Sequential(OrderedDict(steps))

        self.conv1 = nn.Conv2d(3, START, 3, 1, 1, bias=False)
        self.dense1, self.transition1 = stage(START), transition(first)
        self.dense2, self.transition2 = stage(first), transition(second)
        self.dense3 = stage(second)
        self.bn = nn.BatchNorm2d(third)
        self.linear = nn.Linear(third, classes)
        initialize(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, 32, 32) to logits (N, classes)."""
        h = self.transition1(self.dense1(self.conv1(x)))
        h = self.dense3(self.transition2(self.dense2(h)))
        return self.linear(F.relu(self.bn(h)).mean(dim=(2, 3)))
