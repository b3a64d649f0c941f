"""The gain of each residual block: ‖branch output‖/‖shortcut output‖ where the two are added.

Autograd keeps no operand of an addition, so a torch function mode notes the size of both while the model runs, by the
node that the addition left in the graph.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode

from skipglass.paths import PathGraph

__all__ = ["Gains"]

SUMS = {torch.add, torch.sub, torch.rsub} | {
    getattr(torch.Tensor, name) for name in ("add", "add_", "__radd__", "sub", "sub_", "__rsub__")
}
REFLECTED = {torch.rsub, torch.Tensor.__rsub__}  # ``alpha`` scales what is taken away, here the first operand


class Gains(TorchFunctionMode):
    """Note the sizes of what is added while a model runs, then read the gains of the blocks found in its graph."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[Node, tuple[Tensor, Tensor]] = {}

    def __torch_function__(  # the protocol's name and arguments
        self, func: Callable, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call an operation; note the operands of a sum before it may overwrite one of them."""
        named = kwargs or {}
        # before the call: it may write over one of its operands
        sizes = _sizes(func, args, named) if func in SUMS else None
        out = func(*args, **named)
        if sizes is not None and isinstance(out, Tensor) and out.grad_fn is not None:
            self.sizes[out.grad_fn] = sizes
        return out

    def of(self, found: PathGraph) -> NDArray[np.float64]:
        """Return the gain of each block; NaN where its sum was not seen (one fused with a product, or compiled)."""
        return np.array([self._gain(found, b.merge.node, b.side) for b in found.blocks], dtype=float)

    def _gain(self, found: PathGraph, node: int, side: int) -> float:
        sizes = self.sizes.get(found.graph.nodes[node])
        if sizes is None or side > 1:
            return np.nan
        branch, shortcut = float(sizes[side]), float(sizes[1 - side])
        return branch / shortcut if shortcut else (np.inf if branch else np.nan)


def _sizes(func: Callable, args: tuple, named: dict[str, Any]) -> tuple[Tensor, Tensor] | None:
    """The norms of the two operands, ``alpha`` included."""
    first, second = args[0] if args else named.get("input"), args[1] if len(args) > 1 else named.get("other")
    if not (isinstance(first, Tensor) and isinstance(second, Tensor)):
        return None
    if not (first.is_floating_point() and second.is_floating_point()):
        return None
    shape = torch.broadcast_shapes(first.shape, second.shape)
    wide = [torch.promote_types(t.dtype, torch.float32) for t in (first, second)]
    # what is broadcast counts once for every place that it is added to
    sizes = [
        torch.linalg.vector_norm(t.detach().expand(shape), dtype=d) for t, d in zip((first, second), wide, strict=True)
    ]
    scaled = 0 if func in REFLECTED else 1
    sizes[scaled] = sizes[scaled] * abs(named.get("alpha", 1))
    return sizes[0], sizes[1]
