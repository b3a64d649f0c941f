"""The table of claims: what the paper says, what was measured, and the verdict.

Each verdict is a pure function of stored recordings: the same files give the same verdict, others another.
"""

from skipglass.paper.drift import DRIFT
from skipglass.paper.drift_claims import DRIFT_CLAIMS
from skipglass.paper.figure1_claims import FIGURE1_CLAIMS
from skipglass.paper.finding import Claim, Finding, Recordings
from skipglass.paper.first_layer_claims import FIRST_LAYER_CLAIMS
from skipglass.paper.landscape_claims import LANDSCAPE_CLAIMS
from skipglass.paper.lemma_claims import LEMMA_CLAIMS
from skipglass.paper.interventions import INTERVENTIONS
from skipglass.paper.map import MAP
from skipglass.paper.networks import NETWORKS
from skipglass.paper.slip_claims import SLIP_CLAIMS
from skipglass.paper.start_claims import START_CLAIMS
from skipglass.paper.theorem_claims import THEOREM_CLAIMS

__all__ = ["CLAIMS", "Claim", "Finding", "claims_table"]

CLAIMS = (
    *LEMMA_CLAIMS,
    *THEOREM_CLAIMS,
    *START_CLAIMS,
    *DRIFT_CLAIMS,
    *FIGURE1_CLAIMS,
    *FIRST_LAYER_CLAIMS,
    *DRIFT.claims,
    *MAP.claims,
    *NETWORKS.claims,
    *INTERVENTIONS.claims,
    *LANDSCAPE_CLAIMS,
    *SLIP_CLAIMS,
)
"""In the paper's order, its small slips last."""


def claims_table(recordings: Recordings) -> list[tuple[str, str, str, str, str]]:
    """Return one row a claim: name, verdict, statement, what was measured, seeds.

    Parameters
    ----------
    recordings
        {name: recording}: "theorems", the runs of Figure 1 and those of ResNets, or some of them.

    Returns
    -------
    list of tuple
        In the paper's order.
    """
    findings = [(claim, claim.finding(recordings)) for claim in CLAIMS]
    return [(c.name, f.verdict, c.statement, f.measured, f.seeds) for c, f in findings]
