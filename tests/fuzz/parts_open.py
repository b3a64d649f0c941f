"""Sums of which the rule leaves open whether they are blocks."""

from typing import ClassVar

import torch
from part import Attention, D, Part, linear, mlp, part
from torch import nn


@part
class Hierarchical(Part):
    """Res2Net's pieces, c + f(b) before f: whether a plain piece plus a function of another is a block is left open."""

    def make(self) -> None:
        third = D // 3
        self.enter, self.leave = linear(), linear()
        self.f = nn.ModuleList(nn.Linear(third, third) for _ in range(2))

    def run(self, h, author):
        a, b, c = torch.relu(self.enter(h)).split(D // 3, -1)
        b = torch.relu(self.f[0](b))
        c = torch.relu(self.f[1](c + author.branch(b, None, None, "free")))
        return h + author.branch(self.leave(torch.cat([a, b, c], -1)))


@part
class Rungekutta(Part):
    """Heun's step: h + k1/2 and h + (k1 + k2)/2 are blocks; k1 + f(h + k1) has their form too, and is left open."""

    def make(self) -> None:
        self.f = mlp()

    def run(self, h, author):
        k1 = self.f(h)
        k2 = self.f(h + author.branch(0.5 * k1))
        return h + author.branch(0.5 * (k1 + author.branch(k2, None, None, "free")))


@part
class Valueresidual(Part):
    """Attention whose values are mixed with those of an earlier layer, W h0 + V h: left open, beside two blocks."""

    def make(self) -> None:
        self.one, self.two = Attention(), Attention()

    def run(self, h, author):
        v1 = self.one.v(h)
        y = h + author.branch(self.one.o((self.one.q(h) @ self.one.k(h).mT).softmax(-1) @ v1))
        v2 = 0.5 * v1 + author.branch(0.5 * self.two.v(y), None, None, "free")
        return y + author.branch(self.two.o((self.two.q(y) @ self.two.k(y).mT).softmax(-1) @ v2))


@part
class Momentum(Part):
    """v ← 0.9 v + 0.1 f(h), h ← h + v: the second sum is a block, whether the first is one is left open."""

    choices: ClassVar = {"layers": (2, 1)}

    def make(self) -> None:
        self.f = nn.ModuleList(mlp() for _ in range(self.layers))

    def run(self, h, author):
        v = 0.1 * self.f[0](h)
        h = h + author.branch(v)
        for f in self.f[1:]:
            v = 0.9 * v + author.branch(0.1 * f(h), None, None, "free")
            h = h + author.branch(v)
        return h
