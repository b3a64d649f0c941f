"""Labelled samples of a classification task, divided into a training and a test set."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skipglass import check

__all__ = ["Images", "Split"]


@dataclass(frozen=True, eq=False)
class Split:
    """Training and test samples of a classification task.

    Attributes
    ----------
    inputs, test_inputs : Tensor
        (N, d), float64.
    targets, test_targets : Tensor
        (N,), class numbers 0..classes-1.
    classes : int
        The number of classes.
    """

    inputs: Tensor
    targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    classes: int

    @property
    def features(self) -> int:
        """d, the dimension of one input."""
        return self.inputs.shape[-1]


@dataclass(frozen=True, eq=False)
class Images(Split):
    """A split whose inputs are images, (N, 3, H, W) uint8, kept as bytes on one device.

    Attributes
    ----------
    mean, std : tuple of float
        Mean and standard deviation of each colour over the training set, in units of a byte (0..255).
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def to(self, device: torch.device | str) -> "Images":
        """Return the same images on a device."""
        names = ("inputs", "targets", "test_inputs", "test_targets")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def subset(self, samples: int, seed: int = 0) -> "Images":
        """Return a random subset of the training images with all test images.

        Raises
        ------
        InputError
            If there are fewer training images than ``samples``.
        """
        check.integer("samples", samples, 1, len(self.targets))
        generator = torch.Generator().manual_seed(check.seed("seed", seed))
        chosen = torch.randperm(len(self.targets), generator=generator)[:samples].to(self.targets.device)
        return replace(self, inputs=self.inputs[chosen], targets=self.targets[chosen])

    def shuffled(self, seed: int = 0) -> "Images":
        """Return the same images with the labels of the training images in random order."""
        generator = torch.Generator().manual_seed(check.seed("seed", seed))
        order = torch.randperm(len(self.targets), generator=generator).to(self.targets.device)
        return replace(self, targets=self.targets[order])

    def normalized(self, images: Tensor) -> Tensor:
        """Convert bytes (B, 3, H, W) to float32 with mean 0 and standard deviation 1 over the training set."""
        mean, std = (torch.tensor(colours, device=images.device).view(3, 1, 1) for colours in (self.mean, self.std))
        return (images - mean) / std
