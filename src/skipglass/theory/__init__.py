"""The predictions of the paper, in closed form (NumPy and SciPy, no torch)."""

from skipglass.theory.complexity import complexity
from skipglass.theory.critical_points import expected_critical_points
from skipglass.theory.ensemble import DepthEnsemble, peak_interval
from skipglass.theory.fit import Fit, fit
from skipglass.theory.levels import ground_state_energy, level_complexity, threshold_energy
from skipglass.theory.mixture import Mixture
from skipglass.theory.network import branch_factor, path_factor
from skipglass.theory.trivialization import trivialization_threshold

__all__ = [
    "DepthEnsemble",
    "Fit",
    "Mixture",
    "branch_factor",
    "complexity",
    "expected_critical_points",
    "fit",
    "ground_state_energy",
    "level_complexity",
    "path_factor",
    "peak_interval",
    "threshold_energy",
    "trivialization_threshold",
]


def __dir__() -> list[str]:
    return sorted(__all__)
