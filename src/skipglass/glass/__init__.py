"""The spherical spin glass, sampled: its energy and derivatives, its critical points, and the way down."""

from skipglass.glass.base import Evaluation, Glass
from skipglass.glass.critical_points import CriticalPoints, Evidence, IncompleteSearchWarning, critical_points
from skipglass.glass.descent import descend
from skipglass.glass.hamiltonian import SphericalGlass
from skipglass.glass.langevin import langevin
from skipglass.glass.lazy import LazyGlass
from skipglass.glass.trajectory import Trajectory

__all__ = [
    "CriticalPoints",
    "Evaluation",
    "Evidence",
    "Glass",
    "IncompleteSearchWarning",
    "LazyGlass",
    "SphericalGlass",
    "Trajectory",
    "critical_points",
    "descend",
    "langevin",
]


def __dir__() -> list[str]:
    return sorted(__all__)
