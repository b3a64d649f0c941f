"""`skipglass train`: train a residual network and record its scales; which options apply depends on the experiment."""

import os
from pathlib import Path
from typing import Annotated

import typer

from skipglass.cli.folders import folder_option

__all__ = ["train"]

CIFAR_ONLY = ("data", "download")
FOR_MLPS, FOR_RESNETS = "Residual MLPs: gaussians, digits", "ResNets: cifar10, cifar100, digits-resnet"


def train(
    experiment: Annotated[
        str, typer.Argument(help="gaussians or digits (residual MLPs); cifar10, cifar100 or digits-resnet (ResNets).")
    ],
    out: Annotated[Path, folder_option("Folder for the recording and the checkpoint.")],
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set [MLP 30, ResNet 164].")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the run (MLP: the first seed) [0].")] = None,
    depth: Annotated[int | None, typer.Option(help="Weight layers [MLP 10, ResNet 32].")] = None,
    width: Annotated[float | None, typer.Option(help="MLP: units a layer [20]; ResNet: channel factor [1].")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of SGD [0.1]; a ResNet's drops twice.")] = None,
    momentum: Annotated[float | None, typer.Option(help="MLP: plain [0]; ResNet: Nesterov's [0.9].")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="On every parameter [MLP 0, ResNet 1e-4].")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples a step [MLP 50, ResNet 128].")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in --out.")] = False,
    seeds: Annotated[
        int | None, typer.Option(help="How many to train side by side [1].", rich_help_panel=FOR_MLPS)
    ] = None,
    normalization: Annotated[
        str | None, typer.Option(help="none, batch, or paper (Eq. 22) (default: batch).", rich_help_panel=FOR_MLPS)
    ] = None,
    placement: Annotated[
        str | None, typer.Option(help="Normalise before or after the ReLU (default: after).", rich_help_panel=FOR_MLPS)
    ] = None,
    scale: Annotated[
        float | None, typer.Option(help="C of the initial weights [1/√fan_in].", rich_help_panel=FOR_MLPS)
    ] = None,
    separation: Annotated[
        float | None, typer.Option(help="Gaussians: class distance in deviations [4].", rich_help_panel=FOR_MLPS)
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32 or float64 (default: float32).", rich_help_panel=FOR_MLPS)
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="CIFAR: folder of the files (default: $SKIPGLASS_DATA).", rich_help_panel=FOR_RESNETS),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="CIFAR: fetch into --data what lacks there.", rich_help_panel=FOR_RESNETS)
    ] = False,
    preactivation: Annotated[
        bool, typer.Option("--preactivation", help="Normalise first.", rich_help_panel=FOR_RESNETS)
    ] = False,
    subset: Annotated[
        int | None, typer.Option(help="Train on so many images (default: all).", rich_help_panel=FOR_RESNETS)
    ] = None,
    no_scale_decay: Annotated[
        bool, typer.Option("--no-scale-decay", help="Spare λ the decay.", rich_help_panel=FOR_RESNETS)
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or cuda:N (default: auto).", rich_help_panel=FOR_RESNETS)
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float64 (default: float32).", rich_help_panel=FOR_RESNETS)
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Run through torch.compile.", rich_help_panel=FOR_RESNETS)
    ] = False,
    every: Annotated[
        int | None, typer.Option(help="Steps between two measurements [100].", rich_help_panel=FOR_RESNETS)
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Write for TensorBoard into this folder.", rich_help_panel=FOR_RESNETS)
    ] = None,
) -> None:
    """Train residual networks and record their scales in DIR/EXPERIMENT.nc."""
    from skipglass import check
    from skipglass.cli.train_mlp import train_mlp
    from skipglass.cli.train_resnet import RESNETS, train_resnet
    from skipglass.training import EXPERIMENTS

    options = {name: value for name, value in locals().items() if name in train.__annotations__}
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    for name in ("experiment", "out", "resume", "overwrite"):
        given.pop(name, None)
    check.choice("experiment", experiment, (*EXPERIMENTS, *RESNETS))
    _spare(experiment, out, resume=resume, overwrite=overwrite)
    if experiment in RESNETS:
        _refuse(experiment, given, _only(FOR_MLPS) + (CIFAR_ONLY if experiment == "digits-resnet" else ()))
        train_resnet(experiment, out, given, resume=resume)
    else:
        _refuse(experiment, given, _only(FOR_RESNETS))
        train_mlp(experiment, out, given, resume=resume)


def _only(group: str) -> tuple[str, ...]:
    """The options that the help shows in a group."""
    hints = {name: hint for name, hint in train.__annotations__.items() if name != "return"}
    return tuple(name for name, hint in hints.items() if hint.__metadata__[0].rich_help_panel == group)


def _spare(experiment: str, out: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse to replace an earlier run unasked; of torchrun's processes the first looks, before it writes."""
    from skipglass.errors import InputError, StorageError
    from skipglass.training import CHECKPOINT

    if resume and overwrite:
        raise InputError("--resume goes on with the run in --out, --overwrite replaces it; give one of them")
    found = [name for name in (CHECKPOINT, f"{experiment}.nc") if os.path.exists(out / name)]
    if found and not (resume or overwrite) and int(os.environ.get("RANK", 0)) == 0:
        go_on = "go on with it (--resume), " if CHECKPOINT in found else ""
        raise StorageError(
            f"{out} holds {' and '.join(found)} of an earlier run; {go_on}replace it (--overwrite), or choose another "
            "--out"
        )


def _refuse(experiment: str, given: dict, others: tuple[str, ...]) -> None:
    from skipglass.errors import InputError

    wrong = [f"--{'compile' if name == 'compiled' else name.replace('_', '-')}" for name in others if name in given]
    if wrong:
        raise InputError(f"{', '.join(wrong)} does not apply to {experiment}; leave it out")
