"""The forces on the scales of one network in training, and what becomes of them: what `drift_runs` records."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn

from skipglass import scales
from skipglass.graph import as_found
from skipglass.paths import participation
from skipglass.training import Run as TrainingRun

__all__ = ["Watch"]


class Watch:
    """A callback that measures around the steps of one training; see `drift_runs`.

    Parameters
    ----------
    model, own
        The network, and its scales by name.
    chosen
        Which steps of each epoch to measure.
    momentum, weight_decay, nesterov
        Of the SGD that trains it.
    """

    def __init__(
        self,
        model: nn.Module,
        own: dict[str, nn.Parameter],
        chosen: Sequence[int],
        *,
        momentum: float,
        weight_decay: float,
        nesterov: bool,
    ) -> None:
        self.chosen = set(chosen)
        self.model, self.momentum, self.weight_decay, self.nesterov = model, momentum, weight_decay, nesterov
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

    def __call__(self, run: TrainingRun) -> None:
        """Be called before every step too, and keep what the latest one did."""
        if run.loss is None:
            run.optimizer.register_step_pre_hook(lambda *_: self._before_step(run))
            return
        self._after_step(run)
        if run.epoch_ends:
            self._after_epoch(run)

    def _before_step(self, run: TrainingRun) -> None:
        """Keep where the parameters are, and measure there if this step is chosen."""
        epoch, step = divmod(run.steps, len(run.batches))
        self.measured = step in self.chosen
        self.rate = run.optimizer.param_groups[0]["lr"]
        self.now = epoch + step / len(run.batches)
        self.before = [p.detach().clone() for p in (self.all if self.measured else self.own)]
        self.row = self._before(run.inputs, run.targets, self.rate) if self.measured else {}

    def _after_step(self, run: TrainingRun) -> None:
        """Keep what the step did to the scales, and measure it if this step is chosen."""
        before, rate, measured, row = self.before, self.rate, self.measured, self.row
        old = (
            [b for p, b in zip(self.all, before, strict=True) if any(p is q for q in self.own)] if measured else before
        )
        growth = self._along(old, [p.detach() - b for p, b in zip(self.own, old, strict=True)])
        decay = self._along(old, self._decay(old, rate))
        self.sums += np.stack([growth, decay])
        if measured:
            row |= {"growth": growth, "growth_decay": decay, "norm": self._along(old, old) ** 0.5}
            row |= self._after(run.inputs, run.targets, before, old, row["live_slope"])
            self.rows.append(row)
            self.when.append((self.now, rate))

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

    def _after_epoch(self, run: TrainingRun) -> None:
        """Close the sums, and split the gradient at every block."""
        x, y = run.inputs, run.targets
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
        m, parts = self.momentum, []
        for buffer, value in zip(self.buffers, old, strict=True):
            pull = self.weight_decay * value
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
