"""False alarms of sums in place on a whole view: experts added into a buffer of (N T, D) that is a view of one of
(N, T, D), and LoRA's y += B A h on a Linear's result of (N, T, D), a view. Neither has a plain side: no block."""

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


W, A, B, E = nn.Linear(6, 6), nn.Linear(6, 2), nn.Linear(2, 6), nn.Linear(6, 6)
x = torch.randn(3, 4, 6, requires_grad=True)


def experts(h):
    flat, out = h.reshape(-1, 6), torch.zeros(h.shape).view(-1, 6)
    for f, i in ((W, torch.arange(0, 12, 2)), (E, torch.arange(1, 12, 3))):
        out.index_add_(0, i, torch.tanh(f(flat[i])))
    return out.view(h.shape)


def lora(h):
    y = W(h)
    y += B(A(h))
    return y


alarms = []
for way in (experts, lora):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        s = sg.paths.spectrum(way(torch.tanh(x)).pow(2).sum(), x, "blocks")
    print(way.__name__, len(s.graph.blocks), [str(w.message) for w in told])
    alarms += [way.__name__] if told or s.graph.blocks else []
assert not alarms, alarms
