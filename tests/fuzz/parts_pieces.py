"""Pieces of a signal, and stages that change the number of tokens."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from part import Attention, D, Embedded, Over, Part, add, linear, mlp, part
from sums import PICKS
from torch import nn


@part
class Classtoken(Part):
    """One token, c + f(c) or c + attention(c, all), put back beside the others: one block."""

    choices: ClassVar = {
        "pick": tuple(PICKS),
        "again": ("same", "taken twice", "otherwise", "all", "normed before"),
        "put": ("cat", "buffer", "where", "slice scatter"),
        "way": ("h + z", "z + h", "stack, sum", "h += z"),
    }

    def make(self) -> None:
        self.f, self.attention, self.norm = mlp(), Attention(), nn.LayerNorm(D)

    def run(self, h, author):
        names = list(PICKS)
        pick, other = PICKS[self.pick], PICKS[names[(names.index(self.pick) + 1) % len(names)]]
        c = pick(h)
        z = {
            "same": lambda: self.f(c),
            "taken twice": lambda: self.f(pick(h)),
            "otherwise": lambda: self.f(other(h)),
            "all": lambda: self.attention(c, h),
            "normed before": lambda: self.f(pick(self.norm(h))),
        }[self.again]()
        c = add(c, z, author, self.way)
        if self.put == "buffer":
            y = torch.zeros_like(h)
            y[:, :1] = c
            y[:, 1:] = h[:, 1:]
            return y
        if self.put == "where":
            author.aside("uncounted")  # that it replaces may be said
            return torch.where(torch.arange(h.shape[1])[:, None] < 1, c, h)
        if self.put == "slice scatter":
            author.aside("uncounted")
            return h.slice_scatter(c, 1, 0, 1)
        return torch.cat([c, h[:, 1:]], 1)


@part
class Sometokens(Part):
    """A block on all tokens but the first, or on half the features, the rest untouched: one block."""

    choices: ClassVar = {
        "which": ("tokens", "features", "every second", "index"),
        "again": ("same", "taken twice"),
        "by": ("slice", "split", "narrow"),
        "put": ("cat", "index_copy", "buffer"),
    }

    def make(self) -> None:
        half = D // 2
        self.f = nn.Sequential(linear(half), nn.Tanh(), linear(D, half)) if self.which == "features" else mlp()

    def run(self, h, author):
        dim = 2 if self.which == "features" else 1
        cut = D // 2 if dim == 2 else 1
        if self.which == "every second":
            rest, taken = h[:, ::2], lambda: h[:, 1::2]
        elif self.which == "index":
            i = torch.arange(1, h.shape[1])
            rest, taken = h[:, :1], lambda: h[:, i]
        elif self.by == "split":
            rest, taken = h.split([cut, h.shape[dim] - cut], dim)[0], lambda: h.split([cut, h.shape[dim] - cut], dim)[1]
        elif self.by == "narrow":
            rest, taken = h.narrow(dim, 0, cut), lambda: h.narrow(dim, cut, h.shape[dim] - cut)
        else:
            rest = h[:, :cut] if dim == 1 else h[..., :cut]
            taken = (lambda: h[:, cut:]) if dim == 1 else (lambda: h[..., cut:])
        p = taken()
        p = p + author.branch(self.f(p if self.again == "same" else taken()))
        if self.which == "every second":
            return torch.stack([rest, p], 2).flatten(1, 2)
        if self.put == "cat":
            return torch.cat([rest, p], dim)
        if self.put == "buffer":
            y = torch.empty_like(h)
            y.narrow(dim, 0, cut).copy_(rest)
            y.narrow(dim, cut, h.shape[dim] - cut).copy_(p)
            return y
        author.aside("uncounted")
        return h.index_copy(dim, torch.arange(cut, h.shape[dim]), p)


@part
class Classattention(Part):
    """XCiT: the branch holds attention for the class token and the normed others: a block, or doubt."""

    def make(self) -> None:
        self.f, self.norm, self.attention = mlp(), nn.LayerNorm(D), Attention()

    def run(self, h, author):
        y = self.norm(h)
        z = torch.cat([self.f(self.attention(y[:, :1], y)), y[:, 1:]], 1)
        return h + author.branch(z, None, None, "open")


@part
class Message(Part):
    """Edges e = h[i] + f(h[i], h[j]), summed over into nodes and added to them: two blocks."""

    choices: ClassVar = {"edges": (False, True), "gather": ("index", "index_select"), "reduce": ("index_add", "matrix")}

    def make(self) -> None:
        self.f, self.g = mlp(2 * D), mlp()

    def run(self, h, author):
        T = h.shape[1]
        i, j = torch.arange(T).repeat(2), torch.arange(2 * T) * 3 % T
        take = (lambda k: h[:, k]) if self.gather == "index" else (lambda k: h.index_select(1, k))
        e = self.f(torch.cat([take(i), take(j)], -1))
        if self.edges:
            e = take(i) + author.branch(e)
        if self.reduce == "matrix":
            author.aside("uncounted")  # a constant matrix may be a frozen weight
            m = F.one_hot(i, T).to(h.dtype).T @ e
        else:
            m = h.new_zeros(h.shape).index_add(1, i, e)
        return h + author.branch(self.g(m))


@part
class Shuffled(Part):
    """A block over a permuted part of the samples: one block, and samples stay apart."""

    choices: ClassVar = {"by": ("index_add", "index"), "order": ("some", "permuted")}

    def make(self) -> None:
        self.f = mlp()

    def run(self, h, author):
        i = torch.tensor([0, 2] if self.order == "some" else [2, 0, 1])
        if self.by == "index_add":
            return h.index_add(0, i, author.branch(self.f(h[i])))
        if self.order == "some":
            i = torch.tensor([2, 0, 1])
        y = h[i]
        return (y + author.branch(self.f(y)))[i.argsort()]


@part
class Transition(Part):
    """A stage with half the tokens, pool(h) + f(h): one block; where the shortcut is a max pool, a block or doubt."""

    top = True
    choices: ClassVar = {
        "pool": ("average", "every second", "first half", "projected", "convolution", "padded", "max", "max, projected")
    }

    def make(self) -> None:
        self.f, self.P = Over(nn.Conv1d(D, D, 3, 2, 1)), linear()
        self.c, self.down = Over(nn.Conv1d(D, D, 1, 2)), linear()
        self.leaves_tokens = self.tokens // 2

    def run(self, h, author):
        average, largest = (lambda y, f=f: f(y.mT, 2).mT for f in (F.avg_pool1d, F.max_pool1d))
        short, kind = {
            "average": lambda: (average(h), "identity"),
            "every second": lambda: (h[:, ::2], "identity"),
            "first half": lambda: (h[:, : h.shape[1] // 2], "identity"),
            "padded": lambda: (F.pad(h[:, ::2, 1:], (0, 1)), "identity"),
            "projected": lambda: (self.P(average(h)), "projected"),
            "convolution": lambda: (self.c(h), "projected"),
            "max": lambda: (largest(h), None),
            "max, projected": lambda: (self.P(largest(h)), None),
        }[self.pool]()
        verdict = "open" if kind is None else "block"
        return short + author.branch(self.down(torch.tanh(self.f(h))), 1, kind, verdict)


@part
class Unet(Part):
    """Down, up, and a skip: added it is a block around all that is below, concatenated none."""

    nests = True
    choices: ClassVar = {
        "skip": ("added", "concatenated"),
        "down": ("convolution", "average", "max"),
        "up": ("transposed", "repeated", "linear"),
    }

    def make(self) -> None:
        self.enter, self.leave, self.middle = Embedded(torch.relu), linear(), Embedded(torch.tanh)
        self.down_, self.up_ = Over(nn.Conv1d(D, D, 2, 2)), Over(nn.ConvTranspose1d(D, D, 2, 2))
        self.both = linear(2 * D)

    def run(self, h, author):
        a = self.enter(h)
        pools = {"average": F.avg_pool1d, "max": F.max_pool1d}
        b = self.down_(a) if self.down == "convolution" else pools[self.down](a.mT, 2).mT
        y = self.middle(b)
        ups = {
            "transposed": lambda: self.up_(y),
            "repeated": lambda: y.repeat_interleave(2, 1),
            "linear": lambda: F.interpolate(y.mT, scale_factor=2, mode="linear").mT,
        }
        y = self.within(ups[self.up](), author)
        if self.skip == "concatenated":
            return self.leave(self.both(torch.cat([a, y], -1)))
        y = author.branch(self.leave(y))
        return a + y
