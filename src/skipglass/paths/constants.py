"""The constants that a piecewise-linear network adds to its signal, each with a zero to differentiate by.

With gates held fixed each operation of such a network is affine in the signal, f(h) = A h + c, and c = f(0): a bias,
the β - λ·mean/σ of a batch norm with fixed statistics, a padding. While `Constants` is active every operation with
c ≠ 0 also adds a zero z that requires a gradient: ∂Y/∂z is the gradient of the constant, whatever it was computed from.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

__all__ = ["Constants"]

SIGNAL = "_skipglass_signal"


class Constants(TorchFunctionMode):
    """Follow a signal through the network and note the constants added to it.

    Parameters
    ----------
    x
        The signal.
    samples
        How many samples its first dimension counts: each gets a zero of its own then, wherever rows belong to samples.
        None gives all the same.

    Attributes
    ----------
    values, zeros
        For each addition of a constant its value and its zero, in forward order; their shapes broadcast.
    """

    def __init__(self, x: Tensor, samples: int | None = None) -> None:
        super().__init__()
        setattr(x, SIGNAL, True)
        self.samples = samples
        self.values: list[Tensor] = []
        self.zeros: list[Tensor] = []

    def __torch_function__(  # the protocol's name and arguments
        self, func: Callable, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call an operation; where it adds a constant to the signal, add a zero of its own too."""
        given = args, kwargs or {}
        tensors = [t for t in tree_leaves(given) if isinstance(t, Tensor)]
        if not any(map(_is_signal, tensors)):
            return func(*args, **given[1])
        before = tree_map(_without_signal, given)  # the call may overwrite what it is given
        out = func(*args, **given[1])
        if isinstance(out, Tensor) and out.requires_grad:
            with torch.no_grad():
                constant = _narrowed(func(*before[0], **before[1]))
            if constant.any():
                # in place, the next operation looks for the sum where the signal was
                out = self._observe(out, constant, in_place=any(out is t for t in tensors))
        # what has a gradient comes of the signal
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.requires_grad:
                setattr(tensor, SIGNAL, True)
        return out

    def _observe(self, out: Tensor, constant: Tensor, *, in_place: bool) -> Tensor:
        """Add a zero of the constant's own to what came of adding it."""
        self.values.append(constant.to(out))
        shape = self.values[-1].shape
        if self.samples is not None and out.ndim and out.shape[0] % self.samples == 0:
            shape = out.shape[:1] + shape[1:]
        self.zeros.append(torch.zeros(shape, dtype=out.dtype, device=out.device, requires_grad=True))
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


def _without_signal(value: Any) -> Any:
    """Zeros in place of a signal, a copy of any other tensor."""
    if not isinstance(value, Tensor):
        return value
    return torch.zeros_like(value) if _is_signal(value) else value.detach().clone()


def _narrowed(constant: Tensor) -> Tensor:
    """A constant with length 1 along each axis along which it is the same, as a bias over samples and positions."""
    for axis in range(constant.ndim if constant.numel() else 0):
        first = constant.narrow(axis, 0, 1)
        constant = first if bool((constant == first).all()) else constant
    return constant
