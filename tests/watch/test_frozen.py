"""With the probe's own statistics, held constant, a network gives what it gives in training mode."""

import pytest
import torch
from torch import nn

import skipglass as sg
from skipglass.models import CifarResNet, ResidualMLP

IMAGES, VECTORS = (5, 3, 32, 32), (5, 12)
CASES = {
    "images": (lambda: CifarResNet(8, width=0.25), IMAGES),
    "paper's, batch norm": (lambda: ResidualMLP(12, depth=4, width=6, normalization="batch"), VECTORS),
    "paper's": (lambda: ResidualMLP(12, depth=4, width=6, normalization="paper"), VECTORS),
    "in place": (lambda: nn.Sequential(nn.Linear(12, 4), nn.BatchNorm1d(4, momentum=None), nn.ReLU(True)), VECTORS),
}


def loss_of(outputs):
    return outputs.square().mean()


@pytest.mark.parametrize("name", CASES)
def test_frozen_statistics_give_the_outputs_of_training_mode(name):
    make, shape = CASES[name]
    torch.manual_seed(0)
    model, x = make().double(), torch.randn(shape, dtype=torch.float64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    frozen, train = (sg.Monitor(model, (x, None), loss_of, mode=mode).recording.rows[0] for mode in ("frozen", "train"))
    assert frozen["loss"] == pytest.approx(train["loss"], rel=1e-12)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(getattr(m, "momentum", 0.1) in {0.1, None} for m in model.modules())
