"""What one training of a CIFAR ResNet is: the images, the network, the recipe of docs/mathematics.md §7."""

import math
import os
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from skipglass import check
from skipglass.errors import InputError
from skipglass.training.option import documented, option
from skipglass.training.settings import DATA, MACHINE, NETWORK, SEED, TRAINING, TrainingSettings

if TYPE_CHECKING:  # they load torch
    from skipglass.data import Images
    from skipglass.models import CifarResNet

__all__ = ["AUGMENTATION", "DATASETS", "DROPS", "INTERVENTIONS", "PRECISIONS", "ResNetSettings"]

DATASETS = ("cifar10", "cifar100", "digits")
PRECISIONS = {"float32": "float32", "bfloat16": "float32", "float64": "float64"}
"""Name → type of the weights and their updates; under "bfloat16" the network computes by autocast."""

DROPS = (81 / 164, 122 / 164)
"""Fractions of the training after which the learning rate is divided by 10: epochs 81 and 122 of 164."""

AUGMENTATION = {"cifar10": (4, True), "cifar100": (4, True), "digits": (1, False)}
"""Pixels of padding before the crop, and whether to flip: a mirrored digit is another sign or none."""

INTERVENTIONS = ("none", "scales_one", "weights_held", "both_held", "rate_zero", "random_labels")
"""What may be changed on purpose: λ kept at 1, the norms of convolutions kept at their start, or both; a learning rate
of 0, so that only running statistics move; labels that are shuffled once, so that there is nothing to generalise."""

FOLDER = "SKIPGLASS_DATA"


@documented
@dataclass(frozen=True)
class ResNetSettings(TrainingSettings):
    """One training of one residual network on images.

    Raises
    ------
    InputError
        If a value is out of range or a name is unknown.
    """

    dataset: str = option("digits", "The images to train on.", DATA, choices=DATASETS, flag=None)
    depth: int = option(32, "Number of weight layers, 6n + 2.", NETWORK, minimum=1)
    width: float = option(1.0, "Multiplies the channels 16, 32 and 64.", NETWORK, minimum=0, above=True)
    preactivation: bool = option(False, "Normalise before each convolution, not after it.", NETWORK)
    normalized: bool = option(True, "Give the network batch norms.", NETWORK, flag=None)
    _: KW_ONLY
    epochs: int = 164
    batch_size: int = 128
    learning_rate: float = option(0.1, "Learning rate of SGD; it is divided by 10 twice.", TRAINING)
    momentum: float = option(0.9, "Nesterov momentum of SGD; 0 is plain SGD.", TRAINING)
    weight_decay: float = 1e-4
    decay_scales: bool = option(
        True, "Apply weight decay to the batch-norm scales too.", TRAINING, flag="--no-scale-decay",
        flag_help="Exclude batch-norm scales from weight decay.",
    )  # fmt: skip
    intervention: str = option(
        "none", "Change one thing to see what follows: keep the scales at 1, the norms of convolutions, or both; a "
        "learning rate of 0; shuffled labels.", TRAINING, choices=INTERVENTIONS,
    )  # fmt: skip
    subset: int | None = option(None, "Train on this many images, drawn by the seed (default: all).", DATA, minimum=1)
    seed: int = option(
        0, "Seed of the initial weights, the subset, the order of images and their augmentation.", TRAINING, **SEED
    )
    precision: str = option(
        "float32", "Floating-point precision; bfloat16 is mixed with float32.", MACHINE, choices=tuple(PRECISIONS)
    )
    compiled: bool = option(False, "Run the network through torch.compile.", MACHINE, flag="--compile")
    channels_last: bool = option(
        True, "Keep the channels of images innermost: faster on CPUs, and in bfloat16 on GPUs.", MACHINE, flag=None
    )
    every: int = option(
        100, "Steps between two measurements of the probe; the first steps have more.", TRAINING, minimum=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        channels = math.ceil(16 * self.width)  # 2n convolutions each of 1, 2 and 4 times as many: 21 squares
        check.memory("the weights", 4 * 9 * 21 * channels**2 * (self.depth // 3), "take less width or depth")
        self.model(2)  # its own checks of depth and width, before any data are read

    @property
    def drop_epochs(self) -> tuple[float, ...]:
        """The epochs, not always whole, after which the learning rate drops."""
        return tuple(fraction * self.epochs for fraction in DROPS)

    def rate(self, progress: float) -> float:
        """Return the learning rate after a fraction of the training, in [0, 1]."""
        if self.intervention == "rate_zero":
            return 0.0
        return self.learning_rate / 10 ** sum(progress >= fraction for fraction in DROPS)

    def images(self, folder: Path | str | None = None) -> "Images":
        """Read the images.

        Parameters
        ----------
        folder
            Holds the CIFAR files; None takes the environment variable SKIPGLASS_DATA.

        Returns
        -------
        Images
            The training images (or the subset), with shuffled labels where the intervention says so, and all test
            images.

        Raises
        ------
        InputError
            If CIFAR is asked for and no folder named, or the subset is larger than the set.
        """
        from skipglass.data import cifar, digit_images

        folder = folder or os.environ.get(FOLDER)
        if self.dataset != "digits" and not folder:
            raise InputError(
                f"{self.dataset} needs its files: name their folder (--data FOLDER, or the environment variable "
                f"{FOLDER}), or run skipglass train {self.dataset} --download first"
            )
        images = digit_images() if self.dataset == "digits" else cifar(self.dataset, str(folder))
        if self.subset is not None:
            check.integer("subset", self.subset, 1, len(images.targets))
            images = images.subset(self.subset, self.seed)
        return images.shuffled(1000 + self.seed) if self.intervention == "random_labels" else images

    def model(self, classes: int) -> "CifarResNet":
        """Return the untrained network."""
        from skipglass.models import CifarResNet

        given = {name: getattr(self, name) for name in ("width", "preactivation", "normalized", "seed")}
        return CifarResNet(self.depth, classes=classes, **given)
