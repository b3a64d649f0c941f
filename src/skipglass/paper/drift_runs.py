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
from torch import Tensor, nn
from torch.nn import functional as F

from skipglass import check, record, scales
from skipglass.data import digits, gaussian_mixture
from skipglass.errors import UserError
from skipglass.graph import as_found
from skipglass.models import ResidualMLP
from skipglass.paper.driving_force import driving_force
from skipglass.paper.recursion import second_moments
from skipglass.paths import participation
from skipglass.threads import one_thread
from skipglass.training import ResNetSettings, fit
from skipglass.training import Run as TrainingRun
from skipglass.training.batches import ImageBatches, SampleBatches
from skipglass.training.callbacks import scheduled

__all__ = ["RUNS", "STATIC", "Run", "Watch", "drift_run", "seed_of"]

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


def drift_run(run: Run, data: Path | str | None = None, on_epoch: Callable[[int], object] | None = None) -> xr.Dataset:
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
    # the seed draws data, initial weights and the order of the batches
    samples = SampleBatches(split.inputs.float()[None], split.targets[None], run.batch_size, [seed])
    return model, samples, lambda progress: run.learning_rate


def seed_of(
    run: Run, seed: int, data: Path | str | None = None, on_epoch: Callable[[int], object] | None = None
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
    # the scales whose drift is watched: batch norm's λ behind each layer
    own = scales.parameters_of(model, example, None)
    # the first step of an epoch, the last, and some between
    chosen = np.linspace(0, len(batches) - 1, MEASURED).astype(int).tolist()
    watch = Watch(model, own, chosen)

    def told(now: TrainingRun) -> None:
        if on_epoch is not None and now.epoch_ends:
            on_epoch(seed * run.epochs + round(now.progress))

    fit(model, batches, optimizer, [watch, told, scheduled(rate)], epochs=run.epochs)
    return watch.to_xarray()


class Watch:
    """A callback that measures around the steps of one training.

    Parameters
    ----------
    model, own
        The network, and its scales by name.
    chosen
        Which steps of each epoch to measure.
    """

    def __init__(self, model: nn.Module, own: dict[str, nn.Parameter], chosen: Sequence[int]) -> None:
        self.model, self.names, self.own, self.chosen = model, list(own), list(own.values()), set(chosen)
        ids = {id(p) for p in self.own}
        self.all = list(model.parameters())
        self.rest = [p for p in self.all if id(p) not in ids]
        self.buffers = [torch.zeros_like(p) for p in self.own]  # momentum of decay alone
        self.rows: list[dict[str, np.ndarray]] = []
        self.when: list[tuple[float, float]] = []
        self.sums = np.zeros((2, len(own)))
        self.epochs: list[np.ndarray] = []
        self.norms = [along(self.own, self.own)]
        self.blocks: dict[str, list[list[float]]] = {}

    def __call__(self, run: TrainingRun) -> None:
        """Be called before every step too, and keep what the latest one did."""
        if run.loss is None:
            run.optimizer.register_step_pre_hook(lambda *_: self._before_step(run))
            return
        self._after_step(run)
        if run.epoch_ends:
            self._after_epoch(run)

    def _before_step(self, run: TrainingRun) -> None:
        """Keep where the parameters are; if this step is chosen, measure the forces and what the weights do alone."""
        epoch, step = divmod(run.steps, len(run.batches))
        self.sgd = dict(run.optimizer.param_groups[0])
        self.before = {p: p.detach().clone() for p in self.all}
        self.row: dict[str, np.ndarray] = {}
        if step not in self.chosen:
            return
        # parameters and statistics are those that the step starts from, and stay so
        rate, x, y = self.sgd["lr"], run.inputs, run.targets
        self.when.append((epoch + step / len(run.batches), rate))
        theorem = scales.drift(self.model, x, y, F.cross_entropy, theorem=True)
        with as_found(self.model):
            slopes, mixed, g = scales.twice(F.cross_entropy(self.model(x), y), self.own, self.rest)
            live, force = along(self.own, slopes), along(self.own, mixed)
            # the slope where the weights alone have stepped against their gradient
            after = moved(self.rest, [-rate * part for part in g], lambda: self._slope(x, y, self.own))
        self.row = {
            "theorem_slope": theorem.slope, "theorem_force": rate * theorem.force, "live_slope": live,
            "live_force": rate * force, "push": live - after,
        }  # fmt: skip

    def _after_step(self, run: TrainingRun) -> None:
        """Keep what the step did to the scales; if it is chosen, to the slope, and what its first order says."""
        # λ before the step, to which every product below refers
        old = [self.before[p] for p in self.own]
        # λ·Δλ with the old λ: all of it, then what of it is weight decay's
        growth = along(old, [p.detach() - b for p, b in zip(self.own, old, strict=True)])
        decay = along(old, self._decay(old))
        self.sums += np.stack([growth, decay])
        if not self.row:
            return
        x, y = run.inputs, run.targets
        with as_found(self.model):
            now = self._slope(x, y, old)
            moves = [p.detach() - self.before[p] for p in self.all]

            # the first order is taken where the step began, with the new minus the old parameters
            def first_order() -> np.ndarray:
                mixed = scales.twice(F.cross_entropy(self.model(x), y), self.own, self.all, along=moves)[1]
                return along(old, mixed)

            predicted = moved(self.all, [-m for m in moves], first_order)
        self.rows.append(self.row | {
            "growth": growth, "growth_decay": decay, "norm": along(old, old) ** 0.5,
            "push_step": self.row["live_slope"] - now, "push_predicted": -predicted,
        })  # fmt: skip

    def _after_epoch(self, run: TrainingRun) -> None:
        """Close the sums, and split the gradient at every block."""
        given = self.model, run.inputs, run.targets, F.cross_entropy
        self.epochs.append(self.sums)
        self.sums = np.zeros_like(self.sums)
        self.norms.append(along(self.own, self.own))
        for block in participation(*given).blocks:
            split = scales.two_paths(*given, block=block)
            self.blocks.setdefault(block, []).append([split.norm_p, split.norm_m, split.product])

    def to_xarray(self) -> xr.Dataset:
        """Return all of it, in single precision."""
        sums, blocks = np.array(self.epochs, np.float32), np.array(list(self.blocks.values()), np.float32)
        data: dict[str, tuple] = {
            name: (("measurement", "layer"), np.array([row[name] for row in self.rows], np.float32))
            for name in self.rows[0]
        }
        data |= {name: (("epoch", "layer"), sums[:, k]) for k, name in enumerate(("epoch_growth", "epoch_decay"))}
        data["norm_squared"] = ("boundary", "layer"), np.array(self.norms, np.float32)
        data |= {name: (("block", "epoch"), blocks[..., k]) for k, name in enumerate(("norm_p", "norm_m", "product"))}
        when, rate = np.array(self.when).T
        return xr.Dataset(data, {
            "when": ("measurement", when), "rate": ("measurement", rate), "layer": self.names,
            "block": list(self.blocks), "epoch": np.arange(1, len(sums) + 1),
        })  # fmt: skip

    def _decay(self, old: Sequence[Tensor]) -> list[Tensor]:
        """The part of the step of λ that weight decay, and momentum of it, made."""
        rate, m, parts = self.sgd["lr"], self.sgd["momentum"], []
        for buffer, value in zip(self.buffers, old, strict=True):
            # SGD is linear in its gradient: decay's part has a momentum buffer of its own
            pull = self.sgd["weight_decay"] * value
            buffer.mul_(m).add_(pull)
            parts.append(-rate * (pull + m * buffer if self.sgd["nesterov"] else buffer))
        return parts

    def _slope(self, x: Tensor, y: Tensor, values: Sequence[Tensor]) -> np.ndarray:
        """Values·∂L/∂λ here."""
        return along(values, torch.autograd.grad(F.cross_entropy(self.model(x), y), self.own))


def along(values: Sequence[Tensor], rows: Sequence[Tensor]) -> np.ndarray:
    """Σ_c λ_c·row_c for each layer."""
    return np.array([float((v.detach() * r.detach()).sum()) for v, r in zip(values, rows, strict=True)])


def moved(parameters: Sequence[Tensor], moves: Sequence[Tensor], call: Callable[[], np.ndarray]) -> np.ndarray:
    """Call where parameters are moved, and put them back exactly."""
    # by copies: taking the moves back would leave rounding errors in the training
    kept = [p.detach().clone() for p in parameters]
    _set(parameters, [p + move for p, move in zip(kept, moves, strict=True)])
    try:
        return call()
    finally:
        _set(parameters, kept)


@torch.no_grad()
def _set(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for p, value in zip(parameters, values, strict=True):
        p.copy_(value)


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
