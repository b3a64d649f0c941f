"""Training: one loop with callbacks, the settings of each training, and sweeps.

Settings load at once and need no torch, as the command line reads its options from them; everything else loads when it
is first used (PEP 562).
"""

from importlib import import_module
from typing import Any

from skipglass.training.grid import VARIANTS, Grid
from skipglass.training.option import options
from skipglass.training.resnet_settings import DATASETS, ResNetSettings
from skipglass.training.settings import EXPERIMENTS, Settings, TrainingSettings

FILES = {
    "cells": ("cell", "check_recording", "sweep"),
    "checkpoint": ("CHECKPOINT", "Checkpoint"),
    "loop": ("Diverged", "Interrupted", "Run", "fit"),
    "mlp": ("total_norm", "train"),
    "parallel": ("cores", "map_unordered"),
    "resnet": ("train_resnet",),
}
"""File → what it gives."""
HOMES = {name: file for file, names in FILES.items() for name in names}

__all__ = ["DATASETS", "EXPERIMENTS", "VARIANTS", "Grid", "ResNetSettings", "Settings", "TrainingSettings", "options"]
__all__ += HOMES


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(import_module(f"skipglass.training.{HOMES[name]}"), name)
    raise AttributeError(f"module 'skipglass.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *HOMES])
