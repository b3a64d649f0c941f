"""An operation that is not understood and whose weight is frozen: h + Bilinear(h, tanh h) is a block while its weight
requires a gradient (opaque); frozen it is none, without a word: `_may_hold_a_weight` looks at live operands alone."""

import torch
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


f, E = nn.Bilinear(6, 6, 6), nn.Linear(6, 6)
x = torch.randn(3, 6, requires_grad=True)


def run(gate):
    h = E(x)
    return (h + gate(f(h, torch.tanh(h)))).pow(2).sum()


check(run, x, 1, nn.ModuleList([f, E]))
f.requires_grad_(False)
check(run, x, 1, nn.ModuleList([f, E]))
