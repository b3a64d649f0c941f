"""What is split where the inputs are token ids: what the model's input embedding gives for them.

The embedding is the module that the model says it is (Hugging Face's ``get_input_embeddings``), and where it says
nothing the first ``nn.Embedding`` that the ids enter. Only a call with gradients on counts: a model may embed its ids
once more without them, to choose its weights for instance.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from skipglass.errors import InputError

__all__ = ["differentiable", "embedding_split"]


def differentiable(tensor: Tensor) -> bool:
    """Tell whether a tensor holds numbers that have a gradient."""
    return tensor.is_floating_point() or tensor.is_complex()


@contextmanager
def embedding_split(model: nn.Module, ids: Tensor | None, leaves: list[Tensor]) -> Iterator[None]:
    """Hang what the input embedding gives for token ids on a leaf, during one call of the model.

    Parameters
    ----------
    model
        What is called; where its input embedding is several modules (one for each codebook, for instance), each has a
        leaf.
    ids
        The token ids; their first dimension counts the samples, and so does that of a leaf.
    leaves
        The leaves join it.

    Raises
    ------
    InputError
        If no embedding was called with the ids, or only with gradients off.
    """
    said = _said(model)
    weights = [w for m in said if (w := getattr(m, "weight", None)) is not None]
    # T5's stand in two stacks and share their weight
    embeddings = [m for m in model.modules() if isinstance(m, nn.Embedding) and m not in said]
    shared = [m for m in embeddings if not said or any(getattr(m, "weight", None) is w for w in weights)]
    split = _Split(ids, several=len(said) > 1, any_ids=len(said) == 1, leaves=leaves)
    hooks = [m.register_forward_hook(split.hook, with_kwargs=True) for m in (*said, *shared)]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()
    if leaves:
        return
    if split.without_gradient is not None:
        name = next((n for n, m in model.named_modules() if m is split.without_gradient), "")
        kind = type(split.without_gradient).__name__
        raise InputError(
            f"the input embedding, {name or 'which is no part of the model'} ({kind}), was called only with gradients "
            "off, under torch.no_grad(): nothing depends on it; let the model call it with gradients on"
        )
    raise InputError(
        "no input embedding (a torch.nn.Embedding, or what the model's get_input_embeddings() gives) was called with "
        "the integer inputs; pass floating-point inputs"
    )


@dataclass(frozen=True, eq=False)
class _Call:
    """An embedding's call: what entered, the leaf, and how the embedding's output is made of the leaf again."""

    entering: Tensor | None
    leaf: Tensor
    axis: int
    shape: torch.Size

    def output(self) -> Tensor:
        """Not the leaf itself: a model may write to what it is given."""
        return self.leaf.clone().movedim(0, self.axis).reshape(self.shape)


class _Split:
    """The hook on the embeddings, and what it has seen so far."""

    def __init__(self, ids: Tensor | None, several: bool, any_ids: bool, leaves: list[Tensor]) -> None:
        self.ids, self.several, self.any_ids, self.leaves = ids, several, any_ids, leaves
        self.calls: dict[nn.Module | None, _Call] = {}
        self.without_gradient: nn.Module | None = None

    def hook(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        entering = next((v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)), None)
        if not self._is_input(entering):
            return None
        # an embedding may give more than its values, a scale for instance
        parts, form = tree_flatten(output)
        first = next((k for k, v in enumerate(parts) if isinstance(v, Tensor) and differentiable(v)), None)
        if first is None:
            return None
        if not torch.is_grad_enabled():
            self.without_gradient = module
            return None
        # one leaf for all embeddings that might be the one, or one for each of several
        key = module if self.several else None
        if key not in self.calls:
            self.calls[key] = self._first(entering, parts[first])
        elif not _again(self.calls[key], entering, parts[first]):
            return None
        parts[first] = self.calls[key].output()
        return tree_unflatten(parts, form)

    def _is_input(self, entering: Tensor | None) -> bool:
        """Whether an embedding is called with the ids, and not with positions or another model's tokens."""
        if self.any_ids or _same(entering, self.ids):
            return True
        # each of several embeds a part of the ids
        return self.several and entering is not None and self.ids is not None and _one_storage(entering, self.ids)

    def _first(self, entering: Tensor | None, output: Tensor) -> _Call:
        """Make a leaf of an output, its first dimension counting the samples as that of the token ids does."""
        values, ids, axis = output.detach(), self.ids, 0
        if entering is not None and ids is not None and ids.ndim:
            if entering.ndim == 1 < ids.ndim and output.shape[:1] == entering.shape and _same(entering, ids):
                values = values.reshape(*ids.shape, *output.shape[1:])  # they came in one row after the other
            else:
                axis = _axis_of_samples(entering, ids, cut=not self.several)
        leaf = values.movedim(axis, 0).clone().requires_grad_()
        self.leaves.append(leaf)
        return _Call(entering, leaf, axis, output.shape)


def _said(model: nn.Module) -> list[nn.Module]:
    """The modules that the model says are its input embedding: one as a rule, or none."""
    try:
        answer = model.get_input_embeddings()  # type: ignore[operator]
    except Exception:
        # a plain module has no such method, one for images no embedding, another's method wants arguments
        return []
    found = [m for m in tree_leaves(answer) if isinstance(m, nn.Module)]
    return list(dict.fromkeys(m for each in found for m in _callable(each)))


def _callable(module: nn.Module) -> list[nn.Module]:
    """A module, or in place of a list of modules those that it holds."""
    if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        return [m for child in module.children() for m in _callable(child)]
    return [module]


def _again(call: _Call, entering: Tensor | None, output: Tensor) -> bool:
    """Whether a call embeds the very ids of an earlier one, so that what it gives is the same x."""
    if entering is None or call.entering is None:
        return False
    place = entering.shape == call.entering.shape and entering.stride() == call.entering.stride()
    here = place and entering.storage_offset() == call.entering.storage_offset()
    return here and _one_storage(entering, call.entering) and _equal(output.detach(), call.output().detach())


def _one_storage(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are views of one."""
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def _axis_of_samples(entering: Tensor, ids: Tensor, cut: bool) -> int:
    """The dimension of what enters an embedding that counts the samples of the token ids: the second if transposed.

    With ``cut`` the model may have left out some of the tokens.
    """
    if entering.ndim != ids.ndim or ids.ndim != 2 or _equal(entering, ids):
        return 0
    if _equal(entering, ids.T):
        return 1
    return 1 if cut and len(ids) != len(entering) and entering.shape[1] == len(ids) else 0


def _equal(a: Tensor, b: Tensor) -> bool:
    return a is b or (a.shape == b.shape and torch.equal(a, b.to(a.dtype)))


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    """Whether two tensors hold the same entries, in the same order or transposed."""
    if a is None or b is None or a.numel() != b.numel():
        return False
    return a is b or torch.equal(a.flatten(), b.flatten()) or (a.ndim == b.ndim == 2 and _equal(a, b.T))
