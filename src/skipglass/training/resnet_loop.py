"""Training a residual network on images: one process or many, resumable after every epoch."""

from collections.abc import Callable
from pathlib import Path

import xarray as xr

from skipglass.errors import InputError
from skipglass.training.checkpoint import read_checkpoint, write_checkpoint
from skipglass.training.loop import CHECKPOINT
from skipglass.training.processes import launched
from skipglass.training.resnet_run import Diverged, ResNetRun
from skipglass.training.resnet_settings import ResNetSettings

__all__ = ["Progress", "train_resnet"]

Progress = Callable[[int, int, float, float], None]
"""Called with the steps done and to do, the latest loss (NaN where it was not looked at), and the test error."""


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

    Under torchrun the processes share each batch. Ctrl-C ends the training early; what was recorded is returned, with
    ``epochs_done`` below ``epochs``.

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
        Told of the progress.

    Returns
    -------
    xarray.Dataset
        Losses and errors by epoch, and all that the monitor saw by step.

    Raises
    ------
    Diverged
        If the loss stops being finite; the last checkpoint is kept, and the error has the recording.
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
    if resume and folder is None:
        raise InputError("resume needs the folder that holds the checkpoint; none was given")
    path = None if folder is None else Path(folder) / CHECKPOINT
    state = read_checkpoint(path, settings.attributes(), free=()) if resume and path is not None else None
    images = settings.images(data)
    with launched(device, settings.precision) as fabric:
        run = ResNetRun(settings, images, fabric, tensorboard)
        if state is not None:
            run.resume(state, path)
        try:
            if state is None:
                _keep(run, path)
            while run.epochs_done < settings.epochs:
                run.epoch(_listener(run, on_step))
                _keep(run, path)
        except Diverged as error:
            error.recording = run.to_xarray()
            raise
        except KeyboardInterrupt:
            pass  # the recording so far is the result; epochs_done tells that it ended early
        return run.to_xarray()


def _keep(run: ResNetRun, path: Path | None) -> None:
    if path is not None and run.fabric.global_rank == 0:
        write_checkpoint(path, run.state_dict())
    run.fabric.barrier()


def _listener(run: ResNetRun, on_step: Progress | None) -> Callable[[int, float], None] | None:
    if on_step is None or run.fabric.global_rank:
        return None
    total = run.settings.epochs * len(run.batches)

    def told(step: int, loss: float) -> None:
        error = run.recording.rows[-1]["test_error"] if run.recording.rows else float("nan")
        on_step(step, total, loss, error)

    return told
