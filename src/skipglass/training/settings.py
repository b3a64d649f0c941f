"""What one training is: the task, the network, the optimiser, the seeds.

This file, `resnet_settings` and `grid` import no torch, as the command line reads its options from them.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from typing import TYPE_CHECKING, Any

from skipglass import check
from skipglass.errors import InputError
from skipglass.training.option import documented, option, validate

if TYPE_CHECKING:  # they load torch
    import torch

    from skipglass.data import Split
    from skipglass.models import ResidualMLP

__all__ = ["DATA", "EXPERIMENTS", "MACHINE", "NETWORK", "SEED", "TRAINING", "Settings", "TrainingSettings"]

EXPERIMENTS = ("gaussians", "digits")
DATA, NETWORK, TRAINING, MACHINE = "Data", "Network", "Training", "Machine"  # the headings on the command line
SEED: dict[str, Any] = {"minimum": 0, "maximum": 2**63 - 1}  # what torch takes


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What every training has: SGD with momentum and weight decay, on batches of samples, for some epochs."""

    epochs: int = option(..., "Passes over the training set.", TRAINING, minimum=1)
    batch_size: int = option(..., "Samples in each step, over all processes.", TRAINING, minimum=1)
    learning_rate: float = option(0.1, "Learning rate of SGD.", TRAINING, minimum=0, above=True)
    momentum: float = option(0.0, "Momentum of SGD; 0 is plain SGD.", TRAINING, minimum=0)
    weight_decay: float = option(0.0, "Weight decay on every parameter.", TRAINING, minimum=0)

    def __post_init__(self) -> None:
        validate(self)

    def sgd(self, parameters: Any, *, nesterov: bool = False) -> "torch.optim.SGD":
        """Return the optimiser of parameters, or of groups of them that have their own weight decay."""
        import torch

        rates: dict[str, Any] = {"lr": self.learning_rate, "momentum": self.momentum, "weight_decay": self.weight_decay}
        return torch.optim.SGD(parameters, **rates, nesterov=nesterov and self.momentum > 0, fused=True)

    def attributes(self) -> dict[str, object]:
        """Return the settings as netCDF attributes: switches as 0 and 1, None as the word."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, tuple):
        return list(value)
    return "none" if value is None else value


@documented
@dataclass(frozen=True)
class Settings(TrainingSettings):
    """One training of a residual MLP, for one or more seeds that train side by side.

    The defaults are those of App. C: ten layers of 20 units, batches of 50 samples, plain SGD. It leaves the learning
    rate and the distance of the Gaussians open.

    Raises
    ------
    InputError
        If a value is out of range, a name is unknown, or no seed is given.
    """

    experiment: str = option("gaussians", "The task to train on.", DATA, choices=EXPERIMENTS, flag=None)
    depth: int = option(10, "Number of weight layers.", NETWORK, minimum=1)
    width: int = option(20, "Units in each layer.", NETWORK, minimum=1)
    normalization: str = option(
        "batch", 'Normalisation of each layer; "paper" is that of Eq. 22.', NETWORK, choices=("none", "batch", "paper")
    )
    placement: str = option("after", "Normalise before or after the ReLU.", NETWORK, choices=("before", "after"))
    scale: float | None = option(
        None, "Standard deviation of the initial weights (default: 1/√fan_in).", NETWORK, minimum=0, above=True
    )
    _: KW_ONLY
    batch_size: int = 50
    epochs: int = 30
    classes: int = option(10, "Number of Gaussians: 10 in App. C, 50 in the caption of Fig. 1.", DATA, minimum=2)
    separation: float = option(
        4.0, "Distance of the class centres of the Gaussians, in standard deviations of a class.", DATA,
        minimum=0, maximum=1e6,
    )  # fmt: skip
    seeds: Sequence[int] = option(
        (0, 1, 2), "Seeds; each draws its own data (Gaussians), initial weights and order of samples.", TRAINING, **SEED
    )
    dtype: str = option("float32", "Floating-point precision.", MACHINE, choices=("float32", "float64"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.experiment == "digits" and self.classes != 10:
            raise InputError(f"classes is {self.classes}, but there are 10 digits: leave it out, or train gaussians")
        weights = 4 * len(self.seeds) * (self.depth - 1) * self.width**2
        check.memory("the weights", weights, "take less width or depth, or fewer seeds")

    def data(self, seed: int) -> "Split":
        """Return the samples of one seed; the digits are the same for all."""
        from skipglass.data import digits, gaussian_mixture

        if self.experiment == "digits":
            return digits()
        return gaussian_mixture(classes=self.classes, separation=self.separation, seed=seed)

    def model(self, features: int, classes: int) -> "ResidualMLP":
        """Return the untrained networks along a leading axis, which one seed alone does without: it is faster."""
        import torch

        from skipglass.models import ResidualMLP

        names = ("depth", "width", "normalization", "placement", "scale")
        seeds = self.seeds if len(self.seeds) > 1 else self.seeds[0]
        given = {name: getattr(self, name) for name in names}
        return ResidualMLP(features, classes, seeds=seeds, dtype=getattr(torch, self.dtype), **given)
