"""Attention and what is added in it, modulation, norms and positions."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from part import NORMS, Attention, D, Part, linear, mlp, part
from torch import Tensor, nn


@part
class Attend(Part):
    """h + W softmax(q k + bias) v: one block, whatever the bias and the rotation of q and k."""

    choices: ClassVar = {
        "bias": ("none", "number", "from h", "relative", "from q", "talking"),
        "rotary": (False, True, "cat"),
        "norm": (True, False),
    }

    def make(self) -> None:
        self.q, self.k, self.v, self.o = linear(), linear(), linear(), linear()
        self.b, self.norm_ = linear(D, self.tokens), nn.LayerNorm(D)
        self.r = nn.Parameter(torch.randn(self.tokens, D))

    def rotated(self, q: Tensor) -> Tensor:
        if not self.rotary:
            return q
        angle = torch.arange(q.shape[1], dtype=q.dtype)[:, None] * torch.rand(D // 2, dtype=torch.float64).to(
            q.dtype
        ).repeat(2)
        a, b = q.chunk(2, -1)
        if self.rotary == "cat":
            c, s = angle.cos()[:, : D // 2], angle.sin()[:, : D // 2]
            return torch.cat([a * c - b * s, b * c + a * s], -1)
        return q * angle.cos() + torch.cat([-b, a], -1) * angle.sin()

    def run(self, h, author):
        y = self.norm_(h) if self.norm else h
        q, k = self.rotated(self.q(y)), self.rotated(self.k(y))
        scores = q @ k.mT
        if self.bias == "number":
            scores = scores - (torch.arange(h.shape[1])[:, None] - torch.arange(h.shape[1])).abs()
        elif self.bias == "from h":
            scores = scores + self.b(y)
        elif self.bias == "relative":
            scores = scores + q @ self.r.mT + (k @ self.r.mT).mT
        elif self.bias == "from q":
            scores = scores + self.b(q)
        elif self.bias == "talking":
            scores = scores + torch.relu(scores)
        return h + author.branch(self.o(scores.softmax(-1) @ self.v(y)))


@part
class Queryresidual(Part):
    """Set Transformer's Q + softmax(Q K) V with Q = W h, or V + softmax(Q K) V: a block, or doubt."""

    choices: ClassVar = {"plus": ("Q", "V", "K")}

    def make(self) -> None:
        self.q, self.k, self.v, self.o = linear(), linear(), linear(), linear()

    def run(self, h, author):
        Q, K, V = self.q(h), self.k(h), self.v(h)
        h = {"Q": Q, "K": K, "V": V}[self.plus] + author.branch((Q @ K.mT).softmax(-1) @ V, None, None, "open")
        return h + author.branch(torch.relu(self.o(h)))


@part
class Decoder(Part):
    """Self-attention, attention to a memory made of h, and an MLP: three blocks."""

    choices: ClassVar = {"memory": ("nonlinear", "linear", "h", "residual"), "starts": ("h", "projected", "slices")}

    def make(self) -> None:
        self.own, self.cross, self.f = Attention(), Attention(), mlp()
        self.memory_, self.P, self.norm = mlp(), linear(), nn.LayerNorm(D)

    def run(self, h, author):
        if self.starts == "slices":
            half = h.shape[1] // 2
            y, memory = h[:, :half], h[:, half:]
            memory = memory + author.branch(self.memory_(memory))
            y = y + author.branch(self.own(self.norm(y)))
            y = y + author.branch(self.cross(self.norm(y), memory))
            return torch.cat([y + author.branch(self.f(self.norm(y))), memory], 1)
        memory = {
            "nonlinear": lambda: torch.tanh(self.memory_(h)),
            "linear": lambda: self.P(h),
            "h": lambda: h,
            "residual": lambda: h + author.branch(self.memory_(h)),
        }[self.memory]()
        y = self.P(h) if self.starts == "projected" else h
        y = y + author.branch(self.own(self.norm(y)))
        y = y + author.branch(self.cross(self.norm(y), memory))
        return y + author.branch(self.f(self.norm(y)))


def chunks(weight: Tensor) -> tuple[Tensor, ...]:
    return weight.split(D)


@part
class Modulated(Part):
    """adaLN: h + g ⊙ f(norm(h) (1 + s) + b), with all s, b, g pieces of one projection of a condition: a block each.

    The layers have pieces of their own, or share them (Flux 2), with a table of parameters added (PixArt) or not.
    """

    choices: ClassVar = {
        "condition": ("constant", "from h", "mean token", "second input"),
        "pieces": ("chunk", "weights", "unbind", "shared", "shared, table"),
        "layers": (1, 2),
    }

    def make(self) -> None:
        self.own = 1 if self.pieces.startswith("shared") else self.layers
        self.ada, self.c = linear(D, 3 * self.own * D), nn.Parameter(torch.randn(D))
        self.tables = nn.ParameterList(torch.randn(3 * D) / 2 for _ in range(self.layers))
        self.f = nn.ModuleList(mlp() for _ in range(self.layers))

    def run(self, h, author):
        second = self.c if author.second is None else author.second.mean(1, keepdim=True)
        c = {
            "constant": lambda: self.c,
            "from h": lambda: h,
            "mean token": lambda: h.mean(1, keepdim=True),
            "second input": lambda: second,
        }[self.condition]()
        n, c = 3 * self.own, F.silu(c)
        ways: dict[str, Callable[[], Any]] = {
            "chunk": lambda: self.ada(c).chunk(n, -1),
            "unbind": lambda: self.ada(c).unflatten(-1, (n, D)).unbind(-2),
            "weights": lambda: [
                F.linear(c, W, b) for W, b in zip(self.ada.weight.split(D), self.ada.bias.split(D), strict=True)
            ],
        }
        if self.own == self.layers:
            pieces = ways.get(self.pieces, ways["chunk"])()
        else:
            tables = self.tables if self.pieces == "shared, table" else torch.zeros(self.layers, 1, dtype=c.dtype)
            one = self.ada(c)
            pieces = [piece for table in tables for piece in (one + table).chunk(3, -1)]
        for k, f in enumerate(self.f):
            s, b, g = pieces[3 * k : 3 * k + 3]
            h = h + author.branch(g * f(F.layer_norm(h, (D,)) * (1 + s) + b))
        return h


@part
class Film(Part):
    """γ(c) ⊙ h + β(c), with a condition c made of h: a product of signals, no block."""

    def make(self) -> None:
        self.c, self.gamma, self.beta = mlp(), linear(), linear()

    def run(self, h, author):
        author.aside("uncounted")
        c = torch.tanh(self.c(h.mean(1, keepdim=True)))
        return self.gamma(c) * h + self.beta(c)


@part
class Norm(Part):
    """A norm alone, fused or by hand: no block."""

    choices: ClassVar = {"kind": tuple(NORMS)}

    def make(self) -> None:
        self.norm = NORMS[self.kind]()

    def run(self, h, author):
        return self.norm(h)


@part
class Position(Part):
    """h plus parameters, or a constant: no sum of two signals."""

    choices: ClassVar = {"what": ("parameter", "constant", "projected constant")}

    def make(self) -> None:
        self.p, self.f = nn.Parameter(torch.randn(self.tokens, D)), linear()

    def run(self, h, author):
        return (
            h + {"parameter": self.p, "constant": torch.ones_like(h), "projected constant": self.f(self.p)}[self.what]
        )
