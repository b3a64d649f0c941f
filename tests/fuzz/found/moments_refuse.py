"""`moments` (the Monitor's) compares gradients at each place with their size there; behind a softmax they may cancel.
Under autocast most networks with attention pooling, and in float64 a Perceiver on tokens that are alike (behind an
average over all), end in a DecompositionError, while the spectrum's error is 3e-3 and 2e-16."""

import torch
import torch.nn.functional as F
from torch import nn

import skipglass as sg

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


class Gate(torch.autograd.Function):  # the identity; multiplies the backward signal of a branch by t
    t = 1.0
    forward = staticmethod(lambda ctx, z: z.clone())
    backward = staticmethod(lambda ctx, g: Gate.t * g)


def gradient(run, x, t):
    Gate.t = t
    return torch.cat([g.flatten() for g in torch.autograd.grad(run(Gate.apply), x)])


def check(run, x, blocks, model=None):
    """The count, and the depth <dg/dt, g>/|g|^2 at t = 1, by differences."""
    g, e = gradient(run, x, 1.0), 1e-4
    depth = float((gradient(run, x, 1 + e) - gradient(run, x, 1 - e)) @ g / (2 * e * g @ g))
    s = sg.paths.spectrum(run(lambda z: z), x, "blocks", model=model)
    print(f"blocks {len(s.graph.blocks)}, expected {blocks}; depth {s.effective_depth:.4f}, expected {depth:.4f}")
    assert len(s.graph.blocks) == blocks, [(b.name, b.side, b.shortcut) for b in s.graph.blocks]
    assert abs(s.effective_depth - depth) < 1e-5


def pooled(seed, E, up, q, k, v, o, mid, down):
    x = torch.randn(3, 4, 6, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        h = E(x)
        y = F.softplus(mid(up(h).softmax(-1)))
        m = y.mean(1, keepdim=True)
        m = m + o((q(m) @ k(y).mT).softmax(-1) @ v(y))
        return (h + down(m.expand(h.shape))).pow(2).sum(), x


def perceiver(seed, E, up, q, k, v, o, mid, down):
    x = torch.randn(3, 4, 6, requires_grad=True)
    h, y = E(x), torch.randn(2, 6).expand(3, 2, 6)
    h = h + (h.mean(1, keepdim=True) - h)  # PoolFormer's mixer, with a window of all tokens
    for _ in range(2):
        y = y + o((q(y) @ k(h).mT).softmax(-1) @ v(h))
        y = y + down(torch.tanh(up(y)))
    return mid(y).pow(2).sum(), x


refused = 0
for make, kind in ((pooled, torch.float32), (perceiver, torch.float64)):
    torch.set_default_dtype(kind)
    for seed in range(5):
        torch.manual_seed(seed)
        loss, x = make(seed, *(nn.Linear(6, 6) for _ in range(8)))
        s = sg.paths.spectrum(loss, x, "blocks")
        try:
            sg.paths.moments(loss, x, "blocks")
        except sg.errors.DecompositionError as error:
            refused += 1
            print(f"{make.__name__}: spectrum's error {s.error:.0e}; {str(error)[:70]}")
assert not refused, refused
