"""The networks for CIFAR: shapes, numbers of parameters, shortcuts, initial weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipglass.errors import InputError
from skipglass.models import CifarResNet, DenseNet

# He et al. (2016a), Table 6: 0.27, 0.46, 0.66, 0.85, 1.7 million
PARAMETERS = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}


@pytest.mark.parametrize(("depth", "count"), PARAMETERS.items())
def test_the_number_of_parameters_is_the_published_one(depth, count):
    net = CifarResNet(depth)
    assert sum(p.numel() for p in net.parameters()) == count
    assert sum(isinstance(m, nn.Conv2d) for m in net.modules()) + 1 == depth


def test_dense_net_40_12_has_a_million_parameters():
    net = DenseNet(40, growth=12)
    assert sum(p.numel() for p in net.parameters()) == 1_019_722  # Huang et al. (2017), Table 2: 1.0 million
    assert sum(isinstance(m, nn.Conv2d) for m in net.modules()) + 1 == 40


@pytest.mark.parametrize("preactivation", [False, True])
@pytest.mark.parametrize("width", [0.5, 1.0, 2.0])
def test_outputs_are_logits(preactivation, width):
    net = CifarResNet(8, width=width, preactivation=preactivation, classes=7)
    assert net(torch.randn(3, 3, 32, 32)).shape == (3, 7)
    assert net.linear.in_features == round(64 * width)


@pytest.mark.parametrize(("padding", "first"), [("after", 0), ("both", 8)])
def test_a_block_without_branch_is_the_option_a_shortcut(padding, first):
    block = CifarResNet(20, padding=padding).layer2[0].eval()
    nn.init.zeros_(block.bn2.weight)
    h = torch.rand(2, 16, 8, 8)
    expected = torch.zeros(2, 32, 4, 4)
    for n in range(2):
        for channel in range(16):
            for row in range(4):
                for column in range(4):
                    expected[n, first + channel, row, column] = h[n, channel, 2 * row, 2 * column]
    assert torch.equal(block(h), expected)


def test_pre_activation_is_the_formula():
    block = CifarResNet(8, preactivation=True).layer1[0].eval().double()
    h = torch.randn(2, 16, 5, 5, dtype=torch.float64)
    with torch.no_grad():
        z = F.conv2d(F.relu(h / (1 + 1e-5) ** 0.5), block.conv1.weight, padding=1)
        expected = h + F.conv2d(F.relu(z / (1 + 1e-5) ** 0.5), block.conv2.weight, padding=1)
        torch.testing.assert_close(block(h), expected, rtol=1e-12, atol=1e-12)


def test_initial_weights_are_he_s_by_fan_out_and_come_from_the_seed():
    net, same, other = CifarResNet(20, seed=3), CifarResNet(20, seed=3), CifarResNet(20, seed=4)
    for p, q in zip(net.parameters(), same.parameters(), strict=True):
        assert torch.equal(p, q)
    assert not torch.equal(net.conv1.weight, other.conv1.weight)
    weight = net.layer2[1].conv1.weight
    expected = (2 / (9 * 32)) ** 0.5
    standard_error = expected / (2 * weight.numel()) ** 0.5
    assert abs(float(weight.detach().std()) - expected) < 4 * standard_error


@pytest.mark.parametrize("make", [lambda: CifarResNet(21), lambda: CifarResNet(2), lambda: CifarResNet(20, width=0)])
def test_impossible_resnets_are_refused(make):
    with pytest.raises(InputError, match=r"depth|width"):
        make()


@pytest.mark.parametrize("depth", [6, 12, 40.5])
def test_impossible_dense_nets_are_refused(depth):
    with pytest.raises(InputError, match="depth"):
        DenseNet(depth)
