"""The spherical spin glass, sampled: its energy and derivatives, and all of its critical points."""

from skipglass.glass.critical_points import CriticalPoints, Evidence, IncompleteSearchWarning, critical_points
from skipglass.glass.hamiltonian import Evaluation, SphericalGlass

__all__ = [
    "CriticalPoints",
    "Evaluation",
    "Evidence",
    "IncompleteSearchWarning",
    "SphericalGlass",
    "critical_points",
]
