"""Independent ways to the same parts: real t, matrix products, all subsets; and what else a result says."""

import gc
import logging
import math
import sys
from collections import Counter
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
import torch
import torch.utils.checkpoint
from forms import Attention
from torch import nn

from skipglass import paths
from skipglass.errors import InputError

mpl.use("Agg")


class Chain(nn.Module):
    def __init__(self, L, width=4, linear=False, checkpoint=False):
        super().__init__()
        self.stem, self.head = nn.Linear(3, width), nn.Linear(width, 2)
        self.f = nn.ModuleList(nn.Linear(width, width) for _ in range(L))
        self.activation = nn.Identity() if linear else nn.Tanh()
        self.checkpoint = checkpoint

    def forward(self, x):
        h = self.stem(x)
        for f in self.f:
            if self.checkpoint:
                h = h + torch.utils.checkpoint.checkpoint(lambda v, f=f: self.activation(f(v)), h, use_reentrant=False)
            else:
                h = h + self.activation(f(h))
        return self.head(h)


def inputs(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()


@pytest.mark.parametrize("unit", ["weights", "blocks"])
def test_hooks_at_real_t_and_a_vandermonde_system_give_the_same_parts(unit):
    """g(t) at R Chebyshev points from hooks on the branches' tensors, solved for its coefficients."""
    L = 5
    torch.manual_seed(0)
    model, x = Chain(L).double(), inputs(2, 3)
    s = paths.spectrum(model(x).square().sum(), x, unit, keep=True)
    points = 1.5 * np.cos(np.pi * (np.arange(len(s.lengths)) + 0.5) / len(s.lengths))
    values = []
    for t in points:
        h = model.stem(x)
        if unit == "weights":
            h.register_hook(lambda g, t=t: g * t)
        for f in model.f:
            branch = f(h).tanh()
            branch.register_hook(lambda g, t=t: g * t)
            h = h + branch
        y = model.head(h)
        if unit == "weights":
            y.register_hook(lambda g, t=t: g * t)
        values.append(torch.autograd.grad(y.square().sum(), x)[0].numpy().ravel())
    system = points[:, None] ** s.lengths
    solved = np.linalg.solve(system, np.array(values))
    np.testing.assert_allclose(s.gradients.reshape(len(points), -1), solved, atol=1e-11 * np.abs(solved).max())


@pytest.mark.parametrize("L", [4, 10])
def test_a_linear_network_is_a_sum_of_matrix_products(L):
    """g_r = Sᵀ Σ_{l1 < … < lr} W_l1ᵀ … W_lrᵀ Vᵀ 1, all subsets of up to 10 blocks written out."""
    torch.manual_seed(1)
    model, x = Chain(L, linear=True).double(), inputs(1, 3)
    loss = model(x).sum()
    expected = torch.zeros(L + 1, 3, dtype=torch.float64)
    with torch.no_grad():
        for r in range(L + 1):
            for subset in combinations(range(L), r):
                v = model.head.weight.sum(0)
                for l in reversed(subset):
                    v = model.f[l].weight.T @ v
                expected[r] += model.stem.weight.T @ v
    for unit, shift in (("blocks", 0), ("weights", 2)):
        s = paths.spectrum(loss, x, unit, keep=True)
        np.testing.assert_array_equal(s.lengths, np.arange(L + 1) + shift)
        for found, slow in zip(s.gradients[:, 0], expected, strict=True):
            assert float((found - slow).norm()) <= 1e-12 * float(slow.norm())


def test_non_reentrant_checkpoints_change_nothing():
    torch.manual_seed(0)
    plain, x = Chain(4).double(), inputs(2, 3)
    again = Chain(4, checkpoint=True).double()
    again.load_state_dict(plain.state_dict())
    for unit in ("weights", "blocks"):
        a = paths.spectrum(plain(x).square().sum(), x, unit, keep=True)
        b = paths.spectrum(again(x).square().sum(), x, unit, keep=True)
        torch.testing.assert_close(b.gradients, a.gradients, rtol=1e-12, atol=1e-12)
        m, n = (paths.moments(net(x).square().sum(), x, unit) for net in (plain, again))
        assert n.mean == pytest.approx(m.mean, rel=1e-12)


def test_autocast_agrees_with_full_precision_to_its_own():
    torch.manual_seed(0)
    model = Chain(6, width=16)
    x = torch.randn(8, 3, requires_grad=True)
    full = paths.spectrum(model(x).square().sum(), x, "blocks")
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(x).float().square().sum()
    half = paths.spectrum(loss, x, "blocks")
    assert 1e-6 < half.error <= 2e-2
    np.testing.assert_allclose(half.share, full.share, atol=3e-2)
    assert paths.moments(loss, x, "blocks").mean == pytest.approx(half.effective_depth, abs=5e-2)
    assert paths.census(loss, x, unit="weights") == paths.census(model(x).sum(), x, unit="weights")


def test_a_distributed_model_is_measured_like_its_module(tmp_path):
    torch.manual_seed(0)
    model, x = Chain(3).double(), inputs(2, 3)
    expected = paths.spectrum(model(x).square().sum(), x, "blocks", model=model)

    def measured():
        parallel = nn.parallel.DistributedDataParallel(model)
        loss = parallel(x).square().sum()
        found = paths.spectrum(loss, x, "blocks", model=parallel)
        np.testing.assert_allclose(found.share, expected.share, rtol=1e-12)
        assert [b.name for b in found.graph.blocks] == [f"module.f.{l}" for l in range(3)]
        assert all(p.grad is None for p in model.parameters())
        loss.backward()
        assert all(p.grad is not None for p in model.parameters())

    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        measured()
        gc.collect()  # a wrapper that outlives the group would end it, and wait for its threads without end
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("unit", ["weights", "blocks"])
def test_the_input_of_a_block_is_a_target_like_any_other(unit):
    torch.manual_seed(0)
    model, x = Chain(5).double(), inputs(2, 3)
    h, entering = model.stem(x), []
    for f in model.f:
        entering.append(h)
        h = h + f(h).tanh()
    loss = model.head(h).square().sum()
    s = paths.spectrum(loss, x, unit, at="blocks")
    assert s.at_blocks.shape == (5, s.lengths[-1] + 1)
    for row, target in zip(s.at_blocks, entering, strict=True):
        alone = paths.spectrum(loss, target, unit)
        expected = np.zeros(len(row))
        expected[alone.lengths] = alone.norm
        np.testing.assert_allclose(row, expected, rtol=1e-12, atol=1e-14)
    assert paths.spectrum(loss, x, unit).at_blocks is None


def test_samples_and_tokens_are_split_alone():
    torch.manual_seed(0)
    model, x = Chain(3).double(), inputs(2, 4, 3)
    s = paths.spectrum(model(x).square().sum(), x, "blocks", keep=True)
    t = paths.spectrum(model(x).square().sum(), x, "blocks", per="token")
    np.testing.assert_allclose(s.norm_per_sample, s.gradients.flatten(2).norm(dim=2))
    np.testing.assert_allclose(t.norm_per_sample, s.gradients.norm(dim=3))
    g = s.gradients.sum(0)
    np.testing.assert_allclose(t.share_per_sample, (s.gradients * g).sum(-1) / (g * g).sum(-1), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(t.effective_depth_per_sample, np.tensordot(t.lengths, t.share_per_sample, 1))
    assert t.effective_depth_per_sample.shape == (2, 4)
    np.testing.assert_allclose(t.share, s.share)
    np.testing.assert_allclose(s.median_share, np.median(s.share_per_sample, axis=1))
    assert set(t.to_xarray().sizes) == {"length", "sample", "token"}
    with pytest.raises(InputError, match="per"):
        paths.spectrum(model(x).sum(), x, per="batch", unit="weights")
    with pytest.raises(InputError, match="at"):
        paths.spectrum(model(x).sum(), x, at="block", unit="weights")
    for wrong in (x[0], x[None]):
        with pytest.raises(InputError, match="per"):
            paths.spectrum(model(wrong).sum(), wrong, per="token", unit="weights")


def test_a_spectrum_shows_itself():
    torch.manual_seed(0)
    model, x = Chain(40).double(), inputs(2, 3)
    loss = model(x).square().sum()
    s = paths.spectrum(loss, x, "blocks", model=model, at="blocks")
    text = str(s)
    assert f"effective depth: {s.effective_depth:.4g} blocks" in text
    lengths, blocks = (table.splitlines() for table in text.split("\n\n")[1:3])
    assert lengths[-1] == "… 17 more with smaller values"  # of 41, by ‖g_r‖
    assert blocks[-1] == "… 16 more with smaller values"
    names = [b.name for b in s.graph.blocks]
    for row in blocks[1:-1]:
        name, mean = row.split()
        square = s.at_blocks[names.index(name)] ** 2
        assert float(mean) == pytest.approx(square @ np.arange(41) / square.sum(), abs=1e-3)
    assert len(text.splitlines()) < 70
    data = s.to_xarray()
    assert dict(data.sizes) == {"length": 41, "sample": 2, "block": 40, "block_length": 41}
    np.testing.assert_array_equal(data["norm_at_block"], s.at_blocks)
    assert data.attrs["unit"] == "blocks"
    ax = s.plot()
    np.testing.assert_allclose(sum(patch.get_height() for patch in ax.patches), 2)
    assert "path length" in ax.get_xlabel()
    mpl.pyplot.close("all")
    m = paths.moments(loss, x, "blocks")
    assert f"{m.mean:.4g}" in str(m)
    assert float(m.to_xarray()["variance"]) == m.variance
    assert "undefined" in str(paths.spectrum(loss * 0, x, "blocks"))
    assert "undefined" in str(paths.moments(loss * 0, x, "blocks"))


def test_faint_paths_do_not_overflow():
    """Float32 parts of 1e-40: subnormal numbers that no power of two within float32 lifts to 1."""
    model = Chain(25, width=4)
    with torch.no_grad():
        for f in model.f:
            f.weight.mul_(1e-3)
    x = torch.randn(2, 3, requires_grad=True)
    s = paths.spectrum(model(x).square().sum(), x, "blocks", tolerance=0)
    assert np.isfinite(s.norm).all()
    assert s.error <= 1e-5
    assert 0 < s.norm[10] < 1e-20


def test_cost_counts_the_channels_of_a_chain():
    """With equal blocks the live lengths are 1, 2, …, L + 1 from the loss down, or at most m + 2."""
    L = 60
    model, x = Chain(L, width=64).double(), inputs(8, 3)
    loss = model(x).sum()
    assert paths.cost(loss, x, "blocks") == pytest.approx(1 + (L + 1) / 2, rel=0.05)
    for m in (2, 5, 10):
        assert paths.cost(loss, x, "blocks", max_length=m) == pytest.approx(1 + m + 2, rel=0.15)


def test_long_calls_say_so_first(monkeypatch, caplog):
    costs = sys.modules["skipglass.paths.cost"]
    model, x = Chain(3).double(), inputs(2, 3)
    with caplog.at_level(logging.WARNING, "skipglass.paths"):
        paths.spectrum(model(x).sum(), x, unit="weights")
        assert not caplog.records
        monkeypatch.setattr(costs, "LONG", 0.0)
        paths.spectrum(model(x).sum(), x, unit="weights")
    assert "backward pass" in caplog.text


def longer(*ends):
    """Paths one step longer than any of these, by length."""
    return Counter({r + 1: n for r, n in sum(ends, Counter()).items()})


def test_the_census_of_a_dense_net_is_a_dynamic_programme():
    """Each layer adds a piece, and reads all pieces of its stage so far, as does what follows the stage."""
    from skipglass.models import DenseNet

    model = DenseNet(depth=22, growth=2)
    x = torch.randn(1, 3, 8, 8, requires_grad=True)
    pieces = [longer(Counter({0: 1}))]  # the first convolution
    for stage in (model.dense1, model.dense2, model.dense3):
        for _ in stage:
            pieces.append(longer(*pieces))
        pieces = [longer(*pieces)]  # a transition, or the classifier
    assert paths.census(model(x).sum(), x, unit="weights") == dict(pieces[0])


class Fused(Attention):
    def forward(self, x, source):
        return self.out(nn.functional.scaled_dot_product_attention(self.q(x), self.k(source), self.v(source)))


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.all, self.out = nn.Linear(4, 12), nn.Linear(4, 4)

    def forward(self, x, _):
        q, k, v = self.all(x).chunk(3, -1)
        return self.out((q @ k.mT).softmax(-1) @ v)


@pytest.mark.parametrize(("attention", "ways"), [(Attention, 3), (Fused, 3), (Packed, 1)])
def test_the_census_of_attention_goes_through_queries_keys_and_values(attention, ways):
    """A layer has a path of two weights by each of its ways; around L of them there are (1 + ways·t²)^L."""
    layers = [attention().double() for _ in range(3)]
    x = inputs(2, 5, 4)
    assert paths.census(layers[0](x, x).sum(), x, unit="weights") == {2: ways}
    h = x
    for layer in layers:
        h = h + layer(h, h)
    assert paths.census(h.square().sum(), x, unit="weights") == {2 * k: math.comb(3, k) * ways**k for k in range(4)}
    assert paths.census(h.square().sum(), x, "blocks") == {k: math.comb(3, k) for k in range(4)}


def test_energies_are_squared_norms_over_their_sum_of_the_batch_and_of_each_sample():
    torch.manual_seed(0)
    s = paths.spectrum(Chain(4).double()(x := inputs(3, 3)).square().sum(), x, keep=True)
    square = s.gradients.flatten(1).square().sum(1)
    np.testing.assert_allclose(s.energy, square / square.sum(), rtol=1e-12)
    assert s.energy_depth == pytest.approx(float(s.lengths @ s.energy), rel=1e-12)
    rows = s.gradients.square().sum(2)
    slow = (torch.arange(5.0)[:, None] * rows).sum(0) / rows.sum(0)
    np.testing.assert_allclose(s.energy_depth_per_sample, slow, rtol=1e-12)


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_moments_where_gradients_cancel_behind_a_softmax(kind):
    """Hyper-connections begin with equal streams: what their mixing weights send back is zero up to rounding."""
    torch.manual_seed(0)
    D, n = 6, 2
    *f, last = (nn.Sequential(nn.Linear(D, D), nn.Tanh(), nn.Linear(D, D)).to(kind) for _ in range(3))
    mix = nn.ModuleList(nn.Linear(D, n * n + 2 * n) for _ in range(2)).to(kind)
    x = torch.randn(3, D, dtype=kind, requires_grad=True)
    X = torch.stack([x] * n, 1)
    for g, weights in zip(f, mix, strict=True):
        A, b, w = weights(X.mean(1)).split([n * n, n, n], -1)
        y = g((w[:, None] @ X)[:, 0])
        X = A.unflatten(-1, (n, n)).softmax(-1) @ X + b[..., None] * y[:, None]
    h = X.sum(1)
    loss = (h + last(h)).square().sum()
    s, m = paths.spectrum(loss, x, "blocks"), paths.moments(loss, x, "blocks")
    assert m.mean == pytest.approx(s.effective_depth, rel=1e-10 if kind == torch.float64 else 1e-4)
    assert m.error <= (1e-12 if kind == torch.float64 else 1e-5)
