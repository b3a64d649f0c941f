"""A family of models, as a row of the tables: how to build a tiny one, and its residual sums as its source has them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

__all__ = ["Family", "Inputs"]

Inputs = dict[str, Any] | Tensor


@dataclass(frozen=True)
class Family:
    """How a model of a family is built, and what must be found in it.

    Attributes
    ----------
    build
        Gives the model and its inputs.
    blocks
        The residual sums that its source writes, for this size.
    reason
        Why the number of blocks that are counted is another, or what else is doubtful; "" where all is plain.
    found
        The number of blocks that are counted, if not ``blocks``.
    doubtful
        Whether a sum or an operation is doubtful, and is said to be.
    """

    build: Callable[[], tuple[nn.Module, Inputs]]
    blocks: int
    reason: str = ""
    found: int | None = None
    doubtful: bool = False
