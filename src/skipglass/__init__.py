"""How deep is your residual network really, and what does that do to its loss surface?

The package loads nothing heavy: each folder is imported when it is first used (PEP 562), and only the
folders that touch networks import torch.
"""

from importlib import import_module
from importlib.metadata import version as _version

__all__ = [
    "Monitor",
    "data",
    "glass",
    "graph",
    "measure",
    "models",
    "paper",
    "paths",
    "record",
    "register",
    "report",
    "scales",
    "theory",
    "trace",
    "training",
    "watch",
]

FUNCTIONS = {"measure": "paths", "Monitor": "watch", "register": "graph", "trace": "graph"}
"""What stands at the top itself → the folder that defines it."""

__version__ = _version("skipglass")


def __getattr__(name: str) -> object:
    if name in FUNCTIONS:
        return getattr(import_module(f"skipglass.{FUNCTIONS[name]}"), name)
    if name in __all__:
        return import_module(f"skipglass.{name}")
    raise AttributeError(f"module 'skipglass' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
