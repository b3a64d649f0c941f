"""The data the paper trains on, and real images that need no download."""

from skipglass.data.digits import digits
from skipglass.data.gaussian_mixture import gaussian_mixture
from skipglass.data.split import Split

__all__ = ["Split", "digits", "gaussian_mixture"]
