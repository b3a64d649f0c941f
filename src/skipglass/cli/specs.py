"""From a word on the command line to a model and a batch for it; nothing is downloaded and nothing unpickled."""

import importlib
import importlib.util
import inspect
import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skipglass import check
from skipglass.errors import InputError, StorageError, UserError, one_line

__all__ = ["FORMS", "Built", "build", "random_inputs", "read_tensors"]

FORMS = "timm:NAME, torchvision:NAME, hf:NAME, hf:CONFIG.json, package.module:factory or file.py:factory"
LAYERS = 10_000  # our choice: ten times the deepest that was trained
PIXELS = 32  # side of a random image where the model names none: our choice, CIFAR's


@dataclass(frozen=True, eq=False)
class Built:
    """A model, with the inputs and targets that its factory may have brought along."""

    model: nn.Module
    inputs: Any = None
    targets: Any = None


def build(spec: str) -> Built:
    """Build the model that a SPEC names, with random weights unless a factory of the user loads its own.

    Raises
    ------
    UserError
        If the spec is of no known form, a package is missing, or the factory does not return a module.
    """
    makers: dict[str, Callable[[str], nn.Module]] = {"timm": _timm, "torchvision": _torchvision, "hf": _hugging_face}
    library, _, model = spec.partition(":")
    if library in makers and model:
        return Built(makers[library](model))
    where, _, factory = spec.rpartition(":")
    if not where or not factory:
        raise InputError(f"a model is given as {FORMS}; found {spec!r}")
    return _from_factory(spec, where, factory)


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"{name} is not installed or does not import ({error}); run: pip install {name}") from error


def _timm(name: str) -> nn.Module:
    timm = _package("timm")
    _known(name, timm.list_models(), "timm")
    return timm.create_model(name, pretrained=False)


def _torchvision(name: str) -> nn.Module:
    models = _package("torchvision").models
    _known(name, models.list_models(), "torchvision")
    return models.get_model(name, weights=None)


def _known(name: str, names: list[str], package: str) -> None:
    if name not in names:
        near = get_close_matches(name, names, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise InputError(f"{package} knows no model {name!r}{hint}")


def _hugging_face(name: str) -> nn.Module:
    """A model from a configuration alone: of a file, or the default one of a model type."""
    return _attempt(f"the configuration {name}", lambda: _configured(name))


def _configured(name: str) -> nn.Module:
    transformers = _package("transformers")
    transformers.utils.logging.set_verbosity_error()
    settings = _read_config(name) if name.endswith(".json") else {"model_type": name}
    kind = settings.pop("model_type", None)
    known = list(transformers.models.auto.configuration_auto.CONFIG_MAPPING)
    if kind not in known:
        near = get_close_matches(str(kind), known, n=3)
        hint = f" (nearest: {', '.join(near)})" if near else ""
        raise InputError(
            f"transformers has no model type {kind!r}{hint}; give a type, or a config.json file: nothing is downloaded"
        )
    _require_buildable(name, settings)
    config = transformers.AutoConfig.for_model(kind, **settings)
    own = [getattr(transformers, a) for a in config.architectures or () if hasattr(transformers, a)]
    heads = ("CausalLM", "ImageClassification", "MaskedLM", "Seq2SeqLM")
    automatic = [getattr(transformers, f"AutoModelFor{head}") for head in heads]
    fitting = [auto for auto in automatic if type(config) in auto._model_mapping]
    make = own[0] if own else [*fitting, transformers.AutoModel][0].from_config

    with torch.device("meta"):  # before the system kills the process: first the shapes alone
        size = sum(p.numel() * p.element_size() for p in make(config).parameters())
    check.memory(f"the weights of {name}", size, "give a config.json of a smaller model")
    return make(config)


def _read_config(name: str) -> dict[str, Any]:
    path = Path(name)
    if not path.is_file():
        raise StorageError(f"cannot read {path}: there is no such file")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise StorageError(f"cannot read {path}: it is no JSON ({error})") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("model_type"), str):
        raise StorageError(f"cannot read {path}: no configuration of transformers, it names no model_type")
    return settings


def _require_buildable(name: str, settings: dict[str, Any]) -> None:
    """Refuse more layers than anybody has built: modules alone, without a weight, take time and memory each."""
    for key, value in settings.items():
        counts = [n for n in (value if isinstance(value, list) else [value]) if isinstance(n, int)]
        if ("layer" in key or key in {"depth", "depths"}) and sum(counts) > LAYERS and not key.endswith("_types"):
            raise InputError(
                f"{name} asks for {key} = {value!r}, more than {LAYERS:,}; give a config.json of a smaller model"
            )


def _from_factory(spec: str, where: str, name: str) -> Built:
    module = _load_file(where) if where.endswith(".py") else _load_module(where)
    factory = getattr(module, name, None)
    if factory is None:
        near = get_close_matches(name, [n for n in vars(module) if not n.startswith("_")], n=2)
        raise InputError(f"{where} has no {name!r}" + (f"; did you mean {', '.join(near)}?" if near else ""))
    made = factory
    if not isinstance(factory, nn.Module):
        if not callable(factory):
            raise InputError(f"{spec} is no factory of a model but {type(factory).__name__}")
        made = _attempt(f"the factory {spec}", factory)
    parts = made if isinstance(made, tuple) else (made,)
    if not 1 <= len(parts) <= 3 or not isinstance(parts[0], nn.Module):
        raise InputError(
            f"the factory {spec} returned {type(made).__name__}; it must return a torch.nn.Module, or "
            "(module, inputs), or (module, inputs, targets)"
        )
    return Built(*parts)


def _load_file(where: str) -> ModuleType:
    path = Path(where)
    if not path.is_file():
        raise StorageError(f"cannot read {where}: there is no such file")
    found = importlib.util.spec_from_file_location(path.stem, path)
    if found is None or found.loader is None:
        raise StorageError(f"cannot import {where}")
    module = importlib.util.module_from_spec(found)
    sys.path.insert(0, str(path.parent.resolve()))  # the file may import its neighbours, as a script may
    _attempt(where, lambda: found.loader.exec_module(module))  # type: ignore[union-attr] # checked above
    return module


def _load_module(where: str) -> ModuleType:
    sys.path.insert(0, os.getcwd())  # as `python -m` does
    return _attempt(f"importing {where}", lambda: importlib.import_module(where))


def _attempt(what: str, call: Callable[[], Any]) -> Any:
    """Call code of others; what it raises becomes one line."""
    try:
        return call()
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{what} raised {one_line(error)}") from error


def read_tensors(path: Path) -> Any:
    """Read a tensor, or a tuple or mapping of them, from *.npy or *.pt without running any code of the file.

    Raises
    ------
    StorageError
        If the file is missing or not what its name says.
    """
    if not path.is_file():
        raise StorageError(f"cannot read {path}: {'it is a folder' if path.is_dir() else 'there is no such file'}")
    try:
        if path.suffix == ".npy":
            array = np.load(path, allow_pickle=False)
            return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
        if path.suffix == ".pt":
            found = torch.load(path, map_location="cpu", weights_only=True)
        else:
            raise StorageError(f"cannot read {path}: expected *.npy or *.pt")
    except StorageError:
        raise
    except Exception as error:  # NumPy, zip and pickle raise many unrelated types on damaged files
        raise StorageError(
            f"cannot read {path}: it is no {path.suffix} file of plain tensors ({type(error).__name__})"
        ) from error
    values = found.values() if isinstance(found, dict) else found if isinstance(found, (tuple, list)) else [found]
    if not values or not all(isinstance(value, Tensor) for value in values):
        raise StorageError(f"cannot read {path}: it holds {type(found).__name__}, not a tensor or a mapping of tensors")
    return found


def random_inputs(model: nn.Module, batch: int, tokens: int, shape: tuple[int, ...] | None) -> tuple[Any, str]:
    """Draw inputs of a shape that fits the model, and say which.

    Parameters
    ----------
    model
        Its configuration, or else its first weight, says what it takes.
    batch
        Samples.
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
        If the shape cannot be told.
    """
    config = getattr(model, "config", None)
    if shape is None and hasattr(config, "model_type"):
        return _for_configuration(model, config, batch, tokens)
    if shape is None:
        first = next((m for m in model.modules() if isinstance(m, nn.Embedding)), None)
        weight = next((p for p in model.parameters() if p.ndim > 1), None)
        if first is not None and weight is first.weight:
            return _ids(batch, tokens, first.num_embeddings)
        shape = _shape_of(model, weight)
    _require_room(batch, *shape)
    x = torch.randn(batch, *shape)
    return x, f"{batch} random normal inputs of shape {shape}"


def _shape_of(model: nn.Module, weight: Tensor | None) -> tuple[int, ...]:
    """The shape of one sample: what timm says, or by the first convolution or matrix."""
    if (known := getattr(model, "default_cfg", None)) and "input_size" in known:
        return tuple(known["input_size"])
    first = next((m for m in model.modules() if any(p is weight for p in m.parameters(recurse=False))), None)
    if weight is None or first is None:
        raise InputError("the model has no weight that tells the shape of its input; give --shape or --input")
    if type(model).__module__.startswith("torchvision."):
        return (3, 224, 224)
    if isinstance(first, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return (first.in_channels, *[PIXELS] * (weight.ndim - 2))
    return (weight.shape[1],)


def _for_configuration(model: nn.Module, config: Any, batch: int, tokens: int) -> tuple[Any, str]:
    """Inputs for a model of transformers: images, or token ids."""
    name = getattr(model, "main_input_name", "input_ids")
    if name == "pixel_values":
        size = getattr(config, "image_size", 224)
        sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
        shape = (getattr(config, "num_channels", 3), *sides)
        _require_room(batch, *shape)
        return {name: torch.randn(batch, *shape)}, f"{batch} random normal images of shape {shape}"
    if name != "input_ids":
        raise InputError(f"the model takes {name}; give them with --input FILE.pt, a mapping of tensors")
    longest = getattr(config, "max_position_embeddings", None) or tokens
    ids, said = _ids(batch, min(tokens, longest), config.vocab_size)
    given = {"input_ids": ids}
    if getattr(config, "is_encoder_decoder", False):
        given["decoder_input_ids"] = ids.clone()
    elif type(model).__name__.endswith(("ForCausalLM", "LMHeadModel")):
        given["labels"] = ids.clone()
        said += ", predicted one by one"
    return {k: v for k, v in given.items() if k in inspect.signature(model.forward).parameters}, said


def _require_room(*shape: int) -> None:
    """Refuse random inputs that do not fit in memory."""
    check.memory("random inputs", 4 * math.prod(shape), "ask for less with --batch, --shape or --tokens")


def _ids(batch: int, tokens: int, vocabulary: int) -> tuple[Tensor, str]:
    if vocabulary < 1:
        raise InputError(f"the model's vocabulary has {vocabulary} tokens; it needs one to draw from")
    _require_room(batch, tokens, 2)  # int64: as two numbers of single precision
    return torch.randint(vocabulary, (batch, tokens)), f"{batch} random sequences of {tokens} of {vocabulary} tokens"
