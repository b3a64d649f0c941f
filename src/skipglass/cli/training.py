"""What `skipglass train` does once its options are known: train, keep the recording, print where the training ended."""

import os
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import xarray as xr
from rich.progress import Progress

from skipglass.cli.render import interrupted, print_table, progress
from skipglass.data import download
from skipglass.errors import InputError
from skipglass.record import output_folder, save
from skipglass.training import Diverged, Interrupted, ResNetSettings, Settings, total_norm, train, train_resnet

__all__ = ["run", "start_mlps", "start_resnet"]

Start = Callable[[str, Path, dict[str, Any], bool, Progress], xr.Dataset]


def run(start: Start, experiment: str, place: Path, given: dict[str, Any], *, resume: bool) -> None:
    """Train, keep FOLDER/EXPERIMENT.nc however the training ends, and print where it ended.

    Parameters
    ----------
    start
        `start_mlps` or `start_resnet`.
    experiment
        Its name.
    place
        The folder.
    given
        What the user set.
    resume
        Whether to continue from the checkpoint there.

    Raises
    ------
    InputError
        If a setting is out of range, or the training diverged.
    Exit
        With status 130 after Ctrl-C.
    """
    path, ended = place / f"{experiment}.nc", None
    kind, show = ("training", _show_mlps) if start is start_mlps else ("resnet", _show_resnet)
    try:
        with progress() as bar:
            recording = start(experiment, place, given, resume, bar)
    except (Diverged, Interrupted) as early:
        recording, ended = early.recording, early
    # of torchrun's processes the first one writes and prints
    first = int(os.environ.get("RANK", 0)) == 0
    # an MLP that was stopped before its first step has no recording
    if first and recording.sizes.get("evaluation", 1):
        save(recording, path, kind=kind)
        show(recording, path)
    if isinstance(ended, Diverged):
        raise ended
    if ended:
        interrupted(f"{ended}; the same command with --resume goes on from there" if first else "")


def start_mlps(experiment: str, place: Path, given: dict[str, Any], resume: bool, bar: Progress) -> xr.Dataset:
    """Train residual MLPs of several seeds side by side."""
    settings = Settings(experiment=experiment, **given)
    task = bar.add_task(f"training {experiment}, epochs", total=settings.epochs)
    folder = output_folder(place)
    return train(settings, folder=folder, resume=resume, on_epoch=lambda done: bar.update(task, completed=done))


def _show_mlps(recording: xr.Dataset, path: Path) -> None:
    norm = total_norm(recording)
    last, growth = recording.isel(evaluation=-1), (norm[-1] / norm[0]).values.tolist()
    columns = [last[name].values.tolist() for name in ("seed", "train_loss", "train_accuracy", "test_accuracy")]
    rows = list(zip(*columns, growth, strict=True))
    print_table(
        f"{path.stem} after epoch {float(last.epoch):g}: {path}",
        ["seed", "train loss", "train accuracy", "test accuracy", "‖w‖ / ‖w‖ at the start"],
        rows,
    )
    diverged = [seed for seed, loss, *_, norm in rows if not isfinite(loss + norm)]
    if diverged:
        raise InputError(
            f"the networks of seeds {diverged} diverged (their loss or weights are not finite at the end); try a "
            f"learning rate below {recording.attrs['learning_rate']:g}. The recording is kept in {path}"
        )


def start_resnet(experiment: str, place: Path, given: dict[str, Any], resume: bool, bar: Progress) -> xr.Dataset:
    """Train a ResNet, alone or as one of torchrun's processes."""
    data, fetch = given.pop("data", None), given.pop("download", False)
    beside = {name: given.pop(name) for name in ("device", "tensorboard") if name in given}
    settings = ResNetSettings(experiment.removesuffix("-resnet"), **given)
    if fetch:
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise InputError("many processes would all download; run once without torchrun, or fetch the files first")
        data = data or Path(os.environ.get("SKIPGLASS_DATA", "data"))
        download(settings.dataset, output_folder(data))
    title, first = f"training {experiment}, steps", int(os.environ.get("RANK", 0)) == 0
    task, shown = bar.add_task(title, visible=first), {"title": title}

    def on_step(step: int, total: int, loss: float, error: float) -> None:
        # NaN stands for what is not known yet
        if loss == loss:
            shown["loss"] = f"loss {loss:.3f}"
        if error == error:
            shown["error"] = f"test error {error:.1%}"
        bar.update(task, completed=step, total=total, description=", ".join(shown.values()))

    folder = output_folder(place)
    return train_resnet(settings, data=data, folder=folder, resume=resume, on_step=on_step, **beside)


def _show_resnet(recording: xr.Dataset, path: Path) -> None:
    if recording.sizes["epoch"]:
        names = ["epoch", "train_loss", "train_error", "test_loss", "test_error"]
        row = [recording[name].values[-1].item() for name in names] + [float(recording.minutes)]
        print_table(f"{path.stem}: {path}", [name.replace("_", " ") for name in [*names, "minutes"]], [row])
