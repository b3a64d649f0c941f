"""Names that do not say where: two pieces of one branch, a second sum by the same weights, hyper-connections:
"block 1" though the module is known (as issue 16 has it of Zamba2 and CoaT)."""

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


class Halves(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))

    def forward(self, h):
        (a, b), (p, q) = h.chunk(2, -1), self.f(h).chunk(2, -1)
        return torch.cat([a + p, b + q], -1)


model = nn.Sequential(nn.Linear(6, 6), Halves(), Halves())
x = torch.randn(3, 6, requires_grad=True)
names = [b.name for b in sg.paths.outline(model(x).pow(2).sum(), x, model).blocks]
print(names)
assert all(name.startswith(("1", "2")) for name in names), names
