"""What the paper predicts, in closed form (NumPy and SciPy, no torch)."""

from skipglass.theory.ensemble import DepthEnsemble, peak_interval
from skipglass.theory.mixture import Mixture
from skipglass.theory.network import branch_factor, path_factor

__all__ = ["DepthEnsemble", "Mixture", "branch_factor", "path_factor", "peak_interval"]
