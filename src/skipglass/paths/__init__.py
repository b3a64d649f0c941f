"""What a real network does: path lengths of a gradient, exactly, in any PyTorch model."""

from importlib import import_module

from skipglass.graph import Block, PathGraph
from skipglass.paths.census import census
from skipglass.paths.comparison import Comparison
from skipglass.paths.cost import cost
from skipglass.paths.depths import MEASURES, Depths, depths
from skipglass.paths.lesion import lesion, scaled
from skipglass.paths.measure import measure
from skipglass.paths.moments import Moments, moments
from skipglass.paths.outline import outline
from skipglass.paths.output_split import OutputSplit, output_split
from skipglass.paths.participation import Participation, participation, participation_of
from skipglass.paths.profile import Profile
from skipglass.paths.sampled_paths import SampledPaths, sampled_paths
from skipglass.paths.spectrum import Spectrum, spectrum
from skipglass.paths.weight_spectrum import WeightSpectrum, weight_spectrum

# the module of that name, not its function: `paths.forward.forward(model, inputs)` is a call that users have written
forward = import_module("skipglass.graph.forward")

__all__ = [
    "MEASURES",
    "Block",
    "Comparison",
    "Depths",
    "Moments",
    "OutputSplit",
    "Participation",
    "PathGraph",
    "Profile",
    "SampledPaths",
    "Spectrum",
    "WeightSpectrum",
    "census",
    "cost",
    "depths",
    "forward",
    "lesion",
    "measure",
    "moments",
    "outline",
    "output_split",
    "participation",
    "participation_of",
    "sampled_paths",
    "scaled",
    "spectrum",
    "weight_spectrum",
]
