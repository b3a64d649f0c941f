"""The augmentation of the CIFAR recipe, random crops and flips (docs/mathematics.md §7).

For the crop at (dy, dx) of an image padded with zeros by P pixels on each side, and its flip,

    crop[c, y, x] = padded[c, y + dy, x + dx],    flip[c, y, x] = crop[c, y, W - 1 - x],    0 ≤ dy, dx ≤ 2P.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["PADDING", "crop_and_flip", "draw"]

PADDING = 4


def draw(batch: int, generator: torch.Generator, padding: int = PADDING) -> tuple[Tensor, Tensor]:
    """Draw offsets (B, 2), uniform on 0..2·padding, and flips (B,), fair, on the generator's device."""
    device = generator.device
    offsets = torch.randint(2 * padding + 1, (batch, 2), generator=generator, device=device)
    return offsets, torch.randint(2, (batch,), generator=generator, device=device, dtype=torch.bool)


def crop_and_flip(images: Tensor, offsets: Tensor, flips: Tensor, padding: int = PADDING) -> Tensor:
    """Crop and flip every image of a batch by its own draw.

    Parameters
    ----------
    images
        (B, C, H, W), normalised: the padding is 0, the mean colour (fb.resnet.torch).
    offsets
        (B, 2), rows then columns, in 0..2·padding.
    flips
        (B,), which images to mirror.
    padding
        Pixels added to each side before the crop.

    Returns
    -------
    Tensor
        (B, C, H, W), in the channels-last memory format.
    """
    height, width = images.shape[-2:]
    padded = F.pad(images, (padding,) * 4).permute(0, 2, 3, 1)
    rows = offsets[:, :1] + torch.arange(height, device=images.device)
    x = torch.arange(width, device=images.device)
    columns = offsets[:, 1:] + torch.where(flips[:, None], width - 1 - x, x)
    sample = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[sample, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
