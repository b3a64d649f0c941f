"""The scales that set a network's effective depth: multipliers λ_l and the norms of the weights."""

from skipglass.scales.absorb import absorb
from skipglass.scales.absorption import Pairs
from skipglass.scales.drift import Drift, drift
from skipglass.scales.norms import absorbed_norms, multipliers, weight_norms
from skipglass.scales.pairs import pairs
from skipglass.scales.parameters import parameters_of
from skipglass.scales.statistics import copied, hold_statistics, statistics_held
from skipglass.scales.twice import inner, twice
from skipglass.scales.two_paths import TwoPaths, two_paths

__all__ = [
    "Drift",
    "Pairs",
    "TwoPaths",
    "absorb",
    "absorbed_norms",
    "copied",
    "drift",
    "hold_statistics",
    "inner",
    "multipliers",
    "pairs",
    "parameters_of",
    "statistics_held",
    "twice",
    "two_paths",
    "weight_norms",
]


def __dir__() -> list[str]:
    return __all__  # functions and types; the files behind them are no part of the surface
