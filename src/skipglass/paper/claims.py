"""The table of claims: what the paper says, what was measured, and the verdict.

Each verdict is a pure function of stored recordings: the same files give the same verdict, others another.
"""

from skipglass.paper import critical_points, driving_force, glass, landscape, lemmas, readings, slips, theorems
from skipglass.paper.claim import Claim, Finding, Recordings
from skipglass.paper.drift import DRIFT
from skipglass.paper.figure1 import FIGURE1
from skipglass.paper.interventions import INTERVENTIONS
from skipglass.paper.map import MAP
from skipglass.paper.networks import NETWORKS

__all__ = ["CLAIMS", "Claim", "Finding", "claims_table", "findings", "verdict_kind"]

CLAIMS: tuple[Claim, ...] = (
    *lemmas.CLAIMS,
    *readings.CLAIMS,
    *theorems.CLAIMS,
    *driving_force.FORCES.claims,
    *FIGURE1.claims,
    *NETWORKS.claims,
    *DRIFT.claims,
    *MAP.claims,
    *INTERVENTIONS.claims,
    *landscape.CLAIMS,
    *critical_points.CLAIMS,
    *glass.CLAIMS,
    *slips.CLAIMS,
)
"""In the paper's order, its small slips last."""


def claims_table(recordings: Recordings) -> list[tuple[str, str, str, str, str]]:
    """Return one row for each claim: name, verdict, statement, what was measured, seeds.

    Parameters
    ----------
    recordings
        {name: recording}: "theorems", the runs of Figure 1 and those of ResNets, or some of them.

    Returns
    -------
    list of tuple
        In the paper's order.
    """
    return [(c.name, f.verdict, c.statement, f.measured, f.seeds) for c, f in findings(recordings)]


def findings(recordings: Recordings) -> list[tuple[Claim, Finding]]:
    """Return every claim with what the recordings say about it."""
    return [(claim, claim.finding(recordings)) for claim in CLAIMS]


KINDS = ("identity", "supported", "not supported", "undetermined")


def verdict_kind(verdict: str) -> str:
    """Return which of the four words a verdict is."""
    return next(kind for kind in KINDS if verdict.startswith(kind))
