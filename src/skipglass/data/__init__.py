"""The data the paper trains on, and real images that need no download."""

from skipglass.data.cifar import cifar
from skipglass.data.digits import digit_images, digits
from skipglass.data.download import download
from skipglass.data.gaussian_mixture import gaussian_mixture
from skipglass.data.images import Images
from skipglass.data.split import Split

__all__ = ["Images", "Split", "cifar", "digit_images", "digits", "download", "gaussian_mixture"]
