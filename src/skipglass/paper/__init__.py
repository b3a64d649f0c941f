"""The paper, one file a figure or theorem."""

from skipglass.paper.claims import CLAIMS, claims_table
from skipglass.paper.reproduce import FIGURES, measure, recorded, write_report

__all__ = ["CLAIMS", "FIGURES", "claims_table", "measure", "recorded", "write_report"]
