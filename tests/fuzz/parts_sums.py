"""Parts that add within one layer: residual, fused, parallel, gated, projected, concatenated."""

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from part import BRANCHES, NORMS, Attention, D, Embedded, Over, Part, add, linear, mlp, part
from sums import WAYS
from torch import Tensor, nn


@part
class Residual(Part):
    """h + W f(h), however sum, norm, scale and shortcut are written: one block, and those inside f."""

    nests = True
    choices: ClassVar = {
        "way": tuple(WAYS),
        "branch": tuple(BRANCHES),
        "where": ("none", "before", "after", "inside", "both"),
        "norm": tuple(NORMS),
        "scale": ("none", "number", "layer scale", "rezero", "dropout", "path", "squeeze", "gate"),
        "then": ("none", "relu", "dropout"),
        "shortcut": ("h", "number", "gain", "dropout", "rolled", "normed", "clone"),
    }

    def make(self) -> None:
        self.up, self.down = BRANCHES[self.branch](self.tokens), linear()
        self.norms = nn.ModuleList(NORMS[self.norm]() for _ in range(2))
        self.gain, self.alpha = nn.Parameter(torch.rand(D) + 0.5), nn.Parameter(torch.tensor(0.4))
        self.gate, self.squeeze = linear(), nn.Sequential(linear(), nn.ReLU(), linear(), nn.Sigmoid())

    def run(self, h, author):
        y = self.norms[0](h) if self.where in {"before", "both"} else h
        z = self.down(self.within(self.up(y), author))
        z = self.norms[1](z) if self.where in {"inside", "both"} else z
        z = self.scaled(z, h)
        z = add(self.plain(h), z if z.shape == h.shape else z.expand(h.shape), author, self.way)
        z = {"none": lambda: z, "relu": lambda: torch.relu(z), "dropout": lambda: F.dropout(z, 0.1)}[self.then]()
        return self.norms[0](z) if self.where == "after" else z

    def scaled(self, z: Tensor, h: Tensor) -> Tensor:
        scales: dict[str, Callable[[], Tensor]] = {
            "none": lambda: z,
            "number": lambda: 0.3 * z,
            "layer scale": lambda: self.gain * z,
            "rezero": lambda: self.alpha * z,
            "dropout": lambda: F.dropout(z, 0.2),
            "path": lambda: z * torch.empty(len(z), 1, 1, dtype=z.dtype).bernoulli_(0.7) / 0.7,
            "squeeze": lambda: z * self.squeeze(z.mean(1, keepdim=True)),
            "gate": lambda: torch.sigmoid(self.gate(h)) * z,
        }
        return scales[self.scale]()

    def plain(self, h: Tensor) -> Tensor:
        ways: dict[str, Callable[[], Tensor]] = {
            "h": lambda: h,
            "number": lambda: 0.7 * h,
            "gain": lambda: h * self.gain,
            "dropout": lambda: F.dropout(h, 0.1),
            "rolled": lambda: h.flip(-1).roll(1, 1),
            "normed": lambda: F.layer_norm(h, (D,)),
            "clone": lambda: h.clone(),
        }
        return ways[self.shortcut]()


@part
class Fusedsum(Part):
    """h + y W in one operation, y = f(h): one block; the counted edge is that of y."""

    nests = True
    choices: ClassVar = {"way": ("baddbmm", "addmm", "beta and alpha", "addmv", "frozen")}

    def make(self) -> None:
        self.up, self.W = Embedded(torch.tanh), nn.Parameter(torch.randn(D, D) / 2)
        self.W.requires_grad_(self.way != "frozen")

    def run(self, h, author):
        y = author.branch(self.within(self.up(h), author), 1)
        if self.way in {"addmm", "frozen"}:
            return torch.addmm(h.reshape(-1, D), y.reshape(-1, D), self.W).view(h.shape)
        if self.way == "addmv":
            column = torch.addmv(h[..., 0].flatten().to(y.dtype), y.flatten(0, 1), self.W[0].to(y.dtype)).to(h.dtype)
            return torch.cat([column.view(*h.shape[:2], 1), h[..., 1:]], -1)
        scale = {"beta": 0.5, "alpha": 2.0} if self.way == "beta and alpha" else {}
        return torch.baddbmm(h, y, self.W.expand(len(h), D, D), **scale)


@part
class Beside(Part):
    """GPT-J's two branches from one norm: h + a + m are two blocks, h + (a + m) is one and a parallel sum."""

    choices: ClassVar = {"way": ("h + a + m", "h + (a + m)", "a + m + h", "a + h + m", "stack")}

    def make(self) -> None:
        self.norm, self.a, self.m = nn.LayerNorm(D), Attention(), mlp()

    def run(self, h, author):
        y = self.norm(h)
        a, m = self.a(y), self.m(y)
        if self.way == "h + a + m":
            return h + author.branch(a) + author.branch(m)
        if self.way == "a + h + m":
            return author.branch(a, 0) + h + author.branch(m)
        if self.way == "h + (a + m)":
            return h + author.branch(a + m)
        if self.way == "a + m + h":
            return author.branch(a + m, 0) + h
        return h + author.branch(torch.stack([a, m]).sum(0))


@part
class Experts(Part):
    """A mixture of experts, Σ_k w_k f_k(h), all of them nonlinear: no block."""

    choices: ClassVar = {"way": ("sum", "stack", "routed", "contracted", "mean", "top"), "number": (2, 3)}

    def make(self) -> None:
        self.f = nn.ModuleList(mlp() for _ in range(self.number))
        self.router = linear(D, self.number)

    def run(self, h, author):
        results = [f(h) for f in self.f]
        w = self.router(h).softmax(-1)
        if self.way == "routed":
            return sum(w[..., k : k + 1] * y for k, y in enumerate(results))
        if self.way == "contracted":
            return torch.einsum("ntdk,ntk->ntd", torch.stack(results, -1), w)
        if self.way == "top":
            best = F.one_hot(w.argmax(-1), self.number).to(h.dtype)
            return sum(best[..., k : k + 1] * w[..., k : k + 1] * y for k, y in enumerate(results))
        stacked = torch.stack(results)
        return {"sum": lambda: sum(results), "stack": lambda: stacked.sum(0), "mean": lambda: stacked.mean(0)}[
            self.way
        ]()


@part
class Lora(Part):
    """W h + B A h, both affine: no block."""

    choices: ClassVar = {"frozen": (False, True), "dropout": (False, True), "inplace": (False, True)}

    def make(self) -> None:
        self.W, self.A, self.B = linear(), nn.Linear(D, 2, bias=False), nn.Linear(2, D, bias=False)
        self.W.requires_grad_(not self.frozen)

    def run(self, h, author):
        y, z = self.W(h), 0.5 * self.B(self.A(F.dropout(h, 0.2) if self.dropout else h))
        return y.add_(z) if self.inplace else y + z


@part
class Highway(Part):
    """t f + (1 - t) h and lerp(h, f, t) are no block, h + t (f - h) is one: labels go by what is written."""

    choices: ClassVar = {"way": ("t f + (1 - t) h", "h + t (f - h)", "lerp", "h - t h + t f"), "coupled": (True, False)}

    def make(self) -> None:
        self.f, self.t, self.c = mlp(), linear(), linear()

    def run(self, h, author):
        f, t = self.f(h), torch.sigmoid(self.t(h))
        if self.way == "h + t (f - h)":
            return h + author.branch(t * (f - h))
        author.aside("uncounted")
        if self.way == "lerp":
            return torch.lerp(h, f, t)
        if self.way == "h - t h + t f":  # two sums: both have h plain, and products on their branches
            return h - author.branch(t * h, verdict="free") + author.branch(t * f, verdict="free")
        c = 1 - t if self.coupled else torch.sigmoid(self.c(h))
        return t * f + c * h


@part
class Projected(Part):
    """P h + f(h) with an affine P and a nonlinear f: a block with a projected shortcut."""

    nests = True
    choices: ClassVar = {
        "by": ("linear", "convolution", "normed", "pooled", "low rank", "lora"),
        "first": (False, True),
        "ends": ("linear", "tanh"),
    }

    def make(self) -> None:
        self.up, self.down, self.norm = linear(), linear(), nn.LayerNorm(D)
        self.P = {"convolution": lambda: Over(nn.Conv1d(D, D, 1))}.get(self.by, linear)()
        self.A, self.B = nn.Linear(D, 2, bias=False), nn.Linear(2, D, bias=False)

    def run(self, h, author):
        z = self.down(self.within(torch.tanh(self.up(h)), author))
        z = torch.tanh(z) if self.ends == "tanh" else z
        p = {
            "normed": lambda: self.norm(self.P(h)),
            "pooled": lambda: self.P(h.mean(1, keepdim=True)).expand(h.shape),
            "low rank": lambda: self.B(self.A(h)),
            "lora": lambda: self.P(h) + self.B(self.A(h)),
        }.get(self.by, lambda: self.P(h))()
        return author.branch(z, 0, "projected") + p if self.first else p + author.branch(z, 1, "projected")


@part
class Nonlinearshortcut(Part):
    """A projection behind a nonlinearity of its own (dpn's BN-ReLU-convolution): a block, or doubt."""

    choices: ClassVar = {"how": ("norm, relu", "relu")}

    def make(self) -> None:
        self.norm, self.P, self.f = nn.LayerNorm(D), linear(), mlp()

    def run(self, h, author):
        p = self.P(torch.relu(self.norm(h) if self.how == "norm, relu" else h))
        return p + author.branch(self.f(h), None, None, "open")


@part
class Dense(Part):
    """Results side by side that a weight reads (DenseNet): no block."""

    nests = True
    choices: ClassVar = {"layers": (1, 2), "joined": ("cat", "stack")}

    def make(self) -> None:
        self.f = nn.ModuleList(mlp(D * (k + 1)) for k in range(self.layers))
        self.out = linear(D * (self.layers + 1))

    def run(self, h, author):
        features = [self.within(h, author)]
        for f in self.f:
            features.append(f(torch.cat(features, -1)))
        together = torch.cat(features, -1) if self.joined == "cat" else torch.stack(features, 2).flatten(2)
        return self.out(together)


@part
class Weightless(Part):
    """h + pool(h), a Fourier mixer: by the rule no block, as no weight is crossed; it may be doubted."""

    choices: ClassVar = {"mixer": ("average", "difference", "fourier", "shift", "norm", "relu")}

    def run(self, h, author):
        author.aside("uncounted")
        mixed = {
            "average": lambda: h.mean(1, keepdim=True).expand(h.shape),
            "difference": lambda: h.mean(1, keepdim=True) - h,
            "fourier": lambda: torch.fft.fft2(h).real / 4,
            "shift": lambda: h.roll(1, 1),
            "norm": lambda: F.layer_norm(h, (D,)),
            "relu": lambda: torch.relu(h),
        }
        return h + mixed[self.mixer]()


@part
class Longskip(Part):
    """h + parts(h), where residual parts inside carry h plainly too: by the rule no block of its own."""

    choices: ClassVar = {"norm": (False, True), "first": (True, False)}

    def make(self) -> None:
        self.f, self.g = mlp(), mlp()

    def run(self, h, author):
        author.aside("uncounted")
        y = h + author.branch(self.f(h))
        y = y + author.branch(self.g(y))
        y = F.layer_norm(y, (D,)) if self.norm else y
        return h + y if self.first else y + h


@part
class Depthmean(Part):
    """A weighted mean of two depths of one stream, both plain: a block inside, none of its own."""

    choices: ClassVar = {"by": ("numbers", "parameters", "stack")}

    def make(self) -> None:
        self.f, self.w = mlp(), nn.Parameter(torch.rand(2))

    def run(self, h, author):
        author.aside("uncounted")
        y = h + author.branch(self.f(h))
        w = (0.4, 0.6) if self.by == "numbers" else self.w
        return torch.stack([h, y], -1) @ self.w if self.by == "stack" else w[0] * h + w[1] * y


@part
class Straight(Part):
    """A straight-through estimator, h + (round(h) - h).detach(): one signal, no sum."""

    def run(self, h, author):
        return h + (h.round() - h).detach()


@part
class Fourier(Part):
    """A spectral and a pointwise linear map: both affine, no block."""

    def make(self) -> None:
        self.modes = nn.Parameter(torch.randn(self.tokens // 2 + 1, D, D) / 3)
        self.beside = linear()

    def run(self, h, author):
        x = torch.fft.rfft(h.to(self.modes.dtype), dim=1)
        modes = torch.einsum("nkd,kde->nke", x, self.modes.to(x.dtype))
        return F.gelu(torch.fft.irfft(modes, n=h.shape[1], dim=1).to(h.dtype) + self.beside(h))
