"""What Sec. 5 is judged by is measured anew to the same numbers, and the extrapolation is Aitken's."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from skipglass import record
from skipglass.paper.landscape import OVERLAPS, extrapolated, landscape

FOLDER = Path(__file__).parents[2] / "results" / "glass" / "recordings"


def test_the_statements_are_measured_anew_to_the_same_numbers():
    found = landscape()
    recorded = record.load(FOLDER / "landscape.nc", "landscape")
    xr.testing.assert_allclose(found.drop_attrs(), recorded.drop_attrs(), rtol=1e-9, atol=1e-12)
    by_hand = [
        [q**3 for q in OVERLAPS],
        [(q**2 + q**4) / 2 for q in OVERLAPS],
        [0.2 * q + 0.8 * q**3 for q in OVERLAPS],
    ]
    np.testing.assert_allclose(found.xi, by_hand)


@pytest.mark.parametrize("limit", [0.3, -0.1])
def test_a_slope_that_falls_by_a_constant_factor_is_extrapolated_to_its_limit(limit):
    """Slopes θ + c·qᵏ over doubling sizes: Aitken's formula is exact for a geometric series."""
    sizes = np.array([6.0, 12.0, 24.0, 48.0])
    slopes = limit + 0.5 * 0.7 ** np.arange(3)
    counts = np.concatenate([[1.0], 1.0 + np.cumsum(slopes * np.diff(sizes))])
    found = extrapolated(xr.DataArray([counts, counts], {"size": sizes}, ("index", "size")))
    assert found.values == pytest.approx([limit, limit], rel=1e-9)
