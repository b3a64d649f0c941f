"""Images of a classification task, kept whole as bytes on one device."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skipglass import check

__all__ = ["Images"]


@dataclass(frozen=True, eq=False)
class Images:
    """Training and test images with their labels.

    Attributes
    ----------
    inputs, test_inputs : Tensor
        (N, 3, H, W), uint8.
    targets, test_targets : Tensor
        (N,), class numbers 0..classes-1.
    classes : int
        How many classes there are.
    mean, std : tuple of float
        Of each colour over the training set, in units of a byte (0..255).
    """

    inputs: Tensor
    targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    classes: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def to(self, device: torch.device | str) -> "Images":
        """Return the same images on a device."""
        moved = {name: getattr(self, name).to(device) for name in ("inputs", "targets", "test_inputs", "test_targets")}
        return replace(self, **moved)

    def subset(self, samples: int, seed: int = 0) -> "Images":
        """Return a random part of the training images, the test images whole.

        Raises
        ------
        InputError
            If there are fewer.
        """
        check.integer("samples", samples, 1, len(self.targets))
        generator = torch.Generator().manual_seed(check.seed("seed", seed))
        chosen = torch.randperm(len(self.targets), generator=generator)[:samples].to(self.targets.device)
        return replace(self, inputs=self.inputs[chosen], targets=self.targets[chosen])

    def normalized(self, images: Tensor) -> Tensor:
        """Turn bytes (B, 3, H, W) into float32 of mean 0 and standard deviation 1 over the training set."""
        mean = torch.tensor(self.mean, device=images.device).view(3, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(3, 1, 1)
        return (images - mean) / std
