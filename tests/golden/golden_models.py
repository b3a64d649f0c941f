"""Networks and data by their seeds."""

import hashlib
from typing import Any

import torch
from golden_networks import batch
from quiet import prepared
from torch import Tensor, nn

import skipglass as sg
from golden import Cases

SINGLE = 1e-6  # initial weights are drawn in float32, whose normals depend on the processor


def summary(values: Tensor) -> dict[str, Any]:
    """Enough of a tensor to tell it from another."""
    flat = values.detach().double().reshape(-1)
    return {
        "shape": list(values.shape),
        "dtype": str(values.dtype),
        "size": float(flat.abs().sum()),
        "norm": float(flat.norm()),
        "some": flat[:: max(1, flat.numel() // 6)][:6],
    }


def digest(values: Tensor) -> str:
    """Of whole numbers."""
    return hashlib.sha256(values.to(torch.int64).numpy().tobytes()).hexdigest()[:16]


def about(model: nn.Module, x: Tensor) -> dict[str, Any]:
    """Names and shapes of what a checkpoint holds, and what comes out, in training and then in eval mode."""
    shapes = {name: list(t.shape) for name, t in model.state_dict().items()}
    with torch.no_grad():
        outputs = {mode: model.train(mode == "train")(x) for mode in ("train", "eval")}
    return {"state": shapes, "outputs": outputs, "class": type(model).__name__}


def residual_mlps() -> dict[str, Any]:
    values = {}
    for normalization in ("none", "batch", "paper"):
        for placement in ("after", "before"):
            for seeds, out in ((0, 3), (1, None), ((0, 4), 3)):
                model = sg.models.ResidualMLP(
                    5, out, depth=4, width=6, normalization=normalization, placement=placement, seeds=seeds,
                    dtype=torch.float64,
                )  # fmt: skip
                x = batch(7, 5)[0]
                values[f"{normalization} {placement} {seeds} {out}"] = about(model, x)
                model.calibrate(x)
                values[f"{normalization} {placement} {seeds} {out}, calibrated"] = about(model, x)
    small = sg.models.ResidualMLP(5, 3, depth=3, width=6, scale=0.1, dtype=torch.float64)
    values["scale"] = about(small, batch(7, 5)[0])
    values["names"] = [sg.models.NORMALIZATIONS, sg.models.PLACEMENTS, sg.models.PADDINGS, sg.models.GATES]
    return values


def image_networks() -> dict[str, Any]:
    x = batch(2, 3, 32, 32)[0]
    settings = {
        "post": {"width": 0.25},
        "pre": {"width": 0.25, "preactivation": True},
        "before": {"width": 0.25, "padding": "both", "seed": 3},
        "plain": {"width": 0.25, "normalized": False, "classes": 4},
    }
    values = {name: about(sg.models.CifarResNet(8, **own).double(), x) for name, own in settings.items()}
    values["14"] = about(sg.models.CifarResNet(14, width=0.125).double(), x)
    values["dense"] = about(sg.models.DenseNet(10, growth=4, seed=1).double(), x)
    return values


def gated() -> dict[str, Any]:
    values: dict[str, Any] = {}
    for seeds in ((), (2,)):
        generator = torch.Generator().manual_seed(0)
        weights = sg.models.redundant_weights(
            3, depth=4, width=8, unique=2, scale=0.3, generator=generator, seeds=seeds
        )
        values[f"weights {seeds}"] = [summary(w) for w in weights]
        x = batch(5, 3)[0]
        for gates in sg.models.GATES:
            model = sg.models.GatedMLP(weights, gates, gate=0.4, seed=1)
            values[f"{gates} {seeds}"] = model(x)
        generator = torch.Generator().manual_seed(1)
        for alignment in (1.0, 0.5, None):
            drawn = sg.models.unique_weights(6, 0.2, alignment, generator=generator, seeds=seeds)
            values[f"unique {alignment} {seeds}"] = drawn
        values[f"spread {seeds}"] = sg.models.evenly_spread(6, 5, 3, generator, seeds)
    return values


def data() -> dict[str, Any]:
    values: dict[str, Any] = {}

    def split(found: Any) -> dict[str, Any]:
        return {
            "inputs": summary(found.inputs),
            "test_inputs": summary(found.test_inputs),
            "targets": digest(found.targets),
            "test_targets": digest(found.test_targets),
            "classes": found.classes,
        }

    mixtures = {
        "App. C": {},
        "seed 1, wide": {"seed": 1, "separation": 16.0},
        "small": {"classes": 3, "dimension": 4, "samples": 20, "test_samples": 5},
    }
    for name, settings in mixtures.items():
        found = sg.data.gaussian_mixture(**settings)
        values[name] = split(found) | {"features": found.features}
    values["digits"] = split(sg.data.digits())
    values["digits, another split"] = split(sg.data.digits(test_samples=100, seed=2))
    images = sg.data.digit_images()
    values["images"] = split(images) | {"mean": images.mean, "std": images.std}
    part = images.subset(50, seed=3)
    values["subset"] = split(part) | {"normalized": summary(part.normalized(part.inputs.double()))}
    return values


SECTION: Cases = {
    case.__name__.replace("_", " "): prepared(case) for case in (residual_mlps, image_networks, gated, data)
}


def tolerance(name: str) -> float:
    """Where weights are drawn in float32, what that leaves."""
    return SINGLE if name == "image networks" else 1e-12
