"""Verdicts are functions of recordings: a counterfeit turns each of them, and NaN never makes a claim hold."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from skipglass.paper.claim import HOLES
from skipglass.paper.claims import CLAIMS as EVERY
from skipglass.paper.claims_page import load_results
from skipglass.paper.finding import Claim
from skipglass.paper.first_layer_claims import FIRST_LAYER_CLAIMS

CLAIMS = [claim for claim in EVERY if isinstance(claim, Claim)]  # those of the theory are in test_theory_claims
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def committed():
    """Of the ResNets two depths and two seeds: enough to judge, and to put together many times."""
    every = load_results(ROOT / "results")
    return {
        k: v for k, v in every.items() if not k.startswith("resnet-") or (v.attrs["seed"] < 2 and v.attrs["depth"] < 40)
    }


@pytest.fixture(scope="module")
def verdicts(committed):
    return {claim.name: claim.finding(committed).verdict for claim in CLAIMS}


def at(recording, variable, forge, **where):
    """The recording with some of a variable's numbers forged."""
    values = recording[variable].copy(deep=True)
    values.loc[where] = forge(values.loc[where])
    return recording.assign({variable: values})


def swapped(recording):
    """Critical points of index 0 and 1 change places."""
    index = recording.point_index
    return recording.assign(point_index=xr.where(index == 0, 1, xr.where(index == 1, 0, index)))


def grown(variable, by, along="epoch"):
    """Growth by ``by`` a step of recording, a little more in later seeds."""

    def forge(recording):
        number = xr.DataArray(np.arange(recording.sizes[along]), dims=along)
        factor = 1 + number * by * (1 + 1e-3 * recording.seed)
        return recording.assign({variable: recording[variable].isel({along: 0}, drop=True) * factor})

    return forge


FORGERIES = [
    ("Sec. 4, Fig. 1(d)", "figure1d", grown("multiplier_magnitude", 0.1, "evaluation"), "holds"),
    ("Sec. 4, Fig. 1(d)", "figure1d", grown("multiplier_magnitude", -0.01, "evaluation"), "fails"),
    ("Sec. 4.2, Fig. 1(e)", "figure1e", grown("weight_norm", 0.1, "evaluation"), "holds"),
    ("Sec. 4.2, Fig. 1(e)", "figure1e", grown("weight_norm", -0.01, "evaluation"), "fails"),
    ("Eqs. 5-7, 28-30", "landscape", lambda r: r.assign(product=r["product"] + 0.2 * (r.overlap == 0.6)), "fails"),
    ("Def. 3, Eq. 33", "landscape", lambda r: r.assign(rate=r.rate[:, ::-1].assign_coords(size=r["size"])), "fails"),
    ("Def. 3, Eq. 33", "landscape", lambda r: r.assign(rate=r.rate + 1.0), "fails"),
    ("Fig. 1(f)", "landscape", lambda r: r.assign(complexity=-r.complexity), "fails"),
    ("Def. 4, Eq. 32", "glass_agreement", lambda r: r.assign(z=r.z + 5), "fails"),
    ("Def. 4, Eq. 32", "glass_agreement", lambda r: r.assign(chi2=r.chi2 + 2 * r.dof), "fails"),
    ("Def. 4, Eq. 32", "glass_agreement", lambda r: r.assign(incomplete=r.incomplete + 1), "fails"),
    ("Sec. 2, layers", "glass_agreement", swapped, "fails"),
    ("Sec. 5, low index", "glass_descent", lambda r: r.assign(pure_index=r.pure_index + 2), "fails"),
    ("Sec. 5, field", "glass_descent", lambda r: r.assign(overlap=r.overlap * 0.5), "fails"),
    ("Sec. 5, field", "glass_descent", lambda r: r.assign(overlap=xr.ones_like(r.overlap)), "fails"),
    ("Sec. 5, field", "glass_descent", lambda r: r.assign(minimum=r.minimum - 0.1), "fails"),
]  # fmt: skip
"""Claim, how the names of the recordings begin that are forged, the forgery, and the verdict on it."""


def of(claim, recordings):
    return {name: recording for name, recording in recordings.items() if name.startswith(claim.needs)}


@pytest.mark.parametrize(("claim", "name", "forge", "verdict"), FORGERIES)
def test_a_counterfeit_turns_its_verdict(committed, verdicts, claim, name, forge, verdict):
    judge = next(c for c in CLAIMS if c.name == claim)
    forged = {key: forge(data) if key.startswith(name) else data for key, data in of(judge, committed).items()}
    assert judge.finding(forged).verdict == verdict != verdicts[claim]


def test_every_claim_has_a_counterfeit():
    elsewhere = {*FIRST_LAYER_CLAIMS}  # test_more_claims
    assert {claim for claim, *_ in FORGERIES} == {claim.name for claim in CLAIMS if claim not in elsewhere}


def blank(recordings, chosen=lambda variable: True):
    """With NaN for numbers."""
    return {
        name: recording.assign(
            {
                v: xr.full_like(recording[v], np.nan, dtype=float)
                for v in recording.data_vars
                if recording[v].dtype.kind in "fiu" and chosen(v)
            }
        )
        for name, recording in recordings.items()
    }


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_recordings_of_nan_prove_nothing(committed, verdicts, claim):
    assert claim.finding(blank(of(claim, committed))).verdict.startswith("not testable")
    holes = {variable for start, some in HOLES.items() if claim.needs.startswith(start) for variable in some}
    if holes and claim.needs != "resnet-":  # whose holes no claim reads
        spared = claim.finding(blank(of(claim, committed), lambda variable: variable in holes)).verdict
        assert spared == verdicts[claim.name] or spared.startswith("not testable")


def test_one_number_that_is_not_finite_is_named(committed):
    for start in {claim.needs for claim in CLAIMS}:
        name, recording = next((k, v) for k, v in committed.items() if k.startswith(start))
        holes = {v for begin, some in HOLES.items() if name.startswith(begin) for v in some}
        for variable in {v for v in recording.data_vars if recording[v].dtype.kind == "f"} - holes:
            values = recording[variable].copy(deep=True)
            values[dict.fromkeys(values.dims, -1)] = np.inf
            claim = Claim("", "", lambda _: pytest.fail("judged"), needs=name)
            found = claim.finding({name: recording.assign({variable: values})})
            assert found.verdict == f"not testable: {variable} of {name} is not finite"
