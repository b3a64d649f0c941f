"""A model's inputs: as its arguments, of the types that it takes, and as tensors whose gradient can be measured.

What is *split* is each floating-point input; where there is none, what the embedding of the token ids gives.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skipglass.errors import InputError, asked
from skipglass.graph.embeddings import differentiable, embedding_split

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
        raise InputError(
            f"{asked()}: inputs must be a tensor, or a tuple or mapping that holds one, found {found}{_hint(inputs)}"
        )
    for value in (*args, *kwargs.values()):
        require_dense("inputs", value)
    return args, kwargs


def _hint(inputs: Any) -> str:
    """What to do with inputs in which no tensor was found."""
    if isinstance(inputs, (list, tuple)) and inputs:
        return "; make a tensor of it, torch.tensor(…)"
    if isinstance(inputs, Mapping) and inputs:
        return f"; make tensors of its values, as {next(iter(inputs))!r}: torch.tensor(…)"
    if is_dataclass(inputs) and not isinstance(inputs, type):
        return "; give its fields as a mapping, vars(…)"
    if isinstance(inputs, Iterable) and not isinstance(inputs, (str, Mapping, tuple, list)):
        return "; of a data loader or a generator give one batch"
    return ""


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

    Raises
    ------
    InputError
        If there is no floating-point input, and no embedding was called with the token ids.
    """
    # a tensor made under inference_mode cannot be saved for the backward pass: a copy can
    places: dict[Place, Any] = dict(enumerate(args)) | dict(kwargs)
    places = {k: v.clone() if isinstance(v, Tensor) and v.is_inference() else v for k, v in places.items()}
    tensors = {k: v for k, v in places.items() if isinstance(v, Tensor)}
    signals = _signals(model, tensors)
    leaves: list[Tensor] = []

    for k in signals:
        leaves.append(tensors[k].detach().clone().requires_grad_())
        places[k] = leaves[-1].clone()  # not the leaf itself: a model may write to its input
    if signals:
        yield _given(places, kwargs), leaves
        return
    # token ids: what is split is the output of the embedding that they enter
    whole = [k for k in tensors if not str(k).endswith("mask")] or [*tensors]
    entering = next((k for k in (*_main(model), *whole) if k in tensors), None)
    ids = None if entering is None else tensors[entering]
    # one tensor given twice is two inputs, a decoder's and an encoder's for instance
    places |= {k: v.clone() for k, v in tensors.items() if k != entering and v is ids}
    with embedding_split(model, ids, leaves):
        yield _given(places, kwargs), leaves


def _given(places: Mapping[Place, Any], kwargs: Mapping[str, Any]) -> Arguments:
    return tuple(v for k, v in places.items() if k not in kwargs), {k: places[k] for k in kwargs}


def _tensors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[Place, Tensor]:
    places: dict[Place, Any] = dict(enumerate(args)) | dict(kwargs)
    return {k: v for k, v in places.items() if isinstance(v, Tensor)}


def _signals(model: nn.Module, tensors: Mapping[Place, Tensor]) -> list[Place]:
    """The inputs to split: the floating-point ones that are no mask, or the main one of them."""
    floating = [k for k, v in tensors.items() if differentiable(v)]
    signals = [k for k in floating if not (str(k).endswith("mask") and _is_mask(tensors[k]))]
    main = _main(model)
    if any(name in tensors for name in main):
        return [k for k in signals if k in main]
    # a mask is split where it is all that there is
    return signals or (floating if len(floating) == len(tensors) else [])


def _main(model: nn.Module) -> list[str]:
    """The main one of the inputs, or the main ones, as Hugging Face's models say it."""
    try:
        names = getattr(model, "main_input_name", None)
    except Exception:  # a property of the user's own
        return []
    several = names if isinstance(names, (list, tuple, set, frozenset)) else [names]
    return [name for name in several if isinstance(name, str)]


def _is_mask(tensor: Tensor) -> bool:
    """Whether all values are integers, or there are no more than two, as 0 and -inf."""
    if tensor.is_complex():
        return False
    return bool((tensor == tensor.round()).all()) or len(tensor.unique()) <= 2


def _called(place: Place) -> str:
    return place if isinstance(place, str) else f"no. {place + 1}"
