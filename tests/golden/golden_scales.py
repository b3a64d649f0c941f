"""The scales: multipliers, norms, what takes up which batch norm, the forces on them, two paths."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from golden_networks import NETWORKS, SCALED, batch, made
from quiet import prepared
from torch import Tensor, nn

import skipglass as sg
from golden import Cases, near, schema

TOLERANCE = 1e-12


class Explicit(nn.Module):
    """A scalar scale without batch norm, as in SkipInit, and a nonlinearity that is not piecewise linear."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.branch, self.head = nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.scale = nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.head(h + self.scale * torch.tanh(self.branch(h)))


def attempted(measure: Callable[[], Any]) -> Any:
    """What it gives, or the kind of its error where there is nothing to measure."""
    try:
        return measure()
    except sg.errors.InputError:
        return "InputError"


def by_name(values: Any) -> Any:
    """Tensors by name, the order of the names with them."""
    return values if isinstance(values, str) else {"names": list(values), "values": list(values.values())}


def norms(name: str) -> dict[str, Any]:
    model, x = SCALED[name]()
    pairs = sg.scales.pairs(model, x)
    absorbed = sg.scales.absorb(model, x)
    with torch.no_grad():
        outputs = absorbed(x)
    guessed = attempted(lambda: sg.scales.pairs(model))
    return {
        "multipliers": by_name(attempted(lambda: sg.scales.multipliers(model, x))),
        "weight_norms": by_name(sg.scales.weight_norms(model, x)),
        "absorbed_norms": by_name(sg.scales.absorbed_norms(model, x)),
        "from pairs": by_name(sg.scales.absorbed_norms(model, pairs)),
        "pairs": about(pairs),
        "without inputs": guessed if isinstance(guessed, str) else about(guessed),
        "outputs": getattr(outputs, "logits", outputs),
        "norms of the absorbed": by_name(sg.scales.weight_norms(absorbed, x)),
        "state": {key: float(t.double().abs().sum()) for key, t in absorbed.state_dict().items()},
        "wording": {"printed": str(pairs), "left": pairs.left},
    }


def about(pairs: Any) -> dict[str, Any]:
    return {
        "weights": list(pairs.weights.items()),
        "norms": {key: dataclasses.asdict(norm) for key, norm in pairs.norms.items()},
        "absorptions": [dataclasses.asdict(a) for a in pairs.absorptions],
        "left": list(pairs.left),
    }


def layers() -> dict[str, Any]:
    """A residual MLP answers without a graph."""
    values = {}
    for normalization in ("none", "batch", "paper"):
        for seeds in (0, (0, 3)):
            model = sg.models.ResidualMLP(
                5, 3, depth=3, width=6, normalization=normalization, seeds=seeds, dtype=torch.float64
            )
            x = batch(9, 5)[0]
            model.calibrate(x)
            with torch.no_grad():
                outputs = attempted(lambda model=model, x=x: sg.scales.absorb(model)(x))
            values[f"{normalization} {seeds}"] = {
                "multipliers": by_name(attempted(lambda model=model: sg.scales.multipliers(model))),
                "weight_norms": by_name(sg.scales.weight_norms(model)),
                "absorbed_norms": by_name(sg.scales.absorbed_norms(model)),
                "outputs": outputs,
            }
    return values


def force(d: Any) -> dict[str, Any]:
    """All numbers of a drift; slopes and forces are inner products whose terms cancel."""
    size = float(np.abs(d.slope).max()) + d.gradient * float(d.norm.max())
    forces = float(np.abs(d.force).max()) + d.gradient**2
    return {
        "scales": d.scales,
        "norm": d.norm,
        "slope": near(d.slope, size),
        "force": near(d.force, forces),
        "gradient": d.gradient,
        "loss": d.loss,
        "theorem": d.theorem,
    }


def drifts(name: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    wording = {}
    for mode, training in (("train", True), ("eval", False)):
        model, x, y = made(name, training)
        for theorem in (False, True):
            for scales in (None, "C"):
                found = attempted(
                    lambda model=model, x=x, y=y, scales=scales, theorem=theorem: sg.scales.drift(
                        model, x, y, F.cross_entropy, scales=scales, theorem=theorem
                    )
                )
                case = f"{mode}, theorem {theorem}, {scales}"
                values[case] = found if isinstance(found, str) else force(found)
                if not isinstance(found, str) and not scales:
                    head, *_, loss = str(found).splitlines()[: len(found.scales) + 2]
                    wording[case] = {"printed": [head, loss], "repr": repr(found), "xarray": schema(found.to_xarray())}
    return values | {"wording": wording}


def drift_of_a_parameter() -> dict[str, Any]:
    model = Explicit().double()
    x, y = batch(7, 5)
    values = {
        f"theorem {theorem}": force(sg.scales.drift(model, x, y, F.cross_entropy, scales=["scale"], theorem=theorem))
        for theorem in (False, True)
    }
    model, x, y = made("post-activation")
    pairs = sg.scales.pairs(model, x)
    values["from pairs"] = force(sg.scales.drift(model, x, y, F.cross_entropy, scales=pairs))
    return values


def two_paths(name: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    wording = {}
    for mode, training in (("train", True), ("eval", False)):
        model, x, y = made(name, training)
        for block in sg.paths.participation(model, x, y).blocks[:3]:
            found = sg.scales.two_paths(model, x, y, F.cross_entropy, block=block)
            size = (found.norm_p + found.norm_m) ** 2
            numbers = ("slope", "product", "skipped", "unskipped")
            values[f"{mode}, {block}"] = {
                "block": found.block,
                "norms": [found.norm_p, found.norm_m],
                **{number: near(getattr(found, number), max(size, 1.0)) for number in numbers},
                "curvature": near(found.curvature, max(size, 1.0)),
                "g_p": [float(g.norm()) for g in found.g_p.values()],
                "g_m": [float(g.norm()) for g in found.g_m.values()],
                "names": [list(found.g_p), list(found.g_m)],
            }
            wording[f"{mode}, {block}"] = {"printed": str(found), "xarray": schema(found.to_xarray())}
    return values | {"wording": wording}


def twice() -> dict[str, Any]:
    """The rows that a drift is made of, for every scale at once."""
    model, x, y = made("MLP with batch norm")
    scales = [p for name, p in model.named_parameters() if name.endswith("multiplier")]
    weights = [p for name, p in model.named_parameters() if not name.endswith("multiplier")]
    rows = sg.scales.twice(F.cross_entropy(model(x), y), scales, weights)
    return {
        "rows": [[float(t.detach().norm()) for t in row] for row in rows],
        "inner": sg.scales.inner(weights, weights),
    }


DRIFTING = ("MLP", "MLP with batch norm", "MLP of the paper", "post-activation", "pre-activation", "dense net")
SECTION: Cases = (
    {f"norms of {name}": prepared(lambda name=name: norms(name)) for name in SCALED}
    | {f"drift of {name}": prepared(lambda name=name: drifts(name)) for name in DRIFTING}
    | {f"two paths of {name}": prepared(lambda name=name: two_paths(name)) for name in NETWORKS if name != "dense net"}
    | {"layers": prepared(layers), "drift of a parameter": prepared(drift_of_a_parameter), "twice": prepared(twice)}
)


def tolerance(_name: str) -> float:
    """The same for all."""
    return TOLERANCE
