"""Training the paper's networks while recording their scales."""

from skipglass.training.loop import train
from skipglass.training.recording import total_norm
from skipglass.training.resnet_loop import train_resnet
from skipglass.training.resnet_run import Diverged
from skipglass.training.resnet_settings import DATASETS, ResNetSettings
from skipglass.training.settings import EXPERIMENTS, Settings
from skipglass.training.sweep import VARIANTS, Grid, cell, sweep

__all__ = [
    "DATASETS",
    "EXPERIMENTS",
    "VARIANTS",
    "Diverged",
    "Grid",
    "ResNetSettings",
    "Settings",
    "cell",
    "sweep",
    "total_norm",
    "train",
    "train_resnet",
]
