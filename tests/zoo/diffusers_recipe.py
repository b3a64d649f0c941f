"""What the rows of diffusers share: random inputs, a network from the name of its class, and a family from a row."""

from functools import partial
from typing import Any

import torch
from family import Family, Inputs
from torch import Tensor, nn

__all__ = ["Row", "families", "named", "network", "noise", "ones"]

Row = tuple[dict[str, Any], Inputs, int, str]
"""Settings and inputs, the residual sums of the source at this size, and a word on them."""


def noise(*shape: int) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(*shape)


def ones(*shape: int) -> Tensor:
    """A mask in which all is true."""
    return torch.ones(*shape, dtype=torch.bool)


def network(name: str, settings: dict[str, Any], inputs: Inputs) -> tuple[nn.Module, Inputs]:
    """The network of that class with weights of seed 0, and its inputs."""
    import diffusers

    torch.manual_seed(0)
    return getattr(diffusers, name)(**settings), inputs


def families(rows: dict[str, Row], found: dict[str, int] | None = None, doubtful: str = "") -> dict[str, Family]:
    """Families from rows by the names of their classes; ``found`` and ``doubtful`` name the exceptions."""
    return {
        f"diffusers {name}": Family(
            partial(network, name, settings, inputs),
            blocks,
            reason,
            found=(found or {}).get(name),
            doubtful=name in doubtful.split(),
        )
        for name, (settings, inputs, blocks, reason) in rows.items()
    }


def named(rows: dict[str, tuple[str, dict[str, Any], Inputs, int, str]]) -> dict[str, Family]:
    """Families from rows by names of their own, which name the class."""
    return {
        f"diffusers {name}": Family(partial(network, made, settings, inputs), blocks, reason)
        for name, (made, settings, inputs, blocks, reason) in rows.items()
    }
