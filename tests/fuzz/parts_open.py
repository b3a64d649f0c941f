"""Sums of which the rule leaves open whether they are blocks."""

import random
from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from part import Attention, D, Part, linear, mlp, part
from torch import Tensor, nn


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


@part
class Wired(Part):
    """A cell wired at random. What the rule's first sentence decides is right; what it leaves is open.

    A sum of a and b whose paths all pass the join J: if a reaches J by a path of sums, norms and numbers alone, b by
    none, and b crosses a weight, then b is the branch of a block; added to several signals it is the branch of one.
    """

    choices: ClassVar = {"wiring": tuple(range(40)), "steps": (4, 6, 8)}
    PLAIN: ClassVar = {"sum", "norm", "number", "start"}

    def make(self) -> None:
        rng = random.Random(self.wiring)
        kinds = ("weight", "weight", "act", "norm", "number", "sum", "sum", "sum", "product", "cat")
        self.wires: list[tuple[str, tuple[int, ...]]] = [("start", ()), ("weight", (0,))]
        for _ in range(self.steps):
            kind = rng.choice(kinds)
            last = len(self.wires) - 1
            operands = (
                [last, rng.randrange(last)] if kind in {"sum", "product", "cat"} else [rng.choice((last, last, 0))]
            )
            rng.shuffle(operands)
            self.wires.append((kind, tuple(operands)))
        self.weights = nn.ModuleList(linear(2 * D if kind == "cat" else D) for kind, _ in self.wires)

    def ways(self, at: int) -> list[tuple[int, ...]]:
        """Every path from a signal down to the start."""
        operands = self.wires[at][1]
        return [(at, *way) for to in operands for way in self.ways(to)] if operands else [(at,)]

    def verdict(self, at: int) -> int | None:
        """The operand that is the branch of a block by the rule's first sentence."""
        sides = [self.ways(to) for to in self.wires[at][1]]
        common = set.intersection(*(set(way) for side in sides for way in side))
        join = max(common)
        inside = [[way[: way.index(join)] for way in side] for side in sides]
        plain = [any(all(self.wires[k][0] in self.PLAIN for k in way) for way in side) for side in inside]
        weighs = [any(self.wires[k][0] in {"weight", "cat"} for way in side for k in way) for side in inside]
        for branch in (0, 1):
            if plain[1 - branch] and not plain[branch] and weighs[branch]:
                return branch
        return None

    def run(self, h, author):
        author.aside("uncounted")
        signals, branches = [h], {}
        for k, (kind, operands) in enumerate(self.wires[1:], 1):
            given = [signals[to] for to in operands]
            if kind == "sum":
                branch = self.verdict(k)
                for side in (0, 1):
                    if branch is None:
                        given[side] = author.branch(given[side], side, None, "free")
                    elif branch == side:
                        to = operands[side]
                        branches[to] = given[side] = (
                            branches[to] if to in branches else author.branch(given[side], side)
                        )
            signals.append(self.made(kind, k, given))
        return signals[-1]

    def made(self, kind: str, k: int, given: list[Tensor]) -> Tensor:
        a, b = given[0], given[-1]
        ways: dict[str, Callable[[], Tensor]] = {
            "weight": lambda: self.weights[k](a),
            "cat": lambda: self.weights[k](torch.cat(given, -1)),
            "act": lambda: torch.tanh(a),
            "norm": lambda: F.layer_norm(a, (D,)),
            "number": lambda: 0.7 * a,
            "sum": lambda: a + b,
            "product": lambda: a * torch.sigmoid(b),
        }
        return ways[kind]()


@part
class Injected(Part):
    """h ← f(h) + x, the input added each time: a block each; a projected input is left open."""

    choices: ClassVar = {"input": ("h", "projected", "projected anew"), "steps": (2, 3), "tied": (True, False)}

    def make(self) -> None:
        self.f = nn.ModuleList(mlp() for _ in range(1 if self.tied else self.steps))
        self.U = linear()

    def run(self, h, author):
        y, u = h, h if self.input == "h" else self.U(h)
        verdict, kind = ("block", "identity") if self.input == "h" else ("free", None)
        for k in range(self.steps):
            u = self.U(h) if self.input == "projected anew" else u
            y = author.branch(torch.tanh(self.f[0 if self.tied else k](y)), 0, kind, verdict) + u
        return y


@part
class Delta(Part):
    """A fast weight S ← S + k (v - S k)ᵀ, read by q: left open, as S is plain and the branch reads it by products."""

    choices: ClassVar = {"rule": ("sum", "delta", "decay")}

    def make(self) -> None:
        self.q, self.k, self.v = linear(D, 3), linear(D, 3), linear()

    def run(self, h, author):
        author.aside("uncounted")
        q, k, v = self.q(h), self.k(h).softmax(-1), self.v(h)
        S, out = h.new_zeros(len(h), 3, D), []
        for t in range(h.shape[1]):
            new = v[:, t]
            if self.rule == "delta" and t:
                new = new - author.branch((S.mT @ k[:, t, :, None])[..., 0], 1, None, "free")
            z = k[:, t, :, None] * new[:, None]
            z = author.branch(z, 1, None, "free") if t else z
            S = (0.9 * S if self.rule == "decay" else S) + z
            out.append((q[:, t, None] @ S)[:, 0])
        return torch.stack(out, 1)
