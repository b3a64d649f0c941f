"""A residual chain whose gradient can be sent along one path alone: what the enumerations of paths run on."""

import torch
from torch import nn

__all__ = ["Chain"]


class Scaled(torch.autograd.Function):
    """The identity, with a gradient that is multiplied by a number: closes a branch and keeps the forward pass."""

    @staticmethod
    def forward(ctx, a, number):
        ctx.number = number
        return a.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.number, None


class Chain(nn.Module):
    """L residual blocks between an input and an output layer.

    With ``taken`` the gradient passes the branches of these blocks and the shortcuts of the others, and nothing else.
    """

    def __init__(self, blocks, width=4, post=False):
        super().__init__()
        self.stem, self.head = nn.Linear(3, width), nn.Linear(width, 2)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width)) for _ in range(blocks)
        )
        self.post = post

    def forward(self, x, taken=None):
        h = self.stem(x)
        for l, f in enumerate(self.blocks):
            branch = f(h)
            if taken is not None:
                branch, h = Scaled.apply(branch, float(l in taken)), Scaled.apply(h, float(l not in taken))
            h = torch.relu(h + branch) if self.post else h + branch
        return self.head(h).square().sum()
