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


def judge(name, recordings):
    return next(claim for claim in LANDSCAPE_CLAIMS if claim.name == name).finding(recordings)


@pytest.mark.parametrize("claim", LANDSCAPE_CLAIMS, ids=lambda claim: claim.name)
def test_they_hold(recorded, claim):
    assert claim.finding(recorded).verdict == "holds"


def swapped(values, case, first, second):
    """Two indices change places."""
    return xr.where(values == first, second, xr.where(values == second, first, values)).where(case, values)


@pytest.mark.parametrize(
    ("claim", "name", "variable", "forge"),
    [
        ("Eqs. 5-7, 28-30", "landscape", "product", lambda v, _: v + 0.2 * (v.overlap == 0.6)),
        ("Def. 3, Eq. 33", "landscape", "rate", lambda v, _: v[:, ::-1].assign_coords(size=v["size"])),
        ("Def. 3, Eq. 33", "landscape", "rate", lambda v, _: v + 1.0),
        ("Fig. 1(f)", "landscape", "complexity", lambda v, _: -v),
        ("Def. 4, Eq. 32", "glass_agreement", "z", lambda v, _: v + 5),
        ("Def. 4, Eq. 32", "glass_agreement", "chi2", lambda v, d: v + 2 * d.dof),
        ("Def. 4, Eq. 32", "glass_agreement", "incomplete", lambda v, _: v + 1),
        ("Sec. 2, layers", "glass_agreement", "point_index", lambda v, d: swapped(v, d.point_case >= 0, 0, 1)),
        ("Sec. 5, low index", "glass_descent", "pure_index", lambda v, _: v + 2),
        ("Sec. 5, field", "glass_descent", "overlap", lambda v, _: v * 0.5),
        ("Sec. 5, field", "glass_descent", "overlap", lambda v, _: xr.ones_like(v)),
        ("Sec. 5, field", "glass_descent", "minimum", lambda v, _: v - 0.1),
    ],
)
def test_a_counterfeit_is_found_out(recorded, claim, name, variable, forge):
    forged = recorded[name].assign({variable: forge(recorded[name][variable], recorded[name])})
    assert judge(claim, {**recorded, name: forged}).verdict == "fails"


def test_the_statements_are_measured_anew_to_the_same_numbers(recorded):
    found = landscape()
    xr.testing.assert_allclose(found.drop_attrs(), recorded["landscape"].drop_attrs(), rtol=1e-9, atol=1e-12)
    by_hand = [
        [q**3 for q in OVERLAPS],
        [(q**2 + q**4) / 2 for q in OVERLAPS],
        [0.2 * q + 0.8 * q**3 for q in OVERLAPS],
    ]
    np.testing.assert_allclose(found.xi, by_hand)
