"""From a word on the command line to a model: of a library, of a configuration, or of a user's factory.

Nothing is downloaded. A *factory* is what a user's file or module calls to make a model, or the model itself.
"""

import importlib
import json
import logging
import runpy
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from skipglass import check
from skipglass.errors import InputError, StorageError, UserError, one_line
from skipglass.training.processes import log_level

__all__ = ["Built", "built"]

FORMS = "timm:NAME, torchvision:NAME, hf:NAME, hf:CONFIG.json, package.module:factory or file.py:factory"
LAYERS = 10_000  # our choice: ten times the deepest that was trained
HEADS = ("CausalLM", "ImageClassification", "MaskedLM", "Seq2SeqLM")
"""Which automatic class of transformers is taken, the first that fits, where a configuration names none."""


@dataclass(frozen=True, eq=False)
class Built:
    """A model, with the inputs and targets that its factory may have brought along."""

    model: nn.Module
    inputs: Any = None
    targets: Any = None


@contextmanager
def built(spec: str) -> Iterator[Built]:
    """Build the model that a spec names, with random weights unless a factory of the user loads its own.

    Yields
    ------
    Built
        Inside the block imports of the user's code find its neighbours, as for a script or ``python -m``, and the
        package of the model logs errors alone.

    Raises
    ------
    UserError
        If the spec is of no known form, a package is missing, or the factory does not return a module.
    """
    library, _, name = spec.partition(":")
    if library in LIBRARIES and name:
        package, build = LIBRARIES[library]
        try:
            module = importlib.import_module(package)
        except ImportError as error:
            words = f"{package} is not installed or does not import ({error}); run: pip install {package}"
            raise UserError(words) from error
        # transformers has much to say of defaults, and says it while it computes, too
        with log_level(package, logging.ERROR):
            yield Built(build(module, name))
        return
    where, _, factory = spec.rpartition(":")
    if not where or not factory:
        raise InputError(f"a model is given as {FORMS}; found {spec!r}")
    before = sys.path.copy()
    sys.path.insert(0, str(Path(where).resolve().parent if where.endswith(".py") else Path.cwd()))
    try:
        yield _from_factory(spec, where, factory)
    finally:
        sys.path[:] = before


def _from_factory(spec: str, where: str, name: str) -> Built:
    # a module of a package, or a file that need not lie in one
    if not where.endswith(".py"):
        module = _attempt(f"importing {where}", lambda: importlib.import_module(where))
    elif Path(where).is_file():
        module = _attempt(where, lambda: SimpleNamespace(**runpy.run_path(where, run_name=Path(where).stem)))
    else:
        raise StorageError(f"cannot read {where}: there is no such file")
    factory = getattr(module, name, None)
    if factory is None:
        raise _unknown(name, vars(module), f"name in {where}")
    if isinstance(factory, nn.Module):
        return Built(factory)
    if not callable(factory):
        raise InputError(f"{spec} is no factory of a model but {type(factory).__name__}")
    # (module,), (module, inputs) or (module, inputs, targets)
    made = _attempt(f"the factory {spec}", factory)
    parts = made if isinstance(made, tuple) else (made,)
    if not 1 <= len(parts) <= 3 or not isinstance(parts[0], nn.Module):
        raise InputError(
            f"the factory {spec} returned {type(made).__name__}; it must return a torch.nn.Module, or "
            "(module, inputs), or (module, inputs, targets)"
        )
    return Built(*parts)


def _attempt(what: str, call: Callable[[], Any]) -> Any:
    """Call code of others; whatever it raises becomes one line."""
    try:
        return call()
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{what} raised {one_line(error)}") from error


def _unknown(name: str, names: Iterable[str], what: str) -> InputError:
    near = get_close_matches(name, list(names), n=3)
    return InputError(f"{name!r} is no {what}" + (f"; did you mean {', '.join(near)}?" if near else ""))


def _timm(timm: Any, name: str) -> nn.Module:
    if name not in timm.list_models():
        raise _unknown(name, timm.list_models(), "model of timm")
    return timm.create_model(name, pretrained=False)


def _torchvision(torchvision: Any, name: str) -> nn.Module:
    if name not in torchvision.models.list_models():
        raise _unknown(name, torchvision.models.list_models(), "model of torchvision")
    return torchvision.models.get_model(name, weights=None)


def _hugging_face(transformers: Any, name: str) -> nn.Module:
    """A model from a configuration alone: of a file, or the default one of a model type."""
    settings = _read_settings(Path(name)) if name.endswith(".json") else {"model_type": name}
    kind = settings.pop("model_type")
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING.keys()
    if kind not in known:
        raise _unknown(kind, known, "model type of transformers (nothing is downloaded)")
    # modules alone, without a weight, take time and memory each
    for key, value in settings.items():
        counts = [n for n in (value if isinstance(value, list) else [value]) if isinstance(n, int)]
        if ("layer" in key or key in {"depth", "depths"}) and sum(counts) > LAYERS and not key.endswith("_types"):
            raise InputError(
                f"{name} asks for {key} = {value!r}, more than {LAYERS:,}; give a config.json of a smaller model"
            )
    return _attempt(f"the configuration {name}", lambda: _configured(transformers, name, kind, settings))


def _read_settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise StorageError(f"cannot read {path}: there is no such file")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"cannot read {path}: it is no JSON file ({error})") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("model_type"), str):
        raise StorageError(f"cannot read {path}: no configuration of transformers, it names no model_type")
    return settings


def _configured(transformers: Any, name: str, kind: str, settings: dict[str, Any]) -> nn.Module:
    # the class that the configuration names, else the first automatic one that has a class for its type
    config = transformers.AutoConfig.for_model(kind, **settings)
    own = [getattr(transformers, a) for a in config.architectures or () if hasattr(transformers, a)]
    automatic = [getattr(transformers, f"AutoModelFor{head}") for head in HEADS]
    fitting = [auto for auto in automatic if type(config) in auto._model_mapping]
    make = own[0] if own else [*fitting, transformers.AutoModel][0].from_config
    # the shapes alone at first: the system would kill a process that takes too much memory
    with torch.device("meta"):
        size = sum(p.numel() * p.element_size() for p in make(config).parameters())
    check.memory(f"the weights of {name}", size, "give a config.json of a smaller model")
    return make(config)


LIBRARIES: dict[str, tuple[str, Callable[[Any, str], nn.Module]]] = {
    "timm": ("timm", _timm),
    "torchvision": ("torchvision", _torchvision),
    "hf": ("transformers", _hugging_face),
}
"""What a spec begins with → its package, and how to build a model by name."""
