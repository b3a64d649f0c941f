"""Training residual MLPs from the command line: many seeds side by side, one table at the end."""

from math import isfinite
from pathlib import Path
from typing import Any

import typer

from skipglass import check
from skipglass.cli.render import print_table, progress
from skipglass.errors import InputError
from skipglass.record import output_folder, save
from skipglass.training import Interrupted, Settings, total_norm, train

__all__ = ["train_mlp"]


def train_mlp(experiment: str, out: Path, given: dict[str, Any], *, resume: bool) -> None:
    """Train, save ``out/experiment.nc``, and print how each seed ended.

    Parameters
    ----------
    experiment
        "gaussians" or "digits".
    out
        The folder.
    given
        Settings that the user named.
    resume
        Go on from the checkpoint there.

    Raises
    ------
    InputError
        If networks diverged, or a setting is out of range.
    Exit
        With status 130 after Ctrl-C.
    """
    count = check.integer("seeds", given.pop("seeds", 1), 1)
    first = check.seed("seed", given.pop("seed", 0))
    width = given.get("width")
    if width is not None and width == int(width):
        given["width"] = int(width)
    settings = Settings(experiment=experiment, seeds=range(first, first + count), **given)
    folder = output_folder(out)
    stopped: Interrupted | None = None
    try:
        with progress() as bar:
            task = bar.add_task(f"training {experiment}, epochs", total=settings.epochs)
            recording = train(
                settings, folder=folder, resume=resume, on_epoch=lambda done: bar.update(task, completed=done)
            )
    except Interrupted as early:
        stopped, recording = early, early.recording
    if recording.sizes["evaluation"]:
        path = save(recording, folder / f"{experiment}.nc", kind="training")
        norm = total_norm(recording)
        last, growth = recording.isel(evaluation=-1), (norm[-1] / norm[0]).values.tolist()
        print_table(
            f"{experiment} after epoch {float(last.epoch):g}: {path}",
            ["seed", "train loss", "train accuracy", "test accuracy", "‖w‖ / ‖w‖ at the start"],
            [
                (s, *(float(last[name][k]) for name in ("train_loss", "train_accuracy", "test_accuracy")), growth[k])
                for k, s in enumerate(settings.seeds)
            ],
        )
        diverged = [s for k, s in enumerate(settings.seeds) if not isfinite(growth[k] + float(last.train_loss[k]))]
        if diverged:
            raise InputError(
                f"the networks of seeds {diverged} diverged (their loss or weights are not finite at the end); try a "
                f"learning rate below {settings.learning_rate:g}. The recording is kept in {path}"
            )
    if stopped is not None:
        typer.echo(f"{stopped}; the same command with --resume goes on from there", err=True)
        raise typer.Exit(130)
