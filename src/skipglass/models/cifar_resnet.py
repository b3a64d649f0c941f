"""Residual networks for CIFAR: depth 6n + 2, three stages (He et al., 2016a, Sec. 4.2; docs/mathematics.md §7).

    post-activation:  h ← R(s(h) + BN(W₂ R(BN(W₁ h)))),    pre-activation:  h ← s(h) + W₂ R(BN(W₁ R(BN(h)))),

R = ReLU and s the shortcut without parameters ("option A"): every second pixel, zeros for the new channels.
Parameters are named as in the common PyTorch checkpoints: conv1, bn1, layer1.0.conv1, …, linear.
"""

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from skipglass import check
from skipglass.errors import InputError
from skipglass.models.initialize import initialize

__all__ = ["PADDINGS", "CifarBlock", "CifarResNet"]

PADDINGS = ("after", "both")
CHANNELS = (16, 32, 64)
BLOCK = 6  # layers that one more block per stage adds: two convolutions in each of three stages


class CifarBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters.

    Parameters
    ----------
    channels, out
        Channels that enter and leave.
    stride
        Stride of the first convolution and of the shortcut.
    preactivation
        Batch norm and ReLU before each convolution (He et al., 2016b) instead of after.
    padding
        New channels are zeros "after" the old ones (fb.resnet.torch), or on "both" sides.
    normalized
        False omits batch norm (BN is then the identity).
    """

    def __init__(
        self, channels: int, out: int, stride: int, *, preactivation: bool, padding: str, normalized: bool = True
    ) -> None:
        super().__init__()
        norm = nn.BatchNorm2d if normalized else nn.Identity
        self.stride, self.preactivation = stride, preactivation
        before = (out - channels) // 2 if padding == "both" else 0
        self.pad = (0, 0, 0, 0, before, out - channels - before)
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = norm(channels if preactivation else out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = norm(out)

    def forward(self, h: Tensor) -> Tensor:
        """Map (N, channels, H, W) to (N, out, H/stride, W/stride)."""
        if self.preactivation:
            branch = self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(h))))))
            return self.shortcut(h) + branch
        branch = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(h)))))
        return F.relu(self.shortcut(h) + branch)

    def shortcut(self, h: Tensor) -> Tensor:
        """Every ``stride``-th pixel, with zeros for the new channels."""
        if self.stride > 1:
            h = h[:, :, :: self.stride, :: self.stride]
        return F.pad(h, self.pad) if any(self.pad) else h


class CifarResNet(nn.Module):
    """A residual network for 32x32 images.

    Parameters
    ----------
    depth
        6n + 2 weight layers on the longest path: 20, 32, 44, 56, 110. Depth 32 has 0.46 million parameters.
    width
        Multiplies the channels 16, 32, 64.
    preactivation, padding, normalized
        See `CifarBlock`.
    classes
        Number of outputs of the last linear layer.
    seed
        Seed of the initial weights; see `initialize`.

    Raises
    ------
    InputError
        If the depth is not 6n + 2, or the width leaves no channel.

    Examples
    --------
    >>> sum(p.numel() for p in CifarResNet(32).parameters())
    464154
    """

    def __init__(
        self,
        depth: int = 32,
        *,
        width: float = 1.0,
        preactivation: bool = False,
        padding: str = "after",
        normalized: bool = True,
        classes: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check.integer("depth", depth, 8)
        if depth % BLOCK != 2:
            raise InputError(f"depth must be 6n + 2 (20, 32, 44, 56, 110 …), found {depth}")
        check.real("width", width, 1 / CHANNELS[0])
        check.choice("padding", padding, PADDINGS)
        check.integer("classes", classes, 2)
        norm = nn.BatchNorm2d if normalized else nn.Identity
        block = partial(CifarBlock, preactivation=preactivation, padding=padding, normalized=normalized)

        def stage(before: int, out: int, stride: int) -> nn.Sequential:
            rest = [block(out, out, 1) for _ in range(depth // BLOCK - 1)]
            return nn.Sequential(block(before, out, stride), *rest)

        self.depth, self.width, self.preactivation = depth, width, preactivation
        channels = [round(width * c) for c in CHANNELS]
        self.conv1 = nn.Conv2d(3, channels[0], 3, 1, 1, bias=False)
        # Without pre-activation bn1 follows the first convolution; with it, bn1 follows the last block.
        self.bn1 = norm(channels[-1] if preactivation else channels[0])
        self.layer1 = stage(channels[0], channels[0], 1)
        self.layer2 = stage(channels[0], channels[1], 2)
        self.layer3 = stage(channels[1], channels[2], 2)
        self.linear = nn.Linear(channels[2], classes)
        initialize(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, 32, 32) to logits (N, classes)."""
        h = self.conv1(x)
        if not self.preactivation:
            h = F.relu(self.bn1(h))
        h = self.layer3(self.layer2(self.layer1(h)))
        if self.preactivation:
            h = F.relu(self.bn1(h))
        return self.linear(h.mean(dim=(2, 3)))
