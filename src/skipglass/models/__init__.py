"""The paper's networks."""

from skipglass.models.residual_mlp import NORMALIZATIONS, PLACEMENTS, ResidualLayer, ResidualMLP

__all__ = ["NORMALIZATIONS", "PLACEMENTS", "ResidualLayer", "ResidualMLP"]
