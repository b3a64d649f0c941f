"""The paper, one file a figure or theorem."""

from skipglass.paper.claims import CLAIMS, claims_table
from skipglass.paper.reproduce import (
    FIGURES,
    NETWORK_FIGURES,
    has_networks,
    measure,
    measure_networks,
    recorded,
    write_report,
)
from skipglass.paper.resnet_runs import LIVE, both_ways

__all__ = [
    "CLAIMS",
    "FIGURES",
    "LIVE",
    "NETWORK_FIGURES",
    "both_ways",
    "claims_table",
    "has_networks",
    "measure",
    "measure_networks",
    "recorded",
    "write_report",
]
