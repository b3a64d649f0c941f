"""The constants that a piecewise-linear network adds to its signal, each with a zero to differentiate by.

With gates held fixed such a network is linear in its input and in every constant added on the way: biases, and
the β - λ·mean/σ of a batch norm with fixed statistics. While `Constants` is active every such operation also adds a
zero z that requires a gradient: ∂Y/∂z is the gradient of the constant itself, whatever it was computed from.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from skipglass.errors import DecompositionError

__all__ = ["Constants"]

SIGNAL = "_skipglass_signal"
CONVOLUTIONS = [f"conv{kind}{d}d" for kind in ("", "_transpose") for d in (1, 2, 3)]
BIASED = {F.linear, *(getattr(space, name) for space in (F, torch) for name in CONVOLUTIONS)}
"""Functions of (input, weight, bias, ...)."""
FUSED = {torch.addmm, torch.baddbmm, torch.Tensor.addmm, torch.Tensor.baddbmm}
"""Functions that add their first operand, times ``beta``, to a product."""
SUMS: dict[Callable, tuple[int, int]] = {
    torch.add: (1, 1),
    torch.sub: (1, -1),
    torch.rsub: (-1, 1),
    torch.Tensor.add: (1, 1),
    torch.Tensor.add_: (1, 1),
    torch.Tensor.__radd__: (1, 1),
    torch.Tensor.sub: (1, -1),
    torch.Tensor.sub_: (1, -1),
    torch.Tensor.__rsub__: (-1, 1),
}
"""The signs of the two operands; ``alpha`` scales the one that stands second in the call."""
IN_PLACE = {torch.Tensor.add_, torch.Tensor.sub_}


class Constants(TorchFunctionMode):
    """Follow a signal through the network and note the constants added to it.

    Parameters
    ----------
    x
        The signal.

    Attributes
    ----------
    values, zeros
        For each addition of a constant its value and its zero, of one shape, in forward order.
    """

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        setattr(x, SIGNAL, True)
        self.values: list[Tensor] = []
        self.zeros: list[Tensor] = []

    def __torch_function__(  # the protocol's name and arguments
        self, func: Callable, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call an operation; where it adds a constant to the signal, add a zero of its own too."""
        named = kwargs or {}
        out = func(*args, **named)
        if not any(map(_is_signal, tree_leaves((args, named)))):
            return out
        if isinstance(out, Tensor) and (constant := _added(func, args, named)) is not None:
            out = self._observe(out, constant, in_place=func in IN_PLACE)
        # whatever comes of the signal is signal
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                setattr(tensor, SIGNAL, True)
        return out

    def _observe(self, out: Tensor, constant: Tensor, *, in_place: bool) -> Tensor:
        """Add a zero of the constant's own to what came of adding it, where the next operation will find it."""
        self.values.append(constant.detach().to(out))
        self.zeros.append(torch.zeros_like(self.values[-1], requires_grad=True))
        return out.add_(self.zeros[-1]) if in_place else out + self.zeros[-1]

    def keep_reached(self, Y: Tensor) -> None:
        """Leave out the constants that Y does not depend on."""
        if not self.zeros:
            return
        gradients = torch.autograd.grad(Y, self.zeros, torch.ones_like(Y), retain_graph=True, allow_unused=True)
        kept = [k for k, gradient in enumerate(gradients) if gradient is not None]
        self.values, self.zeros = [self.values[k] for k in kept], [self.zeros[k] for k in kept]


def _is_signal(value: object) -> bool:
    return getattr(value, SIGNAL, False)


def _argument(args: tuple, named: dict[str, Any], place: int, name: str, default: Any = None) -> Any:
    return args[place] if place < len(args) else named.get(name, default)


def _added(func: Callable, args: tuple, named: dict[str, Any]) -> Tensor | None:
    """The constant that a call adds to the signal, broadcastable to its output; None if it adds none."""
    if func in BIASED:
        return _bias(func, args, named)
    if func in FUSED and not _is_signal(first := _argument(args, named, 0, "input")):
        return first * named.get("beta", 1)
    if func is F.batch_norm:
        return _shift(args, named)
    return _summand(func, args, named) if func in SUMS else None


def _bias(func: Callable, args: tuple, named: dict[str, Any]) -> Tensor | None:
    """The bias, along the dimension of channels."""
    weight, bias = _argument(args, named, 1, "weight"), _argument(args, named, 2, "bias")
    if bias is None or _is_signal(bias):
        return None
    return bias if func is F.linear else bias.reshape(-1, *[1] * (weight.ndim - 2))


def _summand(func: Callable, args: tuple, named: dict[str, Any]) -> Tensor | None:
    """The operand of a sum that is no signal, with its sign and scale; None where both are signals."""
    # at least one operand is the signal; if the other is as well, nothing constant is added
    operands = (_argument(args, named, 0, "input"), _argument(args, named, 1, "other"))
    signals = [_is_signal(operand) for operand in operands]
    if all(signals):
        return None
    which = signals.index(False)
    scale = SUMS[func][which] * (named.get("alpha", 1) if which == 1 else 1)
    constant, signal = operands[which], operands[1 - which]
    return scale * (constant if isinstance(constant, Tensor) else signal.new_tensor(constant))


def _shift(args: tuple, named: dict[str, Any]) -> Tensor:
    """β - λ·mean/σ of a batch norm with fixed statistics, (channels, 1, ...)."""
    signal = _argument(args, named, 0, "input")
    mean, variance = (_argument(args, named, k, f"running_{v}") for k, v in ((1, "mean"), (2, "var")))
    weight, bias = _argument(args, named, 3, "weight"), _argument(args, named, 4, "bias")
    if mean is None or _argument(args, named, 5, "training", False):
        raise DecompositionError(
            "a batch norm uses the statistics of the batch (training mode), so the output is no piecewise-linear "
            "function of the input; call model.eval() first, or split the gradient with spectrum"
        )
    # λ (z - mean)/σ + β is linear in z with the constant β - λ mean/σ
    shift = -mean / torch.sqrt(variance + _argument(args, named, 7, "eps", 1e-5))
    shift = shift if weight is None else shift * weight
    shift = shift if bias is None else shift + bias
    return shift.reshape(-1, *[1] * (signal.ndim - 2))
