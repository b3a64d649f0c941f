"""One evaluation of a fixed probe batch: what the network is like now, with nothing in it changed.

The statistics of batch norm decide what is measured, and `MODES` names the choice:

- "frozen", the statistics of the probe itself, held constant: the outputs are those of training mode without
  dropout, samples do not mix, and nothing lags;
- "eval", the running statistics: samples do not mix. In the first steps of a training they lag behind the weights,
  and a deep network measured so is another one than trains;
- "train", the probe as a training batch: samples mix, and only the batch figures are defined. Dropout and the like
  draw the same random numbers each time.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from skipglass.errors import InputError
from skipglass.graph import LossFunction, as_found, forward
from skipglass.paths.participation import participation_of
from skipglass.paths.spectrum import spectrum
from skipglass.scales import Pairs, absorbed_norms, hold_statistics, multipliers, pairs, weight_norms
from skipglass.watch.gain import Gains

__all__ = ["MODES", "Row", "read_scales", "scale_norms", "take"]

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
        row[name] = torch.stack([_norm(v) for v in found.values()]).tolist()
    return row


def _norm(v: Tensor) -> Tensor:
    """‖v‖, of a tensor that lies in several processes too."""
    norm = torch.linalg.vector_norm(v).double()
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm


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
        hold_statistics(model, inputs)
    yield
