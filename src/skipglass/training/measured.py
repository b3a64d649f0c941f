"""A run of small networks that is measured between epochs: scales, and the effective depth of each seed's network."""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from skipglass.models import ResidualMLP
from skipglass.paths import spectrum
from skipglass.training.loop import Run
from skipglass.training.recording import forward

__all__ = ["MeasuredRun", "effective_depths"]

SAMPLES = 64  # training samples whose gradients are split: our choice


class MeasuredRun(Run):
    """A `Run` whose evaluations come before the first step and after each epoch, and hold the effective depth.

    Its running statistics are those of the probe at every evaluation, so that nothing lags behind the weights.
    """

    def evaluate(self, step: int, epoch: float) -> None:
        """Record losses, accuracies, scales and depths; nothing within an epoch."""
        if epoch != int(epoch):
            return
        self.calibrate()
        super().evaluate(step, epoch)
        values = self.recording.rows[-1][2]
        alive = values["train_loss"].isfinite()
        median, batch = effective_depths(self.model, self.inputs[:, :SAMPLES], self.targets[:, :SAMPLES], alive)
        values |= {"effective_depth": torch.from_numpy(median), "effective_depth_batch": torch.from_numpy(batch)}


def effective_depths(
    model: ResidualMLP, inputs: Tensor, targets: Tensor, alive: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Return the effective depth in blocks of every seed's network, from one walk over all of them.

    The networks do not meet: the gradient of the summed loss at sample n of seed s is that of its own loss, and the
    spectrum of x = (S, N, d) along its first two dimensions splits each on its own.

    Parameters
    ----------
    model
        With a seed axis, or one network without; it is left as found. Measured is a copy, in float64 and eval mode.
    inputs, targets
        (S, N, d) and (S, N).
    alive
        (S,) which networks have not diverged.

    Returns
    -------
    tuple of ndarray
        The median over samples and that of the batch's gradient, (S,) each; NaN for a diverged network.
    """
    if not alive.any():
        return np.full(len(alive), np.nan), np.full(len(alive), np.nan)
    network = copy.deepcopy(model).double().eval()
    if not alive.all():
        with torch.no_grad():  # a network of zeros has no gradient, and no share in the others' certificate
            for tensor in (*network.parameters(), *network.buffers()):
                tensor[~alive] = 0.0
    x = inputs.detach().double().requires_grad_()
    loss = F.cross_entropy(forward(network, x).flatten(0, 1), targets.flatten(), reduction="sum")
    depth = spectrum(loss, x, "blocks", per="token").effective_depth_per_sample
    weight = torch.autograd.grad(loss, x)[0].square().sum(-1).numpy()
    median, batch = (np.full(len(alive), np.nan) for _ in range(2))
    for seed in np.flatnonzero(weight.sum(-1) > 0):
        there = weight[seed] > 0
        median[seed] = np.median(depth[seed, there])
        batch[seed] = np.average(depth[seed, there], weights=weight[seed, there])
    return median, batch
