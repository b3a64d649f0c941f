"""A spectrum whose outer lengths are carried together is the one that carries each, but for what it says was lumped."""

import numpy as np
import pytest
import torch
from torch import nn

from skipglass import paths
from skipglass.errors import InputError


class Block(nn.Module):
    def __init__(self, width, scale):
        super().__init__()
        self.norm, self.f, self.g = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)
        self.scale = scale

    def forward(self, h):
        return h + self.scale * self.g(torch.relu(self.f(self.norm(h))))


def made(depth, scale=1.0, dtype=torch.float64, samples=5):
    torch.manual_seed(depth)
    model = nn.Sequential(*(Block(12, scale) for _ in range(depth))).to(dtype)
    x = torch.randn(samples, 12, dtype=dtype, requires_grad=True)
    return model, x


@pytest.mark.parametrize("scale", [1.0, 0.2])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-10, None])
def test_shares_differ_by_no_more_than_the_tolerance(scale, tolerance):
    model, x = made(40, scale)
    loss = model(x).square().mean()
    whole = paths.spectrum(loss, x, tolerance=0)
    band = paths.spectrum(loss, x, tolerance=tolerance)
    assert whole.lumped == 0
    assert 0 < band.lumped <= 10 * band.tolerance * whole.norm.sum()
    assert np.array_equal(band.lengths, whole.lengths)
    allowed = 10 * band.tolerance * whole.cancellation
    np.testing.assert_allclose(band.share, whole.share, atol=allowed + 1e-14, rtol=0)
    assert band.effective_depth == pytest.approx(whole.effective_depth, abs=40 * allowed + 1e-13)
    # lengths and lumps sum to the gradient all the same
    assert band.error < 1e-14


def test_a_sample_of_tiny_gradient_keeps_its_own_band():
    """Its branches are wide open and its paths long, the others' short; its gradient is faint."""
    model, x = made(15, torch.tensor([[2.0], [1e-2], [1e-2], [1e-2], [1e-2]], dtype=torch.float64))
    factor = torch.tensor([1e-9, 1.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    loss = (factor * model(x).square().sum(1)).sum()
    whole, band = (paths.spectrum(loss, x, tolerance=t) for t in (0, 1e-5))
    assert whole.norm_per_sample[:, 0].sum() < 1e-5 * whole.norm.sum()
    depths = whole.effective_depth_per_sample
    assert depths[0] > 0.5 > 0.1 > depths[1:].max()
    np.testing.assert_allclose(band.share_per_sample, whole.share_per_sample, atol=1e-3)


@pytest.mark.parametrize("factor", [1e-30, 1e25])
def test_the_band_does_not_depend_on_the_size_of_the_loss(factor):
    """In single precision the squares of such gradients vanish or overflow."""
    model, x = made(30, dtype=torch.float32)
    loss = model(x).square().mean()
    usual, other = (paths.spectrum(f * loss, x, tolerance=1e-4) for f in (1.0, factor))
    assert ((usual.norm > 0) == (other.norm > 0)).all()
    assert (usual.norm > 0).sum() < 25
    np.testing.assert_allclose(other.share, usual.share, atol=1e-6)


def test_fewer_channels_are_carried(monkeypatch):
    """The work counts as channels summed over heads: a fraction of that without a band in a deep network."""
    carried = []
    cross = paths.spectrum.__globals__["Lengths"].cross

    def counted(self, graded):
        carried.append(len(graded))
        return cross(self, graded)

    monkeypatch.setattr(paths.spectrum.__globals__["Lengths"], "cross", counted)
    model, x = made(100)
    loss = model(x).square().mean()
    paths.spectrum(loss, x, tolerance=0)
    whole = sum(carried)
    carried.clear()
    paths.spectrum(loss, x, tolerance=1e-6)
    assert sum(carried) < 0.4 * whole


def test_max_length_still_carries_what_is_longer():
    model, x = made(20)
    loss = model(x).square().mean()
    whole, band = (paths.spectrum(loss, x, max_length=4, tolerance=t) for t in (0, 1e-9))
    np.testing.assert_allclose(band.norm, whole.norm, atol=1e-7 * whole.norm.sum(), rtol=0)
    assert band.lengths.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("tolerance", [-1e-3, 2, float("nan"), "small"])
def test_a_tolerance_is_a_number_between_0_and_1(tolerance):
    model, x = made(3)
    with pytest.raises(InputError, match="tolerance"):
        paths.spectrum(model(x).sum(), x, tolerance=tolerance)


def test_lumps_that_the_network_amplifies_are_warned_of():
    """All but the shortest path are faint; what they carry is amplified on its way to x, the shortest path is not."""
    torch.manual_seed(0)
    model = nn.Sequential(*(Block(12, 1e-4) for _ in range(12))).double()
    x = torch.randn(4, 12, dtype=torch.float64, requires_grad=True)
    gain = torch.ones(12, dtype=torch.float64)
    gain[0] = 1e-6  # the loss reads entry 0 alone
    loss = model(gain * x)[:, 0].sum()
    with pytest.warns(UserWarning, match="tolerance"):
        paths.spectrum(loss, x, tolerance=1e-3)
