"""Participation: each block's share against a slow way, and its sum against the spectrum and the moments."""

import sys

import numpy as np
import pytest
import torch
from case import joined
from cases import CASES, NAMES
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from skipglass import paths
from skipglass.errors import DecompositionError
from skipglass.models import ResidualMLP


def made(name, kernel=SDPBackend.MATH):
    torch.manual_seed(0)
    with sdpa_kernel(kernel):
        return CASES[name].make()


def one_edge_at_a_time(loss, x, model):
    """s_l from autograd with block l's edge multiplied by 1 + ε: the difference of two ordinary gradients."""
    found = paths.outline(loss, x, model)
    g = joined(torch.autograd.grad(loss, x, retain_graph=True))
    shares, rows = [], []
    for block in found.blocks:
        slot = block.merge.branch.slot
        hook = found.graph.nodes[block.merge.node].register_hook(
            lambda out, _, slot=slot: tuple(2 * v if k == slot and v is not None else v for k, v in enumerate(out))
        )
        through = joined(torch.autograd.grad(loss, x, retain_graph=True)) - g  # linear in the factor: ε = 1 is as good
        hook.remove()
        shares.append(float((through * g).sum() / (g * g).sum()))
        rows.append((through * g).flatten(1).sum(1) / (g * g).flatten(1).sum(1))
    return np.array(shares), torch.stack(rows).numpy() if rows else np.zeros((0, len(g)))


NOT_PUSHED = {
    "checkpointed",
    "Qwen2-MoE, grouped",
}
"""Cases that take a slower way."""


@pytest.mark.parametrize("name", NAMES)
def test_each_block_has_the_share_that_scaling_its_edge_shows(name):
    model, loss, x = made(name)
    p = paths.participation_of(loss, x, model)
    assert p.way == ("differentiated" if name in NOT_PUSHED else "pushed")
    shares, rows = one_edge_at_a_time(loss, x, model)
    assert [*p.blocks] == [block for block, *_ in CASES[name].blocks]
    tolerance = max(1e-10, CASES[name].error)
    np.testing.assert_allclose(p.share, shares, rtol=1e-10, atol=tolerance)
    assert p.error <= tolerance
    if p.independent_samples and rows.shape == p.share_per_sample.shape and not np.isnan(p.share_per_sample).all():
        np.testing.assert_allclose(p.share_per_sample, rows, rtol=1e-8, atol=max(1e-9, tolerance))


@pytest.mark.parametrize("name", NAMES)
def test_the_shares_sum_to_the_mean_of_spectrum_and_moments(name):
    model, loss, x = made(name)
    p = paths.participation_of(loss, x, model)
    s = paths.spectrum(loss, x, "blocks", model=model)
    m = paths.moments(loss, x, "blocks", model=model)
    tolerance = max(1e-10, CASES[name].error)
    assert p.effective_depth == pytest.approx(s.effective_depth, rel=1e-10, abs=tolerance)
    assert p.effective_depth == pytest.approx(m.mean, rel=1e-10, abs=tolerance)
    np.testing.assert_allclose(p.effective_depth_per_sample, s.effective_depth_per_sample, rtol=1e-9, atol=tolerance)
    assert p.independent_samples == s.independent_samples


class Twice(torch.autograd.Function):
    """Doubles its gradient; its backward pass may not be differentiated."""

    @staticmethod
    def forward(ctx, a):
        return a.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return 2 * grad


class Hidden(torch.autograd.Function):
    """The same, its backward pass hidden from autograd."""

    @staticmethod
    def forward(ctx, a):
        return a.clone()

    @staticmethod
    def backward(ctx, grad):
        return torch.from_numpy(2 * grad.detach().numpy())


@pytest.mark.filterwarnings("ignore:what these operations may hold")
@pytest.mark.parametrize("function", [Twice, Hidden])
def test_operations_that_cannot_be_differentiated_twice_take_one_pass_a_block(function, monkeypatch, caplog):
    monkeypatch.setattr(sys.modules["skipglass.paths.cost"], "LONG", 0.0)
    torch.manual_seed(0)
    f = nn.ModuleList(nn.Linear(4, 4) for _ in range(3)).double()
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    h = x
    for layer in f:
        h = h + function.apply(layer(h).tanh())
    loss = h.square().sum()
    p = paths.participation_of(loss, x, f)
    (said,) = caplog.messages
    assert said.startswith("participation: ")
    assert "4 times a backward pass" in said
    shares, rows = one_edge_at_a_time(loss, x, f)
    np.testing.assert_allclose(p.share, shares, rtol=1e-10)
    np.testing.assert_allclose(p.share_per_sample, rows, rtol=1e-10)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.v = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        q, v = self.q(x)[:, None], self.v(x)[:, None]
        return x + nn.functional.scaled_dot_product_attention(q, q, v)[:, 0]


def test_fused_attention_and_a_unit_of_no_spread_take_one_pass_a_block():
    torch.manual_seed(0)
    model = nn.Sequential(Attention(), Attention())
    x = torch.randn(2, 5, 4, requires_grad=True)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        loss = model(x).square().sum()
    p = paths.participation_of(loss, x, model)
    assert any("FlashAttention" in name for name in p.graph.graph.operations)
    assert p.effective_depth == pytest.approx(paths.moments(loss, x, "blocks").mean, rel=1e-5)
    again = paths.participation(model, x, loss_fn=lambda y: y.square().sum())
    np.testing.assert_allclose(again.share, p.share, rtol=1e-4)
    np.testing.assert_allclose(again.share_per_sample, p.share_per_sample, rtol=1e-4)
    x = torch.tensor([[1.0, -1.0], [1.0, 1.0]], dtype=torch.float64, requires_grad=True)  # the first unit: no spread
    W = nn.Parameter(torch.eye(2, dtype=torch.float64))
    loss = (x + x / (1 + x.std(dim=0)) @ W).square().sum()
    p = paths.participation_of(loss, x)
    assert p.effective_depth == pytest.approx(paths.moments(loss, x, "blocks").mean, rel=1e-9)


@pytest.mark.parametrize("uses", [1, 2])
def test_hooks_on_a_sum_and_on_a_branch_count(uses):
    torch.manual_seed(0)
    f = nn.ModuleList(nn.Linear(4, 4) for _ in range(3)).double()
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    hooked, plain = [], []
    for factor, into in ((1.0, plain), (2.0, hooked)):
        h, beside = x, 0
        for layer in f:
            branch = layer(h).tanh()
            if factor > 1:
                branch.register_hook(lambda g: 2 * g)
            h = h + branch
            if factor > 1:
                h.register_hook(lambda g: 3 * g)
            beside = beside + (branch.square().sum() if uses > 1 else 0)
        into.append(h.square().sum() + beside)
    p = paths.participation_of(hooked[0], x, f)
    shares, _ = one_edge_at_a_time(hooked[0], x, f)
    np.testing.assert_allclose(p.share, shares, rtol=1e-10)
    assert not np.allclose(paths.participation_of(plain[0], x, f).share, shares, rtol=1e-2)


def test_retained_gradients_stay_as_they_were():
    f, x = nn.Linear(4, 4), torch.randn(5, 4, requires_grad=True)
    branch = f(x).tanh()
    h = x + branch
    for t in (branch, h):
        t.retain_grad()
    loss = h.square().sum()
    paths.participation_of(loss, x)
    assert branch.grad is h.grad is x.grad is None
    loss.backward()
    torch.testing.assert_close(branch.grad, 2 * h.detach())


def test_a_backward_pass_that_is_not_linear_is_refused():
    torch.manual_seed(0)
    f = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
    x = torch.randn(5, 4, requires_grad=True)
    h = x
    for layer in f:
        branch = layer(h)
        branch.register_hook(lambda g: g.clamp(-1e-2, 1e-2))
        h = h + branch
    with pytest.raises(DecompositionError):
        paths.participation_of(h.square().sum(), x)


class Tokens(nn.Module):
    """A mixer of x over its first dimension (samples mix), or over its second."""

    def __init__(self, mixes):
        super().__init__()
        self.mixes, self.f, self.norm = mixes, nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        if self.mixes == "batch norm":
            return x + self.norm(self.f(x))
        if self.mixes == "samples":
            return x + self.f(x).cumsum(0).tanh()
        if self.mixes == "features first":  # (features, samples) inside
            return (x.T + (self.f.weight @ x.T).tanh()).T
        return x + self.f(x.reshape(-1, 2, 2).flatten(1)).tanh()


@pytest.mark.parametrize("mixes", ["samples", "batch norm", "features first", "nothing"])
def test_shares_of_single_samples_where_samples_do_not_mix(mixes):
    torch.manual_seed(0)
    model = nn.Sequential(Tokens(mixes), Tokens(mixes)).double()
    x = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)  # as many samples as units: shapes do not tell
    loss = model(x).square().sum()
    p = paths.participation_of(loss, x, model)
    s = paths.spectrum(loss, x, "blocks")
    np.testing.assert_allclose(p.effective_depth_per_sample, s.effective_depth_per_sample, rtol=1e-10)
    assert p.independent_samples == (mixes in {"features first", "nothing"})
    assert f"independent samples: {'yes' if p.independent_samples else 'no'}" in str(p)
    if p.independent_samples:  # the sums over blocks tell which dimension of a square shape counts the samples
        np.testing.assert_allclose(p.share_per_sample, one_edge_at_a_time(loss, x, model)[1], rtol=1e-10)
    else:
        assert np.isnan(p.share_per_sample).all()
    model.eval()
    y = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    p = paths.participation_of(model(y).square().sum(), y, model)
    assert p.independent_samples == (mixes != "samples")


def test_faint_gradients_two_targets_no_blocks_and_none_at_all():
    torch.manual_seed(0)
    model = nn.Sequential(Tokens("nothing"), Tokens("nothing"))
    x, y = (torch.randn(3, 4, requires_grad=True) for _ in range(2))
    expected = paths.participation_of(model(x).square().sum(), x).share
    for scale in (1e-30, 1e30):
        np.testing.assert_allclose(
            paths.participation_of(model(x).square().sum() * scale, x).share, expected, rtol=1e-4
        )
    both = paths.participation_of(model(x).square().sum() + model(y).square().sum(), (x, y))
    assert both.effective_depth == pytest.approx(
        paths.moments(model(x).square().sum() + model(y).square().sum(), (x, y), "blocks").mean, rel=1e-5
    )
    none = paths.participation(nn.Linear(4, 2), torch.randn(3, 4))
    assert (none.blocks, none.share.shape, none.effective_depth) == ((), (0,), 0.0)
    assert none.effective_depth_per_sample.tolist() == [0.0] * 3
    zero = paths.participation(model, torch.randn(3, 4), loss_fn=lambda out: 0 * out.sum())
    assert np.isnan(zero.share).all()
    assert np.isnan(zero.effective_depth)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(x).float().square().sum()
    np.testing.assert_allclose(paths.participation_of(loss, x).share, expected, atol=0.02)


def test_the_number_of_backward_passes_does_not_grow_with_depth(monkeypatch):
    calls = []
    engine = torch.autograd.grad

    def counting(*given, **options):
        if sys._getframe(1).f_globals["__name__"] == "skipglass.paths.tangents":  # not the search for hooks
            calls.append(given)
        return engine(*given, **options)

    monkeypatch.setattr(torch.autograd, "grad", counting)
    for depth in (4, 40):
        calls.clear()
        paths.participation(ResidualMLP(5, depth=depth, width=4), torch.randn(3, 5))
        assert len(calls) == 2  # g and the check; the tangents call each node by hand


def test_a_result_prints_is_labelled_and_drawn():
    torch.manual_seed(0)
    p = paths.participation(ResidualMLP(5, depth=4, width=8), torch.randn(6, 5))
    lines = str(p).splitlines()
    least = int(np.argmin(p.share))
    assert lines[0].startswith(f"The gradient passes {p.effective_depth:.3g} of 3 blocks on average.")
    assert lines[0].endswith(f"{p.blocks[least]} carries least ({p.share[least]:.2f}).")
    assert lines[2].split()[:2] == ["block", "share"]
    assert lines[3].startswith("layers.1 ")
    data = p.to_xarray()
    assert data.share.sel(block="layers.2") == p.share[1]
    assert data.share_per_sample.dims == ("block", "sample")
    ax = p.plot()
    assert [bar.get_height() for bar in ax.patches] == p.share.tolist()
    assert [t.get_text() for t in ax.get_xticklabels()] == list(p.blocks)
    assert repr(p).startswith("Participation(block: 3, sample: 6")
