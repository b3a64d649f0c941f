"""Depth by several measures: each number is that of its own measurement, and what cannot be measured is said."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipglass import paths, trace
from skipglass.errors import InputError
from skipglass.models import CifarResNet, ResidualMLP
from skipglass.paths.depths import median_and_error


def test_each_measure_is_its_own_measurement(tmp_path):
    torch.manual_seed(0)
    model = CifarResNet(20, width=0.25, classes=3).double().eval()
    x, y = torch.randn(5, 3, 8, 8).double(), torch.arange(5) % 3
    d = paths.depths(model, x, y, F.cross_entropy, drawn=4, seed=1)
    t = trace(model, x, y, F.cross_entropy)
    split, update, single = paths.spectrum(t), paths.weight_spectrum(t), paths.sampled_paths(t, drawn=4, seed=1)
    whole = paths.output_split(model, x, lambda z: z[torch.arange(5), y])
    expected = {
        "input, shares": split.effective_depth,
        "input, shares, median": np.median(split.effective_depth_per_sample),
        "input, energy": split.energy_depth,
        "input, energy, median": np.median(split.energy_depth_per_sample),
        "first weight, shares": update.effective_depth[0],
        "first weight, energy": update.energy_depth[0],
        "all weights, shares": update.update_depth,
        "all weights, energy": update.update_energy_depth,
        "output, shares": whole.effective_depth,
        "output, energy": whole.energy_depth,
        "single paths": single.effective_depth,
        "single paths, median": np.median(single.effective_depth_per_sample),
    }
    assert d.measures == tuple(expected) == tuple(paths.MEASURES)
    np.testing.assert_allclose(d.depth, list(expected.values()), rtol=1e-9)
    assert d.of("output, energy") == pytest.approx(whole.energy_depth)
    assert d.error[d.measures.index("single paths")] == single.depth_error
    known = ("median" in name or name.startswith(("output", "single")) for name in d.measures)
    np.testing.assert_array_equal(np.isfinite(d.error), list(known))
    assert d.notes == ()
    assert d.blocks == 9
    np.testing.assert_allclose(d.weight_energy_depth, update.energy_depth)
    again = paths.Depths.load(d.save(tmp_path / "depths.nc"))
    assert again.measures == d.measures
    assert str(d).startswith("Of 9 blocks, paths pass")
    assert d.plot().get_title(loc="left") or d.plot().get_title()


def test_what_a_network_does_not_allow_is_left_out_and_said():
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.f, self.g = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            h = x + self.f(x).tanh()
            return h + self.g(h)

    d = paths.depths(Frozen().requires_grad_(False), torch.randn(4, 3), torch.arange(4) % 3, F.cross_entropy, drawn=0)
    assert d.measures == tuple(name for name in paths.MEASURES if name.startswith("input"))
    weights, output = d.notes
    assert "requires_grad_" in weights
    assert "found Tanh" in output
    assert np.isnan(d.of("output, energy"))


def test_the_output_may_be_chosen():
    torch.manual_seed(1)
    model, x = ResidualMLP(5, depth=4, width=8), torch.randn(6, 5)
    d = paths.depths(model, x, loss_fn=lambda y: y.square().sum(), output=lambda y: y.reshape(-1))
    assert d.of("output, energy") == pytest.approx(paths.output_split(model, x, lambda y: y.reshape(-1)).energy_depth)
    without = paths.depths(model, x, loss_fn=lambda y: y.square().sum())
    assert "one number for each input" in without.notes[0]
    with pytest.raises(InputError, match="found str"):
        paths.depths(model, "text")


def test_the_bootstrap_gives_the_standard_error_of_a_median():
    """Of n normal numbers the median has the standard error 1.253/√n."""
    values = np.random.default_rng(0).standard_normal(400)
    found = [median_and_error(np.random.default_rng(seed).standard_normal(400)) for seed in range(30)]
    assert np.mean([error for _, error in found]) == pytest.approx(1.253 / 20, rel=0.1)
    assert median_and_error(values)[0] == np.median(values)


def test_weights_have_the_error_of_groups_of_samples():
    """Eight groups of samples, each measured alone, in a mode that takes samples apart."""
    torch.manual_seed(2)
    model, x, y = ResidualMLP(5, 3, depth=4, width=8), torch.randn(24, 5), torch.arange(24) % 3
    d = paths.depths(model, x, y, F.cross_entropy, drawn=0)
    alone = [paths.weight_spectrum(trace(model, x[k::8], y[k::8], F.cross_entropy)) for k in range(8)]
    figures = {
        "first weight, energy": [w.energy_depth[0] for w in alone],
        "all weights, shares": [w.update_depth for w in alone],
    }
    for name, values in figures.items():
        expected = np.std(values, ddof=1) / np.sqrt(8)
        assert expected > 0
        assert d.error[d.measures.index(name)] == pytest.approx(expected, rel=1e-6)
    model.double().train()
    mixing = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    d = paths.depths(mixing, x, y, F.cross_entropy, drawn=0)
    assert np.isnan(d.error[d.measures.index("all weights, shares")])
