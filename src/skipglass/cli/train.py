"""`skipglass train`: train a residual MLP on Gaussians or digits and record its scales."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["train"]


def train(
    experiment: Annotated[str, typer.Argument(help="gaussians or digits.")],
    out: Annotated[Path, typer.Option(help="Folder for the recording and the checkpoint.")],
    epochs: Annotated[int, typer.Option(help="Passes over the training set.")] = 30,
    seeds: Annotated[int, typer.Option(help="How many networks to train side by side.")] = 1,
    seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    depth: Annotated[int, typer.Option(help="p, weight layers.")] = 10,
    width: Annotated[int, typer.Option(help="n, units a layer.")] = 20,
    normalization: Annotated[str, typer.Option(help="none, batch, or paper (Eq. 22).")] = "batch",
    placement: Annotated[str, typer.Option(help="Normalise before or after the ReLU.")] = "after",
    scale: Annotated[float | None, typer.Option(help="C of the initial weights; 1/√fan_in if left out.")] = None,
    learning_rate: Annotated[float, typer.Option(help="Of SGD.")] = 0.1,
    momentum: Annotated[float, typer.Option(help="Of SGD.")] = 0.0,
    weight_decay: Annotated[float, typer.Option(help="Of SGD, on every parameter.")] = 0.0,
    batch_size: Annotated[int, typer.Option(help="Samples a step.")] = 50,
    separation: Annotated[float, typer.Option(help="Of the Gaussians, in standard deviations.")] = 4.0,
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
) -> None:
    """Train residual MLPs and record their scales in DIR/EXPERIMENT.nc."""
    from math import isfinite

    from skipglass import check
    from skipglass.cli.render import print_table, progress
    from skipglass.errors import InputError
    from skipglass.record import output_folder, save
    from skipglass.training import Settings, total_norm
    from skipglass.training import train as run

    count = check.integer("seeds", seeds, 1)
    first = check.seed("seed", seed)
    settings = Settings(
        experiment=experiment,
        depth=depth,
        width=width,
        normalization=normalization,
        placement=placement,
        scale=scale,
        learning_rate=learning_rate,
        momentum=momentum,
        weight_decay=weight_decay,
        batch_size=batch_size,
        epochs=epochs,
        separation=separation,
        seeds=range(first, first + count),
        dtype=dtype,
    )
    folder = output_folder(out)
    with progress() as bar:
        task = bar.add_task(f"training {experiment}, epochs", total=settings.epochs)
        recording = run(settings, folder=folder, resume=resume, on_epoch=lambda done: bar.update(task, completed=done))
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
    if recording.epochs_done < settings.epochs:
        typer.echo(
            f"stopped after epoch {recording.epochs_done} of {settings.epochs}; "
            "the same command with --resume goes on from there",
            err=True,
        )
        raise typer.Exit(130)
