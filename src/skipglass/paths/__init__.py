"""What a real network does: path lengths of a gradient, exactly, in any PyTorch model."""

from skipglass.paths.census import census
from skipglass.paths.cost import cost
from skipglass.paths.moments import Moments, moments
from skipglass.paths.outline import Block, PathGraph, outline
from skipglass.paths.spectrum import Spectrum, spectrum

__all__ = ["Block", "Moments", "PathGraph", "Spectrum", "census", "cost", "moments", "outline", "spectrum"]
