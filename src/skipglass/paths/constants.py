"""The constants that a piecewise-linear network adds to its signal, each with a zero to differentiate by.

With gates held fixed such a network is linear in its input and in every constant added on the way: biases, and
the β - λ·mean/σ of a batch norm with fixed statistics. While `Constants` is active every such operation also adds a
zero z that requires a gradient: ∂Y/∂z is the gradient of the constant itself, whatever it was computed from.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from skipglass.errors import DecompositionError

__all__ = ["Constants"]

SIGNAL = "_skipglass_signal"
BIASED = {
    *(getattr(F, f"conv{d}d") for d in (1, 2, 3)),
    *(getattr(F, f"conv_transpose{d}d") for d in (1, 2, 3)),
    *(getattr(torch, f"conv{d}d") for d in (1, 2, 3)),
    *(getattr(torch, f"conv_transpose{d}d") for d in (1, 2, 3)),
    F.linear,
}
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
        if not any(map(_is_signal, _tensors((args, named)))):
            return out
        if isinstance(out, Tensor) and (constant := _added(func, args, named)) is not None:
            out = self._observe(out, constant, in_place=func in IN_PLACE)
        for tensor in _tensors(out):
            if tensor.is_floating_point():
                setattr(tensor, SIGNAL, True)
        return out

    def _observe(self, out: Tensor, constant: Tensor, *, in_place: bool) -> Tensor:
        self.values.append(constant.detach().to(out))
        self.zeros.append(torch.zeros_like(self.values[-1], requires_grad=True))
        return out.add_(self.zeros[-1]) if in_place else out + self.zeros[-1]

    def keep_reached(self, Y: Tensor) -> None:
        """Leave out the constants that Y does not depend on."""
        if not self.zeros:
            return
        gradients = torch.autograd.grad(Y, self.zeros, torch.ones_like(Y), retain_graph=True, allow_unused=True)
        reached = [gradient is not None for gradient in gradients]
        self.values = [value for value, kept in zip(self.values, reached, strict=True) if kept]
        self.zeros = [zero for zero, kept in zip(self.zeros, reached, strict=True) if kept]


def _is_signal(tensor: Tensor) -> bool:
    return getattr(tensor, SIGNAL, False)


def _tensors(values: object) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and dictionaries."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(tuple(values.values()))
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _tensors(value)


def _argument(args: tuple, named: dict[str, Any], place: int, name: str, default: Any = None) -> Any:
    return args[place] if place < len(args) else named.get(name, default)


def _added(func: Callable, args: tuple, named: dict[str, Any]) -> Tensor | None:
    """The constant that a call adds to the signal, broadcastable to its output; None if it adds none."""
    if func in BIASED:
        bias = _argument(args, named, 2, "bias")
        if bias is None or _is_signal(bias):
            return None
        weight = _argument(args, named, 1, "weight")
        return bias if func is F.linear else bias.reshape(-1, *[1] * (weight.ndim - 2))
    if func in FUSED and not _is_signal(first := _argument(args, named, 0, "input")):
        return first * named.get("beta", 1)
    if func is F.batch_norm:
        return _shift(args, named)
    if func in SUMS:
        return _summand(func, args, named)
    return None


def _summand(func: Callable, args: tuple, named: dict[str, Any]) -> Tensor | None:
    """The operand of a sum that is no signal, with its sign and scale."""
    operands = (_argument(args, named, 0, "input"), _argument(args, named, 1, "other"))
    signals = [isinstance(operand, Tensor) and _is_signal(operand) for operand in operands]
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
    shift = -mean / torch.sqrt(variance + _argument(args, named, 7, "eps", 1e-5))
    if weight is not None:
        shift = shift * weight
    if bias is not None:
        shift = shift + bias
    return shift.reshape(-1, *[1] * (signal.ndim - 2))
