"""Minibatches of images that live on the device: shuffled, cropped and flipped there."""

from collections.abc import Iterator

import torch
from torch import Tensor

from skipglass import check
from skipglass.data import Images
from skipglass.data.augment import crop_and_flip, draw
from skipglass.errors import InputError

__all__ = ["Batches"]


class Batches:
    """The training images, in a new order and with new crops each epoch.

    Every process draws the same order and augmentation and takes its share of each batch, so that the images of a
    step do not depend on how many processes there are. The last incomplete batch is left out: He et al.'s 64,000
    steps are 164 epochs of 390 whole batches.

    Parameters
    ----------
    images
        On the device.
    size
        Images a step, over all processes.
    seed
        Of the order and the augmentation.
    padding, flip
        Of the crop, in pixels, and whether to mirror half of the images.
    rank, processes
        Which share to take.
    channels_last
        The memory format of the batches.

    Raises
    ------
    InputError
        If the images do not fill one batch, or the processes cannot share one equally.
    """

    def __init__(
        self,
        images: Images,
        size: int,
        seed: int,
        *,
        padding: int,
        flip: bool,
        rank: int = 0,
        processes: int = 1,
        channels_last: bool = True,
    ) -> None:
        check.integer("batch_size", size, 1, len(images.targets))
        if size % processes:
            raise InputError(f"batch_size {size} cannot be shared equally by {processes} processes")
        self.images, self.size, self.padding, self.flip = images, size, padding, flip
        self.share = slice(rank * size // processes, (rank + 1) * size // processes)
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.generator = torch.Generator(images.inputs.device).manual_seed(seed)

    def __len__(self) -> int:
        """Steps an epoch."""
        return len(self.images.targets) // self.size

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield normalised images (b, 3, H, W), float32, and their targets (b,), for each step of one epoch."""
        device = self.generator.device
        order = torch.randperm(len(self.images.targets), generator=self.generator, device=device)
        for step in range(len(self)):
            offsets, flips = draw(self.size, self.generator, self.padding)
            chosen = order[step * self.size : (step + 1) * self.size][self.share]
            inputs = self.images.normalized(self.images.inputs[chosen])
            crops = crop_and_flip(inputs, offsets[self.share], flips[self.share] & self.flip, self.padding)
            yield crops.contiguous(memory_format=self.format), self.images.targets[chosen]
