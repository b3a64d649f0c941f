"""Lesions: run a network with the branches of chosen residual blocks set to zero (Veit et al., 2016).

No model surgery. Each call is first *rehearsed* on the side: its graph says which additions are residual merges, and
which operand is the branch. In the call itself that operand is replaced as the addition is made. An addition is
recognised by its *place*: where it stands in the code (the module, the instructions) and how often it ran before.
"""

import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from skipglass.errors import InputError
from skipglass.graph import Block, PathGraph, Trace, as_found, eager, named, splittable
from skipglass.graph.inputs import require_dense
from skipglass.paths.outline import branches

__all__ = ["lesion", "scaled"]

Place = tuple[object, ...]
"""The instructions that led from the innermost module to a call, the module, the one called last, and how often."""
Make = Callable[[Place, Callable, tuple[Any, ...], dict[str, Any]], Any]
"""What makes a call of one of PyTorch's functions, given its place."""


class Site(NamedTuple):
    """A tensor given to an addition: which of all it is given, where it came from, and whether it is overwritten."""

    which: int
    edge: GradientEdge
    overwritten: bool


Origins = dict[Node, tuple[Place, list[Site]]]
"""The node that each call of the rehearsal left in the graph → the call's place, and its operands."""
Changes = dict[Place, dict[Site, Tensor | None]]
"""For each place the branches to change, and the factor of each; None sets it to zero."""


@contextmanager
def lesion(model: nn.Module, blocks: str | Sequence[str]) -> Iterator[None]:
    """Inside the context the named residual blocks' branches give zero, in the forward and the backward pass.

    A call costs two: it is rehearsed first, with the random numbers and the buffers put back. Branches are still
    computed, so that random numbers fall as without the lesion. Contexts nest; a deep copy of the model has no lesion.

    Parameters
    ----------
    model
        Any module. Its mode, and whether gradients are taken, are the caller's.
    blocks
        Names as in ``outline(...).blocks``, or prefixes of them: "layer3" for all blocks of that stage.

    Yields
    ------
    None
        Once.

    Raises
    ------
    InputError
        If the model is no module; and when the model is called, if a name is unknown, a merge is hidden, or
        the lesion would not survive the recomputation of a checkpoint.

    Examples
    --------
    >>> from skipglass.models import ResidualMLP
    >>> model, x = ResidualMLP(5, depth=3, width=4), torch.ones(2, 5)
    >>> with lesion(model, ["layers.1", "layers.2"]):
    ...     shallow = model(x)
    >>> bool((shallow == model(x)).all())
    False
    """
    names = [blocks] if isinstance(blocks, str) else list(blocks) if isinstance(blocks, Iterable) else [blocks]
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"blocks must be names of residual blocks, not {blocks!r}")
    with _changed(model, names, None):
        yield


@contextmanager
def scaled(model: nn.Module, block: str, factor: Tensor) -> Iterator[None]:
    """Inside the context the branch of one residual block is multiplied by a factor that gradients can be taken of.

    Parameters
    ----------
    model
        Any module; see `lesion`.
    block
        The name of one block, as in ``outline(...).blocks``.
    factor
        A scalar.

    Yields
    ------
    None
        Once.

    Raises
    ------
    InputError
        As for `lesion`; and where the name is that of several blocks.
    """
    if not isinstance(block, str):
        raise InputError(f"block must be the name of a residual block, not {block!r}")
    if not isinstance(factor, (int, float)) and not (isinstance(factor, Tensor) and factor.numel() == 1):
        found = f"the shape {tuple(factor.shape)}" if isinstance(factor, Tensor) else type(factor).__name__
        raise InputError(f"factor must be a tensor that holds one number, found {found}")
    with _changed(model, [block], factor):
        yield


@contextmanager
def _changed(model: nn.Module, names: list[str], factor: Tensor | None) -> Iterator[None]:
    """Put a changed forward method in front of the model's own, or one more change into the one that is there."""
    model = eager(model)
    own = model.__dict__
    before = own.get("forward")
    changed = before if isinstance(before, _Changed) else _Changed(model)
    change = names, factor
    changed.changes.append(change)
    own["forward"] = changed
    try:
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        changed.changes = [other for other in changed.changes if other is not change]
        if not changed.changes:
            del own["forward"]
            if before is not None and before is not changed:
                own["forward"] = before


class _Changed:
    """A model's forward method with some branches changed."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.original = model, model.forward
        self.changes: list[tuple[list[str], Tensor | None]] = []  # names of blocks, and their factor
        functools.update_wrapper(self, self.original)

    def __reduce__(self) -> Any:
        """A copy of the model, or what is saved of it, has the forward method of that copy, without the lesion."""
        return _itself, (self.original,)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.changes:  # a shallow copy of the model keeps this after the lesion has ended
            return self.original(*args, **kwargs)
        # the rehearsal runs the same code in the same state: an addition's place in it is that in the call
        changes = self._rehearse(args, kwargs)
        missed = set(changes)

        def replace(place: Place, func: Callable, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if place in changes:
                if _checkpointing():
                    raise InputError(
                        "a checkpoint would recompute the branch; run the lesion without checkpoints or gradients"
                    )
                missed.discard(place)
                given, form = tree_flatten((args, kwargs))
                for site, factor in changes[place].items():
                    given[site.which] = _replaced(given[site.which], factor, site.overwritten)
                args, kwargs = tree_unflatten(given, form)
            return func(*args, **kwargs)

        with _Calls(replace):
            outputs = self.original(*args, **kwargs)
        if missed:
            raise InputError(
                f"{len(missed)} lesioned additions were not made: without the branches, or from call to call, the "
                "model takes another way (layer drop, early exits)"
            )
        return outputs

    def _rehearse(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Changes:
        """What to change where, from a call that leaves no trace."""
        for value in tree_leaves((args, kwargs)):
            require_dense("the inputs of a lesioned model", value)
        origins: Origins = {}

        def note(place: Place, func: Callable, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            # the edges first, as the call may overwrite one of its operands
            given = enumerate(tree_leaves((args, kwargs)))
            operands = [(k, v, get_gradient_edge(v)) for k, v in given if isinstance(v, Tensor) and v.requires_grad]
            result = func(*args, **kwargs)
            if isinstance(result, Tensor) and result.grad_fn is not None:
                origins[result.grad_fn] = place, [Site(k, edge, result is v) for k, v, edge in operands]
            return result

        with torch.inference_mode(False), torch.enable_grad(), as_found(self.model), _Calls(note):
            with splittable(self.model, args, kwargs) as (given, leaves):
                outputs = self.original(*given[0], **given[1])
            signals = [t for t in tree_leaves(outputs) if isinstance(t, Tensor) and t.requires_grad]
            if not signals:
                raise InputError("lesion finds no path from floating-point inputs or an embedding to the outputs")
            # any scalar will do that all outputs lead to
            ends = torch.stack([t.abs().sum().double() for t in signals])
            outline = Trace(ends.sum(), tuple(leaves), self.model).outline
        changes: Changes = {}
        # lesions come last: a block that is scaled as well gives zero
        for names, factor in sorted(self.changes, key=lambda change: change[1] is None):
            blocks = named(outline.blocks, names)
            if factor is not None and len(blocks) > 1:
                raise InputError(f"{names[0]!r} is {len(blocks)} blocks; name one, {blocks[0].name!r} for instance")
            for place, site in (found for block in blocks for found in _sites(outline, block, origins)):
                changes.setdefault(place, {})[site] = factor
        return changes


def _itself(forward: Callable) -> Callable:
    return forward


def _sites(outline: PathGraph, block: Block, origins: Origins) -> list[tuple[Place, Site]]:
    """Where a block's branch enters its additions: the operand that came from the head of the branch in the graph."""
    nodes, found = outline.graph.nodes, []
    for node, edge in branches(block):
        place, sites = origins.get(nodes[node], ((), []))
        own = [(place, site) for site in sites if site.edge == GradientEdge(nodes[edge.to], edge.output)]
        if not own:
            raise InputError(
                f"the addition of block {block.name!r} is made where it cannot be reached, inside a fused function"
            )
        found += own
    return found


class _Calls(TorchFunctionMode):
    """Tells the calls of PyTorch's functions apart, and lets a function make them."""

    def __init__(self, make: Make) -> None:
        super().__init__()
        self.make = make
        self.count: Counter[Place] = Counter()
        self.last = 0  # the module called last

    def __enter__(self) -> Any:
        self.listener = register_module_forward_pre_hook(self._called)
        return super().__enter__()

    def __exit__(self, *exc: Any) -> None:
        self.listener.remove()
        super().__exit__(*exc)

    def _called(self, module: nn.Module, _: object) -> None:
        self.last = id(module)

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__ == "__get__":  # a tensor's shape, type or device
            return func(*args, **(kwargs or {}))
        return self.make(self._place(sys._getframe(1)), func, args, kwargs or {})

    def _place(self, frame: FrameType | None) -> Place:
        # outwards from the call to the first frame whose ``self`` is a module
        steps: list[object] = [self.last]
        while frame is not None:
            owner = frame.f_locals.get("self")
            # further out the rehearsal and the call differ
            if isinstance(owner, _Changed):
                break
            steps.append((frame.f_code, frame.f_lasti))
            if isinstance(owner, nn.Module):
                steps.append(id(owner))
                break
            frame = frame.f_back
        which = tuple(steps)
        self.count[which] += 1
        return (*which, self.count[which])


def _replaced(branch: Tensor, factor: Tensor | None, overwritten: bool) -> Tensor:
    """The branch times a factor, or zeros."""
    if factor is not None:
        return branch.mul_(factor) if overwritten else factor * branch
    if not overwritten:
        return torch.zeros_like(branch)
    return (branch if branch._is_view() else branch.detach_()).zero_()  # a view cannot leave its graph


def _checkpointing() -> bool:
    """Whether what is saved for the backward pass will be recomputed, out of the lesion's sight."""
    hooks = torch._C._autograd._top_saved_tensors_default_hooks(True) if torch.is_grad_enabled() else None
    return hooks is not None and "_checkpoint_hook" in getattr(hooks[0], "__qualname__", "")
