"""The paper's networks."""

from skipglass.models.cifar_resnet import PADDINGS, CifarBlock, CifarResNet
from skipglass.models.dense_net import DenseNet
from skipglass.models.residual_mlp import NORMALIZATIONS, PLACEMENTS, ResidualLayer, ResidualMLP

__all__ = [
    "NORMALIZATIONS",
    "PADDINGS",
    "PLACEMENTS",
    "CifarBlock",
    "CifarResNet",
    "DenseNet",
    "ResidualLayer",
    "ResidualMLP",
]
