"""Trainings of a few steps, of the small networks and of the image networks, a cell and a sweep."""

import tempfile
from pathlib import Path
from typing import Any

from quiet import prepared

import skipglass as sg
from golden import Cases, dataset, schema

DOUBLE = 1e-10  # tens of steps in float64
SINGLE = 1e-3  # some steps in float32
LEFT = ("error", "notes", "minutes", "device", "processes")
SMALL = {"depth": 4, "width": 8, "dtype": "float64", "learning_rate": 0.05}
SETTINGS: dict[str, dict[str, Any]] = {
    "digits": {"experiment": "digits", "epochs": 2, "seeds": [0, 1]},
    "digits, one seed": {"experiment": "digits", "epochs": 2, "seeds": [3], "momentum": 0.9, "weight_decay": 1e-3},
    "digits, paper": {"experiment": "digits", "epochs": 1, "seeds": [0, 2], "normalization": "paper"},
    "digits, before": {"experiment": "digits", "epochs": 1, "seeds": [0], "placement": "before", "batch_size": 100},
    "digits, plain": {"experiment": "digits", "epochs": 1, "seeds": [0, 1], "normalization": "none", "scale": 0.1},
    "gaussians": {"epochs": 1, "seeds": [0, 1], "separation": 8.0, "batch_size": 100},
    "digits, float32": {"experiment": "digits", "epochs": 1, "seeds": [0, 1], "dtype": "float32"},
}
IMAGES = {"dataset": "digits", "depth": 8, "width": 0.25, "epochs": 1, "subset": 256, "batch_size": 64, "every": 2}
RESNETS: dict[str, dict[str, Any]] = {
    "resnet": {"precision": "float64"},
    "resnet, two epochs": {"precision": "float64", "epochs": 2, "subset": 128, "seed": 1, "channels_last": False},
    "resnet, pre-activation": {"precision": "float64", "preactivation": True, "decay_scales": False},
    "resnet, plain": {"precision": "float64", "normalized": False, "learning_rate": 0.01, "momentum": 0.0},
    "resnet, float32": {"precision": "float32"},
    "resnet, bfloat16": {"precision": "bfloat16", "subset": 128},
}


def recording(data: Any) -> dict[str, Any]:
    return {"recording": dataset(data, leave=LEFT), "wording": {"xarray": schema(data)}}


def trained(name: str) -> dict[str, Any]:
    epochs: list[int] = []
    settings = sg.training.Settings(**(SMALL | SETTINGS[name]))
    data = sg.training.train(settings, on_epoch=epochs.append)
    return {"epochs": epochs, "total_norm": sg.training.total_norm(data).values, **recording(data)}


def resumed() -> dict[str, Any]:
    """Stopped after the first epoch and taken up again."""
    short, whole = (
        sg.training.Settings(**(SMALL | SETTINGS["digits"] | {"epochs": epochs, "seeds": [0]})) for epochs in (1, 2)
    )
    with tempfile.TemporaryDirectory() as folder:
        sg.training.train(short, folder=Path(folder))
        names = sorted(path.name for path in Path(folder).iterdir())
        return {"files": names, **recording(sg.training.train(whole, folder=Path(folder), resume=True))}


def resnet(name: str) -> dict[str, Any]:
    told: list[tuple[int, int]] = []
    settings = sg.training.ResNetSettings(**(IMAGES | RESNETS[name]))
    data = sg.training.train_resnet(settings, device="cpu", on_step=lambda step, total, *_: told.append((step, total)))
    return {"told": told, **recording(data)}


def cell(normalization: str) -> dict[str, Any]:
    settings = sg.training.Settings(
        **(SMALL | {"experiment": "digits", "epochs": 2, "seeds": [0, 1], "normalization": normalization})
    )
    return recording(sg.training.cell(settings))


def sweep() -> dict[str, Any]:
    grid = sg.training.Grid(
        separations=[4.0], learning_rates=[0.05, 0.2], variants=["batch-before", "none"], depths=[3], seeds=(0, 1),
        epochs=1, width=6,
    )  # fmt: skip
    done: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        data = sg.training.sweep(grid, Path(folder), on_cell=done.append)
        files = sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*.nc"))
    return {"done": done, "files": files, "cells": list(grid.cells()), **recording(data)}


SECTION: Cases = (
    {name: prepared(lambda name=name: trained(name)) for name in SETTINGS}
    | {name: prepared(lambda name=name: resnet(name)) for name in RESNETS}
    | {f"cell, {kind}": prepared(lambda kind=kind: cell(kind)) for kind in ("batch", "paper", "none")}
    | {"resumed": prepared(resumed), "sweep": prepared(sweep)}
)


def tolerance(name: str) -> float:
    """By precision; cells are kept in float32, and a sweep trains in it."""
    if name == "resnet, bfloat16":
        return 0.2
    if name == "sweep" or name.endswith("float32"):
        return SINGLE
    return 1e-6 if name.startswith("cell") else DOUBLE
