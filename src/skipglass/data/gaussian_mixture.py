"""The mixture of Gaussians of App. C: ten classes in 50 dimensions, 10,000 samples."""

import math

import torch

from skipglass import check
from skipglass.data.split import Split

__all__ = ["MAX_SEPARATION", "gaussian_mixture"]

MAX_SEPARATION = 1e6  # our choice: the noise keeps ten digits beside the centres


def gaussian_mixture(
    *,
    classes: int = 10,
    dimension: int = 50,
    samples: int = 10_000,
    test_samples: int = 2_000,
    separation: float = 4.0,
    seed: int = 0,
) -> Split:
    """Draw a classification task: one isotropic Gaussian of unit variance for each class.

    Parameters
    ----------
    classes, dimension, samples
        The sizes of App. C by default. (The caption of Fig. 1 says 50 classes.)
    test_samples
        The number of test samples, from the same mixture; the default is our choice.
    separation
        Root mean square distance between two class centres, in standard deviations of a class, at most 1e6. The
        paper does not give it. Centres are drawn from N(0, separation²/(2 dimension) I).
    seed
        Seed of the centres and the samples.

    Returns
    -------
    Split
        Inputs scaled to unit mean square over all samples and dimensions, so that the separation changes only
        the geometry and not the size of the input.

    Raises
    ------
    InputError
        If a size is below 1 (fewer than 2 classes) or the separation is out of its range.

    Examples
    --------
    >>> gaussian_mixture(samples=100, separation=8.0).inputs.shape
    torch.Size([100, 50])
    """
    classes, d = check.integer("classes", classes, 2), check.integer("dimension", dimension, 1)
    train, test = check.integer("samples", samples, 1), check.integer("test_samples", test_samples, 1)
    spread = check.real("separation", separation, 0.0, MAX_SEPARATION) / math.sqrt(2 * d)
    generator = torch.Generator().manual_seed(check.seed("seed", seed))

    centres = spread * torch.randn(classes, d, generator=generator, dtype=torch.float64)
    targets = torch.randint(classes, (train + test,), generator=generator)
    noise = torch.randn(train + test, d, generator=generator, dtype=torch.float64)
    # One coordinate of a sample has the variance spread² (over centres) plus 1 (within a class).
    inputs = (centres[targets] + noise) / math.sqrt(1 + spread**2)
    return Split(inputs[:train], targets[:train], inputs[train:], targets[train:], classes)
