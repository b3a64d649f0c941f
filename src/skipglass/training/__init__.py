"""Training the paper's networks while recording their scales."""

from skipglass.training.loop import train
from skipglass.training.settings import EXPERIMENTS, Settings

__all__ = ["EXPERIMENTS", "Settings", "train"]
