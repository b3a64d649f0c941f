"""One evaluation of a fixed probe batch: what the network is like now, with nothing in it changed.

The statistics of batch norm decide what is measured, and `MODES` names the choice:

- "frozen", the statistics of the probe itself, held constant: the outputs are those of training mode without
  dropout, samples do not mix, and nothing lags;
- "eval", the running statistics: samples do not mix. In the first steps of a training they lag behind the weights,
  and a deep network measured so is another one than trains;
- "train", the probe as a training batch: samples mix, and only the batch figures are defined. Dropout and the like
  draw the same random numbers each time.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from skipglass.errors import InputError
from skipglass.paths.forward import LossFunction, arguments, forward
from skipglass.paths.participation import participation_of
from skipglass.paths.spectrum import spectrum
from skipglass.paths.state import as_found
from skipglass.scales import Pairs, absorbed_norms, multipliers, pairs, weight_norms
from skipglass.watch.gain import Gains

__all__ = ["MODES", "Row", "copied", "read_scales", "scale_norms", "take"]

MODES = ("frozen", "eval", "train")
SEED = 0  # of the random numbers that the probe draws in "train" mode

Row = dict[str, Any]
"""One evaluation: numbers, lists of numbers, and the names that label them."""


def read_scales(model: nn.Module, inputs: object) -> Pairs | None:
    """Read the weights and batch norms of a network once; None where a piece of it hides them."""
    try:
        return pairs(model, inputs)
    except InputError:
        return None


def scale_norms(model: nn.Module, scales: Pairs | None) -> Row:
    """Return the norms of λ and of the weights, by layer; what a network does not have is left out."""
    row: Row = {}
    if scales is None:
        return row
    for name, labels, measure in (
        ("weight_norm", "layers", weight_norms),
        ("absorbed_norm", "layers", absorbed_norms),
        ("multiplier_norm", "norms", multipliers),
    ):
        try:
            found = measure(model, scales)
        except InputError:  # no weight or no batch norm
            continue
        row[labels] = list(found)
        row[name] = torch.stack([torch.linalg.vector_norm(v).double() for v in found.values()]).tolist()
    return row


def take(
    model: nn.Module,
    inputs: object,
    targets: object,
    loss_fn: LossFunction | None,
    *,
    mode: str,
    unit: str,
    with_spectrum: bool,
) -> Row:
    """Measure the probe: loss, participation and gain of each block, effective depth, and the spectrum if asked."""
    with ExitStack() as stack:
        stack.enter_context(as_found(model))
        stack.enter_context(_in_mode(model, inputs, mode))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        with Gains() as gains:
            run = stack.enter_context(forward(model, inputs, targets, loss_fn))
        part = participation_of(run.loss, run.x, run.model)
        row: Row = {
            "loss": float(run.loss.detach()),
            "blocks": list(part.blocks),
            "participation": part.share.tolist(),
            "participation_median": _medians(part.share_per_sample),
            "gain": gains.of(part.graph).tolist(),
            "effective_depth": part.effective_depth,
            "effective_depth_median": _median(part.effective_depth_per_sample, part.independent_samples),
            "effective_depth_per_sample": part.effective_depth_per_sample.tolist(),
            "error": part.error,
        }
        if not part.independent_samples:
            row["effective_depth_per_sample"] = [float("nan")] * len(part.effective_depth_per_sample)
        if with_spectrum:
            split = spectrum(run.loss, run.x, unit, model=run.model)
            row |= {
                "lengths": split.lengths.tolist(),
                "share": split.share.tolist(),
                "length_norm": split.norm.tolist(),
                "cancellation": split.cancellation,
            }
            row["share_median"] = (
                split.median_share.tolist() if split.independent_samples else [float("nan")] * len(split.lengths)
            )
    return row


def _median(values: np.ndarray, independent: bool) -> float:
    """Over the samples that have a gradient."""
    defined = values[~np.isnan(values)]
    return float(np.median(defined)) if independent and defined.size else float("nan")


def _medians(shares: np.ndarray) -> list[float]:
    """Of each block over the samples whose shares are defined."""
    defined = shares[:, ~np.isnan(shares).any(axis=0)]
    return np.median(defined, axis=1).tolist() if defined.shape[1] else [float("nan")] * len(shares)


class _BiasedVariances(TorchFunctionMode):
    """Batch norm divides by the variance over n values, but keeps that over n - 1: make it keep what it divides by."""

    def __torch_function__(  # the protocol's name and arguments
        self, func: Callable, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is F.batch_norm:
            given = inspect.signature(F.batch_norm).bind(*args, **(kwargs or {})).arguments
            z, variance = given["input"], given["running_var"]
            if given.get("training") and variance is not None:
                n = z.numel() // z.shape[1]
                variance.mul_((n - 1) / n)
        return out


@contextmanager
def _in_mode(model: nn.Module, inputs: object, mode: str) -> Iterator[None]:
    """Put a model into a mode of `MODES`; the caller puts modes, statistics and random numbers back."""
    if mode == "train":
        torch.manual_seed(SEED)
        model.train()
        yield
        return
    model.eval()
    if mode == "frozen":
        _freeze_statistics(model, inputs)
    yield


def _freeze_statistics(model: nn.Module, inputs: object) -> None:
    """Set running statistics to those of the probe, so that evaluation mode gives the outputs of training mode."""
    normed = [m for m in model.modules() if isinstance(getattr(m, "running_var", None), torch.Tensor)]
    before = [m.momentum for m in normed]
    args, named = arguments(copied(inputs))  # a model may write to its input
    try:
        for module in normed:
            module.momentum = 1.0  # type: ignore[assignment]
            module.training = True
        with torch.no_grad(), torch.compiler.set_stance("force_eager"), _BiasedVariances():
            model(*args, **named)
    except Exception as error:  # the user's own code: as `forward` puts it
        text = (str(error).strip() or "no message").splitlines()[0]
        raise InputError(f"the model raised {type(error).__name__}: {text}") from error
    finally:
        for module, momentum in zip(normed, before, strict=True):
            module.momentum = momentum
            module.training = False


def copied(value: Any) -> Any:
    """Return a copy, nested as the original, that later changes do not reach."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {name: copied(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(copied(part) for part in value)
    return value
