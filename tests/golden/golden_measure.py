"""`measure` and what else takes a whole model: participation, lesions, the split of an output."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from golden_networks import NETWORKS, batch, language_model, made, mlp
from golden_paths import participation
from quiet import prepared

import skipglass as sg
from golden import Cases, near, schema

TOLERANCE = 1e-12
MIXED = 1e-6  # transformers casts logits, and Llama its norms, to float32
UNITS = ("blocks", "weights")


def profile(p: Any) -> dict[str, Any]:
    """All fields of a profile but its texts."""
    kappa = max(1.0, float(p.cancellation))
    finite = np.abs(p.share_per_sample[np.isfinite(p.share_per_sample)])
    own = max(1.0, float(finite.max(initial=0.0))) * len(p.lengths)
    longest = max(1, int(p.lengths[-1]))
    return {
        "model": p.model,
        "mode": p.mode,
        "dtype": p.dtype,
        "unit": p.unit,
        "blocks": p.blocks,
        "weights": p.weights,
        "sums": p.sums,
        "norms": p.norms,
        "opaque": [what.split(" (")[0] for what in p.opaque],
        "census": {str(r): str(n) for r, n in p.census.items()},
        "lengths": p.lengths,
        "norm": p.norm,
        "share": near(p.share, kappa),
        "norm_per_sample": p.norm_per_sample,
        "share_per_sample": near(p.share_per_sample, own),
        "norm_at_blocks": p.norm_at_blocks,
        "participation": near(p.participation, kappa * longest),
        "participation_per_sample": near(p.participation_per_sample, own * longest),
        "fits": [
            {
                "reading": fit.reading,
                "beta": near(fit.beta, 1e2 * min(fit.beta, 1e6)),  # a flat optimum: our choice
                "interval": None if fit.interval is None else near(list(fit.interval), 1e2 * min(fit.interval[1], 1e6)),
                "distance": near(fit.distance, 1e2),
                "lengths": fit.lengths,
                "measured": near(fit.measured, 1e2),
                "predicted": near(fit.predicted, 1e2),
            }
            for fit in p.fits
        ],
        "error is small": bool(p.error <= 1e-12 or p.dtype != "float64"),
        "cancellation": near(p.cancellation, kappa**2),
        "independent_samples": bool(p.independent_samples),
        "samples": p.samples,
        "effective_depth": near(p.effective_depth, kappa * longest),
        "effective_depth_per_sample": near(p.effective_depth_per_sample, own * longest),
        "notes": len(p.notes),
    }


def wording(p: Any) -> dict[str, Any]:
    return {
        "printed": numberless(str(p)),
        "repr": re.sub(r"error=[^,)]+", "error", repr(p)),
        "loss": p.loss,
        "notes": p.notes,
        "reach": p.reach,
        "xarray": schema(p.to_xarray()),
    }


def numberless(text: str) -> list[str]:
    """The lines of a text without the error, which is rounding."""
    return [line for line in text.splitlines() if not line.startswith("relative error")]


def network(name: str, training: bool) -> dict[str, Any]:
    model, x, y = made(name, training)
    values, texts = {}, {}
    profiles = {unit: sg.measure(model, x, y, F.cross_entropy, unit=unit) for unit in UNITS}
    for unit, p in profiles.items():
        values[unit], texts[unit] = profile(p), wording(p)
    values["participation"] = participation(sg.paths.participation(model, x, y, F.cross_entropy))
    return values | {"wording": texts}


def language(name: str) -> dict[str, Any]:
    """Token ids, in a tensor and in a mapping with the labels."""
    model = language_model(name)
    ids = torch.arange(10).view(2, 5) % 11
    values, texts = {}, {}
    for unit in UNITS:
        p = sg.measure(model, {"input_ids": ids, "labels": ids}, unit=unit)
        values[f"its own loss, {unit}"], texts[unit] = profile(p), wording(p)
    free = sg.measure(model, ids, unit="blocks")
    values["no loss"], texts["no loss"] = profile(free), wording(free)
    values["participation"] = participation(sg.paths.participation(model, {"input_ids": ids, "labels": ids}))
    return values | {"wording": texts}


def losses() -> dict[str, Any]:
    """The losses that are taken where none is given, chosen blocks, and what is not independent."""
    model, x, y = made("MLP")
    floats = batch(6, 3, seed=4)[0]
    profiles = {
        "none": sg.measure(model, x, unit="blocks"),
        "labels": sg.measure(model, x, y, unit="blocks"),
        "numbers": sg.measure(model, x, floats, unit="blocks"),
        "a function": sg.measure(model, x, y, F.cross_entropy, unit="blocks"),
        "chosen": sg.measure(model, x, y, unit="blocks", blocks=["layers.2", "layers.4"]),
        "scalar output": sg.measure(mlp("none", out=None), x, unit="weights"),
        "one sample": sg.measure(model, x[:1], y[:1], unit="blocks"),
    }
    values = {name: profile(p) for name, p in profiles.items()}
    return values | {"wording": {name: wording(p) for name, p in profiles.items()}}


def comparison() -> dict[str, Any]:
    model, x, y = made("pre-activation", training=False)
    before = sg.measure(model, x, y, unit="blocks")
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.startswith("layer2") and p.ndim > 1:
                p.mul_(3.0)
    after = sg.measure(model, x, y, unit="blocks")
    found = before.compare(after)
    return {
        "unit": found.unit,
        "blocks": found.blocks,
        "here": near(found.here, 1e1),
        "there": near(found.there, 1e1),
        "moved": found.moved,
        "only": [found.only_here, found.only_there],
        "wording": {"printed": str(found), "xarray": schema(found.to_xarray())},
    }


def lesions() -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, training in (("MLP", True), ("post-activation", False), ("pre-activation", True)):
        model, x, y = made(name, training)
        blocks = sg.paths.participation(model, x, y).blocks
        with torch.no_grad():
            outputs = {"whole": model(x)}
            for block in blocks:
                with sg.paths.lesion(model, [block]):
                    outputs[block] = model(x)
            with sg.paths.lesion(model, blocks[:2]):
                outputs["two"] = model(x)
        values[name] = outputs
    return values


def output_splits() -> dict[str, Any]:
    values, texts = {}, {}
    for name in ("MLP", "MLP with batch norm", "post-activation", "pre-activation", "dense net"):
        model, x, _ = made(name, training=False)
        for unit in UNITS:
            for label, output in (("sum", torch.sum), ("one", lambda y: y[:, 1].sum())):
                found = sg.paths.output_split(model, x, output, unit=unit)
                scale = float(np.abs(found.parts).sum() + np.abs(found.constants).sum())
                values[f"{name}, {unit}, {label}"] = {
                    "lengths": found.lengths,
                    "parts": near(found.parts, scale),
                    "constants": near(found.constants, scale),
                    "output": near(found.output, scale),
                    "unit": found.unit,
                    "error is small": bool(found.error <= 1e-12),
                }
        texts[name] = {"xarray": schema(found.to_xarray()), "head": str(found).splitlines()[1]}
    return values | {"wording": texts}


STORED = Path(__file__).parent / "profile.nc"


def stored() -> dict[str, Any]:
    """What a file that was written before the rebuild holds."""
    return profile(sg.paths.Profile.load(STORED))


def store() -> None:
    """Write it."""
    model, x, y = made("post-activation", training=False)
    sg.measure(model, x, y, unit="blocks").save(STORED)


MODES = {"train": True, "eval": False}
SECTION: Cases = (
    {
        f"{name}, {mode}": prepared(lambda name=name, training=training: network(name, training))
        for name in NETWORKS
        for mode, training in MODES.items()
        if training or name != "MLP"
    }
    | {name: prepared(lambda name=name: language(name)) for name in ("GPT-2", "Llama")}
    | {case.__name__.replace("_", " "): prepared(case) for case in (losses, comparison, lesions, output_splits, stored)}
)


def tolerance(name: str) -> float:
    """Float32 within language models."""
    return MIXED if name in {"GPT-2", "Llama"} else TOLERANCE
