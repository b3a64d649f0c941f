"""The batch that a model is measured on: read from files, without running any code in them, or drawn at random."""

import inspect
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from skipglass import check
from skipglass.errors import InputError, StorageError
from skipglass.graph import arguments, attempt
from skipglass.graph.failures import in_forward

__all__ = ["fill_lazy", "random_inputs", "read_tensors"]

PIXELS = 32  # side of a random image where the model names none: our choice, CIFAR's


def read_tensors(path: Path) -> Any:
    """Read a tensor, or a tuple or mapping of them, from *.npy or *.pt.

    Raises
    ------
    StorageError
        If the file is missing or not what its name says.
    """
    if not path.is_file():
        raise StorageError(f"cannot read {path}: {'it is a folder' if path.is_dir() else 'there is no such file'}")
    if path.suffix not in (".npy", ".pt"):
        raise StorageError(f"cannot read {path}: expected *.npy or *.pt")
    try:
        if path.suffix == ".npy":
            array = np.load(path, allow_pickle=False)
            # torch takes the machine's own order of bytes only
            return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
        read = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # NumPy, zip and pickle raise many unrelated types on damaged files
        raise StorageError(
            f"cannot read {path}: it is no {path.suffix} file of plain tensors ({type(error).__name__})"
        ) from error
    values = list(read.values()) if isinstance(read, dict) else read
    values = values if isinstance(values, (tuple, list)) else [values]
    if not values or not all(isinstance(value, Tensor) for value in values):
        raise StorageError(f"cannot read {path}: it holds {type(read).__name__}, not a tensor or a mapping of tensors")
    return read


def fill_lazy(model: nn.Module, inputs: Any) -> None:
    """Run a model once if a layer of it waits for its first inputs to know its shape.

    Raises
    ------
    InputError
        If the model cannot be run.
    """
    if not any(map(is_lazy, model.parameters())):
        return
    args, named = arguments(inputs)
    with torch.no_grad():
        attempt("the model", lambda: model(*args, **named), in_forward(model, args, named))


def random_inputs(model: nn.Module, batch: int, tokens: int, shape: tuple[int, ...] | None) -> tuple[Any, str]:
    """Draw inputs of a shape that fits the model, and describe them.

    Parameters
    ----------
    model
        Its configuration, or else its first weight, says what it takes.
    batch
        Number of samples.
    tokens
        The length of a sequence.
    shape
        Of one sample, for floating-point inputs; None asks the model.

    Returns
    -------
    tuple
        The inputs, and a description.

    Raises
    ------
    InputError
        If the shape cannot be told, or the inputs do not fit in memory.
    """
    config = getattr(model, "config", None)
    if shape is None and hasattr(config, "model_type"):
        return _for_configuration(model, config, batch, tokens)
    if shape is None:
        # the layer that the inputs meet first, as a rule
        own = ((layer, p) for layer in model.modules() for p in layer.parameters(recurse=False))
        layer, weight = next(((layer, p) for layer, p in own if p.ndim > 1), (None, None))
        if isinstance(layer, nn.Embedding):
            return _ids(batch, tokens, layer.num_embeddings)
        shape = _shape(model, layer, weight)
    return _normal(batch, shape), f"{batch} random normal inputs of shape {shape}"


def _shape(model: nn.Module, layer: nn.Module | None, weight: Tensor | None) -> tuple[int, ...]:
    """The shape of one sample: what timm says, or by the first convolution or matrix."""
    if (known := getattr(model, "default_cfg", None)) and "input_size" in known:
        return tuple(known["input_size"])
    if layer is None or weight is None:
        raise InputError("the model has no weight that tells the shape of its input; give --shape or --input")
    if type(model).__module__.startswith("torchvision."):
        return (3, 224, 224)
    # (channels, side, …), or (features,)
    if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return (layer.in_channels, *[PIXELS] * (weight.ndim - 2))
    return (weight.shape[1],)


def _for_configuration(model: nn.Module, config: Any, batch: int, tokens: int) -> tuple[Any, str]:
    """Inputs for a model of transformers: images, or token ids."""
    name = getattr(model, "main_input_name", "input_ids")
    if name == "pixel_values":
        size = getattr(config, "image_size", 224)
        sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
        shape = (getattr(config, "num_channels", 3), *sides)
        return {name: _normal(batch, shape)}, f"{batch} random normal images of shape {shape}"
    if name != "input_ids":
        raise InputError(f"the model takes {name}; give them with --input FILE.pt, a mapping of tensors")
    # no longer than the positions that the model has learned
    longest = getattr(config, "max_position_embeddings", None) or tokens
    ids, said = _ids(batch, min(tokens, longest), config.vocab_size)
    inputs = {"input_ids": ids}
    # a loss of its own: a decoder predicts the tokens that it is given
    if getattr(config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = ids.clone()
    elif type(model).__name__.endswith(("ForCausalLM", "LMHeadModel")):
        inputs["labels"] = ids.clone()
        said += ", with next-token prediction as the loss"
    accepted = inspect.signature(model.forward).parameters
    return {name: value for name, value in inputs.items() if name in accepted}, said


def _normal(batch: int, shape: tuple[int, ...]) -> Tensor:
    _require_room(batch, *shape)
    return torch.randn(batch, *shape)


def _ids(batch: int, tokens: int, vocabulary: int) -> tuple[Tensor, str]:
    if vocabulary < 1:
        raise InputError(f"the model's vocabulary has {vocabulary} tokens; it needs one to draw from")
    # int64 takes the room of two numbers in single precision
    _require_room(batch, tokens, 2)
    return torch.randint(vocabulary, (batch, tokens)), f"{batch} random sequences of {tokens} of {vocabulary} tokens"


def _require_room(*shape: int) -> None:
    check.memory("random inputs", 4 * math.prod(shape), "ask for less with --batch, --shape or --tokens")
