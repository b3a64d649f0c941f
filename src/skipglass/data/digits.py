"""Real images that need no download: the 8x8 handwritten digits that are part of scikit-learn."""

import torch

from skipglass import check
from skipglass.data.split import Images, Split
from skipglass.errors import UserError

__all__ = ["digit_images", "digits"]


def digits(*, test_samples: int = 360, seed: int = 0) -> Split:
    """Load the 1,797 handwritten digits of scikit-learn, standardised over all training pixels.

    Parameters
    ----------
    test_samples
        The number of samples to hold out.
    seed
        Seed of the shuffle before the split.

    Returns
    -------
    Split
        64 inputs in [0, 16] standardised with one mean and one standard deviation; 10 classes.

    Raises
    ------
    InputError
        If no sample would be left for training or for testing.
    UserError
        If scikit-learn is not installed.

    Examples
    --------
    >>> digits().inputs.shape
    torch.Size([1437, 64])
    """
    raw = _pixels(test_samples, seed)
    mean, std = raw.inputs.mean(), raw.inputs.std()
    return Split((raw.inputs - mean) / std, raw.targets, (raw.test_inputs - mean) / std, raw.test_targets, raw.classes)


def digit_images(*, test_samples: int = 360, seed: int = 0) -> Images:
    """Load the same digits as 8x8 images with three equal colours, for networks made for photographs.

    Parameters
    ----------
    test_samples, seed
        As for `digits`: the same samples are held out.

    Returns
    -------
    Images
        (N, 3, 8, 8), grey levels 0..16, at their own size: enlarging them would only add cost.

    Raises
    ------
    InputError
        If no sample would be left for training or for testing.
    UserError
        If scikit-learn is not installed.

    Examples
    --------
    >>> digit_images().inputs.shape
    torch.Size([1437, 3, 8, 8])
    """
    raw = _pixels(test_samples, seed)
    mean, std = (raw.inputs.mean().item(),) * 3, (raw.inputs.std().item(),) * 3
    images, test_images = (
        pixels.to(torch.uint8).view(-1, 1, 8, 8).repeat(1, 3, 1, 1) for pixels in (raw.inputs, raw.test_inputs)
    )
    return Images(images, raw.targets, test_images, raw.test_targets, raw.classes, mean, std)


def _pixels(test_samples: int, seed: int) -> Split:
    """The digits as scikit-learn has them, (N, 64) in [0, 16], shuffled and split."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError("the digits come with scikit-learn: pip install 'skipglass[data]'") from error
    pixels, labels = load_digits(return_X_y=True)
    held = check.integer("test_samples", test_samples, 1, len(labels) - 1)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(check.seed("seed", seed)))
    inputs, targets = torch.from_numpy(pixels)[order], torch.from_numpy(labels)[order].long()
    return Split(inputs[held:], targets[held:], inputs[:held], targets[:held], classes=10)
