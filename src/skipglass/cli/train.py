"""`skipglass train`: train a residual network and record its scales; which options apply depends on the experiment."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from skipglass import check
from skipglass.cli.options import Table, counted, folder, refuse, with_options, with_seeds
from skipglass.errors import InputError, StorageError
from skipglass.training import ResNetSettings, Settings, options
from skipglass.training.option import option
from skipglass.training.settings import DATA, MACHINE

__all__ = ["train"]


@dataclass(frozen=True)
class Surroundings:
    """What the training of a ResNet needs beside its settings; no recording depends on it."""

    device: str = option("auto", "Device: auto, cpu, cuda, or one GPU, cuda:1.", MACHINE)
    tensorboard: Path | None = option(None, "Folder for event files of TensorBoard.", MACHINE)
    data: Path | None = option(None, "Folder of the CIFAR files (default: $SKIPGLASS_DATA).", DATA)
    download: bool = option(False, "Download the files that are missing in --data.", DATA)


MLP = counted(options(Settings), 1)
CIFAR = {**options(ResNetSettings), **options(Surroundings)}
FILES = {name: CIFAR[name] for name in ("data", "download")}
RESNET = {name: one for name, one in CIFAR.items() if name not in FILES}
EXPERIMENTS: dict[str, Table] = {
    "gaussians": MLP,
    "digits": MLP,
    "cifar10": CIFAR,
    "cifar100": CIFAR,
    "digits-resnet": RESNET,
}
"""Experiment → the options that apply to it."""


@with_options({"MLPs": MLP, "ResNets": RESNET, "CIFAR": FILES})
def train(
    experiment: Annotated[
        str, typer.Argument(help="gaussians or digits (residual MLPs); cifar10, cifar100 or digits-resnet (ResNets).")
    ],
    out: Annotated[str, folder("Folder for the recording and the checkpoint.")],
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in --out.")] = False,
    *,
    given: dict[str, Any],
) -> None:
    """Train residual networks and record their scales in FOLDER/EXPERIMENT.nc."""
    check.choice("experiment", experiment, EXPERIMENTS)
    refuse(given, EXPERIMENTS, experiment)
    place = check.path(out)
    _keep_earlier_run(experiment, place, resume=resume, overwrite=overwrite)
    # torch, only once there is something to compute
    from skipglass.cli import training

    if EXPERIMENTS[experiment] is MLP:
        training.run(training.start_mlps, experiment, place, with_seeds(given, MLP), resume=resume)
    else:
        training.run(training.start_resnet, experiment, place, given, resume=resume)


def _keep_earlier_run(experiment: str, out: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse to replace an earlier run unasked; of torchrun's processes the first looks, before it writes."""
    from skipglass.training import CHECKPOINT

    if resume and overwrite:
        raise InputError("--resume continues the run in --out, --overwrite replaces it; give one of them")
    there = [name for name in (CHECKPOINT, f"{experiment}.nc") if os.path.exists(out / name)]
    if there and not (resume or overwrite) and int(os.environ.get("RANK", 0)) == 0:
        go_on = "continue it (--resume), " if CHECKPOINT in there else ""
        raise StorageError(
            f"{out} holds {' and '.join(there)} of an earlier run; {go_on}replace it (--overwrite), or choose another "
            "--out"
        )
