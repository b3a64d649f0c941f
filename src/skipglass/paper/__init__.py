"""The paper, one file a figure or theorem."""

from skipglass.paper.chapter import Options
from skipglass.paper.claims import CLAIMS, claims_table
from skipglass.paper.network_page import NETWORK_FIGURES, has_networks
from skipglass.paper.reproduce import FIGURES, measure, recorded, write_report
from skipglass.paper.resnet_runs import LIVE, both_ways

__all__ = [
    "CLAIMS",
    "FIGURES",
    "LIVE",
    "NETWORK_FIGURES",
    "Options",
    "both_ways",
    "claims_table",
    "has_networks",
    "measure",
    "recorded",
    "write_report",
]
