"""Shortcuts that every reader calls skips, left out without a word: an RMSNorm (on the CPU it is no operation of its
own; a LayerNorm there is counted), clamped against overflow, nan_to_num, fake-quantised, masked in place, gated or
sorted. A block each, or a warning."""

import warnings

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


f, E = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6)), nn.Linear(6, 6)
x = torch.randn(3, 5, 6, requires_grad=True)


def masked(h):
    y = h.clone()
    y[:, 0] = 0
    return y


ways = {
    "RMSNorm": nn.RMSNorm(6),
    "rms_norm": lambda h: F.rms_norm(h, (6,)),
    "by hand": lambda h: h * torch.rsqrt(h.square().mean(-1, keepdim=True) + 1e-6),
    "clamp": lambda h: h.clamp(-100, 100),
    "nan_to_num": torch.nan_to_num,
    "fake quantised": lambda h: torch.fake_quantize_per_tensor_affine(h.float(), 0.01, 0, -128, 127).double(),
    "masked in place": masked,
    "gated": lambda h: torch.sigmoid(h) * h,
    "relu": torch.relu,
    "sorted": lambda h: h.sort(-1).values,
}
silent = []
for name, short in ways.items():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        h = E(x)
        s = sg.paths.spectrum((short(h) + f(h)).pow(2).sum(), x, "blocks")
    silent += [name] if len(s.graph.blocks) != 1 and not told else []
print(silent)
assert not silent, silent
