"""What is recorded at each evaluation, and the labelled result it becomes."""

import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor

from skipglass.models import ResidualMLP
from skipglass.scales import absorbed_norms, multipliers, weight_norms
from skipglass.training.settings import Settings

__all__ = ["Recording", "evaluate", "forward", "scale_norms", "total_norm"]

LABELS = {
    "train_loss": ("training loss", "nats"),
    "train_accuracy": ("training accuracy", "1"),
    "test_loss": ("test loss", "nats"),
    "test_accuracy": ("test accuracy", "1"),
    "multiplier_norm": ("‖λ_l‖", "1"),
    "multiplier_mean": ("mean of λ_l over units", "1"),
    "multiplier_magnitude": ("mean of |λ_l| over units", "1"),
    "weight_norm": ("‖W_l‖", "1"),
    "absorbed_norm": ("‖diag(λ_l/σ_l) W_l‖", "1"),
    "effective_depth": ("effective depth, median over samples", "blocks"),
    "effective_depth_batch": ("effective depth of the batch", "blocks"),
}


def forward(model: ResidualMLP, inputs: Tensor) -> Tensor:
    """Map (S, N, d) to logits (S, N, classes), by a network with a seed axis or by one without it (S = 1)."""
    return model(inputs) if len(inputs) > 1 else model(inputs[0])[None]


def evaluate(model: ResidualMLP, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean cross entropy and the accuracy of each seed, (S,) each, in eval mode.

    Parameters
    ----------
    model
        With seeds; its mode is left as found.
    inputs, targets
        (S, N, d) and (S, N).

    Returns
    -------
    tuple of Tensor
        Loss in nats and accuracy.
    """
    training = model.training
    with torch.no_grad():
        logits = forward(model.eval(), inputs)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)
    model.train(training)
    return loss.mean(-1), (logits.argmax(-1) == targets).to(loss.dtype).mean(-1)


def scale_norms(model: ResidualMLP) -> dict[str, Tensor]:
    """Return λ_l's norm, mean and mean magnitude, and the weights' norms, (S, p) each."""
    values = {"weight_norm": _by_layer(weight_norms(model))}
    if model.layers[0].normalization != "none":
        values["absorbed_norm"] = _by_layer(absorbed_norms(model))
        seeds = len(values["weight_norm"])
        scales = {name: m.reshape(seeds, -1) for name, m in multipliers(model).items()}
        values["multiplier_norm"] = _by_layer({name: m.norm(dim=-1) for name, m in scales.items()})
        values["multiplier_mean"] = _by_layer({name: m.mean(dim=-1) for name, m in scales.items()})
        values["multiplier_magnitude"] = _by_layer({name: m.abs().mean(dim=-1) for name, m in scales.items()})
    return values


def total_norm(recording: xr.Dataset) -> xr.DataArray:
    """Return ‖w‖ over all layers but the head, (evaluation, seed); NaN where a network has diverged."""
    return (recording.weight_norm**2).sum("layer", skipna=False) ** 0.5


class Recording:
    """The evaluations of one run: a step, an epoch and named values each."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, dict[str, Tensor]]] = []

    def add(self, step: int, epoch: float, values: dict[str, Tensor]) -> None:
        """Append one evaluation, whole or (on Ctrl-C) not at all."""
        row = (step, epoch, {name: value.detach().double().clone() for name, value in values.items()})
        self.rows.append(row)

    def state_dict(self) -> dict[str, object]:
        """Return plain tuples and tensors, for a checkpoint."""
        return {"rows": list(self.rows)}

    def load_state_dict(self, state: dict) -> None:
        """Take the evaluations of a checkpoint."""
        self.rows = list(state["rows"])

    def to_xarray(self, settings: Settings, *, epochs_done: int) -> xr.Dataset:
        """Return the recording by evaluation, seed and layer.

        Parameters
        ----------
        settings
            Of the run; they become attributes.
        epochs_done
            How many epochs were completed.

        Returns
        -------
        xarray.Dataset
            With coordinates step, epoch, seed and layer (1..p).
        """
        variables = {}
        rows = list(self.rows)
        for name in rows[0][2] if rows else ():
            value = torch.stack([values[name] for _, _, values in rows])
            dims = ("evaluation", "seed", "layer")[: value.ndim]
            long_name, units = LABELS[name]
            variables[name] = (dims, value.numpy(), {"long_name": long_name, "units": units})
        return xr.Dataset(
            variables,
            coords={
                "step": ("evaluation", [step for step, _, _ in rows], {"long_name": "SGD steps"}),
                "epoch": ("evaluation", [epoch for _, epoch, _ in rows], {"long_name": "epochs"}),
                "seed": list(settings.seeds),
                "layer": range(1, settings.depth + 1),
            },
            attrs={**settings.attributes(), "epochs_done": epochs_done},
        )


def _by_layer(values: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(values.values()), dim=-1).reshape(-1, len(values))
