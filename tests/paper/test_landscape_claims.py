"""The claims of Sec. 5: true of the committed recordings, and false of counterfeits."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from skipglass import record
from skipglass.paper.glass_page import RECORDINGS
from skipglass.paper.landscape import OVERLAPS, landscape
from skipglass.paper.landscape_claims import LANDSCAPE_CLAIMS

FOLDER = Path(__file__).parents[2] / "results" / "glass" / "recordings"


@pytest.fixture(scope="module")
def recorded():
    return {name: record.load(FOLDER / f"{name}.nc", kind) for name, kind in RECORDINGS.items()}


@pytest.mark.parametrize("claim", LANDSCAPE_CLAIMS, ids=lambda claim: claim.name)
def test_they_hold(recorded, claim):
    assert claim.finding(recorded).verdict == "holds"


def test_the_statements_are_measured_anew_to_the_same_numbers(recorded):
    found = landscape()
    xr.testing.assert_allclose(found.drop_attrs(), recorded["landscape"].drop_attrs(), rtol=1e-9, atol=1e-12)
    by_hand = [
        [q**3 for q in OVERLAPS],
        [(q**2 + q**4) / 2 for q in OVERLAPS],
        [0.2 * q + 0.8 * q**3 for q in OVERLAPS],
    ]
    np.testing.assert_allclose(found.xi, by_hand)
