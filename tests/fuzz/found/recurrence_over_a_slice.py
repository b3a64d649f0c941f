"""A recurrence whose cells read pieces of a signal that is itself a slice, x[:, 1:]: 4 blocks for 0. Where the join of
a sum is a Select, Slice, Index, ..., `_see_the_whole` compares its outputs, of which it has one, and not the pieces."""

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


E, U, W = (nn.Linear(6, 6) for _ in range(3))
x = torch.randn(3, 6, 6, requires_grad=True)


def run(gate, cut=True):
    h, s = E(x)[:, 1:] if cut else E(x[:, 1:]), torch.zeros(3, 6)
    for t in range(h.shape[1]):
        s = torch.tanh(W(s) + U(h[:, t]))
    return s.pow(2).sum()


check(lambda gate: run(gate, cut=False), x, 0)  # the same function, and right
check(run, x, 0)
