"""A model whose parameters lie in several processes: gathered for as long as it is measured, and then as found.

``fully_shard`` frees a module's parameters when a backward pass leaves it. A measurement runs pieces of that pass,
again and again, so that parameters stay gathered meanwhile. To gather them takes all processes: each must measure, with
inputs of its own or the same ones, and where one of them does not, the others say so instead of waiting for ever.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from skipglass.errors import InputError
from skipglass.graph.nodes import Graph

__all__ = ["gathered", "sharded_modules"]

PATIENCE = 30.0  # seconds to wait for the other processes: our choice, between a slow batch and a lost run
HELD = {"reshard_after_backward": False, "reduce_grads": False, "all_reduce_grads": False, "is_last_backward": False}
"""What `fully_shard` is told meanwhile: keep parameters gathered, leave gradients and the order of modules alone."""

_calls: dict[tuple[int, ...], int] = {}  # measurements so far that each group of processes has taken part in


def sharded_modules(model: nn.Module | None, graph: Graph | None = None) -> list[nn.Module]:
    """Return the modules that `fully_shard` was applied to, in a model or wherever a backward pass meets them."""
    if "torch.distributed.fsdp" not in sys.modules:
        return []
    from torch.distributed.fsdp import FSDPModule

    modules: list[Any] = [] if model is None else [m for m in model.modules() if isinstance(m, FSDPModule)]
    if graph is not None and not modules:
        # in one order in all processes, as each module is gathered by all of them together
        groups = [getattr(node, "param_group", None) for node in graph.nodes]
        met = [m for group in groups if group is not None for m in group.modules if isinstance(m, FSDPModule)]
        modules = list(
            dict.fromkeys(m for module in met for s in _state(module)._state_ctx.all_states for m in s._modules)
        )
    return modules


@contextmanager
def gathered(model: nn.Module | None, graph: Graph | None = None) -> Iterator[None]:
    """Keep the parameters of a sharded model gathered, and afterwards shard them as they were found.

    Yields
    ------
    None
        Once.

    Raises
    ------
    InputError
        If other processes hold parts of the parameters, and do not measure as well.
    """
    modules = sharded_modules(model, graph)
    _require_all(modules if model is None else [model])
    before = {m: _is_sharded(m) for m in modules}
    # what PyTorch notes of a pass in progress: a piece of one, or one that fails, would leave it as if it never ended
    notes = [(thing, name, getattr(thing, name)) for thing, name in _notes(modules)]
    try:
        for thing, name, _ in notes:
            if name in HELD:
                setattr(thing, name, HELD[name])
        for m in modules:
            if _state(m)._is_root is not None:  # it has run before
                m.unshard()  # type: ignore[operator]
        yield
    finally:
        for thing, name, value in notes:
            setattr(thing, name, value)
        for m, was_sharded in before.items():
            if was_sharded != _is_sharded(m):
                m.reshard() if was_sharded else m.unshard()  # type: ignore[operator]


def _notes(modules: Iterable[nn.Module]) -> Iterator[tuple[Any, str]]:
    """The objects of `fully_shard` and the names of their attributes that a backward pass changes."""
    things: dict[int, Any] = {}
    for m in modules:
        state = _state(m)
        things |= {id(thing): thing for thing in (state, state._state_ctx, *_groups(m))}
    names = (*HELD, "_training_state", "post_backward_final_callback_queued")
    return ((thing, name) for thing in things.values() for name in names if hasattr(thing, name))


def _state(module: Any) -> Any:
    return module._get_fsdp_state()


def _groups(module: nn.Module) -> list[Any]:
    """The groups of parameters of one module; PyTorch's releases have one, or several."""
    state = _state(module)
    several = getattr(state, "_fsdp_param_groups", None)
    return list(several) if several is not None else [g for g in (state._fsdp_param_group,) if g is not None]


def _is_sharded(module: nn.Module) -> bool:
    return any(group.is_sharded for group in _groups(module))


def _require_all(modules: Iterable[nn.Module]) -> None:
    """Refuse to go on where not all processes that hold parts of some parameters have come here."""
    if "torch.distributed.tensor" not in sys.modules or not torch.distributed.is_initialized():
        return
    for ranks in sorted({ranks for m in modules for ranks in _ranks(m) if len(ranks) > 1}):
        store = torch.distributed.distributed_c10d._get_default_store()
        call = _calls.get(ranks, 0)
        key, until = f"skipglass/{ranks}/{call}", time.monotonic() + PATIENCE
        here = store.add(key, 1)
        while here < len(ranks):
            if time.monotonic() > until:
                store.add(key, -1)
                raise InputError(
                    f"the model's parameters are spread over {len(ranks)} processes, and {here} of them came to "
                    "measure: call this in all of them, or measure an unsharded copy of the model in one"
                )
            time.sleep(0.01)
            here = store.add(key, 0)
        _calls[ranks] = call + 1


def _ranks(module: nn.Module) -> Iterator[tuple[int, ...]]:
    """The processes that each parameter is spread over."""
    from torch.distributed.tensor import DTensor

    for p in module.parameters():
        if isinstance(p, DTensor):
            yield tuple(p.device_mesh.mesh.flatten().tolist())
    for m in sharded_modules(module):
        for group in _groups(m):
            mesh = group.mesh_info.mesh
            yield tuple(mesh.mesh.flatten().tolist())
