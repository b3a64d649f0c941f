"""False alarm: the tokens, and what a network makes of them, put side by side, and a class token of parameters put
beside them. The second cat has one live operand and is taken for an operation that reduces the first cat's axis."""

import warnings

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


f, E = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6)), nn.Linear(6, 6)
cls = nn.Parameter(torch.randn(1, 1, 6))
x = torch.randn(3, 5, 6, requires_grad=True)


def run(gate, token=True):
    h = E(x)
    h = torch.cat([h, f(h)], 1)
    h = torch.cat([cls.expand(3, 1, 6), h], 1) if token else h
    return (h + gate(f(h))).pow(2).sum()


for token in (False, True):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        check(lambda gate, token=token: run(gate, token), x, 1)
    print("token" if token else "no token", [str(w.message) for w in told])
    assert not told
