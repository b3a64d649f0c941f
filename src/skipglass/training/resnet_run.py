"""A training run of a residual network on images, between two epochs."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn

from skipglass.data import Images
from skipglass.errors import InputError, StorageError
from skipglass.training.batches import Batches
from skipglass.training.checkpoint import fitting
from skipglass.training.resnet_recording import ResNetRecording, calibrate, evaluate
from skipglass.training.resnet_settings import AUGMENTATION, PRECISIONS, ResNetSettings
from skipglass.watch import Monitor

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Diverged", "ResNetRun", "parameter_groups"]

PROBE = 32  # images that the monitors measure; `Monitor` says why so few
MODES = ("eval", "frozen", "train")  # running statistics; the probe's own, samples apart; the same, samples mixed
CALIBRATION = 512  # images that set batch norm's running statistics before the first step
PATIENCE = 20  # steps between two looks at the loss where looking waits for a GPU or for other processes


class Diverged(InputError):
    """The loss or the weights stopped being finite; ``recording`` is what was recorded until then."""

    recording: xr.Dataset


class ResNetRun:
    """The network, its optimiser and data, and all that was recorded.

    Parameters
    ----------
    settings
        The run.
    images
        To train and test on.
    fabric
        Launched; see `launched`.
    tensorboard
        A folder to write what the monitor sees to.

    Attributes
    ----------
    losses : Tensor
        (steps,), the last epoch's loss at each step, mean over the processes.
    recording : ResNetRecording
        What is kept by epoch.
    monitors : dict
        By mode, what is kept by step; the first process has them.
    epochs_done
        How many epochs were completed.
    """

    def __init__(
        self, settings: ResNetSettings, images: Images, fabric: "Fabric", tensorboard: Path | None = None
    ) -> None:
        self.settings, self.fabric = settings, fabric
        self.images = images.to(fabric.device)
        self.dtype = PRECISIONS[settings.precision]
        padding, flip = AUGMENTATION[settings.dataset]
        self.batches = Batches(
            self.images,
            settings.batch_size,
            settings.seed,
            padding=padding,
            flip=flip,
            rank=fabric.global_rank,
            processes=fabric.world_size,
            channels_last=settings.channels_last,
        )
        memory = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.model: nn.Module = settings.model(images.classes).to(self.dtype).to(memory_format=memory)  # type: ignore[call-overload]
        optimizer = torch.optim.SGD(
            parameter_groups(self.model, settings),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.momentum > 0,
            fused=True,
        )
        runs: Any = torch.compile(self.model) if settings.compiled else self.model
        self.forward, self.optimizer = fabric.setup(runs, optimizer)
        calibrate(self.model, self._clean(self.images.inputs[:CALIBRATION]))
        probe = self._clean(self.images.inputs[:PROBE]), self.images.targets[:PROBE]
        self.monitors = {
            mode: Monitor(
                self.model, probe, F.cross_entropy, every=settings.every, mode=mode,
                spectrum_every=None if mode == MODES[0] else 0,
                tensorboard=tensorboard if mode == MODES[0] else None,
            )
            for mode in (MODES if fabric.global_rank == 0 else ())
        }  # fmt: skip
        self.recording = ResNetRecording()
        self.epochs_done, self.seconds = 0, 0.0
        self.losses = torch.empty(len(self.batches), device=fabric.device, dtype=torch.float64)
        self.rate = settings.learning_rate

    def epoch(self, on_step: Callable[[int, float], None] | None = None) -> None:
        """Train for one epoch and test.

        Parameters
        ----------
        on_step
            Called with the number of steps done since the start of training, and the loss.

        Raises
        ------
        Diverged
            If the loss is not finite: where, and at which learning rate.
        """
        begin, steps = time.monotonic(), len(self.batches)
        before = self.epochs_done * steps
        if before == 0:
            self._test(0)
        wrong = torch.zeros((), device=self.fabric.device)
        look = 1 if self.fabric.device.type == "cpu" and self.fabric.world_size == 1 else PATIENCE
        for step, (inputs, targets) in enumerate(self.batches.epoch()):
            loss, missed = self.step(inputs, targets, before + step)
            self.losses[step] = loss
            wrong += missed
            if (step + 1) % look == 0 or step + 1 == steps:
                self._check(step + 1)
            for monitor in self.monitors.values():
                monitor.step()
            if on_step is not None:
                on_step(before + step + 1, float(loss) if step % look == 0 else float("nan"))
        for monitor in self.monitors.values():
            monitor.evaluate()
        errors = float(self._mean(wrong)) * self.fabric.world_size
        self.losses = self._mean(self.losses)
        self._test(self.epochs_done + 1, float(self.losses.mean()), errors / (steps * self.settings.batch_size))
        self.seconds += time.monotonic() - begin
        self.epochs_done += 1  # last: an epoch that is interrupted while it is tested is not done

    def step(self, inputs: Tensor, targets: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Take SGD step ``number`` (from 0); return this process's mean loss, and how many images it got wrong."""
        self.rate = self.settings.rate(number / (self.settings.epochs * len(self.batches)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        logits = self.forward(inputs.to(self.dtype))
        loss = F.cross_entropy(logits, targets)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.optimizer.step()
        return loss.detach(), (logits.detach().argmax(1) != targets).sum()

    def _check(self, steps: int) -> None:
        """Stop where a loss of this epoch's first ``steps`` is not finite."""
        bad = (~self._mean(self.losses[:steps]).isfinite()).nonzero()
        if len(bad):
            step = int(bad[0])
            total = self.epochs_done * len(self.batches) + step
            rate = self.settings.rate(total / (self.settings.epochs * len(self.batches)))
            raise Diverged(
                f"the loss became {float(self.losses[step]):g} at step {total + 1} (epoch "
                f"{(total + 1) / len(self.batches):.2f}), learning rate {rate:g}; the last good state is that after "
                f"epoch {self.epochs_done}; try a lower learning rate"
            )

    def _mean(self, values: Tensor) -> Tensor:
        """The mean over processes."""
        return values if self.fabric.world_size == 1 else self.fabric.all_reduce(values.clone(), reduce_op="mean")  # type: ignore[return-value]

    def _clean(self, inputs: Tensor) -> Tensor:
        """Normalise bytes into the network's precision, without augmentation."""
        memory = torch.channels_last if self.settings.channels_last else torch.contiguous_format
        return self.images.normalized(inputs).to(self.dtype).contiguous(memory_format=memory)

    def _test(self, epoch: int, loss: float = float("nan"), error: float = float("nan")) -> None:
        test_loss, test_error = evaluate(self.model, self._clean, self.images)
        if not test_loss == test_loss:
            raise Diverged(
                f"the weights are not finite after epoch {epoch}, learning rate {self.rate:g}; "
                "try a lower learning rate"
            )
        self.recording.add(
            epoch=epoch,
            train_loss=loss,
            train_error=error,
            test_loss=test_loss,
            test_error=test_error,
            learning_rate=self.rate,
        )

    def state_dict(self) -> dict[str, object]:
        """Return all that the next epoch depends on."""
        return {
            "settings": self.settings.attributes(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.batches.generator.get_state(),
            "recording": self.recording.rows,
            "monitors": {mode: monitor.state_dict() for mode, monitor in self.monitors.items()},
            "epochs_done": self.epochs_done,
            "seconds": self.seconds,
            "device": self.fabric.device.type,
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
            If it is not the state of such a run, or of one on another kind of device.
        """
        here = self.fabric.device.type
        if (there := state.get("device", here)) != here:
            raise StorageError(
                f"cannot resume: {path} was trained on {there}, whose random numbers {here} does not draw; resume "
                f"with device {there} or choose another --out"
            )
        with fitting(path):
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.batches.generator.set_state(state["generator"])
            self.recording.rows = list(state["recording"])
            for mode, monitor in self.monitors.items():
                monitor.load_state_dict(state["monitors"][mode])
            self.epochs_done, self.seconds = state["epochs_done"], state["seconds"]

    def to_xarray(self) -> xr.Dataset:
        """Return losses and errors by epoch and what the monitor saw, with the settings as attributes."""
        steps = len(self.batches)
        attributes = {
            **self.settings.attributes(),
            "epochs_done": self.epochs_done,
            "steps_per_epoch": steps,
            "images": len(self.images.targets),
            "drop_epochs": list(self.settings.drop_epochs),
            "device": self.fabric.device.type,
            "processes": self.fabric.world_size,
            "minutes": self.seconds / 60,
        }
        watched = {mode: monitor.recording.to_xarray() for mode, monitor in self.monitors.items()}
        return self.recording.to_xarray(watched, attributes)


def parameter_groups(model: nn.Module, settings: ResNetSettings) -> list[dict[str, object]]:
    """Return the parameters with their weight decay: the multipliers λ of batch norms may be spared, nothing else."""
    scales = [m.weight for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if settings.decay_scales or not scales:
        return [{"params": list(model.parameters()), "weight_decay": settings.weight_decay}]
    spared = {id(scale) for scale in scales}
    rest = [p for p in model.parameters() if id(p) not in spared]
    return [{"params": rest, "weight_decay": settings.weight_decay}, {"params": scales, "weight_decay": 0.0}]
