"""A case of the table that drives the tests of paths: a network, and what must be found in it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

Target = Tensor | tuple[Tensor, ...]
Built = tuple[nn.Module, Target, Callable[[], Tensor]]


def joined(parts: Tensor | tuple[Tensor, ...], samples: int = 0) -> Tensor:
    """One tensor of all targets, side by side after the dimension that counts samples."""
    return torch.cat([p.flatten(samples + 1) for p in parts], samples + 1) if isinstance(parts, tuple) else parts


def itself(name: str) -> str:
    return name


@dataclass(frozen=True)
class Case:
    """A network, and the (name, side, shortcut) of each of its blocks, in forward order, as its source code says.

    ``build`` gives the model, x and a function that runs it: the loss, in float64 unless ``error`` says otherwise.
    ``exits`` names, for a block, the modules (split by spaces) that everything on its branch leaves by; "name#2" is
    the second call of a module, and an empty string says that no modules cut the branch. ``opaque`` holds what
    cannot be seen inside; ``weights`` is None where another count is as right. ``needs`` must import.
    """

    build: Callable[[], Built]
    blocks: list[tuple[str, int, str]]
    weights: int | None = None
    error: float = 1e-12
    exits: Callable[[str], str] = itself
    opaque: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    def ready(self) -> "Case":
        """Skip the test where a package does not import."""
        for package in self.needs:
            pytest.importorskip(package, reason=f"{package} does not import here", exc_type=ImportError)
        return self

    def make(self) -> tuple[nn.Module, Tensor, Target]:
        model, x, run = self.ready().build()
        return model, run(), x


def of(model: nn.Module, *shape: int, dtype: torch.dtype = torch.float64) -> Built:
    """A cross entropy over what the model makes of a random x."""
    x = torch.randn(*shape, dtype=dtype, requires_grad=True)
    model = model.to(dtype)

    def run() -> Tensor:
        y = model(x)
        y = y.flatten(1) if y.ndim > 2 else y
        return nn.functional.cross_entropy(y, torch.arange(len(y)) % y.shape[1])

    return model, x, run


def identity(*names: str, side: int = 1) -> list[tuple[str, int, str]]:
    return [(name, side, "identity") for name in names]
