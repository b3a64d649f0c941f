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
