"""Training the paper's networks while recording their scales."""

from skipglass.training.loop import train
from skipglass.training.recording import total_norm
from skipglass.training.settings import EXPERIMENTS, Settings

__all__ = ["EXPERIMENTS", "Settings", "total_norm", "train"]
