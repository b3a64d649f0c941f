"""Training a residual network on images by the recipe of docs/mathematics.md §7: one process or many, resumable."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from skipglass.data import Images
from skipglass.training.batches import ImageBatches
from skipglass.training.callbacks import Losses, Recorder, held, scheduled, watched
from skipglass.training.checkpoint import Checkpoint
from skipglass.training.loop import Callback, Diverged, Run
from skipglass.training.processes import launched
from skipglass.training.resnet_settings import ResNetSettings
from skipglass.training.training import Training
from skipglass.watch import Monitor
from skipglass.watch.recording import Variable, tabulate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["MODES", "PROBE", "Progress", "ResNet", "evaluate", "parameter_groups", "train_resnet"]

Progress = Callable[[int, int, float, float], object]
"""Called with the steps done and to do, the latest loss (NaN where it was not looked at), and the test error."""

PROBE = 32  # images that the monitor measures; `Monitor` says why so few
MODES = ("eval", "frozen", "train")  # of the monitor; figures and claims take "frozen"
CALIBRATION = 512  # images that set batch norm's running statistics before the first step
BATCH = 1_000  # test images at once
VARIABLES = {
    "epoch": Variable(),
    "train_loss": Variable("training loss, mean over the epoch's augmented batches", "nats"),
    "train_error": Variable("training error, mean over the epoch's augmented batches", "1"),
    "test_loss": Variable("test loss after the epoch", "nats"),
    "test_error": Variable("test error after the epoch", "1"),
    "learning_rate": Variable("learning rate of the epoch's last step", "1"),
}


def train_resnet(
    settings: ResNetSettings,
    *,
    data: Path | str | None = None,
    folder: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    tensorboard: Path | None = None,
    on_step: Progress | None = None,
) -> xr.Dataset:
    """Train one residual network by the recipe of docs/mathematics.md §7 while a monitor watches it.

    Under torchrun the processes share each batch.

    Parameters
    ----------
    settings
        The run.
    data
        The folder of the CIFAR files; None takes the environment variable SKIPGLASS_DATA. Digits need none.
    folder
        Where to keep a checkpoint after each epoch; None keeps none.
    resume
        Go on from the checkpoint in ``folder``: on a CPU to the same numbers, bit by bit, as a run never stopped.
    device
        "auto", "cpu", "cuda" or "cuda:1".
    tensorboard
        A folder to write what the monitor sees to, too.
    on_step
        Told of the progress, in the first process.

    Returns
    -------
    xarray.Dataset
        Losses and errors by epoch, and all that the monitor saw by step. Depth and participation are there for each
        mode of the monitor: ``effective_depth`` in "eval", ``effective_depth_frozen``, ``effective_depth_train``.

    Raises
    ------
    Diverged
        If the loss stops being finite; the last checkpoint is kept, and the error has the recording so far.
    Interrupted
        On Ctrl-C; the last checkpoint is kept, and the exception has the recording so far.
    InputError
        If something asked for is not there.
    StorageError
        If data or checkpoint cannot be read, or the checkpoint not be written.

    Examples
    --------
    >>> settings = ResNetSettings("digits", depth=8, width=0.25, epochs=1, subset=128, batch_size=64)
    >>> recording = train_resnet(settings, device="cpu")
    >>> recording.test_error.dims
    ('epoch',)
    """
    checkpoint = Checkpoint(folder, settings, resume=resume)
    images = settings.images(data)
    with launched(device, settings.precision) as fabric:
        training = ResNet(settings, images, fabric)
        # a loss that is not finite is seen before anything measures or keeps the network; the rate of the step that
        # comes is set last, as the recorder keeps that of the step that was made
        callbacks: list[Callback] = [training.losses, training.hold]
        if fabric.global_rank == 0:
            callbacks.append(watched(training.watch(tensorboard)))
        callbacks += [training.recorder, checkpoint]
        if on_step is not None and fabric.global_rank == 0:
            callbacks.append(lambda run: run.loss is not None and on_step(*training.progress(run)))
        return training.record(checkpoint, [*callbacks, training.schedule])


class ResNet(Training):
    """A residual network on images.

    Parameters
    ----------
    settings
        Of the training.
    images
        To train and test on.
    fabric
        Launched; see `launched`.

    Attributes
    ----------
    schedule, losses, hold
        Callbacks: the learning rate, to be called last; the losses of an epoch, and an end where one is not finite;
        what the intervention keeps as it was, before anything is measured.
    """

    settings: ResNetSettings
    fabric: "Fabric"

    def __init__(self, settings: ResNetSettings, images: Images, fabric: "Fabric") -> None:
        self.settings, self.fabric = settings, fabric
        self.images = images.to(fabric.device)
        self.batches = ImageBatches(self.images, settings, fabric.global_rank, fabric.world_size)
        network = settings.model(images.classes).to(self.batches.dtype)
        self.model = network.to(memory_format=self.batches.format)  # type: ignore[call-overload]
        optimizer = settings.sgd(parameter_groups(self.model, settings), nesterov=True)
        # two views of the same parameters: one is trained, the other measured
        trained: Any = torch.compile(self.model) if settings.compiled else self.model
        self.trained, self.optimizer = fabric.setup(trained, optimizer)
        self.schedule, self.losses = scheduled(settings.rate), Losses(settings.rate, fabric)
        kind = settings.intervention
        self.hold = held(
            self.model, scales=kind in ("scales_one", "both_held"), weights=kind in ("weights_held", "both_held")
        )
        self.recorder, self.since = Recorder(self.measure), time.monotonic()
        # until the first steps have been taken, running statistics would be 0 and 1, and absorbed norms mean nothing
        update_bn([self.batches.clean(self.images.inputs[:CALIBRATION])], self.model)

    def watch(self, tensorboard: Path | None = None) -> Monitor:
        """Return a monitor of the network on its first training images, in all modes."""
        probe = self.batches.clean(self.images.inputs[:PROBE]), self.images.targets[:PROBE]
        every = self.settings.every
        self.monitor = Monitor(self.model, probe, F.cross_entropy, every=every, mode=MODES, tensorboard=tensorboard)
        return self.monitor

    def measure(self, run: Run) -> dict[str, float]:
        """Return what is recorded after an epoch.

        Raises
        ------
        Diverged
            If the weights are not finite.
        """
        epoch, rate = round(run.progress), run.optimizer.param_groups[0]["lr"]
        tested = evaluate(self.model, self.batches.clean, self.images)
        if math.isnan(tested["test_loss"]):
            raise Diverged(
                f"the weights are not finite after epoch {epoch}, learning rate {rate:g}; try a lower learning rate"
            )
        seconds, self.since = time.monotonic() - self.since, time.monotonic()
        return {"epoch": epoch, **self.losses.averages, **tested, "learning_rate": rate, "seconds": seconds}

    def progress(self, run: Run) -> tuple[int, int, float, float]:
        """Return the steps done and to do, the loss where it was looked at, and the latest test error."""
        looked = (run.steps - 1) % len(self.batches) % self.losses.patience == 0
        loss = float(run.loss) if looked else math.nan
        return run.steps, run.epochs * len(self.batches), loss, self.recorder.rows[-1]["test_error"]

    def recording(self) -> xr.Dataset:
        """Return losses and errors by epoch, and what the monitor saw by evaluation, with its step and epoch."""
        steps = len(self.batches)
        attributes = {
            **self.settings.attributes(),
            "epochs_done": self.recorder.epochs_done,
            "steps_per_epoch": steps,
            "images": len(self.images.targets),
            "drop_epochs": list(self.settings.drop_epochs),
            "device": self.fabric.device.type,
            "processes": self.fabric.world_size,
            "minutes": sum(row["seconds"] for row in self.recorder.rows) / 60,
            "notes": "",
        }
        data = xr.Dataset(tabulate(self.recorder.rows, VARIABLES, "epoch"), attrs=attributes)
        if self.monitor is None:
            return data
        # what the monitor saw counts steps, and has labels of its own
        seen = self.monitor.recording.to_xarray().rename(loss="probe_loss")
        when = ("evaluation", seen.step.values / steps, {"long_name": "epochs"})
        return data.merge(seen.assign_coords(watched_epoch=when)).assign_attrs(notes=seen.notes)


def parameter_groups(model: nn.Module, settings: ResNetSettings) -> list[dict[str, object]]:
    """Return the parameters with their weight decay: the scales λ of batch norms may be excluded, nothing else."""
    # compared by identity: two parameters may be equal
    scales = [m.weight for m in model.modules() if isinstance(m, _BatchNorm)]
    if settings.decay_scales or not scales:
        return [{"params": list(model.parameters()), "weight_decay": settings.weight_decay}]
    excluded = {id(scale) for scale in scales}
    rest = [p for p in model.parameters() if id(p) not in excluded]
    return [{"params": rest, "weight_decay": settings.weight_decay}, {"params": scales, "weight_decay": 0.0}]


@torch.no_grad()
def evaluate(model: nn.Module, prepare: Callable[[Tensor], Tensor], images: Images) -> dict[str, float]:
    """Return "test_loss", the mean cross entropy over the test images in nats, and "test_error", in eval mode.

    Parameters
    ----------
    model
        Left in the mode it was found in.
    prepare
        Turns bytes into inputs.
    images
        The test images.
    """
    training = model.training
    model.eval()
    loss, wrong = 0.0, 0
    for inputs, targets in zip(images.test_inputs.split(BATCH), images.test_targets.split(BATCH), strict=True):
        logits = model(prepare(inputs))
        loss += float(F.cross_entropy(logits, targets, reduction="sum"))
        wrong += int((logits.argmax(1) != targets).sum())
    model.train(training)
    return {"test_loss": loss / len(images.test_targets), "test_error": wrong / len(images.test_targets)}
