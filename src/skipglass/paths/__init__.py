"""What a real network does: path lengths of a gradient, exactly, in any PyTorch model."""

from skipglass.paths.census import census
from skipglass.paths.lesion import lesion
from skipglass.paths.moments import Moments, moments
from skipglass.paths.outline import Block, PathGraph, outline
from skipglass.paths.participation import Participation, participation, participation_of
from skipglass.paths.spectrum import Spectrum, spectrum

__all__ = [
    "Block",
    "Moments",
    "Participation",
    "PathGraph",
    "Spectrum",
    "census",
    "lesion",
    "moments",
    "outline",
    "participation",
    "participation_of",
    "spectrum",
]
