"""Differentiating a network twice: the loss that the theorems are about, slopes, and Hessian-vector products."""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from skipglass.errors import InputError
from skipglass.graph import LossFunction, forward, prediction
from skipglass.graph.engine import in_one_line
from skipglass.graph.forward import check_values
from skipglass.scales.statistics import statistics_held

__all__ = ["check_finite", "check_values", "inner", "linearised", "second", "slopes", "stepping", "twice"]


@contextmanager
def linearised(
    model: nn.Module, inputs: object, targets: object, loss_fn: LossFunction | None, theorem: bool
) -> Iterator[tuple[Tensor, float]]:
    """Run a model, and give its loss L or the one that the theorems are about: ⟨∂L/∂Y, Y⟩ with fixed statistics.

    Parameters
    ----------
    model, inputs, targets, loss_fn
        As for `drift`; the caller puts the model back (`as_found`).
    theorem
        Whether to give the theorems' loss.

    Yields
    ------
    tuple
        What is to be differentiated, with its graph, and the value of L.

    Raises
    ------
    InputError
        If the loss is not finite, or does not depend on the outputs.
    """
    with ExitStack() as stack:
        if theorem:
            stack.enter_context(statistics_held(model, inputs))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))  # no other kernel of attention has second derivatives
        run = stack.enter_context(forward(model, inputs, targets, loss_fn))
        value = float(run.loss.detach())
        if not math.isfinite(value):
            raise InputError(f"the loss is {value:g}: its derivatives are not defined")
        if not theorem:
            yield run.loss, value
            return
        # ∂L/∂Y is a constant from here on
        Y = prediction(run.outputs)
        with in_one_line():
            (c,) = torch.autograd.grad(run.loss, Y, retain_graph=True, allow_unused=True)
        if c is None:
            raise InputError("the loss does not depend on the outputs that were read (logits, or the first tensor)")
        yield (c * Y).sum(), value


def twice(
    loss: Tensor, scales: Sequence[Tensor], weights: Sequence[Tensor], along: Sequence[Tensor] | None = None
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return ∂L/∂λ and (∂²L/∂λ∂w)v for every scale λ, and ∇_wL: two backward passes in all.

    Parameters
    ----------
    loss
        A scalar with a live graph.
    scales, weights
        λ, and the parameters that a step moves.
    along
        v, like ``weights``; None takes ∇_wL.

    Returns
    -------
    tuple
        Three lists: like scales, like scales, like weights.

    Raises
    ------
    InputError
        If the loss has no graph, or the others do not hold tensors.
    """
    _require_tensors("twice", [loss, *scales, *weights, *(along or ())])
    if loss.numel() != 1 or not loss.requires_grad:
        found = "none" if not loss.requires_grad else f"the shape {tuple(loss.shape)}"
        raise InputError(f"twice needs a scalar loss with a live graph, found {found}; compute it with gradients on")
    both = slopes(loss, [*scales, *weights])
    rows, g = both[: len(scales)], both[len(scales) :]
    # g·v has the gradient (∂²L/∂λ∂w)v by λ, for all scales in one pass
    v = [part.detach() for part in (g if along is None else along)]
    return [r.detach() for r in rows], second(g, scales, v), [part.detach() for part in g]


def inner(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    """Σ ⟨a_i, b_i⟩ in double precision.

    Raises
    ------
    InputError
        If the two do not hold tensors of the same shapes.
    """
    a, b = list(a), list(b)
    _require_tensors("inner", [*a, *b])
    if [x.shape for x in a] != [y.shape for y in b]:
        shapes = " and ".join(str([tuple(x.shape) for x in some]) for some in (a, b))
        raise InputError(f"inner takes two lists of tensors of the same shapes, found {shapes}")
    return math.fsum(float((x.detach().double() * y.detach().double()).sum()) for x, y in zip(a, b, strict=True))


def stepping(model: nn.Module, scales: Collection[nn.Parameter] = ()) -> dict[str, nn.Parameter]:
    """Return {name: parameter} of what a step moves: all that require a gradient, except the scales.

    Raises
    ------
    InputError
        If there is none.
    """
    own = {id(p) for p in scales}
    free = {name: p for name, p in model.named_parameters() if p.requires_grad and id(p) not in own}
    if not free:
        frozen = sum(id(p) not in own for p in model.parameters())
        why = f"all {frozen} are frozen: unfreeze some (requires_grad_())" if frozen else "the model has none"
        raise InputError(f"no parameter besides the scales requires a gradient, so nothing drives the scales; {why}")
    return free


def check_finite(what: str, names: Sequence[str], values: Iterable[float]) -> None:
    """Refuse values that are not finite, which a finite loss may have as derivatives; the error names the first."""
    lost = [(name, value) for name, value in zip(names, values, strict=True) if not math.isfinite(value)]
    if lost:
        raise InputError(
            f"the {what} of {lost[0][0]} is {lost[0][1]:g} ({len(lost)} of {len(names)} are not finite): the "
            "loss is finite, but not its derivatives; an operation overflows, or takes the root or the standard "
            "deviation of a constant"
        )


def slopes(loss: Tensor, given: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient of a loss with its own graph; 0 for what the loss does not depend on."""
    with in_one_line():
        gradient = torch.autograd.grad(loss, list(given), create_graph=True, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(given, gradient, strict=True)]


def second(of: Sequence[Tensor], given: Sequence[Tensor], along: Sequence[Tensor | None]) -> list[Tensor]:
    """Return the gradient of Σ ⟨slope, v⟩, v the parts of ``along`` (None: 1).

    Raises
    ------
    InputError
        If the network cannot be differentiated twice.
    """
    # slopes without a graph are constants, whose derivative is 0
    live = [(g, v) for g, v in zip(of, along, strict=True) if g.requires_grad]
    if not live or not given:
        return [torch.zeros_like(p) for p in given]
    try:
        gradient = torch.autograd.grad([g for g, _ in live], list(given), [v for _, v in live], allow_unused=True)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a hook, or a custom function, may raise anything
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"the network cannot be differentiated twice: {text}") from error
    return [torch.zeros_like(p) if g is None else g for p, g in zip(given, gradient, strict=True)]


def _require_tensors(name: str, given: Sequence[object]) -> None:
    wrong = [type(value).__name__ for value in given if not isinstance(value, Tensor)]
    if wrong:
        raise InputError(f"{name} takes tensors, found {wrong[0]}")
