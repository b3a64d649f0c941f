"""The spectrum against the baseline of the literature: random paths in the backward pass (Veit et al., 2016)."""

from math import comb, sqrt

import pytest
import torch
from torch import nn

from skipglass import paths


class Chain(nn.Module):
    def __init__(self, L, width=4):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(L))

    def forward(self, x):
        for f in self.blocks:
            x = x + f(x).tanh()
        return x.square().sum()


def sampled_shares(loss, x, blocks, nodes, k, samples, generator):
    """share_k = C(L, k)·E_S ⟨g_S, g⟩/‖g‖², S a random set of k blocks: their branches only, elsewhere the shortcut."""
    g = torch.autograd.grad(loss, x, retain_graph=True)[0]
    kept = set()
    hooks = []
    for l, block in enumerate(blocks):
        branch, shortcut = block.merge.branch.slot, block.merge.shortcut.slot

        def choose(leaving, _entering, l=l, branch=branch, shortcut=shortcut):
            closed = shortcut if l in kept else branch
            return tuple(torch.zeros_like(v) if s == closed else v for s, v in enumerate(leaving))

        hooks.append(nodes[block.merge.node].register_hook(choose))
    found = []
    for _ in range(samples):
        kept.clear()
        kept.update(torch.randperm(len(blocks), generator=generator)[:k].tolist())
        path = torch.autograd.grad(loss, x, retain_graph=True)[0]
        found.append(comb(len(blocks), k) * float((path * g).sum() / (g * g).sum()))
    for hook in hooks:
        hook.remove()
    return torch.tensor(found, dtype=torch.float64)


def test_random_paths_agree_with_the_spectrum_within_their_error():
    torch.manual_seed(0)
    L, samples = 6, 60
    model = Chain(L).double()
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    loss = model(x)
    s = paths.spectrum(loss, x, "blocks", model=model)
    generator = torch.Generator().manual_seed(1)
    off = []
    for k in range(L + 1):
        found = sampled_shares(loss, x, s.graph.blocks, s.graph.graph.nodes, k, samples, generator)
        error = float(found.std()) / sqrt(samples)
        if k in {0, L}:  # one path set: nothing to sample
            assert float(found.mean()) == pytest.approx(s.share[k], rel=1e-10)
        else:
            assert error < 0.2 * s.share.max()  # the comparison means something
            off.append((float(found.mean()) - s.share[k]) / error)
    assert max(map(abs, off)) < 3.5  # five values: chance of one beyond about 0.3 % (t with 59 degrees)
    assert max(map(abs, off)) > 0.05
