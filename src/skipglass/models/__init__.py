"""The paper's networks."""

from skipglass.models.cifar_resnet import PADDINGS, CifarBlock, CifarResNet
from skipglass.models.dense_net import DenseNet
from skipglass.models.gated_mlp import GATES, GatedMLP, evenly_spread, redundant_weights, unique_weights
from skipglass.models.residual_mlp import NORMALIZATIONS, PLACEMENTS, ResidualLayer, ResidualMLP

__all__ = [
    "GATES",
    "NORMALIZATIONS",
    "PADDINGS",
    "PLACEMENTS",
    "CifarBlock",
    "CifarResNet",
    "DenseNet",
    "GatedMLP",
    "ResidualLayer",
    "ResidualMLP",
    "evenly_spread",
    "redundant_weights",
    "unique_weights",
]


def __dir__() -> list[str]:
    return sorted(__all__)
