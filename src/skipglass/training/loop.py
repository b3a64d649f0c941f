"""The training loop: plain SGD on many seeds at once, evaluated on a fixed schedule, resumable by epoch."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor

from skipglass import check
from skipglass.data import Split
from skipglass.errors import InputError
from skipglass.models import ResidualMLP
from skipglass.threads import one_thread
from skipglass.training.checkpoint import fitting, read_checkpoint, write_checkpoint
from skipglass.training.recording import Recording, evaluate, forward, scale_norms
from skipglass.training.settings import DTYPES, Settings

__all__ = ["CHECKPOINT", "Run", "train"]

CHECKPOINT = "checkpoint.pt"
PROBE = 2_000  # samples evaluated of the training and of the test set: a per cent of accuracy is 20 of them


def train(
    settings: Settings,
    *,
    folder: Path | None = None,
    resume: bool = False,
    on_epoch: Callable[[int], None] | None = None,
) -> xr.Dataset:
    """Train one network for each seed, side by side, and record their scales.

    Evaluations come before the first step, after 1, 2, 5, 10, 20, 50, … steps of the first epoch, and after
    each epoch. Ctrl-C ends the training early; what was recorded is returned, with ``epochs_done`` below
    ``epochs``.

    Parameters
    ----------
    settings
        The run.
    folder
        Where to keep a checkpoint after each epoch; None keeps none.
    resume
        Go on from the checkpoint in ``folder``, to the same numbers as a run that was never stopped.
    on_epoch
        Called with the number of epochs done after each.

    Returns
    -------
    xarray.Dataset
        Losses, accuracies, λ_l and weight norms by evaluation, seed and layer.

    Raises
    ------
    StorageError
        If the checkpoint cannot be read or written.

    Examples
    --------
    >>> recording = train(Settings(experiment="digits", depth=3, epochs=2, seeds=[0]))
    >>> recording["multiplier_mean"].dims
    ('evaluation', 'seed', 'layer')
    """
    if resume and folder is None:
        raise InputError("resume needs the folder that holds the checkpoint; none was given")
    path = None if folder is None else Path(folder) / CHECKPOINT
    state = read_checkpoint(path, settings.attributes()) if resume and path is not None else None
    run = Run(settings)
    if state is not None:
        run.resume(state, path)
    try:
        if path is not None and state is None:
            write_checkpoint(path, run.state_dict())
        with one_thread():
            while run.epochs_done < settings.epochs:
                run.epoch()
                if path is not None:
                    write_checkpoint(path, run.state_dict())
                if on_epoch is not None:
                    on_epoch(run.epochs_done)
    except KeyboardInterrupt:
        pass  # the recording so far is the result; epochs_done tells that it ended early
    return run.recording.to_xarray(settings, epochs_done=run.epochs_done)


class Run:
    """A training run between two epochs.

    Parameters
    ----------
    settings
        The run.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        splits = [settings.data(seed) for seed in settings.seeds]
        dtype = DTYPES[settings.dtype]
        self.inputs, self.targets, self.test_inputs, self.test_targets = _stack(splits, dtype)
        least = 1 if settings.normalization == "none" else 2  # one sample has no batch statistics
        check.integer("batch_size", settings.batch_size, least, self.targets.shape[1])
        self.model: ResidualMLP = settings.model(splits[0].features, splits[0].classes)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.generators = [torch.Generator().manual_seed(seed) for seed in settings.seeds]
        self.recording = Recording()
        self.epochs_done = 0
        self.calibrate()

    def calibrate(self) -> None:
        """Set the running statistics of the networks to those of the probe."""
        if self.settings.normalization != "none":
            probe = self.inputs[:, :PROBE]
            self.model.calibrate(probe if len(probe) > 1 else probe[0])

    def epoch(self) -> None:
        """Train for one epoch."""
        inputs, targets = self._shuffled()
        size, samples = self.settings.batch_size, targets.shape[1]
        steps = samples // size  # the last incomplete batch is left out, as it has other statistics
        before = self.epochs_done * steps
        if before == 0:
            self.evaluate(0, 0.0)
        marks = _early_marks(steps) if before == 0 else [steps]
        for start, stop in pairwise([0, *marks]):
            for step in range(start, stop):
                batch = slice(step * size, (step + 1) * size)
                self.step(inputs[:, batch], targets[:, batch])
            self.evaluate(before + stop, self.epochs_done + stop / steps)
        self.epochs_done += 1

    def step(self, inputs: Tensor, targets: Tensor) -> None:
        """Take one SGD step on (S, B, d) inputs and (S, B) targets; the seeds do not meet."""
        logits = forward(self.model, inputs)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum") / targets.shape[1]
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def evaluate(self, step: int, epoch: float) -> None:
        """Record losses, accuracies and scales."""
        loss, accuracy = evaluate(self.model, self.inputs[:, :PROBE], self.targets[:, :PROBE])
        test_loss, test_accuracy = evaluate(self.model, self.test_inputs, self.test_targets)
        values = {
            "train_loss": loss,
            "train_accuracy": accuracy,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
        }
        self.recording.add(step, epoch, {**values, **scale_norms(self.model)})

    def state_dict(self) -> dict[str, object]:
        """Return all that the next epoch depends on."""
        return {
            "settings": self.settings.attributes(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generators": [generator.get_state() for generator in self.generators],
            "recording": self.recording.state_dict(),
            "epochs_done": self.epochs_done,
        }

    def resume(self, state: dict, path: Path | None = None) -> None:
        """Take over the state of a checkpoint.

        Parameters
        ----------
        state
            By `state_dict`.
        path
            Where it was read, for the error.

        Raises
        ------
        StorageError
            If it is not the state of such a run.
        InputError
            If it has more epochs than this run is to have.
        """
        with fitting(path):
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            for generator, value in zip(self.generators, state["generators"], strict=True):
                generator.set_state(value)
            self.recording.load_state_dict(state["recording"])
            self.epochs_done = state["epochs_done"]
        if self.epochs_done > self.settings.epochs:
            raise InputError(
                f"the checkpoint {path} has {self.epochs_done} epochs, more than epochs = {self.settings.epochs}"
            )

    def _shuffled(self) -> tuple[Tensor, Tensor]:
        """All samples in a new order, each seed in its own."""
        samples = self.targets.shape[1]
        orders = [torch.randperm(samples, generator=generator) for generator in self.generators]
        inputs = torch.stack([x[order] for x, order in zip(self.inputs, orders, strict=True)])
        targets = torch.stack([y[order] for y, order in zip(self.targets, orders, strict=True)])
        return inputs, targets


def _stack(splits: list[Split], dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (
        torch.stack([split.inputs for split in splits]).to(dtype),
        torch.stack([split.targets for split in splits]),
        torch.stack([split.test_inputs for split in splits])[:, :PROBE].to(dtype),
        torch.stack([split.test_targets for split in splits])[:, :PROBE],
    )


def _early_marks(steps: int) -> list[int]:
    """1, 2, 5, 10, 20, 50, … below ``steps``, and ``steps``."""
    marks = [m * 10**k for k in range(9) for m in (1, 2, 5)]
    return [*(m for m in marks if m < steps), steps]
