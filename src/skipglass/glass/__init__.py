"""The spherical spin glass, sampled: its energy and derivatives, and all of its critical points."""

from skipglass.glass.hamiltonian import Evaluation, SphericalGlass

__all__ = ["Evaluation", "SphericalGlass"]
