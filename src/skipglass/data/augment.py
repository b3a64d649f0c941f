"""The augmentation of the CIFAR recipe, random crops and flips (docs/mathematics.md §7).

An image is padded with zeros by P pixels on each side. Its crop at (dy, dx), and the flip of that crop, are

    crop[c, y, x] = padded[c, y + dy, x + dx],    flip[c, y, x] = crop[c, y, W - 1 - x],    0 ≤ dy, dx ≤ 2P.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["PADDING", "crop_and_flip", "draw"]

PADDING = 4


def draw(batch: int, generator: torch.Generator, padding: int = PADDING) -> tuple[Tensor, Tensor]:
    """Draw offsets (B, 2), uniform on 0..2·padding, and fair coin flips (B,), on the generator's device."""
    device = generator.device
    offsets = torch.randint(2 * padding + 1, (batch, 2), generator=generator, device=device)
    return offsets, torch.randint(2, (batch,), generator=generator, device=device, dtype=torch.bool)


def crop_and_flip(images: Tensor, offsets: Tensor, flips: Tensor, padding: int = PADDING) -> Tensor:
    """Crop and flip each image of a batch by its own draw.

    Parameters
    ----------
    images
        (B, C, H, W), normalised: the padding is 0, the mean colour (fb.resnet.torch).
    offsets
        (B, 2), rows then columns, in 0..2·padding.
    flips
        (B,), which images to mirror.
    padding
        Pixels added on each side before the crop.

    Returns
    -------
    Tensor
        (B, C, H, W), in the channels-last memory format.
    """
    height, width = images.shape[-2:]
    padded = F.pad(images, (padding,) * 4).permute(0, 2, 3, 1)
    # Each image has its own list of source rows and of source columns; a flip reverses the list of columns.
    rows = offsets[:, :1] + torch.arange(height, device=images.device)
    x = torch.arange(width, device=images.device)
    columns = offsets[:, 1:] + torch.where(flips[:, None], width - 1 - x, x)
    sample = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[sample, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
