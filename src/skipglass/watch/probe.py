"""One evaluation of a fixed probe batch: what the network is like now, with nothing in it changed.

The statistics of batch norm decide what is measured. A *mode* names the choice:

- "frozen", the statistics of the probe itself, held constant: the outputs are those of training mode without
  dropout, the samples are independent of each other, and nothing lags;
- "eval", the running statistics: the samples are independent too. In the first steps of a training the statistics lag
  behind the weights, and a deep network measured by them is not the one that trains;
- "train", the probe as a training batch: batch norm couples the samples, and only the figures of the whole batch are
  defined. Dropout and the like draw the same random numbers each time.
"""

import math
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skipglass.errors import InputError
from skipglass.graph import LossFunction, Trace, as_found, forward, prediction
from skipglass.paths.depths import depths
from skipglass.paths.participation import participation_of
from skipglass.paths.spectrum import Spectrum, spectrum
from skipglass.scales import Pairs, absorbed_norms, hold_statistics, multipliers, pairs, weight_norms
from skipglass.watch.gain import Gains

__all__ = ["Probe", "by_length", "read_scales", "scale_norms"]

SEED = 0  # of the random numbers that the probe draws in "train" mode


def read_scales(model: nn.Module, inputs: object) -> tuple[Pairs | None, str]:
    """Read the weights and batch norms of a network once; return them, and in words what of them cannot be read."""
    try:
        found = pairs(model, inputs)
    except InputError as error:
        return None, f"the norms of weights and batch norms are not recorded: {error}"
    if not found.weights:
        return found, "the norms of weights are not recorded: no weight that contracts the signal was found"
    left = "; ".join(f"{name}: {why}" for name, why in found.left.items())
    return found, f"some weights or batch norms are left out of the recorded norms: {left}" if left else ""


def scale_norms(model: nn.Module, scales: Pairs | None) -> dict[str, Any]:
    """Return the norms of λ and of the weights, by layer; what a network does not have is left out."""
    row: dict[str, Any] = {}
    for name, labels, measure in (
        ("weight_norm", "layers", weight_norms),
        ("absorbed_norm", "layers", absorbed_norms),
        ("multiplier_norm", "norms", multipliers),
    ):
        try:
            values = {} if scales is None else measure(model, scales)
        except InputError:  # the network has no weight or no batch norm, as `read_scales` has said
            continue
        if values:
            row[labels] = list(values)
            row[name] = torch.stack([_norm(v) for v in values.values()]).tolist()
    return row


def _norm(v: Tensor) -> Tensor:
    """‖v‖, of a tensor that lies in several processes too."""
    norm = torch.linalg.vector_norm(v).double()
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm


@dataclass(frozen=True, eq=False)
class Probe:
    """A network, and the batch that it is measured on.

    Attributes
    ----------
    model, inputs, targets, loss_fn, unit
        As in `Monitor`.
    """

    model: nn.Module
    inputs: Any
    targets: Any
    loss_fn: LossFunction | None
    unit: str

    def measure(self, mode: str, known: dict[str, tuple[Any, dict]], *, with_spectrum: bool = False) -> dict[str, Any]:
        """Return loss, participation and gain of each block, effective depth, and the spectrum if asked.

        Parameters
        ----------
        mode
            See the module.
        known
            {mode: (outputs, what this method returned)} of the same weights; the call adds its own. A network without
            running statistics that gives the same outputs in two modes is the same function in both, and is measured
            once.
        with_spectrum
            Whether to measure the spectrum too.

        Returns
        -------
        dict
            One row of a recording.
        """
        running = self._running
        # without running statistics there is nothing to hold constant
        mode = "eval" if mode == "frozen" and not running else mode
        if mode in known:
            return known[mode][1]
        # inside, mode and statistics are those asked for
        with as_found(self.model), ExitStack() as stack:
            self._enter(mode)
            with Gains() as gains:
                run = stack.enter_context(forward(self.model, self.inputs, self.targets, self.loss_fn))
            outputs, row = None, None
            with suppress(InputError):  # outputs that hold no tensor are compared with none
                outputs = prediction(run.outputs).detach()
            if outputs is not None and not running:
                # the same outputs as in another mode: nothing in the network depends on the mode
                row = next((r for seen, r in known.values() if seen is not None and torch.equal(seen, outputs)), None)
            # a new mode: measure it
            known[mode] = outputs, row or self._row(Trace(run.loss, run.x, run.model), gains, with_spectrum)
        return known[mode][1]

    def depths(self, mode: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return what a row of a recording holds of the depth by several measures, and what could not be measured."""
        with as_found(self.model):
            self._enter(mode)
            found = depths(self.model, self.inputs, self.targets, self.loss_fn)
        row = {
            "measures": list(found.measures),
            "depth": found.depth.tolist(),
            "depth_error": found.error.tolist(),
            "weights": list(found.weights),
            "weight_share_depth": found.weight_share_depth.tolist(),
            "weight_energy_depth": found.weight_energy_depth.tolist(),
        }
        return row, found.notes

    def _enter(self, mode: str) -> None:
        """Put the network into a mode; the caller puts modes, statistics and random numbers back."""
        self.model.train(mode == "train")
        if mode == "train":
            torch.manual_seed(SEED)
        elif mode == "frozen" and self._running:
            hold_statistics(self.model, self.inputs)

    @property
    def _running(self) -> bool:
        """Whether the network has running statistics."""
        return any(isinstance(getattr(m, "running_var", None), Tensor) for m in self.model.modules())

    def _row(self, trace: Trace, gains: Gains, with_spectrum: bool) -> dict[str, Any]:
        # both measurements read the one analysis of the graph
        part = participation_of(trace)
        alone = part.independent_samples
        row = {
            "loss": float(trace.loss.detach()),
            "blocks": list(part.blocks),
            "participation": part.share.tolist(),
            "participation_median": _medians(part.share_per_sample),
            "gain": gains.of(part.graph).tolist(),
            "effective_depth": part.effective_depth,
            "effective_depth_median": _medians(part.effective_depth_per_sample[None])[0] if alone else math.nan,
            "effective_depth_per_sample": _defined(part.effective_depth_per_sample, alone),
            "error": part.error,
        }
        if with_spectrum:
            split = spectrum(trace, unit=self.unit)
            median = _defined(split.median_share, split.independent_samples)
            row |= {**by_length(split), "share_median": median, "cancellation": split.cancellation}
        return row


def by_length(split: Spectrum) -> dict[str, list[float]]:
    """Return what a row of a recording holds of a spectrum."""
    return {"lengths": split.lengths.tolist(), "share": split.share.tolist(), "length_norm": split.norm.tolist()}


def _defined(values: np.ndarray, independent: bool) -> list[float]:
    """Values of single samples; NaN where batch norm couples the samples."""
    return values.tolist() if independent else [math.nan] * len(values)


def _medians(rows: np.ndarray) -> list[float]:
    """The median of each row over the samples that are defined in all rows."""
    defined = rows[:, ~np.isnan(rows).any(axis=0)]
    return np.median(defined, axis=1).tolist() if defined.shape[1] else [math.nan] * len(rows)
