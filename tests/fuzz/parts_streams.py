"""Several streams: coupled, exchanging, hyper-connected, skipping to the end."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from part import Attention, D, Part, add, linear, mlp, part
from torch import Tensor, nn


@part
class Coupled(Part):
    """A RevNet: y1 = x1 + f(x2), y2 = x2 + g(y1): a block each."""

    choices: ClassVar = {
        "way": ("h + z", "z + h", "h - z"),
        "pieces": ("chunk", "slice", "split", "unbind"),
        "layers": (1, 2),
        "between": ("tuple", "cat"),
        "read": ("both", "second"),
    }

    def make(self) -> None:
        half = D // 2
        self.f = nn.ModuleList(nn.Sequential(linear(half), nn.Tanh(), linear(D, half)) for _ in range(2 * self.layers))

    def halves(self, h: Tensor) -> tuple[Tensor, Tensor]:
        half = D // 2
        taken: dict[str, Callable[[], Any]] = {
            "chunk": lambda: h.chunk(2, -1),
            "slice": lambda: (h[..., :half], h[..., half:]),
            "split": lambda: h.split(half, -1),
            "unbind": lambda: h.unflatten(-1, (2, half)).unbind(-2),
        }
        return taken[self.pieces]()

    def run(self, h, author):
        a, b = self.halves(h)
        for k in range(self.layers):
            a = add(a, self.f[2 * k](b), author, self.way)
            b = add(b, self.f[2 * k + 1](a), author, self.way)
            if self.between == "cat" and k + 1 < self.layers:
                a, b = self.halves(torch.cat([a, b], -1))
        return torch.cat([a, b], -1) if self.read == "both" else torch.cat([b, b], -1)


@part
class Affinecoupling(Part):
    """RealNVP: x2 ⊙ exp(s(x1)) + t(x1), a product with a signal on either side: no block."""

    def make(self) -> None:
        half = D // 2
        self.s, self.t = (nn.Sequential(linear(half), nn.Tanh(), linear(D, half)) for _ in range(2))

    def run(self, h, author):
        author.aside("uncounted")
        a, b = h.chunk(2, -1)
        return torch.cat([a, b * torch.exp(self.s(a)) + self.t(a)], -1)


@part
class Exchange(Part):
    """Two streams, each with the sum of both branches: a block each, and the sum of the branches is parallel."""

    choices: ClassVar = {"layers": (1, 2), "starts": ("both from h", "pieces", "one projected"), "cross": (True, False)}

    def make(self) -> None:
        self.f, self.g = (nn.ModuleList(mlp() for _ in range(self.layers)) for _ in range(2))
        self.P, self.out = linear(), linear(2 * D)

    def run(self, h, author):
        a, b = h, torch.tanh(self.P(h))
        if self.starts == "pieces":
            half = h.shape[1] // 2
            a, b = h[:, :half], torch.tanh(self.P(h[:, :half]))
        elif self.starts == "both from h":
            a, b = self.P(h), torch.tanh(h)
        for k, (f, g) in enumerate(zip(self.f, self.g, strict=True)):
            p, q = f(a), g(b)
            to_a, to_b, kind = (p + q, q + p, "identity") if self.cross else (q, p, None)
            # without its own branch the first sum of b is one of two functions of h, or has a shortcut tanh(h)
            first = "block" if self.cross or k else "open" if self.starts == "both from h" else "free"
            a, b = a + author.branch(to_a, 1, kind), b + author.branch(to_b, 1, kind, first)
        y = self.out(torch.cat([a, b], -1))
        return y if y.shape == h.shape else torch.cat([y, y], 1)[:, : h.shape[1]]


@part
class Lanes(Part):
    """Two lanes; each sublayer reads their mix and writes its result to both: one block a sublayer, or doubt."""

    choices: ClassVar = {"layers": (1, 2), "mixed": ("sum", "numbers", "parameters")}

    def make(self) -> None:
        self.f = nn.ModuleList(mlp() for _ in range(self.layers))
        self.w = nn.Parameter(torch.rand(2))

    def run(self, h, author):
        a, b = h, h.flip(-1)
        w = {"sum": (1.0, 1.0), "numbers": (0.4, 0.6), "parameters": self.w}[self.mixed]
        for f in self.f:
            z = author.branch(f(w[0] * a + w[1] * b), None, None, "open")
            a, b = a + z, b + 0.5 * z
        return a + b


@part
class Hyper(Part):
    """Hyper-connections: n streams X ← A X + b f(w X), with A, b and w parameters or computed from X: a block each."""

    choices: ClassVar = {"mixing": ("parameters", "signal"), "layers": (1, 2), "streams": (2, 3)}

    def make(self) -> None:
        n = self.streams
        self.f = nn.ModuleList(mlp() for _ in range(self.layers))
        self.A = nn.ParameterList(torch.eye(n) + 0.1 * torch.randn(n, n) for _ in range(self.layers))
        self.b, self.w = (nn.ParameterList(torch.rand(n) for _ in range(self.layers)) for _ in range(2))
        self.mix = nn.ModuleList(nn.Linear(D, n * n + 2 * n) for _ in range(self.layers))

    def run(self, h, author):
        n, signal = self.streams, self.mixing == "signal"
        X = torch.stack([h] * n, 2)  # (N, T, n, D)
        for k, f in enumerate(self.f):
            A, b, w = self.A[k], self.b[k], self.w[k]
            if signal:
                A, b, w = self.mix[k](X.mean(2)).split([n * n, n, n], -1)
                A = (A.unflatten(-1, (n, n)) / 3).softmax(-1)
            y = f((w[..., None, :] @ X).squeeze(-2) if signal else torch.einsum("n,btnd->btd", w, X))
            z = b[..., None] * y[..., None, :]
            X = A @ X + author.branch(z, 1, "mixing" if signal else "projected")
        return X.sum(2)


@part
class Attentionresidual(Part):
    """Each layer reads Σ_i softmax_i(q · norm(v_i)) v_i over all earlier results: doubtful."""

    choices: ClassVar = {"layers": (2, 3)}

    def make(self) -> None:
        self.f = nn.ModuleList(mlp() for _ in range(self.layers))
        self.q = nn.ParameterList(torch.randn(D) for _ in range(self.layers + 1))

    def run(self, h, author):
        author.aside("doubtful")
        values = [h]
        for k in range(self.layers + 1):
            V = torch.stack(values, 2)
            weights = (F.layer_norm(V, (D,)) @ self.q[k]).softmax(-1)
            y = (weights[..., None] * V).sum(2)
            if k < self.layers:
                values.append(self.f[k](y))
        return y


@part
class Wavenet(Part):
    """h + W z with z = tanh ⊙ sigmoid: a block each; the sum of the skips V z over layers is parallel."""

    choices: ClassVar = {"layers": (2, 1, 3), "split": ("two weights", "chunk"), "ends": ("relu", "linear")}

    def make(self) -> None:
        self.gated, self.both = (nn.ModuleList(linear(D, 2 * D) for _ in range(self.layers)) for _ in range(2))
        self.out = linear()

    def run(self, h, author):
        skips: Any = 0
        for gated, both in zip(self.gated, self.both, strict=True):
            a, b = gated(h).chunk(2, -1)
            z = torch.tanh(a) * torch.sigmoid(b)
            if self.split == "chunk":
                to_h, skip = both(z).chunk(2, -1)
            else:
                to_h, skip = F.linear(z, both.weight[:D], both.bias[:D]), F.linear(z, both.weight[D:])
            h = h + author.branch(to_h)
            skips = skips + skip
        return self.out(torch.relu(skips) if self.ends == "relu" else skips)


@part
class Latents(Part):
    """A Perceiver: a stream that starts from parameters; each sum after the first is a block."""

    choices: ClassVar = {"layers": (2, 1)}

    def make(self) -> None:
        self.latents, self.embed = nn.Parameter(torch.randn(2, D)), linear()
        self.cross, self.f = (nn.ModuleList(make() for _ in range(self.layers)) for make in (Attention, mlp))
        self.back = Attention()

    def run(self, h, author):
        source, y = self.embed(h), self.latents.expand(len(h), 2, D)
        for k, (cross, f) in enumerate(zip(self.cross, self.f, strict=True)):
            z = cross(y, source)
            y = y + (author.branch(z) if k else z)
            y = y + author.branch(f(y))
        return self.back(source, y)


@part
class Refined(Part):
    """RAFT: a flow that a recurrent state refines, v ← v + W s: a block each from where v is a signal."""

    choices: ClassVar = {"steps": (2, 3), "state": ("tanh", "gated"), "starts": ("zero", "from h")}

    def make(self) -> None:
        self.f, self.g, self.W, self.start, self.out = linear(2 * D), linear(2 * D), linear(), linear(), linear(2 * D)

    def run(self, h, author):
        if self.state == "gated":
            author.aside("uncounted")
        v, s = (self.start(h) if self.starts == "from h" else torch.zeros_like(h)), torch.tanh(h)
        for k in range(self.steps):
            y = torch.cat([s, v], -1)
            new = torch.tanh(self.f(y))
            z = torch.sigmoid(self.g(y))
            s = (1 - z) * s + z * new if self.state == "gated" else new
            d = self.W(s)
            v = v + (author.branch(d) if k or self.starts == "from h" else d)
        return self.out(torch.cat([v, s], -1))


@part
class Doublyresidual(Part):
    """N-BEATS: x ← x - b(x) is a block each, the sum of the forecasts f(x) is parallel."""

    choices: ClassVar = {"layers": (2, 3), "split": ("two weights", "chunk"), "start": ("sum", "zero")}

    def make(self) -> None:
        self.f = nn.ModuleList(linear() for _ in range(self.layers))
        self.both = nn.ModuleList(linear(D, 2 * D) for _ in range(self.layers))

    def run(self, h, author):
        forecast: Any = torch.zeros_like(h) if self.start == "zero" else 0
        for f, both in zip(self.f, self.both, strict=True):
            theta = torch.relu(f(h))
            if self.split == "chunk":
                back, fore = both(theta).chunk(2, -1)
            else:
                back, fore = F.linear(theta, both.weight[:D]), F.linear(theta, both.weight[D:])
            h = h - author.branch(back)
            forecast = forecast + fore
        return forecast


@part
class Stitched(Part):
    """Two streams mixed by numbers or parameters, both plain: no block; f and g after it are none either."""

    choices: ClassVar = {"by": ("numbers", "parameters"), "starts": ("chunk", "weights")}

    def make(self) -> None:
        self.f, self.g, self.w = mlp(), mlp(), nn.Parameter(torch.rand(4))
        self.P, self.Q, self.out = linear(), linear(), linear(2 * D)

    def run(self, h, author):
        author.aside("uncounted")
        a, b = (self.f(h), self.g(h)) if self.starts == "weights" else (h, h.flip(-1))
        w = self.w if self.by == "parameters" else (0.7, 0.3, 0.2, 0.8)
        a, b = w[0] * a + w[1] * b, w[2] * a + w[3] * b
        return self.out(torch.cat([self.f(a), self.g(b)], -1))


@part
class Complexstream(Part):
    """A complex stream, z + W f(z): a block, whose parts are put together and taken apart outside."""

    choices: ClassVar = {"form": ("sum", "parts"), "leaves": ("parts", "abs")}

    def make(self) -> None:
        half = D // 2
        self.W, self.V = (nn.Parameter(torch.randn(half, half, 2) / 2) for _ in range(2))
        self.out = linear()

    def run(self, h, author):
        z = (
            torch.complex(*h.double().chunk(2, -1))
            if self.form == "parts"
            else torch.view_as_complex(h.double().unflatten(-1, (-1, 2)).contiguous())
        )
        y = z @ torch.view_as_complex(self.W.double())
        y = torch.complex(torch.tanh(y.real), torch.tanh(y.imag)) @ torch.view_as_complex(self.V.double())
        z = z + author.branch(y)
        if self.leaves == "abs":
            return self.out(torch.cat([z.abs(), z.real], -1).to(h.dtype))
        return torch.cat([z.real, z.imag], -1).to(h.dtype)
