"""Forms of shortcut that people build: what counts as a residual block, and what does not."""

import torch
from torch import nn
from torch.nn.utils import parametrizations


class ReZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.f, self.alpha = nn.Linear(4, 4), nn.Parameter(torch.tensor(0.3))

    def forward(self, x):
        return x + self.alpha * self.f(x).relu()


class StochasticDepth(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Linear(4, 4)

    def forward(self, x):
        survives = torch.empty(len(x), 1, dtype=x.dtype).bernoulli_(0.7) / 0.7
        return x + survives * self.f(x).relu()


class SqueezeExcitation(nn.Module):
    """The branch is multiplied by a gate that it computes itself."""

    def __init__(self):
        super().__init__()
        self.conv, self.squeeze, self.excite = nn.Conv2d(3, 3, 3, 1, 1), nn.Conv2d(3, 2, 1), nn.Conv2d(2, 3, 1)

    def forward(self, x):
        y = self.conv(x)
        y = y * self.excite(self.squeeze(y.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return torch.relu(y + x)


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.f, self.gate = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return x + self.gate(x).sigmoid() * self.f(x)


class Interpolated(Gated):
    """A highway written x + t(f - x): the same function, but here with two skip connections to be seen."""

    def forward(self, x):
        return x + self.gate(x).sigmoid() * (self.f(x).relu() - x)


class Lerp(Gated):
    """A highway as one operation."""

    def forward(self, x):
        return torch.lerp(x, self.f(x).relu(), self.gate(x).sigmoid())


class Mixed(ReZero):
    """A sum of two signals with weights that are numbers."""

    def forward(self, x):
        return torch.lerp(x, self.f(x).tanh(), 0.3)


class Stacked(ReZero):
    """A sum over an axis that the two signals were put along, each scaled before."""

    def __init__(self, put):
        super().__init__()
        self.put = put

    def forward(self, x):
        pair = self.put([x, self.f(x).tanh()])
        return (pair * torch.tensor([1.0, 0.5], dtype=x.dtype)[:, None, None]).sum(0)


class Returning(nn.Module):
    """Each step adds what it has so far to the input: every branch holds those before."""

    def __init__(self):
        super().__init__()
        self.f = nn.Linear(4, 4)

    def forward(self, x):
        h = x
        for _ in range(3):
            h = self.f(h).tanh() + x
        return h


class Own(nn.Module):
    """One module adds three branches, each by a matrix of its own or one that it had."""

    def __init__(self):
        super().__init__()
        self.one, self.two = (nn.Parameter(torch.randn(4, 4)) for _ in range(2))

    def forward(self, x):
        for W in (self.one, self.two, self.one):
            x = x + (x @ W).tanh()
        return x


class Routed(ReZero):
    """A mixture of depths: a block around some rows alone."""

    def forward(self, x):
        rows = torch.tensor([0, 2])
        return x.index_add(0, rows, self.f(x[rows]).tanh())


class Macaron(nn.Module):
    """A Conformer's half steps around a branch in the middle, and its closing norm."""

    def __init__(self):
        super().__init__()
        self.first, self.middle, self.last, self.norm = (
            nn.Linear(4, 4),
            nn.Linear(4, 4),
            nn.Linear(4, 4),
            nn.LayerNorm(4),
        )

    def forward(self, x):
        x = x + 0.5 * self.first(x).relu()
        x = x + self.middle(x).tanh()
        return self.norm(x + 0.5 * self.last(x).relu())


class RootMeanSquare(nn.Module):
    """A norm written by hand, a product of signals."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.rand(4))

    def forward(self, x):
        return self.gain * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


class Centred(nn.Module):
    """A layer norm written by hand."""

    def forward(self, x):
        x = x - x.mean(-1, keepdim=True)
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


class Normed(nn.Module):
    """x + f(norm(x)), norm(x + f(x)) or x + norm(f(x))."""

    def __init__(self, where, norm=RootMeanSquare):
        super().__init__()
        self.f, self.norm, self.where = nn.Linear(4, 4), norm(), where

    def forward(self, x):
        if self.where == "before":
            return x + self.f(self.norm(x)).tanh()
        if self.where == "after":
            return self.norm(x + self.f(x).tanh())
        return x + self.norm(self.f(x).tanh())


class Fractal(nn.Module):
    """The mean of a short and a long column: none is a shortcut."""

    def __init__(self):
        super().__init__()
        self.short, self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return (self.short(x).relu() + self.two(self.one(x).relu()).relu()) / 2


class Reversible(nn.Module):
    """A RevNet: two streams, each added to a function of the other."""

    def __init__(self, slices):
        super().__init__()
        self.f = nn.ModuleList(nn.Linear(4, 4) for _ in range(4))
        self.slices = slices

    def forward(self, x):
        a, b = (x[:, :4], x[:, 4:]) if self.slices else x.chunk(2, 1)
        a = a + self.f[0](b).tanh()
        b = b + self.f[1](a).tanh()
        a = a + self.f[2](b).tanh()
        b = b + self.f[3](a).tanh()
        return torch.cat([a, b], 1)


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.channels, self.norm = nn.Linear(3, 3), nn.Linear(4, 4), nn.LayerNorm(4)

    def forward(self, x):
        x = x + self.tokens(self.norm(x).transpose(1, 2)).relu().transpose(1, 2)
        return x + self.channels(self.norm(x)).relu()


class Attention(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x, source):
        return self.out((self.q(x) @ self.k(source).mT).softmax(-1) @ self.v(source))


class Latents(nn.Module):
    """A Perceiver: the stream starts from parameters, and each cross attention reads x anew."""

    def __init__(self):
        super().__init__()
        self.latents, self.embed = nn.Parameter(torch.randn(2, 4)), nn.Linear(4, 4)
        self.cross = nn.ModuleList(Attention() for _ in range(3))
        self.mlp = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        h, source = self.latents, self.embed(x)
        for cross, mlp in zip(self.cross, self.mlp, strict=True):
            h = h + cross(h, source)
            h = h + mlp(h).tanh()
        return h


class ClassToken(nn.Module):
    """A shortcut around a piece that is taken twice."""

    def __init__(self):
        super().__init__()
        self.f = nn.Linear(4, 4)

    def forward(self, x):
        return x[:, 0] + self.f(x[:, 0]).tanh()


class Hierarchical(nn.Module):
    """Res2Net: each piece enters with the result of the piece before, inside a bottleneck."""

    def __init__(self):
        super().__init__()
        self.enter, self.leave = nn.Linear(4, 6), nn.Linear(6, 4)
        self.f = nn.ModuleList(nn.Linear(2, 2) for _ in range(2))

    def forward(self, x):
        a, b, c = self.enter(x).relu().split(2, 1)
        b = self.f[0](b).relu()
        c = self.f[1](c + b).relu()
        return x + self.leave(torch.cat([a, b, c], 1))


class Modulated(nn.Module):
    """A DiT: scale, shift and gate come from a condition that does not depend on x."""

    def __init__(self):
        super().__init__()
        self.f, self.condition, self.norm = nn.Linear(4, 4), nn.Linear(2, 12), nn.LayerNorm(4)

    def forward(self, x):
        scale, shift, gate = self.condition(torch.ones(1, 2, dtype=x.dtype)).chunk(3, 1)
        return x + gate * self.f(self.norm(x) * (1 + scale) + shift)


class Factored(nn.Module):
    """Weights made from parameters: a low rank, and a normalised one; each counts once."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(4, 2)), nn.Parameter(torch.randn(2, 4))
        self.f = parametrizations.weight_norm(nn.Linear(4, 4))

    def forward(self, x):
        return x + self.f(torch.relu(x @ (self.a @ self.b)))


class Fourier(nn.Module):
    """A Fourier neural operator: a contraction with modes, and a pointwise one beside it; both are linear."""

    def __init__(self):
        super().__init__()
        self.modes, self.beside = nn.Parameter(torch.randn(3, 2, 2)), nn.Conv1d(2, 2, 1)

    def forward(self, x):
        modes = torch.einsum("bik,kio->bok", torch.fft.rfft(x), self.modes.to(torch.complex128))
        return torch.nn.functional.gelu(torch.fft.irfft(modes, n=4) + self.beside(x))


class Gru(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(4, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.gru(x)[0][:, -1])


class AroundLstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 4, batch_first=True)

    def forward(self, x):
        return x + self.lstm(x)[0]


class Bilinear(nn.Module):
    """One operation takes two signals and a weight: what it holds is not counted, but listed."""

    def __init__(self):
        super().__init__()
        self.f = nn.Bilinear(4, 4, 4)

    def forward(self, x):
        return x + self.f(x, x.tanh())


class DoubleConv(nn.Sequential):
    def __init__(self, width, out):
        super().__init__(nn.Conv2d(width, out, 3, 1, 1), nn.ReLU(), nn.Conv2d(out, out, 3, 1, 1), nn.ReLU())


class UNet(nn.Module):
    """Ronneberger's, with concatenated skips; or a LinkNet, which adds them: a shortcut around all that is below."""

    def __init__(self, add):
        super().__init__()
        self.enter, self.down, self.bottom = DoubleConv(2, 4), DoubleConv(4, 6), DoubleConv(6, 8)
        self.up2, self.up1 = nn.ConvTranspose2d(8, 6, 2, 2), nn.ConvTranspose2d(6, 4, 2, 2)
        self.join2, self.join1 = DoubleConv(6 if add else 12, 6), DoubleConv(4 if add else 8, 4)
        self.leave, self.add = nn.Conv2d(4, 3, 1), add

    def forward(self, x):
        pool = nn.functional.max_pool2d
        a = self.enter(x)
        b = self.down(pool(a, 2))
        c = self.up2(self.bottom(pool(b, 2)))
        d = self.up1(self.join2(b + c if self.add else torch.cat([b, c], 1)))
        return self.leave(self.join1(a + d if self.add else torch.cat([a, d], 1))).mean((2, 3))
