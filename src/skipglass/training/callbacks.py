"""Callbacks of a training: the learning rate, a monitor, what is recorded, and an end where the loss diverges."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from skipglass.training.loop import Callback, Diverged, Run
from skipglass.watch import Monitor

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Losses", "Recorder", "held", "scheduled", "watched"]

PATIENCE = 20  # steps between two looks at the loss where looking waits for a GPU or for other processes


def scheduled(rate: Callable[[float], float]) -> Callback:
    """Return what gives every step its learning rate: rate(fraction of the training that is done)."""

    def set_rate(run: Run) -> None:
        # called after step n, or before the first: what is set holds for the step that comes
        for group in run.optimizer.param_groups:
            group["lr"] = rate(run.steps / (run.epochs * len(run.batches)))

    return set_rate


def held(model: nn.Module, *, scales: bool, weights: bool) -> Callback:
    """Return what undoes, after each step, the step's change of the scales of a network.

    Parameters
    ----------
    model
        As it is before its first step.
    scales
        Whether the multipliers λ of all batch norms are set back to 1.
    weights
        Whether the weight of each convolution is rescaled to the norm that it has now. Its direction stays free.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)] if scales else []
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)] if weights else []
    sizes = [module.weight.detach().norm() for module in convolutions]

    @torch.no_grad()
    def set_back(run: Run) -> None:
        for norm in norms:
            norm.weight.fill_(1.0)
        for module, size in zip(convolutions, sizes, strict=True):
            module.weight.mul_(size / module.weight.norm())

    return set_back


def watched(monitor: Monitor) -> Callback:
    """Return what steps a monitor, and lets it evaluate at the end of every epoch too."""

    def step(run: Run) -> None:
        if run.loss is not None:
            monitor.step()
        if run.epoch_ends:
            monitor.evaluate()

    return step


class Recorder:
    """Measure on a schedule, before the first step and after some; each measurement is a row.

    Parameters
    ----------
    measure
        Returns what is recorded of a `Run`, by name.
    when
        when(step, steps of an epoch) tells whether to measure; None measures at the end of every epoch.

    Attributes
    ----------
    rows
        What was measured, with "step" and "epoch".
    """

    def __init__(
        self, measure: Callable[[Run], Mapping[str, Any]], when: Callable[[int, int], bool] | None = None
    ) -> None:
        self.measure, self.when = measure, when or (lambda step, steps: step % steps == 0)
        self.rows: list[dict[str, Any]] = []

    def __call__(self, run: Run) -> None:
        """Measure, if it is time; a row is there whole or (on Ctrl-C) not at all."""
        # before the first step of a resumed training the row of that step is there already
        if self.when(run.steps, len(run.batches)) and (run.loss is not None or not self.rows):
            measured = self.measure(run)
            kept = {k: v.detach().double().clone() if isinstance(v, Tensor) else v for k, v in measured.items()}
            self.rows.append({"step": run.steps, "epoch": run.progress, **kept})

    @property
    def epochs_done(self) -> int:
        """How many epochs were trained and measured."""
        return int(self.rows[-1]["epoch"]) if self.rows else 0

    def state_dict(self) -> dict[str, Any]:
        """Return plain numbers and tensors, for a checkpoint."""
        return {"rows": list(self.rows)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the rows of a checkpoint."""
        self.rows = list(state["rows"])


class Losses:
    """Keep the losses and the error of an epoch, and stop the training where a loss is not finite.

    Parameters
    ----------
    rate
        The learning rate after a fraction of the training, for the message.
    fabric
        Where several processes share each batch: what is kept is the mean over them. None where there is one.

    Attributes
    ----------
    values : Tensor
        (steps of an epoch,), the loss at each step of the epoch, float64.
    averages : dict
        Of the latest whole epoch: "train_loss", and "train_error", the fraction of samples classified wrongly.

    Raises
    ------
    Diverged
        If a loss is not finite: where, and at which learning rate.
    """

    def __init__(self, rate: Callable[[float], float], fabric: "Fabric | None" = None) -> None:
        self.rate = rate
        self.fabric = None if fabric is None or fabric.world_size == 1 else fabric
        self.averages = {"train_loss": math.nan, "train_error": math.nan}

    def __call__(self, run: Run) -> None:
        """Keep the loss, and look at it where it is time."""
        if run.loss is None:
            return
        steps, step = len(run.batches), (run.steps - 1) % len(run.batches)
        if step == 0:
            self.values = torch.empty(steps, device=run.loss.device, dtype=torch.float64)
            self.wrong = torch.zeros((), device=run.loss.device)
            # one look waits for a GPU, or for the slowest process
            self.patience = 1 if self.fabric is None and run.loss.device.type == "cpu" else PATIENCE
        # nothing here waits for the device: loss and count stay there until it is time to look
        self.values[step] = run.loss
        self.wrong += (run.outputs.detach().argmax(1) != run.targets).sum()
        if (step + 1) % self.patience == 0 or run.epoch_ends:
            self._check(run, self._mean(self.values[: step + 1]))
        if run.epoch_ends:
            self.values = self._mean(self.values)
            error = float(self._mean(self.wrong)) / (steps * len(run.targets))
            self.averages = {"train_loss": float(self.values.mean()), "train_error": error}

    def _check(self, run: Run, values: Tensor) -> None:
        """Stop where one of the first losses of this epoch is not finite, in whichever process."""
        bad = (~values.isfinite()).nonzero()
        if len(bad):
            # counted from 0 over the whole training
            first, steps = int(bad[0]), len(run.batches)
            step = run.steps - len(values) + first
            raise Diverged(
                f"the loss became {float(self.values[first]):g} at step {step + 1} (epoch {(step + 1) / steps:.2f}), "
                f"learning rate {self.rate(step / (run.epochs * steps)):g}; the last good state is that after epoch "
                f"{step // steps}; try a lower learning rate"
            )

    def _mean(self, values: Tensor) -> Tensor:
        """The mean over the processes."""
        return values if self.fabric is None else self.fabric.all_reduce(values.clone(), reduce_op="mean")  # type: ignore[return-value]
