"""Pieces of a signal, and stages that change the number of tokens."""

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from part import Attention, D, Embedded, Over, Part, add, linear, mlp, part
from sums import PICKS
from torch import Tensor, nn


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
            m = h.new_zeros(h.shape).index_add(1, i, e.to(h.dtype))
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
            return h.index_add(0, i, author.branch(self.f(h[i]).to(h.dtype)))
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


@part
class Registers(Part):
    """Tokens that are parameters, put beside the others and dropped again: two blocks over all of them."""

    choices: ClassVar = {
        "at": ("front", "back"),
        "by": ("cat", "buffer"),
        "before": ("nothing", "pieces"),
        "drop": ("slice", "split", "index"),
    }

    def make(self) -> None:
        self.r, self.attention, self.f = nn.Parameter(torch.randn(2, D)), Attention(), mlp()
        self.g = mlp()

    def run(self, h, author):
        T, first = h.shape[1], 2 if self.at == "front" else 0
        if self.before == "pieces":  # a block on some tokens, and all put beside the parameters
            h = torch.cat([h[:, :1], h[:, 1:] + author.branch(self.g(h[:, 1:]))], 1)
        r = self.r.expand(len(h), 2, D)
        y = torch.cat([r, h] if first else [h, r], 1)
        if self.by == "buffer":
            y = h.new_zeros(len(h), T + 2, D)
            y[:, first : first + T] = h
        y = y + author.branch(self.attention(y))
        y = y + author.branch(self.f(y))
        if self.drop == "split":
            return y.split([first, T, 2 - first], 1)[1]
        return y[:, torch.arange(first, first + T)] if self.drop == "index" else y[:, first : first + T]


@part
class Windows(Part):
    """Attention in windows that are rolled (Swin): one block, in the windows' layout or that of the tokens."""

    choices: ClassVar = {"around": ("branch", "stream"), "roll": (False, True), "by": ("view", "chunk", "unfold")}

    def make(self) -> None:
        self.attention, self.norm = Attention(), nn.LayerNorm(D)

    def cut(self, h: Tensor) -> Tensor:
        h = h.roll(1, 1) if self.roll else h
        ways: dict[str, Callable[[], Tensor]] = {
            "view": lambda: h.reshape(-1, 2, D),
            "chunk": lambda: torch.stack(h.chunk(h.shape[1] // 2, 1), 1).flatten(0, 1),
            "unfold": lambda: h.unfold(1, 2, 2).transpose(2, 3).flatten(0, 1),
        }
        return ways[self.by]()

    def joined(self, w: Tensor, T: int) -> Tensor:
        h = w.reshape(-1, T, D)
        return h.roll(-1, 1) if self.roll else h

    def run(self, h, author):
        T = h.shape[1]
        if self.around == "branch":
            return h + author.branch(self.joined(self.attention(self.cut(self.norm(h))), T))
        w = self.cut(h)
        return self.joined(w + author.branch(self.attention(self.norm(w))), T)


@part
class Halves(Part):
    """Pieces of h, each plus a piece of one branch that reads all of h: a block each."""

    choices: ClassVar = {"dim": (2, 1), "by": ("chunk", "slice"), "branch": ("whole", "each")}

    def make(self) -> None:
        half = D // 2 if self.dim == 2 else D
        self.f, self.g = mlp(), nn.ModuleList(nn.Sequential(linear(half), nn.Tanh(), linear(D, half)) for _ in range(2))

    def halves(self, y: Tensor) -> tuple[Tensor, ...]:
        half = y.shape[self.dim] // 2
        if self.by == "chunk":
            return y.chunk(2, self.dim)
        return (y[:, :half], y[:, half:]) if self.dim == 1 else (y[..., :half], y[..., half:])

    def run(self, h, author):
        a, b = self.halves(h)
        p, q = self.halves(self.f(h)) if self.branch == "whole" else (self.g[0](a), self.g[1](b))
        return torch.cat([a + author.branch(p), b + author.branch(q)], self.dim)


@part
class Routed(Part):
    """Some tokens, chosen by a router, pass a block and are put back (mixture of depths): one block."""

    choices: ClassVar = {
        "by": ("index_add", "gather", "index_put", "mask", "where"),
        "weighted": (False, True),
    }

    def make(self) -> None:
        self.f, self.router = mlp(), linear(D, 1)

    def run(self, h, author):
        score = self.router(h)[..., 0]
        best = score.topk(max(1, h.shape[1] // 2), 1).indices
        i = best[..., None].expand(*best.shape, D)
        w = torch.sigmoid(score.gather(1, best))[..., None] if self.weighted else 1.0
        if self.by == "where":
            chosen = torch.zeros_like(score, dtype=torch.bool).scatter(1, best, True)[..., None]
            author.aside("uncounted")
            return torch.where(chosen, h + author.branch(self.f(h)), h)
        if self.by == "mask":
            chosen = torch.zeros_like(score, dtype=torch.bool).scatter(1, best, True)[..., None]
            return h + author.branch(self.f(h) * chosen)
        taken = h.gather(1, i)
        if self.by == "index_add":  # the branch alone is put back
            return h.scatter_add(1, i, author.branch(w * self.f(taken)).to(h.dtype))
        y = taken + author.branch(w * self.f(taken))
        author.aside("uncounted")
        if self.by == "gather":
            return h.scatter(1, i, y.to(h.dtype))
        rows = torch.arange(len(h))[:, None].expand(best.shape)
        return h.index_put((rows, best), y.to(h.dtype))


@part
class Pooled(Part):
    """A query that is the mean of the tokens, plus attention to them (attention pooling): one block."""

    choices: ClassVar = {"query": ("mean", "max", "first", "parameter")}

    def make(self) -> None:
        self.attention, self.q = Attention(), nn.Parameter(torch.randn(D))

    def run(self, h, author):
        q = {
            "mean": lambda: h.mean(1, keepdim=True),
            "first": lambda: h[:, :1],
            "max": lambda: h.amax(1, keepdim=True),
            "parameter": lambda: self.q.expand(len(h), 1, D),
        }[self.query]()
        z = self.attention(q, h)
        if self.query == "parameter":
            return (q + z).expand(h.shape)
        verdict, kind = ("open", None) if self.query == "max" else ("block", "identity")
        return (q + author.branch(z, 1, kind, verdict)).expand(h.shape)


@part
class Graph(Part):
    """Message passing over all samples' nodes side by side: (1 + ε) h + Σ_j h_j is no block, h + f(Σ_j g(h_j)) is."""

    choices: ClassVar = {
        "how": ("residual", "isomorphism", "attention", "gated"),
        "reduce": ("index_add", "scatter_add"),
    }

    def make(self) -> None:
        self.f, self.g, self.a, self.eps = mlp(), mlp(), linear(2 * D, 1), nn.Parameter(torch.tensor(0.1))
        self.z, self.u = linear(2 * D), linear(2 * D)

    def run(self, h, author):
        N, T = h.shape[:2]
        nodes = h.reshape(N * T, D)
        i = (torch.arange(N)[:, None] * T + torch.arange(T).repeat(2)).flatten()
        j = (torch.arange(N)[:, None] * T + torch.arange(2 * T) * 3 % T).flatten()
        sent = nodes[j]
        if self.how == "attention":
            w = torch.sigmoid(self.a(torch.cat([nodes[i], sent], -1)))
            sent = w * self.g(sent)
        elif self.how != "isomorphism":
            sent = self.g(sent)
        zero = nodes.new_zeros(nodes.shape, dtype=sent.dtype)
        m = (
            zero.index_add(0, i, sent)
            if self.reduce == "index_add"
            else zero.scatter_add(0, i[:, None].expand(-1, D), sent)
        )
        if self.how == "isomorphism":
            author.aside("uncounted")
            y = self.f((1 + self.eps) * nodes + m)
        elif self.how == "gated":
            author.aside("uncounted")
            z = torch.sigmoid(self.z(torch.cat([nodes, m], -1)))
            y = (1 - z) * nodes + z * torch.tanh(self.u(torch.cat([nodes, m], -1)))
        else:
            y = nodes + author.branch(self.f(m))
        return y.view(N, T, D)


@part
class Merging(Part):
    """Pairs of tokens side by side, and a weight over them (Swin's patch merging): half the tokens, no block."""

    top = True
    choices: ClassVar = {"by": ("cat", "view")}

    def make(self) -> None:
        self.P, self.norm, self.leaves_tokens = linear(2 * D, D), nn.LayerNorm(2 * D), self.tokens // 2

    def run(self, h, author):
        pairs = torch.cat([h[:, ::2], h[:, 1::2]], -1) if self.by == "cat" else h.reshape(len(h), -1, 2 * D)
        return self.P(self.norm(pairs))


@part
class Layout(Part):
    """A block in another layout than (N, T, D): one block."""

    nests = True
    choices: ClassVar = {"layout": ("time first", "features first", "flat", "heads", "image", "one sample each")}

    def make(self) -> None:
        self.f = mlp()

    def run(self, h, author):
        h = self.within(h, author)
        if self.layout == "one sample each":
            return torch.stack([y + author.branch(self.f(y)) for y in h])
        there: dict[str, Callable[[Tensor], Tensor]] = {
            "time first": lambda y: y.transpose(0, 1),
            "features first": lambda y: y.transpose(1, 2).contiguous(),
            "flat": lambda y: y.reshape(-1, D),
            "heads": lambda y: y.unflatten(-1, (2, -1)).transpose(1, 2),
            "image": lambda y: y.mT.unflatten(-1, (2, -1)),
        }
        back: dict[str, Callable[[Tensor], Tensor]] = {
            "time first": lambda y: y.transpose(0, 1),
            "features first": lambda y: y.transpose(1, 2),
            "flat": lambda y: y.view(h.shape),
            "heads": lambda y: y.transpose(1, 2).flatten(-2),
            "image": lambda y: y.flatten(-2).mT,
        }
        to, fro = there[self.layout], back[self.layout]
        y = to(h)
        return fro(y + author.branch(to(self.f(fro(y)))))
