"""How far Theorem 3 reaches: networks in real training, the force on each λ_l beside what becomes of it.

    python -m skipglass.paper.drift_runs results/drift/recordings gaussians digits cifar10

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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn

from skipglass import check, record, scales
from skipglass.data import digits, gaussian_mixture
from skipglass.errors import UserError
from skipglass.models import ResidualMLP
from skipglass.paths import participation
from skipglass.paths.state import as_found
from skipglass.scales.parameters import parameters_of
from skipglass.training import ResNetSettings
from skipglass.training.batches import Batches
from skipglass.training.resnet_settings import AUGMENTATION, DROPS
from skipglass.training.threads import one_thread

__all__ = ["RUNS", "Run", "drift_run", "seed_of"]

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
) -> tuple[nn.Module, Callable[[], Iterator[tuple[Tensor, Tensor]]]]:
    """The untrained network, and what gives the batches of one epoch."""
    if run.task == "cifar10":
        settings = ResNetSettings(
            "cifar10", depth=run.depth, width=run.width, epochs=run.epochs, subset=run.subset or None, seed=seed
        )
        padding, flip = AUGMENTATION["cifar10"]
        batches = Batches(settings.images(data), run.batch_size, seed, padding=padding, flip=flip)
        return settings.model(10), batches.epoch
    split = digits() if run.task == "digits" else gaussian_mixture(seed=seed)
    inputs, targets = split.inputs.float(), split.targets
    generator = torch.Generator().manual_seed(seed)

    def epoch() -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(targets), generator=generator)
        for start in range(0, len(targets) - run.batch_size + 1, run.batch_size):
            chosen = order[start : start + run.batch_size]
            yield inputs[chosen], targets[chosen]

    width = int(run.width)
    return ResidualMLP(
        split.features, split.classes, depth=run.depth, width=width, normalization="batch", seeds=seed
    ), epoch


def seed_of(
    run: Run, seed: int, data: Path | str | None = None, on_epoch: Callable[[int], None] | None = None
) -> xr.Dataset:
    """Train one network; see `drift_run`."""
    model, batches = _task(run, seed, data)
    model.train()
    images = run.task == "cifar10"
    optimizer = torch.optim.SGD(
        model.parameters(), run.learning_rate, run.momentum, weight_decay=run.weight_decay, nesterov=images
    )
    first = next(model.parameters())
    example = torch.zeros(2, 3, 32, 32) if images else torch.zeros(2, first.shape[1])
    own = parameters_of(model, example, None)
    watch = _Watch(model, own, run, nesterov=images)
    for epoch in range(run.epochs):
        steps = list(batches())
        total = len(steps)
        chosen = set(np.linspace(0, total - 1, MEASURED).astype(int).tolist())
        for number, (x, y) in enumerate(steps):
            rate = run.learning_rate
            if images:
                rate /= 10 ** sum((epoch + number / total) / run.epochs >= drop for drop in DROPS)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            watch.step(optimizer, x, y, rate, epoch + number / total, measured=number in chosen)
        watch.end_of_epoch(x, y)
        if on_epoch is not None:
            on_epoch(seed * run.epochs + epoch + 1)
    return watch.to_xarray()


class _Watch:
    """What is kept of one training."""

    def __init__(self, model: nn.Module, own: dict[str, nn.Parameter], run: Run, *, nesterov: bool) -> None:
        self.model, self.run, self.nesterov = model, run, nesterov
        self.names, self.own = list(own), list(own.values())
        ids = {id(p) for p in self.own}
        self.all = list(model.parameters())
        self.rest = [p for p in self.all if id(p) not in ids]
        self.buffers = [torch.zeros_like(p) for p in self.own]  # momentum of decay alone
        self.rows: list[dict[str, np.ndarray]] = []
        self.when: list[tuple[float, float]] = []
        self.sums = np.zeros((2, len(own)))
        self.epochs: list[np.ndarray] = []
        self.norms = [self._along(self.own, self.own)]
        self.blocks: dict[str, list[list[float]]] = {}

    def step(
        self, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, rate: float, when: float, *, measured: bool
    ) -> None:
        """Take the optimiser's step, and measure around it if asked."""
        before = [p.detach().clone() for p in (self.all if measured else self.own)]
        row = self._before(x, y, rate) if measured else {}
        optimizer.step()
        old = (
            [b for p, b in zip(self.all, before, strict=True) if any(p is q for q in self.own)] if measured else before
        )
        growth = self._along(old, [p.detach() - b for p, b in zip(self.own, old, strict=True)])
        decay = self._along(old, self._decay(old, rate))
        self.sums += np.stack([growth, decay])
        if measured:
            row |= {"growth": growth, "growth_decay": decay, "norm": self._along(old, old) ** 0.5}
            row |= self._after(x, y, before, old, row["live_slope"])
            self.rows.append(row)
            self.when.append((when, rate))

    def _before(self, x: Tensor, y: Tensor, rate: float) -> dict[str, np.ndarray]:
        """Forces at this point, and what the weights' step alone does to the slope."""
        theorem = scales.drift(self.model, x, y, F.cross_entropy, scales=self._given(), theorem=True)
        with as_found(self.model):
            slopes, rows, g = scales.twice(F.cross_entropy(self.model(x), y), self.own, self.rest)
            live = self._along(self.own, slopes)
            force = self._along(self.own, rows)
            after = self._moved(self.rest, [-rate * part for part in g], lambda: self._slope(x, y, self.own))
        return {
            "theorem_slope": theorem.slope, "theorem_force": rate * theorem.force, "live_slope": live,
            "live_force": rate * force, "push": live - after,
        }  # fmt: skip

    def _after(
        self, x: Tensor, y: Tensor, before: Sequence[Tensor], old: Sequence[Tensor], slope: np.ndarray
    ) -> dict[str, np.ndarray]:
        """What the step really taken did to the slope along the old λ, and what its first order says."""
        with as_found(self.model):
            now = self._slope(x, y, old)
            moves = [p.detach() - b for p, b in zip(self.all, before, strict=True)]
            back = [-m for m in moves]

            def first_order() -> np.ndarray:
                rows = scales.twice(F.cross_entropy(self.model(x), y), self.own, self.all, along=moves)[1]
                return self._along(old, rows)

            predicted = self._moved(self.all, back, first_order)
        return {"push_step": slope - now, "push_predicted": -predicted}

    def end_of_epoch(self, x: Tensor, y: Tensor) -> None:
        """Close the sums, and split the gradient at every block."""
        self.epochs.append(self.sums)
        self.sums = np.zeros_like(self.sums)
        self.norms.append(self._along(self.own, self.own))
        if not self.blocks:
            self.blocks = {name: [] for name in participation(self.model, x, y, F.cross_entropy).blocks}
        for block, rows in self.blocks.items():
            split = scales.two_paths(self.model, x, y, F.cross_entropy, block=block)
            rows.append([split.norm_p, split.norm_m, split.product])

    def to_xarray(self) -> xr.Dataset:
        """Return all of it, in single precision."""
        data: dict = {
            name: (("measurement", "layer"), np.array([row[name] for row in self.rows], np.float32))
            for name in self.rows[0]
        }
        sums, blocks = np.array(self.epochs, np.float32), np.array(list(self.blocks.values()), np.float32)
        data |= {name: (("epoch", "layer"), sums[:, k]) for k, name in enumerate(("epoch_growth", "epoch_decay"))}
        data["norm_squared"] = ("boundary", "layer"), np.array(self.norms, np.float32)
        data |= {name: (("block", "epoch"), blocks[..., k]) for k, name in enumerate(("norm_p", "norm_m", "product"))}
        when, rate = np.array(self.when).T
        coordinates = {"when": ("measurement", when), "rate": ("measurement", rate)}
        return xr.Dataset(
            data, {**coordinates, "layer": self.names, "block": list(self.blocks), "epoch": np.arange(1, len(sums) + 1)}
        )

    def _given(self) -> list[str]:
        ids = {id(p): name for name, p in self.model.named_parameters()}
        return [ids[id(p)] for p in self.own]

    def _decay(self, old: Sequence[Tensor], rate: float) -> list[Tensor]:
        """The part of the step of λ that weight decay, and momentum of it, made."""
        m, parts = self.run.momentum, []
        for buffer, value in zip(self.buffers, old, strict=True):
            pull = self.run.weight_decay * value
            buffer.mul_(m).add_(pull)
            parts.append(-rate * (pull + m * buffer if self.nesterov else buffer))
        return parts

    def _slope(self, x: Tensor, y: Tensor, values: Sequence[Tensor]) -> np.ndarray:
        """Values·∂L/∂λ here."""
        return self._along(values, torch.autograd.grad(F.cross_entropy(self.model(x), y), self.own))

    def _moved(
        self, parameters: Sequence[Tensor], moves: Sequence[Tensor], call: Callable[[], np.ndarray]
    ) -> np.ndarray:
        """Call where parameters are moved, and put them back exactly."""
        kept = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for p, move in zip(parameters, moves, strict=True):
                p.add_(move)
        try:
            return call()
        finally:
            with torch.no_grad():
                for p, value in zip(parameters, kept, strict=True):
                    p.copy_(value)

    @staticmethod
    def _along(values: Sequence[Tensor], rows: Sequence[Tensor]) -> np.ndarray:
        """Σ_c λ_c·row_c for each layer."""
        return np.array([float((v.detach() * r.detach()).sum()) for v, r in zip(values, rows, strict=True)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Record the settings that are named, one file each; finished ones are kept."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", nargs="+", help=", ".join(RUNS))
    given = parser.parse_args(arguments)
    try:
        folder = record.output_folder(given.folder)
        for name in given.runs:
            path = folder / f"drift-{check.choice('a run', name, RUNS)}.nc"
            if not path.is_file():
                record.save(drift_run(RUNS[name]), path, kind="drift")
    except UserError as error:
        sys.exit(f"skipglass: {error}")


if __name__ == "__main__":
    main()
