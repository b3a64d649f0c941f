"""A model's inputs: as its arguments, of the types that it takes, and as tensors whose gradient can be measured.

What is *split* is each floating-point input; where there is none, what the embedding of the token ids gives.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from skipglass.errors import InputError, asked

__all__ = [
    "Arguments",
    "arguments",
    "as_tensor",
    "differentiable",
    "fitted",
    "require_dense",
    "require_module",
    "splittable",
    "unsplit",
]

LOG = logging.getLogger("skipglass.graph")
IMAGE = 3  # dimensions from which on a tensor of uint8 is an image, not token ids: our choice

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Place = int | str
"""Which argument: its position or its name."""


def differentiable(tensor: Tensor) -> bool:
    """Tell whether a tensor holds numbers that have a gradient."""
    return tensor.is_floating_point() or tensor.is_complex()


def require_module(model: object) -> None:
    """Refuse what is no module, by the name of the function that it was given to.

    Raises
    ------
    InputError
        If it is none.
    """
    if isinstance(model, nn.Module):
        return
    hint = ""
    if isinstance(model, type) and issubclass(model, nn.Module):
        hint = f"; that is the class {model.__name__}: make one of it"
    elif type(model).__module__ == "skipglass.graph.trace":
        hint = "; it runs the model itself: give it the model and its inputs"
    raise InputError(f"{asked()}: model must be a torch.nn.Module, not {type(model).__name__}{hint}")


def arguments(inputs: object) -> Arguments:
    """Read inputs as the positional and the named arguments of a model's forward; NumPy arrays become tensors.

    Raises
    ------
    InputError
        If they hold no tensor, or one that is sparse or has no data.
    """
    if isinstance(inputs, Mapping):
        args, kwargs = (), {str(name): as_tensor(value) for name, value in inputs.items()}
    else:
        several = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
        args, kwargs = tuple(as_tensor(value) for value in several), {}
    if not any(isinstance(value, Tensor) for value in (*args, *kwargs.values())):
        found = "none" if inputs is None else f"{type(inputs).__name__} without any"
        hint = ""
        if isinstance(inputs, (list, tuple)) and inputs:
            hint = "; make a tensor of it, torch.tensor(…)"
        elif isinstance(inputs, Iterable) and not isinstance(inputs, (str, Mapping, tuple, list)):
            hint = "; of a data loader or a generator give one batch"
        raise InputError(
            f"{asked()}: inputs must be a tensor, or a tuple or mapping that holds one, found {found}{hint}"
        )
    for value in (*args, *kwargs.values()):
        require_dense("inputs", value)
    return args, kwargs


def require_dense(what: str, value: object) -> None:
    """Refuse a tensor without data, a sparse or a nested one.

    Raises
    ------
    InputError
        If it is one of them.
    """
    if isinstance(value, Tensor) and (value.is_meta or value.is_nested or value.layout != torch.strided):
        kind = "nested" if value.is_nested else str(value.layout)
        advice = "pad it" if value.is_nested else "give one with values" if value.is_meta else "call .to_dense()"
        raise InputError(f"{what} must be dense tensors with data, found a {kind} one on {value.device}: {advice}")


def as_tensor(value: Any) -> Any:
    """Return a NumPy array as a tensor of its own, and anything else as it is.

    Raises
    ------
    InputError
        If the array holds no numbers.
    """
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind not in "biufc":
        raise InputError(f"an array of {value.dtype} among the inputs holds no numbers; pass numbers or a tensor")
    return torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("=")))  # files may be big-endian


def fitted(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Arguments, list[str]]:
    """Cast double-precision inputs, and images of bytes, to the precision of a model's parameters.

    Returns
    -------
    tuple
        The arguments, and a line for each that was cast.
    """
    kinds = {p.dtype for p in model.parameters() if p.is_floating_point()}
    kind = kinds.pop() if len(kinds) == 1 else None
    places: dict[Place, Any] = dict(enumerate(args)) | dict(kwargs)
    words = any(isinstance(m, nn.Embedding) for m in model.modules())
    notes = []
    for place, value in places.items():
        if kind is None or not isinstance(value, Tensor):
            continue
        double = value.dtype == torch.float64 != kind
        image = value.dtype == torch.uint8 and (value.ndim >= IMAGE or not words)
        if double or image:
            places[place] = value.to(kind)
            was, now = (str(t).removeprefix("torch.") for t in (value.dtype, kind))
            scale = ", unscaled" if image else ""
            notes.append(f"the {was} input {_called(place)} was cast to {now}, as the model's parameters are{scale}")
            if image:
                LOG.warning(notes[-1])
    return (tuple(places[k] for k in range(len(args))), {k: places[k] for k in kwargs}), notes


def unsplit(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """Say which floating-point inputs are not split."""
    tensors = _tensors(args, kwargs)
    signals = _signals(model, tensors)
    left = [_called(k) for k, v in tensors.items() if differentiable(v) and k not in signals]
    return [f"not split, only passed on: {', '.join(left)}"] if left else []


@contextmanager
def splittable(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[tuple[Arguments, list[Tensor]]]:
    """Give arguments whose gradients can be taken, and the leaves they hang on, for one call of the model.

    Yields
    ------
    tuple
        The arguments, and the list of leaves; an embedding's leaf joins it during the call.
    """
    # a tensor made under inference_mode cannot be saved for the backward pass: a copy can
    places: dict[Place, Any] = dict(enumerate(args)) | dict(kwargs)
    places = {k: v.clone() if isinstance(v, Tensor) and v.is_inference() else v for k, v in places.items()}
    tensors = {k: v for k, v in places.items() if isinstance(v, Tensor)}
    signals = _signals(model, tensors)
    leaves: list[Tensor] = []

    def leaf(tensor: Tensor) -> Tensor:
        leaves.append(tensor.detach().clone().requires_grad_())
        return leaves[-1].clone()  # not the leaf itself: a model may write to its input

    for k in signals:
        places[k] = leaf(tensors[k])
    # token ids: what is split is the output of the embedding that they enter
    hooks = []
    if not signals:
        whole = [v for k, v in tensors.items() if not str(k).endswith("mask")]
        ids = tensors.get(_main(model), next(iter(whole or tensors.values()), None))
        own = _input_embedding(model)
        embeddings: list[nn.Module] = [m for m in model.modules() if isinstance(m, nn.Embedding)]
        if own is not None:  # T5's stand in two stacks and share their weight
            embeddings = [own, *(m for m in embeddings if m is not own and m.weight is own.weight)]

        def hook(_module: nn.Module, given: tuple[Any, ...], output: Any) -> Any:
            entering = given[0] if given and isinstance(given[0], Tensor) else None
            if leaves or (own is None and not _same(entering, ids)):
                return None
            # an embedding may give more than its values, a scale for instance
            parts, form = tree_flatten(output)
            first = next((k for k, v in enumerate(parts) if isinstance(v, Tensor) and differentiable(v)), None)
            if first is None:
                return None
            parts[first] = _samples_first(parts[first], entering, ids, leaf)
            return tree_unflatten(parts, form)

        hooks = [m.register_forward_hook(hook) for m in embeddings]
    try:
        yield (tuple(places[k] for k in range(len(args))), {k: places[k] for k in kwargs}), leaves
    finally:
        for handle in hooks:
            handle.remove()


def _tensors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[Place, Tensor]:
    places: dict[Place, Any] = dict(enumerate(args)) | dict(kwargs)
    return {k: v for k, v in places.items() if isinstance(v, Tensor)}


def _signals(model: nn.Module, tensors: Mapping[Place, Tensor]) -> list[Place]:
    """The inputs to split: the floating-point ones that are no mask, or the main one of them."""
    floating = [k for k, v in tensors.items() if differentiable(v)]
    signals = [k for k in floating if not (str(k).endswith("mask") and _is_mask(tensors[k]))]
    # Hugging Face says which of its inputs is the main one
    main = _main(model)
    if main in tensors:
        return [k for k in signals if k == main]
    # a mask is split where it is all that there is
    return signals or (floating if len(floating) == len(tensors) else [])


def _main(model: nn.Module) -> Any:
    return getattr(model, "main_input_name", None)


def _is_mask(tensor: Tensor) -> bool:
    """Whether all values are integers, or there are no more than two, as 0 and -inf."""
    if tensor.is_complex():
        return False
    return bool((tensor == tensor.round()).all()) or len(tensor.unique()) <= 2


def _called(place: Place) -> str:
    return place if isinstance(place, str) else f"no. {place + 1}"


def _samples_first(output: Tensor, entering: Tensor | None, ids: Tensor | None, leaf: Any) -> Tensor:
    """What an embedding gives, hung on a leaf whose first dimension counts samples as that of the token ids does."""
    if entering is None or ids is None or ids.ndim < 1:
        return leaf(output)
    # ids in one row after the other
    if entering.ndim == 1 < ids.ndim and output.shape[:1] == entering.shape and _same(entering, ids):
        return leaf(output.reshape(*ids.shape, *output.shape[1:])).reshape(output.shape)
    axis = _axis_of_samples(entering, ids)
    return leaf(output) if axis == 0 else leaf(output.movedim(axis, 0)).movedim(0, axis)


def _axis_of_samples(entering: Tensor, ids: Tensor) -> int:
    """The dimension of what enters an embedding that counts the samples of the token ids: the second if transposed."""
    if entering.ndim != ids.ndim or ids.ndim != 2 or _equal(entering, ids):
        return 0
    if _equal(entering, ids.T):
        return 1
    return 1 if len(ids) not in {len(entering)} and entering.shape[1] == len(ids) else 0


def _input_embedding(model: nn.Module) -> nn.Module | None:
    """What the model says is its input embedding (Hugging Face)."""
    try:
        embedding = model.get_input_embeddings()  # type: ignore[operator]
    except (AttributeError, NotImplementedError, TypeError):
        # a plain module has no such method, one for images no embedding, another's method wants arguments
        return None
    return embedding if isinstance(embedding, nn.Module) else None


def _equal(a: Tensor, b: Tensor) -> bool:
    return a is b or (a.shape == b.shape and torch.equal(a, b.to(a.dtype)))


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    """Whether two tensors hold the same entries, in the same order or transposed."""
    if a is None or b is None or a.numel() != b.numel():
        return False
    return a is b or torch.equal(a.flatten(), b.flatten()) or (a.ndim == b.ndim == 2 and _equal(a, b.T))
