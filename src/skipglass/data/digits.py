"""Real images that need no download: the 8x8 handwritten digits that ship with scikit-learn."""

import torch

from skipglass import check
from skipglass.data.split import Split
from skipglass.errors import UserError

__all__ = ["digits"]


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
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError("digits come with scikit-learn: pip install 'skipglass[data]'") from error
    pixels, labels = load_digits(return_X_y=True)
    held = check.integer("test_samples", test_samples, 1, len(labels) - 1)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(check.seed("seed", seed)))
    inputs, targets = torch.from_numpy(pixels)[order], torch.from_numpy(labels)[order].long()
    train = inputs[held:]
    inputs = (inputs - train.mean()) / train.std()
    return Split(inputs[held:], targets[held:], inputs[:held], targets[:held], classes=10)
