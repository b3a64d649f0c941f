"""The spherical spin glass, sampled: its energy and derivatives, and all of its critical points."""

from skipglass.glass.descent import descend
from skipglass.glass.hamiltonian import Evaluation, SphericalGlass
from skipglass.glass.langevin import langevin
from skipglass.glass.lazy import LazyGlass
from skipglass.glass.trajectory import Trajectory

__all__ = ["Evaluation", "LazyGlass", "SphericalGlass", "Trajectory", "descend", "langevin"]
