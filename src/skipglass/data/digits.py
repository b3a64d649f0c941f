"""Real images that need no download: the 8x8 handwritten digits that ship with scikit-learn."""

import torch
from torch import Tensor

from skipglass import check
from skipglass.data.images import Images
from skipglass.data.split import Split
from skipglass.errors import UserError

__all__ = ["digit_images", "digits"]


def digits(*, test_samples: int = 360, seed: int = 0) -> Split:
    """Load the 1,797 handwritten digits of scikit-learn, standardised over all training pixels.

    Parameters
    ----------
    test_samples
        How many to hold out.
    seed
        Of the shuffle before the split.

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
    inputs, targets, test_inputs, test_targets = _held_out(test_samples, seed)
    mean, std = inputs.mean(), inputs.std()
    return Split((inputs - mean) / std, targets, (test_inputs - mean) / std, test_targets, classes=10)


def digit_images(*, test_samples: int = 360, seed: int = 0) -> Images:
    """Load the same digits as 8x8 images of three equal colours, for networks made for photographs.

    Parameters
    ----------
    test_samples, seed
        As for `digits`: the same samples are held out.

    Returns
    -------
    Images
        (N, 3, 8, 8), grey levels 0..16; not enlarged, as that would add cost and nothing else.

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
    inputs, targets, test_inputs, test_targets = _held_out(test_samples, seed)
    mean, std = (inputs.mean().item(),) * 3, (inputs.std().item(),) * 3
    images, test_images = (x.to(torch.uint8).view(-1, 1, 8, 8).repeat(1, 3, 1, 1) for x in (inputs, test_inputs))
    return Images(images, targets, test_images, test_targets, 10, mean, std)


def _held_out(test_samples: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixels (N, 64) in [0, 16] and labels of the training and the test set."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError("digits come with scikit-learn: pip install 'skipglass[data]'") from error
    pixels, labels = load_digits(return_X_y=True)
    held = check.integer("test_samples", test_samples, 1, len(labels) - 1)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(check.seed("seed", seed)))
    inputs, targets = torch.from_numpy(pixels)[order], torch.from_numpy(labels)[order].long()
    return inputs[held:], targets[held:], inputs[:held], targets[:held]
