"""Training ResNets on images from the command line, alone or as one of torchrun's processes."""

import os
from pathlib import Path
from typing import Any

import typer
import xarray as xr
from rich.progress import Progress

from skipglass.cli.render import print_table, progress
from skipglass.data import download
from skipglass.errors import InputError
from skipglass.record import output_folder, save
from skipglass.training import Diverged, Interrupted, ResNetSettings
from skipglass.training import train_resnet as run

__all__ = ["RESNETS", "step_listener", "train_resnet"]

RESNETS = {"cifar10": "cifar10", "cifar100": "cifar100", "digits-resnet": "digits"}
"""Experiment → data set."""


def train_resnet(experiment: str, out: Path, given: dict[str, Any], *, resume: bool) -> None:
    """Train, save ``out/experiment.nc``, and print where it ended.

    Parameters
    ----------
    experiment
        Of `RESNETS`.
    out
        The folder.
    given
        Settings and places that the user named.
    resume
        Go on from the checkpoint there.

    Raises
    ------
    InputError
        If a setting is out of range, the loss stopped being finite, or many processes were to download.
    Exit
        With status 130 after Ctrl-C.
    """
    data, device = given.pop("data", None), given.pop("device", "auto")
    board = given.pop("tensorboard", None)
    fetch, spared = given.pop("download", False), given.pop("no_scale_decay", False)
    settings = ResNetSettings(RESNETS[experiment], decay_scales=not spared, **given)
    if fetch and settings.dataset != "digits":
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise InputError("many processes would all download; run once without torchrun, or fetch the files first")
        data = data or Path(os.environ.get("SKIPGLASS_DATA", "data"))
        download(settings.dataset, output_folder(data))
    folder = output_folder(out)
    first = int(os.environ.get("RANK", 0)) == 0
    path = folder / f"{experiment}.nc"
    try:
        with progress() as bar:
            listen = step_listener(bar, f"training {experiment}") if first else None
            places = {"data": data, "folder": folder, "device": device, "tensorboard": board}
            recording = run(settings, resume=resume, on_step=listen, **places)
    except (Diverged, Interrupted) as early:
        if first:
            save(early.recording, path, kind="resnet")
        if isinstance(early, Diverged):
            raise
        if first:
            _report(experiment, early.recording, path)
            typer.echo(f"{early}; the same command with --resume goes on from there", err=True)
        raise typer.Exit(130) from None
    if first:
        save(recording, path, kind="resnet")
        _report(experiment, recording, path)


def step_listener(bar: Progress, title: str) -> Any:
    """Return what shows steps, loss and test error on a progress bar."""
    task = bar.add_task(f"{title}, steps")
    shown: dict[str, str] = {}

    def told(step: int, total: int, loss: float, error: float) -> None:
        if loss == loss:
            shown["loss"] = f"loss {loss:.3f}"
        if error == error:
            shown["error"] = f"test error {error:.1%}"
        bar.update(task, completed=step, total=total, description=", ".join([f"{title}, steps", *shown.values()]))

    return told


def _report(experiment: str, recording: xr.Dataset, path: Path) -> None:
    if not recording.sizes["epoch"]:
        return
    columns = ["epoch", "train loss", "train error", "test loss", "test error", "minutes"]
    last = recording.isel(epoch=-1)
    values = [float(last[name]) for name in ("train_loss", "train_error", "test_loss", "test_error")]
    row = (int(last.epoch), *values, float(recording.minutes))
    print_table(f"{experiment}: {path}", columns, [row])
