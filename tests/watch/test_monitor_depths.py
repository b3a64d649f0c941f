"""A monitor that records the depth by several measures, and a training that does not know of it."""

import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import skipglass as sg
from skipglass.models import CifarResNet


def trained(model, steps, each=lambda: None):
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    torch.manual_seed(3)
    for _ in range(steps):
        x, y = torch.randn(6, 3, 8, 8), torch.randint(3, (6,))
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        each()
    return {**model.state_dict(), "rng": torch.get_rng_state()}


def probe():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(6, 3, 8, 8, generator=generator), torch.arange(6) % 3


@pytest.mark.parametrize("mode", ["frozen", "eval"])
def test_depths_are_recorded_with_every_spectrum_and_the_training_is_the_same(mode, tmp_path):
    def network():
        return CifarResNet(8, width=0.25, classes=3)

    expected = trained(network(), 4)
    model = network()
    monitor = sg.Monitor(model, probe(), F.cross_entropy, every=2, spectrum_every=4, mode=mode, depths=True)
    found = trained(model, 4, monitor.step)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert not monitor.recording.notes
    monitor.save(tmp_path / "watched.nc")
    data = sg.record.load(tmp_path / "watched.nc", "monitor").set_xindex("step")
    assert data.measure.values.tolist() == list(sg.paths.MEASURES)
    assert np.isfinite(data.depth.sel(step=[0, 4])).all()
    assert np.isnan(data.depth.sel(step=[1, 2])).all()
    # the last evaluation is of the network as it is now
    if mode == "eval":
        now = sg.paths.depths(model.eval(), *probe(), F.cross_entropy)
        np.testing.assert_allclose(data.depth.sel(step=4), now.depth, rtol=1e-5)
        assert data.weight.values.tolist() == list(now.weights)
        np.testing.assert_allclose(data.weight_energy_depth.sel(step=4), now.weight_energy_depth, rtol=1e-4, atol=1e-6)
    depth = data.depth.sel(step=4, measure="input, shares")
    assert float(depth) == pytest.approx(float(data.effective_depth.sel(step=4)), rel=1e-4)


def test_what_a_network_does_not_allow_is_noted_once(caplog):
    class Smooth(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter, self.f, self.leave = nn.Linear(5, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x):
            h = self.enter(x)
            return self.leave(h + self.f(h).tanh())

    x, y = torch.randn(6, 5), torch.arange(6) % 3
    with caplog.at_level(logging.WARNING, "skipglass.watch"):
        monitor = sg.Monitor(Smooth(), (x, y), F.cross_entropy, every=1, spectrum_every=1, depths=True)
        monitor.step()
    assert len(monitor.recording.notes) == 1
    assert "needs a piecewise-linear network" in monitor.recording.notes[0]
    assert "found Tanh" in monitor.recording.notes[0]
    assert "output, energy" not in monitor.recording.to_xarray().measure
