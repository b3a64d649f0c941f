"""Leave a model as it was found: mode, buffers, gradients and random numbers, also after an error."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skipglass.graph.processes import gathered

__all__ = ["as_found", "held"]

HOOKS = tuple(name for name in vars(nn.Module()) if "_hooks" in name and "state_dict" not in name)
"""The attributes of a module that hold what is called around its forward and its backward pass."""


@contextmanager
def as_found(model: nn.Module) -> Iterator[None]:
    """Put back what a forward pass may change in a model, and the state of the random generators.

    Covers every module's training flag, hooks and buffers (batch norm's running statistics), every parameter's
    gradient and ``requires_grad``, the generators that modules hold, and the global ones of torch (CPU and CUDA), NumPy
    and Python. Gradients are set aside: inside, the parameters have none, so that a backward pass adds to nothing.

    Yields
    ------
    None
        Once, for the pass.
    """
    modules = [(module, module.training, dict(module._buffers)) for module in model.modules()]
    values = {b: b.detach().clone() for _, _, buffers in modules for b in buffers.values() if b is not None}
    parameters = {
        p: (p.requires_grad, p.grad) for module, *_ in modules for p in module._parameters.values() if p is not None
    }
    hooks = [(held, held.copy()) for module, *_ in modules for held in _hooks(module)]
    own = {g: g.get_state() for module, *_ in modules for g in _generators(module)}
    generators = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002 # the user's
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        for p in parameters:
            p.grad = None
        yield
    finally:
        for held, before in hooks:
            if held != before:
                held.clear()
                held.update(before)
        _put_back(modules, values, parameters)
        for generator, state in own.items():
            generator.set_state(state)
        torch.set_rng_state(generators[0])
        random.setstate(generators[1])
        np.random.set_state(generators[2])  # noqa: NPY002
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


def _put_back(
    modules: list[tuple[nn.Module, bool, dict[str, Tensor | None]]],
    values: dict[Tensor, Tensor],
    parameters: dict[nn.Parameter, tuple[bool, Tensor | None]],
) -> None:
    """Put back modes, buffers and gradients, writing only to what has changed."""
    for module, training, buffers in modules:
        if module.training != training:
            module.training = training
        if not isinstance(module, torch.jit.ScriptModule):  # whose buffers have values alone, and no identity
            module._buffers.update(buffers)
    # batch norm's kernels do not count their writes, so that values are compared; and buffers are written behind the
    # back of graphs that saved them: to those they are as they were
    for buffer, value in values.items():
        if not torch.equal(buffer, value):
            buffer.data.copy_(value)
    for p, (required, gradient) in parameters.items():
        if p.grad is not gradient:
            p.grad = gradient
        if p.requires_grad != required:
            p.requires_grad_(required)


@contextmanager
def held(model: nn.Module) -> Iterator[None]:
    """Run a model, or its backward pass, eagerly and with gradients, and leave it as it was found.

    Yields
    ------
    None
        Once, for the pass.
    """
    with ExitStack() as stack:
        for context in (torch.inference_mode(False), torch.enable_grad(), torch.compiler.set_stance("force_eager")):
            stack.enter_context(context)
        stack.enter_context(gathered(model))
        stack.enter_context(as_found(model))
        yield


def _hooks(module: nn.Module) -> list[dict[int, Any]]:
    """What is called around a module's passes, in the dictionaries that hold it; TorchScript has none to change."""
    own = vars(module)
    return [own[name] for name in HOOKS if isinstance(own.get(name), dict)]


def _generators(module: nn.Module) -> list[torch.Generator]:
    """Those that are attributes, or stand in an attribute's list or dictionary."""
    held = list(vars(module).values())
    for value in tuple(held):
        if isinstance(value, (dict, list, tuple)):
            held += value.values() if isinstance(value, dict) else value
    return [value for value in held if isinstance(value, torch.Generator)]
