"""Parts that add within one layer: residual, fused, parallel, gated, projected, concatenated."""

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from part import BRANCHES, NORMS, Attention, D, Embedded, Over, Part, add, linear, mlp, part
from sums import WAYS
from torch import Tensor, nn


class Scaled(torch.autograd.Function):
    """A custom function that scales, as frameworks have them for gradients."""

    @staticmethod
    def forward(ctx, h):
        return 0.5 * h

    @staticmethod
    def backward(ctx, g):
        return 0.5 * g


def in_place(h: Tensor) -> Tensor:
    y = h.clone()
    y[:, :1] = 0
    return y


def masked(h: Tensor) -> Tensor:
    return torch.arange(D) < 2


SHORTCUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "number": lambda h: 0.7 * h,
    "dropout": lambda h: F.dropout(h, 0.1),
    "rolled": lambda h: h.flip(-1).roll(1, 1),
    "normed": lambda h: F.layer_norm(h, (D,)),
    "clone": lambda h: h.clone(),
    "permuted": lambda h: h[:, torch.arange(h.shape[1]).flip(0)],
    "masked": lambda h: h.masked_fill(masked(h), 0.0),
    "where": lambda h: torch.where(masked(h), h, torch.zeros_like(h)),
    "padded and cropped": lambda h: F.pad(h, (1, 2, 0, 1))[:, : h.shape[1], 1 : 1 + D],
    "half stopped": lambda h: 0.5 * h + 0.5 * h.detach(),
    "rounded straight": lambda h: h + ((8 * h).round() / 8 - h).detach(),
    "mirrored sum": lambda h: h + h.flip(-1),
    "repeated and pooled": lambda h: F.avg_pool1d(h.repeat_interleave(2, 1).mT, 2).mT,
    "split and joined": lambda h: torch.cat(h.chunk(2, -1)[::-1], -1),
    "unbound and stacked": lambda h: torch.stack(h.unbind(1), 1),
    "mean": lambda h: h.mean(1, keepdim=True).expand(h.shape),
    "first token": lambda h: h[:, :1].expand(h.shape),
    "in place, number": lambda h: h.clone().mul_(0.8),
    "half zero": lambda h: torch.cat([h[..., : D // 2], torch.zeros_like(h[..., D // 2 :])], -1),
    "scattered": lambda h: torch.zeros_like(h).scatter(1, torch.zeros_like(h[:, :1]).long(), h[:, :1]),
    "diagonal": lambda h: h @ torch.diag(torch.full((D,), 0.5, dtype=h.dtype)),
    # that are not plain by the rule, or by the tables
    "in place, masked": in_place,
    "custom": Scaled.apply,
    "normed by hand": lambda h: h * torch.rsqrt(h.square().mean(-1, keepdim=True) + 1e-3),
    "relu": torch.relu,
    "clamped": lambda h: h.clamp(-3, 3),
    "no nan": torch.nan_to_num,
    "sorted": lambda h: h.sort(-1).values,
    "largest": lambda h: h.topk(D, -1).values,
    "fourier and back": lambda h: torch.fft.ifft(torch.fft.fft(h)).real,
    "blurred": lambda h: F.conv1d(h.mT, torch.full((D, 1, 3), 0.3, dtype=h.dtype), padding=1, groups=D).mT,
    "softmax": lambda h: h.softmax(-1),
    "gated": lambda h: torch.sigmoid(h) * h,
    "max pooled": lambda h: F.max_pool1d(h.mT, 3, 1, 1).mT,
    "fake quantised": lambda h: torch.fake_quantize_per_tensor_affine(h, 0.01, 0, -128, 127),
}
names = list(SHORTCUTS)
OPEN_SHORTCUTS = {*names[names.index("diagonal") :]}
"""Shortcuts that must be counted or doubted; the others are plain."""


class Short(nn.Module):
    """A shortcut, with a gain of its own for one of them."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, h: Tensor) -> Tensor:
        return h if self.how == "h" else SHORTCUTS[self.how](h)


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
        "shortcut": ("h", *SHORTCUTS),
        "ends": ("linear", "bare"),
    }

    def make(self) -> None:
        self.up, self.down = BRANCHES[self.branch](self.tokens), linear()
        self.norms = nn.ModuleList(NORMS[self.norm]() for _ in range(2))
        self.alpha, self.short = nn.Parameter(torch.tensor(0.4)), Short(self.shortcut)
        self.gain = nn.Parameter(torch.rand(D) + 0.5)
        self.gate, self.squeeze = linear(), nn.Sequential(linear(), nn.ReLU(), linear(), nn.Sigmoid())

    def run(self, h, author):
        y = self.norms[0](h) if self.where in {"before", "both"} else h
        z = self.up(y)
        z = self.within(z.expand(y.shape), author) if self.inside else z
        z = self.down(z) if self.ends == "linear" else z
        z = self.norms[1](z) if self.where in {"inside", "both"} else z
        z = self.scaled(z, h)
        z = z if z.shape == h.shape else z.expand(h.shape)
        kind = "identity" if self.shortcut not in OPEN_SHORTCUTS else None
        z = add(self.short(h), z, author, self.way, kind, "block" if kind else "open")
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
            return torch.lerp(h, f.to(h.dtype), t.to(h.dtype))
        if self.way == "h - t h + t f":  # two sums: both have h plain, and products on their branches
            return h - author.branch(t * h, verdict="free") + author.branch(t * f, verdict="free")
        c = 1 - t if self.coupled else torch.sigmoid(self.c(h))
        return t * f + c * h


@part
class Projected(Part):
    """P h + f(h) with an affine P and a nonlinear f, which may read a condition too: a block, "projected"."""

    nests = True
    choices: ClassVar = {
        "by": ("linear", "convolution", "normed", "pooled", "low rank", "lora"),
        "first": (False, True),
        "ends": ("linear", "tanh"),
        "condition": ("none", "second input"),
    }

    def make(self) -> None:
        self.up, self.down, self.norm, self.c = linear(), linear(), nn.LayerNorm(D), linear()
        self.P = {"convolution": lambda: Over(nn.Conv1d(D, D, 1))}.get(self.by, linear)()
        self.A, self.B = nn.Linear(D, 2, bias=False), nn.Linear(2, D, bias=False)

    def run(self, h, author):
        y = self.up(h)
        if self.condition == "second input" and author.second is not None:
            y = y + self.c(author.second.mean(1, keepdim=True))
        z = self.down(self.within(torch.tanh(y), author))
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
        return h + ((8 * h).round() / 8 - h).detach()


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


@part
class Sampling(Part):
    """A sample of a normal distribution, μ(h) + ε σ(h): no block, though μ is affine and σ is not."""

    choices: ClassVar = {"by": ("two weights", "chunk"), "spread": ("exp", "softplus")}

    def make(self) -> None:
        self.mu, self.log, self.both = linear(), linear(), linear(D, 2 * D)

    def run(self, h, author):
        mu, log = self.both(h).chunk(2, -1) if self.by == "chunk" else (self.mu(h), self.log(h))
        sigma = torch.exp(0.5 * log) if self.spread == "exp" else F.softplus(log)
        return mu + torch.randn(sigma.shape, dtype=torch.float64).to(sigma.dtype) * sigma


@part
class Reparametrised(Part):
    """RepVGG before it is fused: norm(W h) + norm(V h) + norm(h): one block, the two affine ones are parallel."""

    choices: ClassVar = {"order": ("W + V + h", "h + W + V", "h + (W + V)"), "norm": ("layer", "group")}

    def make(self) -> None:
        self.W, self.V = Over(nn.Conv1d(D, D, 3, padding=1)), Over(nn.Conv1d(D, D, 1))
        self.norms = nn.ModuleList(NORMS[self.norm]() for _ in range(3))

    def run(self, h, author):
        w, v, y = self.norms[0](self.W(h)), self.norms[1](self.V(h)), self.norms[2](h)
        if self.order == "W + V + h":
            return torch.relu(author.branch(w + v, 0) + y)
        if self.order == "h + W + V":
            return torch.relu(y + author.branch(w) + author.branch(v))
        return torch.relu(y + author.branch(w + v))


@part
class Polynomial(Part):
    """PolyNet's h + f(h) + f(f(h)): two blocks; f(h) + f(f(h)) within one sum has their form too, and is open."""

    choices: ClassVar = {"order": ("left", "right")}

    def make(self) -> None:
        self.f = mlp()

    def run(self, h, author):
        a = self.f(h)
        if self.order == "left":
            return h + author.branch(a) + author.branch(self.f(a))
        return h + author.branch(a + author.branch(self.f(a), verdict="free"))


@part
class Aggregated(Part):
    """A weighted sum of all depths (ELMo): blocks inside, the sum of plain signals is none."""

    choices: ClassVar = {"by": ("numbers", "parameters", "stack", "list"), "layers": (2, 1)}

    def make(self) -> None:
        self.f, self.w = nn.ModuleList(mlp() for _ in range(self.layers)), nn.Parameter(torch.rand(self.layers + 1))

    def run(self, h, author):
        author.aside("uncounted")
        depths = [h]
        for f in self.f:
            depths.append(depths[-1] + author.branch(f(depths[-1])))
        w = self.w.softmax(0) if self.by != "numbers" else torch.full_like(self.w, 0.5).detach()
        if self.by == "stack":
            return torch.einsum("kntd,k->ntd", torch.stack(depths), w.to(h.dtype))
        if self.by == "list":
            return (torch.stack(depths) * w[:, None, None, None].detach()).sum(0)
        return sum(w[k] * y for k, y in enumerate(depths))


@part
class Quantised(Part):
    """Residual vector quantisation with straight-through codes: sums and differences of plain signals, no block."""

    def make(self) -> None:
        self.codes, self.W = nn.Parameter(torch.randn(2, 4, D)), linear()

    def run(self, h, author):
        author.aside("uncounted")
        rest, total = self.W(h), 0
        for codes in self.codes:
            near = torch.cdist(rest.detach().to(codes.dtype), codes).argmin(-1)
            q = rest + (codes[near].to(rest.dtype) - rest).detach()
            rest, total = rest - 0.5 * q, total + q
        return total
