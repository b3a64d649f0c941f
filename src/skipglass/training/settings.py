"""What one training run is: the task, the network, the optimiser, the seeds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from skipglass import check
from skipglass.data import MAX_SEPARATION, Split, digits, gaussian_mixture
from skipglass.errors import InputError
from skipglass.models import NORMALIZATIONS, PLACEMENTS, ResidualMLP

__all__ = ["DTYPES", "EXPERIMENTS", "Settings"]

EXPERIMENTS = ("gaussians", "digits")
DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Settings:
    """One training run of a residual MLP, for one or more seeds that train side by side.

    Parameters
    ----------
    experiment
        "gaussians" (App. C) or "digits".
    depth, width, normalization, placement, scale
        Of the `ResidualMLP`; App. C's ten layers of 20 units by default.
    learning_rate, momentum, weight_decay, batch_size
        Of SGD; batch 50 by App. C. The learning rate is left open there. Momentum and decay are 0: App. C
        says plain SGD.
    epochs
        Passes over the training set.
    separation
        Of the Gaussians (`gaussian_mixture`), left open by the paper.
    seeds
        Each seeds its own data (gaussians), initial weights and order of samples.
    dtype
        "float32" or "float64".

    Raises
    ------
    InputError
        If a value is out of range, a name is unknown, or no seed is given.
    """

    experiment: str = "gaussians"
    depth: int = 10
    width: int = 20
    normalization: str = "batch"
    placement: str = "after"
    scale: float | None = None
    learning_rate: float = 0.1
    momentum: float = 0.0
    weight_decay: float = 0.0
    batch_size: int = 50
    epochs: int = 30
    separation: float = 4.0
    seeds: Sequence[int] = (0, 1, 2)
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check.choice("experiment", self.experiment, EXPERIMENTS)
        check.choice("normalization", self.normalization, NORMALIZATIONS)
        check.choice("placement", self.placement, PLACEMENTS)
        check.choice("dtype", self.dtype, DTYPES)
        for name in ("depth", "width", "batch_size", "epochs"):
            self._set(name, check.integer(name, getattr(self, name), 1))
        self._set("learning_rate", check.real("learning_rate", self.learning_rate, 0.0, above=True))
        for name in ("momentum", "weight_decay"):
            self._set(name, check.real(name, getattr(self, name), 0.0))
        self._set("separation", check.real("separation", self.separation, 0.0, MAX_SEPARATION))
        if self.scale is not None:
            self._set("scale", check.real("scale", self.scale, 0.0, above=True))
        seeds = check.seeds(self.seeds)
        if len(set(seeds)) != len(seeds):
            raise InputError(f"seeds must differ, found {list(seeds)}")
        self._set("seeds", seeds)
        weights = 4 * len(seeds) * (self.depth - 1) * self.width**2
        check.memory("the weights", weights, "take less width or depth, or fewer seeds")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def data(self, seed: int) -> Split:
        """Return the samples of one seed: the digits are the same for all."""
        if self.experiment == "digits":
            return digits()
        return gaussian_mixture(separation=self.separation, seed=seed)

    def model(self, features: int, classes: int) -> ResidualMLP:
        """Return the untrained networks along a leading axis, which one seed alone does without: it is faster."""
        return ResidualMLP(
            features,
            classes,
            depth=self.depth,
            width=self.width,
            normalization=self.normalization,
            placement=self.placement,
            scale=self.scale,
            seeds=self.seeds if len(self.seeds) > 1 else self.seeds[0],
            dtype=DTYPES[self.dtype],
        )

    def attributes(self) -> dict[str, object]:
        """Return the settings as netCDF attributes; None becomes the word."""
        plain = {name: "none" if value is None else value for name, value in asdict(self).items()}
        return {**plain, "seeds": list(self.seeds)}
