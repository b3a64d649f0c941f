"""How far Theorem 3 reaches: networks in real training, the force on each λ_l beside what becomes of it.

    python -m skipglass.paper.drift_runs results/drift/recordings driving_force second_moments gaussians digits cifar10

Cross entropy, batch statistics, momentum and weight decay are all there. At chosen steps, on the batch of that step,
the recording keeps for every layer (products are with λ_l as it was before the step; forces times the learning rate)

- the slope D_l = λ_l·∂L/∂λ_l, Theorem 3's force g_p·(g_p + g_m), and the true force, with nothing assumed;
- how D_l changes when the weights alone step by -μ∇_wL (what Theorem 3 speaks of), and over the step really taken, with
  the first order of that, (λ_l ∂²L/∂λ_l∂θ)·Δθ;
- λ_l·Δλ_l of the step really taken, the growth, and what of it is weight decay's (and its momentum's).

Over each epoch it keeps the sums of the growth and of decay's part over all steps, and ‖λ_l‖², which changes by twice
the growth plus Σ‖Δλ_l‖². SGD is linear in what drives it, so that decay's part is exact, given the path.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import nn

from skipglass import check, record
from skipglass.data import digits, gaussian_mixture
from skipglass.errors import UserError
from skipglass.models import ResidualMLP
from skipglass.paper.drift_watch import Watch
from skipglass.paper.driving_force import driving_force
from skipglass.paper.recursion import second_moments
from skipglass.scales import parameters_of
from skipglass.threads import one_thread
from skipglass.training import ResNetSettings, fit
from skipglass.training import Run as TrainingRun
from skipglass.training.batches import ImageBatches, SampleBatches
from skipglass.training.callbacks import scheduled

__all__ = ["RUNS", "STATIC", "Run", "drift_run", "seed_of"]

MEASURED = 5  # steps of each epoch


@dataclass(frozen=True)
class Run:
    """One setting; the learning rate drops as in `ResNetSettings` for images.

    Attributes
    ----------
    task
        "gaussians", "digits" (the paper's network, batch norm after the ReLU) or "cifar10" (a ResNet).
    depth, width, epochs, batch_size, learning_rate, momentum, weight_decay, subset
        Of the network and of SGD, Nesterov's for images.
    seeds
        How many networks.
    """

    task: str
    depth: int = 10
    width: float = 20
    epochs: int = 10
    batch_size: int = 50
    learning_rate: float = 0.03
    momentum: float = 0.9
    weight_decay: float = 5e-4
    subset: int = 0
    seeds: int = 5


RUNS = {
    "gaussians": Run("gaussians"),
    "gaussians-plain": Run("gaussians", momentum=0.0, weight_decay=0.0, learning_rate=0.1),
    "digits": Run("digits", epochs=20),
    "cifar10": Run("cifar10", 14, 0.5, 8, 64, 0.1, 0.9, 1e-4, 5_000, 3),
}
"""The settings that results/drift holds; "plain" is App. C's SGD."""

STATIC: dict[str, Callable[[], xr.Dataset]] = {"driving_force": driving_force, "second_moments": second_moments}
"""What needs no training: Theorems 3 and 4, Eq. 21, and Sec. 4.1."""


def drift_run(run: Run, data: Path | str | None = None, on_epoch: Callable[[int], None] | None = None) -> xr.Dataset:
    """Train the networks of one setting and record the forces on their scales.

    Parameters
    ----------
    run
        The setting.
    data
        The folder of CIFAR; None takes the environment variable SKIPGLASS_DATA.
    on_epoch
        Called with the number of epochs done, over all seeds.

    Returns
    -------
    xarray.Dataset
        By seed, measured step and layer; by seed, epoch and layer; norms of g_p and g_m by seed, epoch and block.
    """
    with one_thread():
        found = [seed_of(run, seed, data, on_epoch) for seed in range(run.seeds)]
    together = xr.concat(found, dim=xr.IndexVariable("seed", list(range(run.seeds))), join="exact")
    return together.assign_attrs(asdict(run))


def _task(
    run: Run, seed: int, data: Path | str | None
) -> tuple[nn.Module, ImageBatches | SampleBatches, Callable[[float], float]]:
    """The untrained network, the batches, and the learning rate after a fraction of the training."""
    if run.task == "cifar10":
        settings = ResNetSettings(
            "cifar10", depth=run.depth, width=run.width, epochs=run.epochs, subset=run.subset or None, seed=seed,
            learning_rate=run.learning_rate, batch_size=run.batch_size,
        )  # fmt: skip
        return settings.model(10), ImageBatches(settings.images(data), settings), settings.rate
    split = digits() if run.task == "digits" else gaussian_mixture(seed=seed)
    model = ResidualMLP(
        split.features, split.classes, depth=run.depth, width=int(run.width), normalization="batch", seeds=seed
    )
    samples = SampleBatches(split.inputs.float()[None], split.targets[None], run.batch_size, [seed])
    return model, samples, lambda progress: run.learning_rate


def seed_of(
    run: Run, seed: int, data: Path | str | None = None, on_epoch: Callable[[int], None] | None = None
) -> xr.Dataset:
    """Train one network; see `drift_run`."""
    model, batches, rate = _task(run, seed, data)
    model.train()
    images = run.task == "cifar10"
    optimizer = torch.optim.SGD(
        model.parameters(), run.learning_rate, run.momentum, weight_decay=run.weight_decay, nesterov=images
    )
    first = next(model.parameters())
    example = torch.zeros(2, 3, 32, 32) if images else torch.zeros(2, first.shape[1])
    own = parameters_of(model, example, None)
    chosen = np.linspace(0, len(batches) - 1, MEASURED).astype(int).tolist()
    watch = Watch(model, own, chosen, momentum=run.momentum, weight_decay=run.weight_decay, nesterov=images)

    def told(now: TrainingRun) -> None:
        if on_epoch is not None and now.epoch_ends:
            on_epoch(seed * run.epochs + round(now.progress))

    fit(model, batches, optimizer, [watch, told, scheduled(rate)], epochs=run.epochs)
    return watch.to_xarray()


def main(arguments: Sequence[str] | None = None) -> None:
    """Record the settings that are named, one file each; finished ones are kept."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", nargs="+", help=", ".join([*STATIC, *RUNS]))
    given = parser.parse_args(arguments)
    try:
        folder = record.output_folder(given.folder)
        for name in given.runs:
            static = STATIC.get(check.choice("a run", name, [*STATIC, *RUNS]))
            path = folder / (f"{name}.nc" if static else f"drift-{name}.nc")
            if not path.is_file():
                record.save(static() if static else drift_run(RUNS[name]), path, kind=name if static else "drift")
    except UserError as error:
        sys.exit(f"skipglass: {error}")


if __name__ == "__main__":
    main()
