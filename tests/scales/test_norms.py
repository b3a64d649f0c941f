"""Absorbing a normalisation leaves the network as it is in eval mode; the norms are those weights' norms."""

import pytest
import torch

from skipglass.errors import InputError
from skipglass.models import ResidualMLP
from skipglass.scales import absorbed_norms, multipliers, weight_norms

NORMALISED = [(n, p) for n in ("batch", "paper") for p in ("before", "after")]


def absorb(model):
    """The same network without normalisation: weights diag(λ/σ)W, and a shift for each unit."""
    parts = []
    for layer in model.layers:
        gain = layer.multiplier / layer.sigma
        gain = gain if gain.ndim else gain.expand(layer.weight.shape[0])
        shift = torch.zeros_like(gain)
        if layer.normalization == "batch":
            shift = layer.shift - gain * layer.running_mean
        parts.append((gain[:, None] * layer.weight, shift, layer.skip, layer.placement))
    return parts


def run(parts, x):
    h = x.T
    for weight, shift, skip, placement in parts:
        z = weight @ h
        branch = torch.relu(z + shift[:, None]) if placement == "before" else torch.relu(z) + shift[:, None]
        h = branch + h if skip else branch
    return h.sum(0)


@pytest.mark.parametrize(("normalization", "placement"), NORMALISED)
def test_absorbed_weights_compute_the_same_and_have_the_reported_norms(normalization, placement):
    model = ResidualMLP(5, depth=4, width=6, normalization=normalization, placement=placement, dtype=torch.float64)
    x = torch.randn(50, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model.calibrate(x)
    with torch.no_grad():
        for layer in model.layers:
            layer.multiplier *= torch.rand(layer.multiplier.shape, dtype=torch.float64) + 0.5
        parts = absorb(model.eval())
        torch.testing.assert_close(run(parts, x), model(x), rtol=1e-10, atol=1e-10)
    norms = absorbed_norms(model)
    assert list(norms) == [f"layers.{l}" for l in range(4)]
    for (weight, *_), norm in zip(parts, norms.values(), strict=True):
        torch.testing.assert_close(norm, weight.norm())
    for layer, norm in zip(model.layers, weight_norms(model).values(), strict=True):
        torch.testing.assert_close(norm, layer.weight.norm())


def test_measuring_returns_copies():
    model = ResidualMLP(5, depth=2, width=3, normalization="batch")
    multipliers(model)["layers.0"].zero_()
    assert model.layers[0].multiplier.eq(1).all()


def test_networks_without_scales_are_named():
    with pytest.raises(InputError, match="no multipliers"):
        multipliers(ResidualMLP(5))
    with pytest.raises(InputError, match="no weights"):
        weight_norms(torch.nn.ReLU(), torch.ones(2, 3))
