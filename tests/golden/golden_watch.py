"""What a monitor records during a few steps of training, in each of its modes."""

from typing import Any

import torch
import torch.nn.functional as F
from golden_networks import batch, made
from quiet import prepared

import skipglass as sg
from golden import Cases, dataset, schema

TOLERANCE = 1e-10  # steps of SGD carry rounding on
ROUNDING = ("error",)
WORDS = ("notes",)
MODES = ("frozen", "eval", "train")


def watched(name: str, mode: str, unit: str) -> dict[str, Any]:
    """Six steps, each observed every third."""
    model, x, y = made(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
    inputs, targets = batch(12, *x.shape[1:], seed=7)
    monitor = sg.Monitor(model, probe=(x, y), loss_fn=F.cross_entropy, every=3, spectrum_every=3, mode=mode, unit=unit)
    evaluated = []
    for step in range(6):
        given = inputs[step * 2 : step * 2 + 6].requires_grad_(step % 3 == 0)
        loss = F.cross_entropy(model(given), targets[step * 2 : step * 2 + 6])
        if step % 3 == 0:
            monitor.observe(loss, given)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        evaluated.append(monitor.step())
        inputs = inputs.detach()
    data = monitor.recording.to_xarray()
    return {
        "evaluated": evaluated,
        "recording": dataset(data, leave=ROUNDING + WORDS),
        "parameters": [float(p.detach().norm()) for p in model.parameters()],
        "training": model.training,
        "wording": {"xarray": schema(data), "repr": repr(monitor), "notes": data.attrs["notes"]},
    }


def schedule() -> dict[str, Any]:
    """When a monitor evaluates, and that a state goes on from where it was."""
    model, x, y = made("MLP with batch norm")
    steps = {}
    for every in (1, 4, 100):
        monitor = sg.Monitor(model, probe=(x, y), every=every, spectrum_every=0)
        steps[str(every)] = [k for k in range(1, 121) if monitor.step()]
    state = monitor.state_dict()
    again = sg.Monitor(model, probe=(x, y), every=100, spectrum_every=0)
    again.load_state_dict(state)
    resumed = [k for k in range(121, 301) if again.step()]
    return {"steps": steps, "resumed": resumed, "recorded": again.recording.to_xarray().step.values}


NAMES = ("MLP", "MLP with batch norm", "post-activation", "pre-activation", "without batch norm")
SECTION: Cases = {
    f"{name}, {mode}, {unit}": prepared(lambda name=name, mode=mode, unit=unit: watched(name, mode, unit))
    for name in NAMES
    for mode in MODES
    for unit in ("blocks", "weights")
    if unit == "blocks" or name == "MLP with batch norm"
} | {"schedule": prepared(schedule)}


def tolerance(_name: str) -> float:
    """The same for all."""
    return TOLERANCE
