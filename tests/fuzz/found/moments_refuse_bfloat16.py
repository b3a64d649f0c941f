"""`moments` (and with it Monitor and measure) compares gradients at each place with their size there. Behind a softmax
they cancel, so that under autocast most such networks end in a DecompositionError; the spectrum's error is 3e-3."""

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


torch.set_default_dtype(torch.float32)
refused = 0
for seed in range(10):
    torch.manual_seed(seed)
    E, up, q, k, v, o, mid, down = (nn.Linear(6, 6) for _ in range(8))
    x = torch.randn(3, 4, 6, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        h = E(x)
        y = F.softplus(mid(up(h).softmax(-1)))
        m = y.mean(1, keepdim=True)  # attention pooling
        m = m + o((q(m) @ k(y).mT).softmax(-1) @ v(y))
        loss = (h + down(m.expand(h.shape))).pow(2).sum()
    s = sg.paths.spectrum(loss, x, "blocks")
    try:
        sg.paths.moments(loss, x, "blocks")
    except sg.errors.DecompositionError as error:
        refused += 1
        print(f"spectrum's error {s.error:.0e}; {str(error)[:70]}")
assert not refused, refused
