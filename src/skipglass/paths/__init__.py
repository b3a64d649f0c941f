"""What a real network does: path lengths of a gradient, exactly, in any PyTorch model."""

from skipglass.paths.census import census
from skipglass.paths.moments import Moments, moments
from skipglass.paths.outline import Block, PathGraph, outline
from skipglass.paths.output_split import OutputSplit, output_split
from skipglass.paths.spectrum import Spectrum, spectrum

__all__ = [
    "Block",
    "Moments",
    "OutputSplit",
    "PathGraph",
    "Spectrum",
    "census",
    "moments",
    "outline",
    "output_split",
    "spectrum",
]
