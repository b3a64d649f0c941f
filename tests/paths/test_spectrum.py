"""Laws of the spectrum: parts sum to the whole, subsets of branches enumerate it, moments and census agree."""

import math
from itertools import combinations
from math import comb

import numpy as np
import pytest
import torch
from chains import Chain
from torch import nn

from skipglass import paths
from skipglass.errors import DecompositionError, InputError
from skipglass.models import ResidualMLP


def enumerated(model, L, x):
    """g_r and the sum of its paths' norms, by the obvious slow way: one backward pass for each of 2^L paths."""
    parts, sizes = [torch.zeros_like(x) for _ in range(L + 1)], [0.0] * (L + 1)
    for r in range(L + 1):
        for subset in combinations(range(L), r):
            (path,) = torch.autograd.grad(model(x, set(subset)), x)
            parts[r] += path
            sizes[r] += float(path.norm())
    return torch.stack(parts), torch.tensor(sizes)


@pytest.mark.parametrize("post", [False, True])
@pytest.mark.parametrize("L", [1, 4, 10])
def test_the_parts_are_those_of_all_subsets_of_branches(L, post):
    torch.manual_seed(0)
    model = Chain(L, post=post).double()
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    slow, sizes = enumerated(model, L, x)
    loss = model(x)
    s = paths.spectrum(loss, x, unit="blocks", keep=True, model=model)
    assert [b.name for b in s.graph.blocks] == [f"blocks.{l}" for l in range(L)]
    assert [b.side for b in s.graph.blocks] == [1] * L
    np.testing.assert_array_equal(s.lengths, range(L + 1))
    assert ((s.gradients - slow).norm(dim=(1, 2)) <= 1e-12 * sizes).all()  # each length alone
    w = paths.spectrum(
        loss, x, keep=True, unit="weights"
    )  # each block holds two weights in a row, stem and head one each
    np.testing.assert_array_equal(w.lengths, range(2, 2 * L + 3))
    assert ((w.gradients[::2] - slow).norm(dim=(1, 2)) <= 1e-12 * sizes).all()
    assert w.gradients[1::2].norm() == 0
    assert paths.census(loss, x, "blocks") == {r: comb(L, r) for r in range(L + 1)}


@pytest.mark.parametrize("normalization", ["none", "batch", "paper"])
@pytest.mark.parametrize("unit", ["weights", "blocks"])
def test_the_papers_chain(unit, normalization):
    p = 7
    model = ResidualMLP(5, depth=p, width=6, normalization=normalization, dtype=torch.float64)
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    loss = model(x).square().sum()
    s = paths.spectrum(loss, x, unit=unit, model=model, keep=True)
    g = torch.autograd.grad(loss, x, retain_graph=True)[0]
    torch.testing.assert_close(s.gradients.sum(0), g, rtol=1e-12, atol=1e-12 * float(g.norm()))
    assert s.share.sum() == pytest.approx(1, abs=1e-12)
    assert s.error <= 1e-12
    assert [(b.name, b.side, b.shortcut) for b in s.graph.blocks] == [
        (f"layers.{l}", 0, "identity") for l in range(1, p)
    ]
    assert s.independent_samples == (normalization == "none")  # the paper's divides by a spread over the batch
    shift = 1 if unit == "weights" else 0
    assert paths.census(loss, x, unit) == {r + shift: comb(p - 1, r) for r in range(p)}
    m = paths.moments(loss, x, unit)
    assert m.mean == pytest.approx(s.effective_depth, rel=1e-10)
    assert m.variance == pytest.approx(float((s.lengths - m.mean) ** 2 @ s.share), rel=1e-9, abs=1e-9)
    cut = paths.spectrum(loss, x, unit=unit, max_length=3, keep=True)
    torch.testing.assert_close(cut.gradients, s.gradients[: len(cut.lengths)])
    assert cut.lengths[-1] == 3


def test_a_linear_network_has_its_closed_form():
    """h ← h + a W h with W fixed: g = (1 + a Wᵀ)ᴸ gives g_r = C(L, r) aʳ (Wᵀ)ʳ 1."""
    L, a = 6, 0.7
    W = nn.Parameter(torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    x = torch.ones(4, 1, dtype=torch.float64, requires_grad=True)
    h = x
    for _ in range(L):
        h = torch.add(h, W @ h, alpha=a)
    for unit in ("weights", "blocks"):
        s = paths.spectrum(h.sum(), x, unit=unit, keep=True)
        power = torch.ones(4, 1, dtype=torch.float64)
        for r in range(L + 1):
            torch.testing.assert_close(s.gradients[r], comb(L, r) * a**r * power, rtol=1e-12, atol=1e-12)
            power = W.detach().T @ power


def test_half_precision_two_targets_and_a_zero_gradient():
    torch.manual_seed(0)
    model = Chain(4, width=16)
    x, y = (torch.randn(8, 3, requires_grad=True) for _ in range(2))
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(x).float()
    assert paths.spectrum(loss, x, "blocks").error <= 2e-2
    both = paths.spectrum(model(x) + model(y), (x, y), "blocks", keep=True)
    for k, target in enumerate((x, y)):
        alone = paths.spectrum(model(target), target, "blocks", keep=True)
        torch.testing.assert_close(both.gradients[k], alone.gradients)
    h = model.stem(x)
    one_above_the_other = paths.spectrum(model.head(h + model.blocks[0](h)).sum(), (x, h), keep=True, unit="weights")
    for total, g in zip(
        one_above_the_other.gradients,
        torch.autograd.grad(model.head((h := model.stem(x)) + model.blocks[0](h)).sum(), (x, h)),
        strict=True,
    ):
        torch.testing.assert_close(total.sum(0), g)
    zero = paths.spectrum(model(x) * 0, x, unit="weights")
    assert np.isnan(zero.share).all()
    assert "undefined" in str(zero)


def test_what_cannot_be_split_is_refused():
    model = Chain(2)
    x = torch.randn(2, 3, requires_grad=True)
    h = model.stem(x)
    met = h + model.blocks[0](h)
    met.register_hook(lambda g: g.clamp(-1e-2, 1e-2))
    with pytest.raises(DecompositionError, match="hooks"):
        paths.spectrum(model.head(met + model.blocks[1](met)).sum(), x, "blocks")


@pytest.mark.parametrize("measure", [paths.spectrum, paths.moments, paths.participation_of])
def test_a_loss_that_is_no_number_is_refused_though_its_gradient_is_finite(measure):
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(InputError, match="infinity"):
        measure((2 * x).sum() + math.inf, x)
