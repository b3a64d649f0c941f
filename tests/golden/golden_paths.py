"""Every quantity of a live graph, on every architecture of the one table in tests/paths that runs here."""

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from quiet import surroundings
from torch import Tensor, nn

import skipglass as sg
from golden import Cases, near

sys.path.insert(0, str(Path(__file__).parents[1] / "paths"))  # the table's modules import each other by name
from case import Case, of
from cases import CASES

UNITS = ("blocks", "weights")
TOLERANCE = 1e-12
MIXED = 1e-6  # float64 with norms, or a loss, in float32: what the processor rounds otherwise shows there
SINGLE = 1e-4
HALF = 1e-1  # bfloat16 on the way
LOSS_IN_SINGLE = {"GPT-2", "GPT-NeoX"}  # transformers casts logits to float32
ALLOWED = {1e-12: TOLERANCE, 1e-6: MIXED, 1e-5: SINGLE, 1.0: HALF}
"""A case's own bound on the error → what its numbers may be off by."""
TOKENS = {"GPT-2", "BERT", "encoder layers, evaluation", "latents"}
CHOSEN = {
    "auxiliary": ["side", "one"],
    "nested": ["0"],
    "shared": ["step"],
    "post-activation ResNet": ["layer2.1", "layer1.0"],
    "GPT-2": ["transformer.h.1"],
    "parallel experts": ["0.b", "1.c"],
}


def tolerance(name: str) -> float:
    """What a case may be off by: its table says in which precision it runs."""
    name = name.removesuffix(", options")
    error = max(CASES[name].error, 1e-7 if name in LOSS_IN_SINGLE else 0.0)
    return next(allowed for bound, allowed in ALLOWED.items() if error <= bound)


class Experts(nn.Module):
    """Two parallel functions, and a third on one side of an outer sum; no shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(x).tanh() + (self.a(x).tanh() + self.b(x).tanh()) * 0.5


CASES = CASES | {"parallel experts": Case(lambda: of(nn.Sequential(Experts(), Experts()), 3, 4), [])}


def outlined(graph: Any) -> dict[str, Any]:
    """What was found, without the words that say why something is opaque."""
    return {
        "blocks": [(b.name, b.side, b.shortcut) for b in graph.blocks],
        "weights": graph.weights,
        "sums": graph.sums,
        "norms": graph.norms,
        "opaque": [re.match(r"custom \S+|\S+", what).group() for what in graph.opaque],
    }


def scale_of(per_sample: np.ndarray, norms: np.ndarray) -> float:
    """How large the numbers are that shares come from: κ², as a share is ⟨g_r, g⟩/‖g‖²."""
    finite = per_sample[np.isfinite(per_sample)]
    return max(1.0, float(np.abs(finite).max(initial=0.0))) * len(norms)


def spectrum(s: Any) -> dict[str, Any]:
    """All numbers of a spectrum; depths may be off by the lengths times what shares may."""
    kappa = max(1.0, float(s.cancellation)) if np.isfinite(s.cancellation) else 1.0
    own = scale_of(s.share_per_sample, s.lengths)
    longest = max(1, int(s.lengths[-1]))
    tables = {} if s.at_blocks is None else {"at_blocks": s.at_blocks}
    return tables | {
        "lengths": s.lengths,
        "norm": s.norm,
        "share": near(s.share, kappa),
        "effective_depth": near(s.effective_depth, kappa * longest),
        "norm_per_sample": s.norm_per_sample,
        "share_per_sample": near(s.share_per_sample, own),
        "median_share": near(s.median_share, own),
        "effective_depth_per_sample": near(s.effective_depth_per_sample, own * longest),
        "cancellation": near(s.cancellation, kappa**2),
        "independent_samples": bool(s.independent_samples),
        "unit": s.unit,
    }


def moments(m: Any, s: Any) -> dict[str, Any]:
    """Mean and variance; both are differences of numbers of the size of r² κ."""
    scale = max(1.0, float(s.cancellation)) * max(1, int(s.lengths[-1])) ** 2
    return {"mean": near(m.mean, scale), "variance": near(m.variance, scale), "unit": m.unit}


def participation(p: Any) -> dict[str, Any]:
    """Each block's share."""
    shares = [a[np.isfinite(a)] for a in (p.share, p.share_per_sample, p.effective_depth_per_sample)]
    scale = max([1.0, *(float(np.abs(a).max(initial=0.0)) for a in shares)]) * max(1, len(p.blocks))
    return {
        "blocks": p.blocks,
        "share": near(p.share, scale),
        "effective_depth": near(p.effective_depth, scale),
        "share_per_sample": near(p.share_per_sample, scale),
        "effective_depth_per_sample": near(p.effective_depth_per_sample, scale),
        "independent_samples": bool(p.independent_samples),
    }


def census(counts: dict[int, int]) -> dict[str, str]:
    return {str(r): str(n) for r, n in counts.items()}


def made(name: str) -> tuple[nn.Module, Tensor, Any]:
    case: Case = CASES[name]
    model, x, run = case.build()
    return model, run(), x


def measured(name: str) -> dict[str, Any]:
    """Everything of one case, from one graph."""
    with surroundings():
        model, loss, x = made(name)
        graph = sg.paths.outline(loss, x, model)
        values: dict[str, Any] = {"outline": outlined(graph)}
        doubts = {unit: graph.doubts(unit) for unit in UNITS}
        for unit in UNITS:
            s = sg.paths.spectrum(loss, x, unit=unit, model=model, at="blocks")
            m = sg.paths.moments(loss, x, unit=unit, model=model)
            values[unit] = {
                "spectrum": spectrum(s),
                "within_bound": bool(s.error <= CASES[name].error),
                "moments": moments(m, s),
                "census": census(sg.paths.census(loss, x, unit=unit, model=model)),
                "cost": float(sg.paths.cost(loss, x, unit=unit, model=model)),
                "doubts": len(doubts[unit]),
            }
        values["participation"] = participation(sg.paths.participation_of(loss, x, model))
    values["wording"] = {"doubts": doubts, "opaque": graph.opaque, "outline": str(graph)}
    return values


def with_options(name: str) -> dict[str, Any]:
    """Lengths cut off, parts kept, tokens apart, blocks chosen."""
    with surroundings():
        model, loss, x = made(name)
        values: dict[str, Any] = {}
        for unit in UNITS:
            short = sg.paths.spectrum(loss, x, unit=unit, model=model, max_length=2)
            values[f"{unit} up to 2"] = spectrum(short) | {
                "cost": float(sg.paths.cost(loss, x, unit=unit, max_length=2, model=model))
            }
            kept = sg.paths.spectrum(loss, x, unit=unit, model=model, keep=True)
            parts = kept.gradients if isinstance(kept.gradients, tuple) else (kept.gradients,)
            values[f"{unit} kept"] = [p.flatten(1)[:, :6] for p in parts]
            if name in TOKENS:
                values[f"{unit} by token"] = spectrum(
                    sg.paths.spectrum(loss, x, unit=unit, model=model, per="token", keep=False)
                )
        unnamed = sg.paths.outline(loss, x)
        values["without a model"] = outlined(unnamed)
        if name in CHOSEN:
            chosen = CHOSEN[name]
            s = sg.paths.spectrum(loss, x, unit="blocks", model=model, blocks=chosen)
            values["chosen"] = {
                "outline": outlined(sg.paths.outline(loss, x, model, blocks=chosen)),
                "spectrum": spectrum(s),
                "moments": moments(sg.paths.moments(loss, x, unit="blocks", model=model, blocks=chosen), s),
                "census": census(sg.paths.census(loss, x, unit="blocks", model=model, blocks=chosen)),
                "participation": participation(sg.paths.participation_of(loss, x, model, blocks=chosen)),
            }
    return values


def _runs_here(case: Case) -> bool:
    return all(importlib.util.find_spec(package) for package in case.needs)


OPTIONS = (
    "residual MLP",
    "two targets",
    "nested",
    "auxiliary",
    "shared",
    "parallel experts",
    "post-activation ResNet",
    "highway",
    "dense net",
    "frozen",
    "in place",
    "latents",
    "encoder layers, evaluation",
    "GPT-2",
    "BERT",
)
SECTION: Cases = {name: lambda name=name: measured(name) for name, case in CASES.items() if _runs_here(case)} | {
    f"{name}, options": lambda name=name: with_options(name) for name in OPTIONS if _runs_here(CASES[name])
}
