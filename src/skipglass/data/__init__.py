"""The data sets that the paper trains on, and real images that need no download."""

from skipglass.data.cifar import cifar
from skipglass.data.digits import digit_images, digits
from skipglass.data.download import download
from skipglass.data.gaussian_mixture import MAX_SEPARATION, gaussian_mixture
from skipglass.data.split import Images, Split

__all__ = ["MAX_SEPARATION", "Images", "Split", "cifar", "digit_images", "digits", "download", "gaussian_mixture"]


def __dir__() -> list[str]:
    return sorted(__all__)
