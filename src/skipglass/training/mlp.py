"""Training residual MLPs: plain SGD on many seeds at once, evaluated on a fixed schedule, resumable by epoch."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor

from skipglass import check
from skipglass.models import ResidualMLP
from skipglass.scales import absorbed_norms, multipliers, weight_norms
from skipglass.threads import one_thread
from skipglass.training.batches import SampleBatches
from skipglass.training.callbacks import Recorder
from skipglass.training.checkpoint import Checkpoint
from skipglass.training.loop import Callback
from skipglass.training.settings import Settings
from skipglass.training.training import Training
from skipglass.watch.monitor import is_due
from skipglass.watch.recording import Variable, tabulate

__all__ = ["MLPs", "evaluate", "forward", "scale_norms", "total_norm", "train"]

PROBE = 2_000  # samples evaluated of the training and of the test set: a per cent of accuracy is 20 of them
SEEDS, LAYERS = ("seed",), ("seed", "layer")
VARIABLES = {
    "step": Variable("SGD steps"),
    "epoch": Variable("epochs"),
    "train_loss": Variable("training loss", "nats", SEEDS),
    "train_accuracy": Variable("training accuracy", "1", SEEDS),
    "test_loss": Variable("test loss", "nats", SEEDS),
    "test_accuracy": Variable("test accuracy", "1", SEEDS),
    "multiplier_norm": Variable("‖λ_l‖", "1", LAYERS),
    "multiplier_mean": Variable("mean of λ_l over units", "1", LAYERS),
    "multiplier_magnitude": Variable("mean of |λ_l| over units", "1", LAYERS),
    "weight_norm": Variable("‖W_l‖", "1", LAYERS),
    "absorbed_norm": Variable("‖diag(λ_l/σ_l) W_l‖", "1", LAYERS),
    "effective_depth": Variable("effective depth, median over samples", "blocks", SEEDS),
    "effective_depth_batch": Variable("effective depth of the batch", "blocks", SEEDS),
}


def train(
    settings: Settings,
    *,
    folder: Path | None = None,
    resume: bool = False,
    on_epoch: Callable[[int], None] | None = None,
) -> xr.Dataset:
    """Train one network for each seed, side by side, and record their scales.

    Evaluations come before the first step, after 1, 2, 5, 10, 20, 50, … steps of the first epoch, and after
    each epoch.

    Parameters
    ----------
    settings
        The run.
    folder
        Where to keep a checkpoint after each epoch; None keeps none.
    resume
        Go on from the checkpoint in ``folder``, to the same numbers as a run that was never stopped.
    on_epoch
        Called with the number of epochs done after each.

    Returns
    -------
    xarray.Dataset
        Losses, accuracies, λ_l and weight norms by evaluation, seed and layer.

    Raises
    ------
    Interrupted
        On Ctrl-C; the last checkpoint is kept, and the exception has the recording so far.
    StorageError
        If the checkpoint cannot be read or written.

    Examples
    --------
    >>> recording = train(Settings(experiment="digits", depth=3, epochs=2, seeds=[0]))
    >>> recording["multiplier_mean"].dims
    ('evaluation', 'seed', 'layer')
    """
    checkpoint = Checkpoint(folder, settings, resume=resume, free=("epochs",))
    with one_thread():
        training = MLPs(settings)
        training.recorder = Recorder(lambda run: training.measure(), is_due)
        # the checkpoint comes after the recorder: it keeps what the epoch ended with
        callbacks: list[Callback] = [training.recorder, checkpoint]
        if on_epoch is not None:
            callbacks.append(lambda run: run.epoch_ends and on_epoch(round(run.progress)))
        return training.record(checkpoint, callbacks)


class MLPs(Training):
    """The networks of all seeds, which do not meet.

    Parameters
    ----------
    settings
        Of the training.

    Attributes
    ----------
    inputs, targets, test_inputs, test_targets : Tensor
        (S, N, d) and (S, N).
    """

    settings: Settings
    model: ResidualMLP

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # the first axis of all tensors counts seeds, also where there is one
        splits = [settings.data(seed) for seed in settings.seeds]
        dtype = getattr(torch, settings.dtype)
        self.inputs = torch.stack([split.inputs for split in splits]).to(dtype)
        self.targets = torch.stack([split.targets for split in splits])
        self.test_inputs = torch.stack([split.test_inputs for split in splits])[:, :PROBE].to(dtype)
        self.test_targets = torch.stack([split.test_targets for split in splits])[:, :PROBE]
        least = 1 if settings.normalization == "none" else 2  # one sample has no batch statistics
        check.integer("batch_size", settings.batch_size, least, self.targets.shape[1])
        self.model = self.trained = settings.model(splits[0].features, splits[0].classes)
        self.batches = SampleBatches(self.inputs, self.targets, settings.batch_size, settings.seeds)
        self.optimizer = settings.sgd(self.model.parameters())
        self.calibrate()

    @staticmethod
    def loss_fn(logits: Tensor, targets: Tensor) -> Tensor:
        """Return the cross entropy, mean over the samples of a batch and summed over seeds: each has its gradient."""
        return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="sum") / targets.shape[-1]

    def calibrate(self) -> None:
        """Set the running statistics of the networks to those of the probe."""
        if self.settings.normalization != "none":
            probe = self.inputs[:, :PROBE]
            self.model.calibrate(probe if len(probe) > 1 else probe[0])

    def measure(self) -> dict[str, Tensor]:
        """Return losses and accuracies of each seed, (S,), and its scales, (S, p)."""
        values = {}
        for name, inputs, targets in (
            ("train", self.inputs[:, :PROBE], self.targets[:, :PROBE]),
            ("test", self.test_inputs, self.test_targets),
        ):
            values[f"{name}_loss"], values[f"{name}_accuracy"] = evaluate(self.model, inputs, targets)
        return values | scale_norms(self.model)

    def recording(self) -> xr.Dataset:
        """Return what was recorded by evaluation, seed and layer (1..p)."""
        attributes = {**self.settings.attributes(), "epochs_done": self.recorder.epochs_done}
        data = xr.Dataset(tabulate(self.recorder.rows, VARIABLES, "evaluation"), attrs=attributes)
        layers = range(1, self.settings.depth + 1)
        return data.set_coords(["step", "epoch"]).assign_coords(seed=list(self.settings.seeds), layer=layers)


def forward(model: ResidualMLP, inputs: Tensor) -> Tensor:
    """Map (S, N, d) to logits (S, N, classes), by a network with a seed axis or by one without it (S = 1)."""
    return model(inputs) if len(inputs) > 1 else model(inputs[0])[None]


def evaluate(model: ResidualMLP, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean cross entropy and the accuracy of each seed, (S,) each, in eval mode.

    Parameters
    ----------
    model
        Its mode is left as found.
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
        # (S, units) each, units = 1 for the paper's one scalar
        scales = {name: m.reshape(seeds, -1) for name, m in multipliers(model).items()}
        values["multiplier_norm"] = _by_layer({name: m.norm(dim=-1) for name, m in scales.items()})
        values["multiplier_mean"] = _by_layer({name: m.mean(dim=-1) for name, m in scales.items()})
        values["multiplier_magnitude"] = _by_layer({name: m.abs().mean(dim=-1) for name, m in scales.items()})
    return values


def total_norm(recording: xr.Dataset) -> xr.DataArray:
    """Return ‖w‖ over all layers but the head, (evaluation, seed); NaN where a network has diverged."""
    return (recording.weight_norm**2).sum("layer", skipna=False) ** 0.5


def _by_layer(values: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(values.values()), dim=-1).reshape(-1, len(values))
