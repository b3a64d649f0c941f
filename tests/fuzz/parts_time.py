"""Recurrences over the tokens."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from part import D, Part, add, linear, part
from torch import Tensor, nn
from truth import Author


class Recurrence(Part):
    """A cell over the tokens; what starts it, and what is read from it, are options."""

    choices: ClassVar = {
        "start": ("zeros", "parameter", "signal"),
        "reads": ("all", "last"),
        "source": ("copied", "a slice"),
    }

    def make(self) -> None:
        self.U, self.W, self.P = linear(D, 4 * D), linear(D, 4 * D), linear()
        self.begin, self.A = nn.Parameter(torch.randn(D) / 2), nn.Parameter(torch.rand(D))

    def run(self, h, author):
        starts = {
            "zeros": lambda: h.new_zeros(len(h), D),
            "parameter": lambda: self.begin.expand(len(h), D),
            "signal": lambda: torch.tanh(self.P(h.mean(1))),
        }
        state = (starts[self.start](), h.new_zeros(len(h), D))
        if self.source == "a slice":
            h = F.pad(h, (0, 0, 1, 0))[:, 1:]
        states, h = [], h.clone() if self.source == "copied" else h
        for t in range(h.shape[1]):
            state = self.step(state, h[:, t], author, first=t == 0 and self.start != "signal")
            states.append(state[0])
        return torch.stack(states, 1) if self.reads == "all" else states[-1][:, None].expand(h.shape)

    def step(self, state: tuple[Tensor, Tensor], x: Tensor, author: Author, first: bool) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


@part
class Elman(Recurrence):
    """tanh(W s + U x_t): no block."""

    def step(self, state, x, author, first):
        return torch.tanh(self.W(state[0])[:, :D] + self.U(x)[:, :D]), state[1]


@part
class Lstm(Recurrence):
    """f ⊙ c + i ⊙ g: no block."""

    def step(self, state, x, author, first):
        i, f, g, o = (self.W(state[0]) + self.U(x)).chunk(4, -1)
        c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


@part
class Gru(Recurrence):
    """(1 - z) n + z s, or n + z (s - n): no block either way, as neither side is plain."""

    choices: ClassVar = {**Recurrence.choices, "way": ("z s + (1 - z) n", "n + z (s - n)", "s + z (n - s)")}

    def step(self, state, x, author, first):
        author.aside("uncounted")  # a label that goes by the form may say so
        s = state[0]
        u, w = self.U(x), self.W(s)
        r, z = torch.sigmoid(u[:, :D] + w[:, :D]), torch.sigmoid(u[:, D : 2 * D] + w[:, D : 2 * D])
        n = torch.tanh(u[:, 2 * D : 3 * D] + r * w[:, 2 * D : 3 * D])
        if self.way == "n + z (s - n)":
            return n + z * (s - n), state[1]
        if self.way == "s + z (n - s)":  # like a highway: the form of a block
            update = z * (n - s)
            return s + (update if first else author.branch(update, verdict="free")), state[1]
        return z * s + (1 - z) * n, state[1]


@part
class Residualrnn(Recurrence):
    """s + f(s, x_t): a block each step from where s is a signal, whatever starts it."""

    choices: ClassVar = {**Recurrence.choices, "way": ("h + z", "z + h", "h + alpha z")}

    def step(self, state, x, author, first):
        z = 0.3 * torch.tanh(self.W(state[0])[:, :D] + self.U(x)[:, :D])
        return (state[0] + z if first else add(state[0], z, author, self.way)), state[1]


@part
class Statespace(Part):
    """s ← a ⊙ s + B x_t, y_t = C s + d ⊙ x_t: the sum with d is a block, the others are parallel."""

    choices: ClassVar = {"skip": (True, False)}

    def make(self) -> None:
        self.B, self.C = nn.Linear(D, 4, bias=False), nn.Linear(4, D, bias=False)
        self.a, self.d = nn.Parameter(torch.rand(4)), nn.Parameter(torch.rand(D))

    def run(self, h, author):
        s, states = h.new_zeros(len(h), 4), []
        for x in h.unbind(1):
            s = self.a * s + self.B(x)
            states.append(s)
        y = self.C(torch.stack(states, 1))
        return author.branch(y, 0) + self.d * h if self.skip else y


@part
class Cell(Part):
    """nn.LSTM, nn.GRU and nn.RNN as they are: no block."""

    choices: ClassVar = {"kind": ("LSTM", "GRU", "RNN"), "bidirectional": (False, True), "layers": (1, 2)}

    def make(self) -> None:
        size = D // 2 if self.bidirectional else D
        self.cell = getattr(nn, self.kind)(D, size, self.layers, batch_first=True, bidirectional=self.bidirectional)

    def run(self, h, author):
        return self.cell(h)[0]
