"""What a part of a network is, and what parts are made of: branches, norms, the table that they are entered in.

A part maps (N, T, D) to the same shape, unless ``top`` says that it changes T. Its docstring says what is right. The
first choice of each option is the simplest; the shrinker goes there.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from sums import WAYS
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from truth import Author

__all__ = ["BRANCHES", "NORMS", "PARTS", "Attention", "D", "Embedded", "Over", "Part", "add", "linear", "mlp", "part"]

D = 6
"""Features of a token."""

PARTS: dict[str, type["Part"]] = {}


def part(cls: type["Part"]) -> type["Part"]:
    """Enter a part in the table under its name in lower case."""
    PARTS[cls.__name__.lower()] = cls
    return cls


def linear(width: int = D, out: int = D) -> nn.Linear:
    return nn.Linear(width, out)


def mlp(width: int = D, out: int = D) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, D), nn.Tanh(), nn.Linear(D, out))


class Part(nn.Module):
    """A piece of a network whose author says where blocks are.

    Parameters
    ----------
    tokens
        T of what enters.
    inside
        Parts that stand inside this one.
    options
        One of its ``choices`` each.
    """

    choices: ClassVar[dict[str, tuple[Any, ...]]] = {}
    nests: ClassVar[bool] = False
    top: ClassVar[bool] = False

    def __init__(self, tokens: int, inside: list["Part"], **options: Any) -> None:
        super().__init__()
        self.tokens, self.leaves_tokens = tokens, tokens
        for name, values in self.choices.items():
            setattr(self, name, options.get(name, values[0]))
        self.inside = nn.ModuleList(inside)
        self.place = ""
        self.make()

    def make(self) -> None:
        """Create the parameters."""

    def within(self, h: Tensor, author: Author) -> Tensor:
        """Run the parts inside."""
        for each in self.inside:
            h = each(h, author)
            author.place = self.place
        return h

    def forward(self, h: Tensor, author: Author) -> Tensor:
        author.place = self.place
        return self.run(h, author)

    def run(self, h: Tensor, author: Author) -> Tensor:
        raise NotImplementedError


def add(
    h: Tensor, z: Tensor, author: Author, way: str = "h + z", shortcut: str | None = "identity", verdict: str = "block"
) -> Tensor:
    """A residual sum, written in one of the ways; the weaker of both verdicts holds."""
    form = WAYS[way]
    order = ("block", "open", "free", "doubtful")
    z = z if way in {"h + z", "z + h", "h - z", "z - h", "h += z"} else z.to(h.dtype)  # as autocast has them differ
    weaker = max(form.verdict, verdict, key=order.index)
    weaker = "free" if "block" not in (form.verdict, verdict) else weaker  # two oddities at once
    return form.write(h, author.branch(z, form.side, shortcut, weaker))


class Attention(nn.Module):
    """softmax(q k) v; nothing is added."""

    def __init__(self, out: bool = True) -> None:
        super().__init__()
        self.q, self.k, self.v = linear(), linear(), linear()
        self.o = linear() if out else nn.Identity()

    def forward(self, h: Tensor, source: Tensor | None = None) -> Tensor:
        source = h if source is None else source
        return self.o((self.q(h) @ self.k(source).mT).softmax(-1) @ self.v(source))


class Over(nn.Module):
    """A module over tokens, (N, D, T)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, h: Tensor) -> Tensor:
        return self.module(h.transpose(1, 2)).transpose(1, 2)


class Fused(nn.Module):
    """nn.MultiheadAttention, or PyTorch's fused attention."""

    def __init__(self, packed: bool) -> None:
        super().__init__()
        self.qkv, self.packed = linear(D, 3 * D), packed
        self.attention = nn.MultiheadAttention(D, 2, batch_first=True) if packed else None

    def forward(self, h: Tensor) -> Tensor:
        if self.attention is not None:
            return self.attention(h, h, h, need_weights=False)[0]
        q, k, v = (y.unflatten(-1, (2, -1)).transpose(1, 2) for y in self.qkv(h).chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Swiglu(nn.Module):
    """W (silu(U h) ⊙ V h)."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = linear(D, 2 * D), linear()

    def forward(self, h: Tensor) -> Tensor:
        a, b = self.up(h).chunk(2, -1)
        return self.down(F.silu(a) * b)


class Spread(nn.Module):
    """One vector for all tokens, computed from their mean (a global context)."""

    def __init__(self) -> None:
        super().__init__()
        self.f = mlp()

    def forward(self, h: Tensor) -> Tensor:
        return self.f(h.mean(1, keepdim=True))


class Recurrent(nn.Module):
    """nn.LSTM or nn.GRU over the tokens."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.cell = kind(D, D, batch_first=True)

    def forward(self, h: Tensor) -> Tensor:
        return self.cell(h)[0]


class LinearAttention(nn.Module):
    """φ(q) (φ(k)ᵀ v), normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = linear(), linear(), linear()

    def forward(self, h: Tensor) -> Tensor:
        q, k = (F.elu(f(h)) + 1 for f in (self.q, self.k))
        return (q @ (k.mT @ self.v(h))) / (q @ k.sum(1, keepdim=True).mT)


class Written(nn.Module):
    """A weight as people write it out."""

    def __init__(self, how: str, tokens: int) -> None:
        super().__init__()
        self.how, self.W = how, nn.Parameter(torch.randn(D, D) / 2)
        self.A, self.B = nn.Parameter(torch.randn(D, 2)), nn.Parameter(torch.randn(2, D))
        self.modes = nn.Parameter(torch.randn(tokens // 2 + 1, D) / 2)

    def forward(self, h: Tensor) -> Tensor:
        W = self.W.to(h.dtype)
        ways: dict[str, Callable[[], Tensor]] = {
            "einsum": lambda: torch.einsum("nti,oi->nto", h, W),
            "left": lambda: (W @ h.mT).mT,
            "tensordot": lambda: torch.tensordot(h, W, dims=1),
            "low rank": lambda: h @ (self.A @ self.B).to(h.dtype),
            "product, sum": lambda: (h[..., None] * W).sum(-2),
            "distance": lambda: -(h[..., None, :] - W).square().sum(-1),
            "global filter": lambda: torch.fft.irfft(torch.fft.rfft(h, dim=1) * self.modes, n=h.shape[1], dim=1),
            "unfold": lambda: F.pad(h, (0, 0, 1, 0)).unfold(1, 2, 1).sum(-1) @ W,
        }
        return torch.tanh(ways[self.how]())


class Dispatch(nn.Module):
    """A mixture of experts, each of which sees some of the tokens alone and adds to a buffer."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.f, self.router, self.how = nn.ModuleList(mlp() for _ in range(2)), linear(D, 2), how

    def forward(self, h: Tensor) -> Tensor:
        flat, out = h.reshape(-1, D), h.new_zeros(h.shape).reshape(-1, D)
        w = self.router(flat).softmax(-1)
        for k, f in enumerate(self.f):
            i = torch.arange(k, len(flat), 2) if k else torch.arange(0, len(flat), 3)
            y = (f(flat[i]) * w[i, k : k + 1]).to(out.dtype)
            if self.how == "index_add":
                out = out.index_add(0, i, y)
            elif self.how == "index_add_":
                out.index_add_(0, i, y)
            else:
                out = out.scatter_add(0, i[:, None].expand(y.shape), y)
        return out.view(h.shape)


class Dynamic(nn.Module):
    """A weight that is a mixture chosen by the signal, and nothing else (conditional convolution)."""

    def __init__(self) -> None:
        super().__init__()
        self.W, self.router = nn.Parameter(torch.randn(2, D, D) / 2), linear(D, 2)

    def forward(self, h: Tensor) -> Tensor:
        w = self.router(h.mean(1)).softmax(-1)
        return torch.tanh(h @ torch.einsum("nk,kde->nde", w, self.W.to(w.dtype)))


class Sampled(nn.Module):
    """Tokens read at places that the signal gives (deformable attention)."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = linear(D, 1)

    def forward(self, h: Tensor) -> Tensor:
        T = h.shape[1]
        at = torch.linspace(-1, 1, T, dtype=h.dtype)[:, None] + 0.3 * torch.tanh(self.offset(h)).to(h.dtype)
        grid = torch.cat([at, torch.zeros_like(at)], -1)[:, None]  # (N, 1, T, 2)
        return F.grid_sample(h.mT[:, :, None], grid, align_corners=True)[:, :, 0].mT


class Longconvolution(nn.Module):
    """Hyena's convolution over all tokens by Fourier transforms, with a filter of parameters, and D ⊙ u added."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.k = nn.Parameter(torch.randn(tokens, D) / 2)

    def forward(self, h: Tensor) -> Tensor:
        n = 2 * h.shape[1]
        k = torch.fft.rfft(self.k.to(h.dtype), n, dim=0)
        return torch.fft.irfft(torch.fft.rfft(h, n, dim=1) * k, n, dim=1)[:, : h.shape[1]]


class Bilinear(nn.Module):
    """nn.Bilinear of the signal and a function of it: one operation that is opaque."""

    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Bilinear(D, D, D)

    def forward(self, h: Tensor) -> Tensor:
        h = h.to(self.f.weight.dtype)
        return self.f(h, torch.tanh(h))


class Embedded(nn.Module):
    """A linear map and a nonlinearity that is given."""

    def __init__(self, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.f, self.act = linear(), act

    def forward(self, h: Tensor) -> Tensor:
        return self.act(self.f(h))


BRANCHES: dict[str, Callable[[int], nn.Module]] = {
    "mlp": lambda _: Embedded(torch.tanh),
    "gelu": lambda _: Embedded(F.gelu),
    "polynomial gelu": lambda _: Embedded(lambda y: 0.5 * y * (1 + torch.tanh(0.8 * (y + 0.04 * y**3)))),
    "attention": lambda _: Attention(),
    "fused attention": lambda _: Fused(packed=False),
    "packed attention": lambda _: Fused(packed=True),
    "convolution": lambda _: nn.Sequential(Over(nn.Conv1d(D, D, 3, padding=1)), nn.ReLU()),
    "depthwise": lambda _: nn.Sequential(Over(nn.Conv1d(D, D, 3, padding=1, groups=D)), nn.GELU()),
    "tokens": lambda tokens: nn.Sequential(Over(nn.Linear(tokens, tokens)), nn.Tanh()),
    "swiglu": lambda _: Swiglu(),
    "spread": lambda _: Spread(),
    "lstm": lambda _: Recurrent(nn.LSTM),
    "gru": lambda _: Recurrent(nn.GRU),
    "linear attention": lambda _: LinearAttention(),
    "transformer layer": lambda _: nn.Sequential(linear(), nn.Softmax(-1), linear(), nn.Softplus()),
    "normalised weight": lambda _: nn.Sequential(parametrizations.weight_norm(linear()), nn.Mish()),
    "factored": lambda _: nn.Sequential(nn.Linear(D, 2), nn.Linear(2, D), nn.PReLU()),
    "bilinear": lambda _: Bilinear(),
    "dynamic": lambda _: Dynamic(),
    "sampled": lambda _: Sampled(),
    "long convolution": Longconvolution,
    "einsum": lambda tokens: Written("einsum", tokens),
    "left": lambda tokens: Written("left", tokens),
    "tensordot": lambda tokens: Written("tensordot", tokens),
    "low rank": lambda tokens: Written("low rank", tokens),
    "product, sum": lambda tokens: Written("product, sum", tokens),
    "distance": lambda tokens: Written("distance", tokens),
    "global filter": lambda tokens: Written("global filter", tokens),
    "unfold": lambda tokens: Written("unfold", tokens),
    "experts, index_add": lambda _: Dispatch("index_add"),
    "experts, index_add_": lambda _: Dispatch("index_add_"),
    "experts, scatter_add": lambda _: Dispatch("scatter_add"),
}


class RootMeanSquare(nn.Module):
    """A norm written by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.rand(D) + 0.5)

    def forward(self, h: Tensor) -> Tensor:
        return self.gain * h * torch.rsqrt(h.square().mean(-1, keepdim=True) + 1e-3)


class Centred(nn.Module):
    """A layer norm written by hand: the sum in it is no block."""

    def forward(self, h: Tensor) -> Tensor:
        h = h - h.mean(-1, keepdim=True)
        return h / (h.square().mean(-1, keepdim=True) + 1e-3).sqrt()


NORMS: dict[str, Callable[[], nn.Module]] = {
    "layer": lambda: nn.LayerNorm(D),
    # by default eps is that of the precision: in float32 another function than in float64, whose gates are the truth,
    # and so small that behind a token of zeros and one live entry the gradient is rounding error alone
    "root mean square": lambda: nn.RMSNorm(D, eps=1e-5),
    "by hand": RootMeanSquare,
    "centred by hand": Centred,
    "group": lambda: Over(nn.GroupNorm(2, D)),
    "batch": lambda: Over(nn.BatchNorm1d(D)),
}
