"""What `blocks=` counts: residual blocks by name or prefix, and the sides of sums that a module's weights make up."""

import numpy as np
import pytest
import torch
from cases import CASES, Auxiliary, Shared, loss_of
from torch import nn

from skipglass import paths
from skipglass.errors import InputError


class Experts(nn.Module):
    """Two parallel functions, and a third on one side of an outer sum; no shortcut."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.c(x).tanh() + (self.a(x).tanh() + self.b(x).tanh()) * 0.5


def test_residual_blocks_by_name_and_by_prefix():
    torch.manual_seed(0)
    model, loss, x = CASES["post-activation ResNet"].make()
    every = paths.outline(loss, x, model)
    for names, expected in (
        (["layer1"], ["layer1.0", "layer1.1"]),
        (["layer2.1", "layer1.0"], ["layer1.0", "layer2.1"]),  # in forward order
        (["layer1", "layer2"], [b.name for b in every.blocks]),
    ):
        found = paths.outline(loss, x, model, blocks=names)
        assert [b.name for b in found.blocks] == expected
        assert len(found.sums) == len(every.sums) + len(every.blocks) - len(expected)
    model, loss, x = loss_of(Shared(), 3, 4)
    assert len(paths.outline(loss, x, model, blocks=["step"]).blocks) == 3


def test_a_side_of_a_parallel_sum_is_counted_as_if_its_edge_were_cut():
    torch.manual_seed(0)
    model, loss, x = loss_of(nn.Sequential(Experts(), Experts()), 3, 4)
    assert paths.outline(loss, x, model).blocks == ()
    found = paths.outline(loss, x, model, blocks=["0.b", "1.c"])
    assert [(b.name, b.side, b.shortcut) for b in found.blocks] == [("0.b", 1, "parallel"), ("1.c", 0, "parallel")]
    assert "parallel" in str(found)
    p = paths.participation_of(loss, x, model, blocks=["0.b", "1.c"])
    g = torch.autograd.grad(loss, x, retain_graph=True)[0]
    for k, (outer, inner) in enumerate(((0, "b"), (1, "c"))):
        h = x
        for l, experts in enumerate(model):
            parts = {n: f(h).tanh() for n, f in experts.named_children()}
            if l == outer:
                parts[inner] = parts[inner].detach()
            h = parts["c"] + (parts["a"] + parts["b"]) * 0.5
        kept = torch.autograd.grad(nn.functional.cross_entropy(h, torch.arange(3)), x)[0]
        assert p.share[k] == pytest.approx(float(((g - kept) * g).sum() / (g * g).sum()), rel=1e-10)


def test_a_module_with_uses_in_several_sums():
    torch.manual_seed(0)
    experts = Experts()
    model, loss, x = loss_of(nn.Sequential(experts, experts), 3, 4)
    assert [b.name for b in paths.outline(loss, x, model, blocks=["0.a"]).blocks] == ["0.a", "0.a#2"]
    model, loss, x = loss_of(Auxiliary(), 3, 4)
    assert [b.name for b in paths.outline(loss, x, model, blocks=["side", "one"]).blocks] == ["one.f", "side"]


def test_names_that_fit_nothing():
    torch.manual_seed(0)
    model, loss, x = CASES["post-activation ResNet"].make()
    for names, text in (
        (["layer3"], "layer3.*layer2"),
        (["conv"], "conv"),
        ([], "blocks"),
        ("layer1", "blocks"),
        ([3], "blocks"),
    ):
        with pytest.raises(InputError, match=text):
            paths.outline(loss, x, model, blocks=names)
    with pytest.raises(InputError, match="layer3"):
        paths.participation(model, x, blocks=["layer3"])


def test_chosen_blocks_sum_to_their_own_effective_depth():
    torch.manual_seed(0)
    model, loss, x = CASES["pre-activation ResNet"].make()
    whole = paths.participation_of(loss, x, model)
    part = paths.participation_of(loss, x, model, blocks=["layer1"])
    np.testing.assert_allclose(part.share, whole.share[:2], rtol=1e-12)
    s = paths.spectrum(loss, x, "blocks", model=model, blocks=["layer1"])
    assert paths.census(loss, x, "blocks", model, ["layer1"]) == {0: 1, 1: 2, 2: 1}
    np.testing.assert_array_equal(s.lengths, range(3))
    for depth in (s.effective_depth, paths.moments(loss, x, "blocks", model, ["layer1"]).mean):
        assert part.effective_depth == pytest.approx(depth, rel=1e-10)
