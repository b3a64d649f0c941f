"""The table of claims: a row for each, its text complete, and the paper's own sentence with it."""

import re

import pytest

from skipglass.paper import CLAIMS, claims_table
from skipglass.paper.claim import TABLES
from skipglass.paper.claims import verdict_kind
from skipglass.paper.theorems import theorems


def test_the_table_has_a_row_for_each_claim(recordings):
    rows = claims_table(recordings)
    assert [row[0] for row in rows] == [claim.name for claim in CLAIMS]
    assert all(all(cell for cell in row) for row in rows)
    assert all(verdict_kind(row[1]) for row in rows)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_every_claim_says_where_it_stands(claim):
    assert claim.table in TABLES
    assert claim.statement.endswith(".")
    assert claim.source
    if claim.table != "ours":
        assert re.search(r"Sec\. |Eqs?\. |Def\. |App\. |Abstract|[Cc]aption|Theorem|Lemma|The same", claim.source)


def test_measuring_the_theorems_is_deterministic(recordings):
    assert theorems().identical(recordings["theorems"].drop_attrs().assign_attrs(theorems().attrs))
