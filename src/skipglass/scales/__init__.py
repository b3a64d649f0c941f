"""The scales that set a network's effective depth: multipliers λ_l and the norms of the weights."""

from skipglass.scales.absorb import absorb
from skipglass.scales.absorption import Pairs
from skipglass.scales.norms import absorbed_norms, multipliers, weight_norms
from skipglass.scales.pairs import pairs

__all__ = ["Pairs", "absorb", "absorbed_norms", "multipliers", "pairs", "weight_norms"]
