"""Minibatches of data that live on the device: shuffled there, and of images cropped and flipped too."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from skipglass import check
from skipglass.data import Images
from skipglass.data.augment import crop_and_flip, draw
from skipglass.errors import InputError
from skipglass.training.resnet_settings import AUGMENTATION, PRECISIONS, ResNetSettings

__all__ = ["ImageBatches", "SampleBatches"]


class Shuffled:
    """Batches whose order is all random: a checkpoint keeps the generators. The last incomplete batch is left out."""

    samples: int
    size: int
    generators: list[torch.Generator]

    def __len__(self) -> int:
        """Steps in an epoch."""
        return self.samples // self.size

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the random numbers."""
        return {"generators": [generator.get_state() for generator in self.generators]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of a checkpoint."""
        for generator, value in zip(self.generators, state["generators"], strict=True):
            generator.set_state(value)


class SampleBatches(Shuffled):
    """The samples of one or more networks that train side by side, each seed's in an order of its own.

    Parameters
    ----------
    inputs, targets
        (S, N, d) and (S, N); of one seed alone, batches have no leading axis.
    size
        Samples in each step; an incomplete batch is left out, as it has other statistics.
    seeds
        Of the orders, S of them.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, size: int, seeds: Sequence[int]) -> None:
        self.inputs, self.targets, self.size, self.samples = inputs, targets, size, targets.shape[1]
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        orders = [torch.randperm(self.samples, generator=generator) for generator in self.generators]
        inputs = torch.stack([x[order] for x, order in zip(self.inputs, orders, strict=True)])
        targets = torch.stack([y[order] for y, order in zip(self.targets, orders, strict=True)])
        seeds = 0 if len(orders) == 1 else slice(None)
        for step in range(len(self)):
            batch = slice(step * self.size, (step + 1) * self.size)
            yield inputs[seeds, batch], targets[seeds, batch]


class ImageBatches(Shuffled):
    """The training images, in a new order and with new crops each epoch.

    Every process draws the same order and augmentation and takes its share of each batch, so that the images of a
    step do not depend on how many processes there are. He et al.'s 64,000 steps are 164 epochs of 390 whole batches.

    Parameters
    ----------
    images
        On the device.
    settings
        Of the training: the size of a batch, the seed, the augmentation, the memory format and the precision.
    rank, processes
        Which share to take.

    Raises
    ------
    InputError
        If the images do not fill one batch, or the processes cannot share one equally.
    """

    def __init__(self, images: Images, settings: ResNetSettings, rank: int = 0, processes: int = 1) -> None:
        self.images, self.samples = images, len(images.targets)
        self.size = size = check.integer("batch_size", settings.batch_size, 1, self.samples)
        if size % processes:
            raise InputError(f"batch_size {size} cannot be shared equally by {processes} processes")
        self.padding, self.flip = AUGMENTATION[settings.dataset]
        self.share = slice(rank * size // processes, (rank + 1) * size // processes)
        self.format = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.dtype = getattr(torch, PRECISIONS[settings.precision])
        self.generators = [torch.Generator(images.inputs.device).manual_seed(settings.seed)]

    def clean(self, images: Tensor) -> Tensor:
        """Return bytes as the network takes them, normalised, without augmentation."""
        return self.images.normalized(images).to(self.dtype).contiguous(memory_format=self.format)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        (generator,) = self.generators
        order = torch.randperm(self.samples, generator=generator, device=generator.device)
        for step in range(len(self)):
            # every process draws for the whole batch, before it takes its share
            offsets, flips = draw(self.size, generator, self.padding)
            chosen = order[step * self.size : (step + 1) * self.size][self.share]
            inputs = self.images.normalized(self.images.inputs[chosen])
            crops = crop_and_flip(inputs, offsets[self.share], flips[self.share] & self.flip, self.padding)
            yield crops.contiguous(memory_format=self.format).to(self.dtype), self.images.targets[chosen]
