"""The paper, one file for each figure or theorem.

What is named here is imported when it is first used (PEP 562), so that a file which is also a command
(``python -m skipglass.paper.resnet_runs``) is not loaded twice.
"""

from importlib import import_module

__all__ = [
    "CLAIMS",
    "FIGURES",
    "LIVE",
    "NETWORK_FIGURES",
    "Options",
    "both_ways",
    "claims_table",
    "committed_networks",
    "has_networks",
    "measure",
    "recorded",
    "write_report",
]

HOMES = {
    "claims": ("CLAIMS", "claims_table"),
    "experiment": ("Options",),
    "networks": ("NETWORK_FIGURES", "committed_networks", "has_networks"),
    "reproduce": ("FIGURES", "measure", "recorded", "write_report"),
    "resnet_runs": ("LIVE", "both_ways"),
}
"""File → what it gives."""


def __getattr__(name: str) -> object:
    for home, names in HOMES.items():
        if name in names:
            return getattr(import_module(f"skipglass.paper.{home}"), name)
    raise AttributeError(f"module 'skipglass.paper' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
