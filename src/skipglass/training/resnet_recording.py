"""Losses and errors by epoch, and the labelled result they become together with the monitor's recording."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn

from skipglass.data import Images

__all__ = ["ResNetRecording", "calibrate", "evaluate"]

LABELS = {
    "train_loss": ("training loss, mean over the epoch's augmented batches", "nats"),
    "train_error": ("training error, mean over the epoch's augmented batches", "1"),
    "test_loss": ("test loss after the epoch", "nats"),
    "test_error": ("test error after the epoch", "1"),
    "learning_rate": ("learning rate of the epoch's last step", "1"),
}
BY_MODE = ("effective_depth", "participation", "effective_depth_median", "participation_median")  # kept of every mode
BATCH = 1_000  # test images at once


class ResNetRecording:
    """One row an epoch, from 0, the untrained network."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def add(self, **values: float) -> None:
        """Append one epoch."""
        self.rows.append(values)

    def to_xarray(self, watched: Mapping[str, xr.Dataset], attributes: Mapping[str, object]) -> xr.Dataset:
        """Return the epochs beside what the monitors saw.

        Parameters
        ----------
        watched
            A monitor's recording for each mode: all of the first, and of the others depth and participation, named
            ``effective_depth_train`` for the mode "train"; medians over samples are NaN where these mix.
        attributes
            Of the run; "steps_per_epoch" turns the monitors' steps into epochs.

        Returns
        -------
        xarray.Dataset
            `LABELS` by epoch, and the monitors' variables by evaluation, with step and ``watched_epoch``.
        """
        rows = list(self.rows)
        variables = {
            name: ("epoch", [row[name] for row in rows], {"long_name": text, "units": units})
            for name, (text, units) in LABELS.items()
        }
        epochs = xr.Dataset(variables, {"epoch": ("epoch", [int(row["epoch"]) for row in rows])})
        parts, notes = [epochs], []
        for k, (mode, seen) in enumerate(watched.items()):
            chosen = seen.rename(loss="probe_loss")
            if k:
                kept = [name for name in BY_MODE if name in chosen]
                chosen = chosen[kept].rename({name: f"{name}_{mode}" for name in kept})
            parts.append(chosen)
            notes += [seen.attrs["notes"]] if seen.attrs["notes"] else []
        merged = xr.merge(parts, combine_attrs="drop", compat="override", join="outer")
        if watched:
            when = merged["step"] / int(str(attributes["steps_per_epoch"]))
            merged = merged.assign_coords(watched_epoch=("evaluation", when.values, {"long_name": "epochs"}))
        return merged.assign_attrs({**attributes, "notes": "\n".join(notes)})


@torch.no_grad()
def calibrate(model: nn.Module, inputs: Tensor) -> None:
    """Set the running statistics of batch norms to those of ``inputs``, (N, 3, H, W).

    Until the first steps have been taken they would be 0 and 1, and absorbed norms mean nothing.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    training = model.training
    for norm in norms:
        norm.momentum = None  # a mean over all batches seen, which is this one
    model.train()(inputs)
    model.train(training)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.zero_()


@torch.no_grad()
def evaluate(model: nn.Module, prepare: Callable[[Tensor], Tensor], images: Images) -> tuple[float, float]:
    """Return the mean cross entropy over the test images, in nats, and the error, in eval mode.

    Parameters
    ----------
    model
        Left in the mode it was found in.
    prepare
        Turns bytes into inputs.
    images
        The test images.

    Returns
    -------
    tuple of float
        Loss and error.
    """
    training = model.training
    model.eval()
    loss, wrong = 0.0, 0
    for inputs, targets in zip(images.test_inputs.split(BATCH), images.test_targets.split(BATCH), strict=True):
        logits = model(prepare(inputs))
        loss += float(F.cross_entropy(logits, targets, reduction="sum"))
        wrong += int((logits.argmax(1) != targets).sum())
    model.train(training)
    return loss / len(images.test_targets), wrong / len(images.test_targets)
