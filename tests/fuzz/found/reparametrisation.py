"""mu(h) + eps sigma(h), a sample of a normal distribution (a VAE, SAC, a Bayesian layer), and a sum of losses one of
which is affine: an affine and a nonlinear function of one signal are taken for a projected shortcut and its branch."""

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


mu, log, E, head = (nn.Linear(6, 6) for _ in range(4))
x, eps = torch.randn(3, 6, requires_grad=True), torch.randn(3, 6)


def sample(gate):
    h = torch.tanh(E(x))
    return head(mu(h) + eps * torch.exp(0.5 * log(h))).pow(2).sum()


def losses(gate):
    h = torch.tanh(E(x))
    return head(h).pow(2).sum() - mu(h)[:, 0].sum()  # a critic's score beside a loss


wrong = 0
for run in (sample, losses):
    try:
        check(run, x, 0)
    except AssertionError as error:
        wrong += 1
        print(run.__name__, error)
assert not wrong
