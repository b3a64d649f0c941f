"""What a training run of a CIFAR ResNet is made of: the images, the network, the recipe of docs/mathematics.md §7."""

import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from skipglass import check
from skipglass.data import Images, cifar, digit_images
from skipglass.errors import InputError
from skipglass.models import CifarResNet

__all__ = ["AUGMENTATION", "DATASETS", "DROPS", "PRECISIONS", "ResNetSettings"]

DATASETS = ("cifar10", "cifar100", "digits")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.float32, "float64": torch.float64}
"""Name → dtype of the weights and their updates; under "bfloat16" the network computes by autocast."""

DROPS = (81 / 164, 122 / 164)
"""Fractions of the training after which the learning rate is divided by 10: epochs 81 and 122 of 164."""

AUGMENTATION = {"cifar10": (4, True), "cifar100": (4, True), "digits": (1, False)}
"""Pixels of padding before the crop, and whether to flip: a mirrored digit is another sign or none."""

FOLDER = "SKIPGLASS_DATA"


@dataclass(frozen=True)
class ResNetSettings:
    """One training run of one residual network on images.

    Parameters
    ----------
    dataset
        "cifar10", "cifar100", or "digits", 8x8 images that need no files.
    depth, width, preactivation, normalized
        Of the `CifarResNet`.
    epochs
        Passes over the training images; the schedule compresses in proportion.
    batch_size
        Images a step, over all processes.
    learning_rate
        Until the first of `DROPS`.
    momentum
        Nesterov's; 0 is plain SGD.
    weight_decay
        On every parameter (fb.resnet.torch).
    decay_scales
        Whether it acts on the multipliers λ of the batch norms too.
    subset
        Train on so many images only, drawn by the seed; None takes all.
    seed
        Of the initial weights, the subset, the order of images and the augmentation.
    precision
        "float32", "bfloat16" (mixed) or "float64".
    compiled
        Run the network through torch.compile.
    channels_last
        Keep images with their channels innermost, which convolutions on a CPU, and bfloat16 on a GPU, are faster on.
    every
        Steps between two measurements of the monitor; it measures more often in the first epoch.

    Raises
    ------
    InputError
        If a value is out of range or a name is unknown.
    """

    dataset: str = "digits"
    depth: int = 32
    width: float = 1.0
    preactivation: bool = False
    normalized: bool = True
    epochs: int = 164
    batch_size: int = 128
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    decay_scales: bool = True
    subset: int | None = None
    seed: int = 0
    precision: str = "float32"
    compiled: bool = False
    channels_last: bool = True
    every: int = 100

    def __post_init__(self) -> None:
        check.choice("dataset", self.dataset, DATASETS)
        check.choice("precision", self.precision, PRECISIONS)
        for name in ("depth", "epochs", "batch_size", "every"):
            self._set(name, check.integer(name, getattr(self, name), 1))
        for name in ("width", "learning_rate"):
            self._set(name, check.real(name, getattr(self, name), 0.0, above=True))
        for name in ("momentum", "weight_decay"):
            self._set(name, check.real(name, getattr(self, name), 0.0))
        self._set("seed", check.seed("seed", self.seed))
        if self.subset is not None:
            self._set("subset", check.integer("subset", self.subset, 1))
        channels = math.ceil(16 * self.width)  # 2n convolutions each of 1, 2 and 4 times as many: 21 squares
        check.memory("the weights", 4 * 9 * 21 * channels**2 * (self.depth // 3), "take less width or depth")
        self.model(2)  # its own checks of depth and width, before any data are read

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def drop_epochs(self) -> tuple[float, ...]:
        """The epochs, not always whole, after which the learning rate drops."""
        return tuple(fraction * self.epochs for fraction in DROPS)

    def rate(self, progress: float) -> float:
        """Return the learning rate after a fraction of the training, in [0, 1]."""
        return self.learning_rate / 10 ** sum(progress >= fraction for fraction in DROPS)

    def images(self, folder: Path | str | None = None) -> Images:
        """Read the images.

        Parameters
        ----------
        folder
            Holds the CIFAR files; None takes the environment variable SKIPGLASS_DATA.

        Returns
        -------
        Images
            The training images (or the subset) and all test images.

        Raises
        ------
        InputError
            If CIFAR is asked for and no folder named, or the subset is larger than the set.
        """
        if self.dataset == "digits":
            images = digit_images()
        else:
            folder = folder or os.environ.get(FOLDER)
            if not folder:
                raise InputError(
                    f"{self.dataset} needs its files: name their folder (--data FOLDER, or the environment variable "
                    f"{FOLDER}), or run skipglass train {self.dataset} --download first"
                )
            images = cifar(self.dataset, folder)
        if self.subset is None:
            return images
        check.integer("subset", self.subset, 1, len(images.targets))
        return images.subset(self.subset, self.seed)

    def model(self, classes: int) -> CifarResNet:
        """Return the untrained network."""
        return CifarResNet(
            self.depth,
            width=self.width,
            preactivation=self.preactivation,
            normalized=self.normalized,
            classes=classes,
            seed=self.seed,
        )

    def attributes(self) -> dict[str, object]:
        """Return the settings as netCDF attributes: switches as 0 and 1, None as the word."""
        plain = {name: "none" if value is None else value for name, value in asdict(self).items()}
        return {name: int(value) if isinstance(value, bool) else value for name, value in plain.items()}
