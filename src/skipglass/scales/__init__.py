"""The scales that set a network's effective depth: multipliers λ_l and the norms of the weights."""

from skipglass.scales.norms import absorbed_norms, multipliers, weight_norms

__all__ = ["absorbed_norms", "multipliers", "weight_norms"]
