"""The claims of the theory: their verdicts on what is committed, and a counterfeit that turns each of them."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from skipglass.paper import critical_points, driving_force, glass, landscape, lemmas, readings, slips, theorems
from skipglass.paper.claim import HOLES
from skipglass.paper.claims_page import load_results
from skipglass.paper.readings import reading_of
from skipglass.theory import DepthEnsemble

CLAIMS = {
    claim.name: claim
    for claim in (
        *lemmas.CLAIMS, *readings.CLAIMS, *theorems.CLAIMS, *driving_force.FORCES.claims, *slips.CLAIMS,
        *landscape.CLAIMS, *critical_points.CLAIMS, *glass.CLAIMS,
    )
}  # fmt: skip
VERDICTS = {
    "Eq. 9": "identity",
    "Eqs. 2, 11": "identity",
    "Lemma 1": "identity",
    "Lemma 2": "identity",
    "Below Lemma 2": "identity",
    "Lemma 3": "not supported (13 of 27 settings)",
    "Lemma 3, constants": "not supported (1 of 2 settings)",
    "Eq. 15, second line": "not supported (1 of 5 settings)",
    "Eqs. 14, 15": "supported (10 of 11 settings)",
    "Eq. 15 on Eq. 8": "not supported (0 of 5 settings)",
    "Claim 1": "supported (6 of 6 settings)",
    "Independent weights": "supported (10 of 10 settings)",
    "Theorem 1": "identity",
    "Theorem 2": "identity",
    "Lemma 4": "identity",
    "Eq. 17": "identity",
    "Fig. 1(a-c)": "identity",
    "Sec. 3, start": "identity",
    "Sec. 6, dense nets": "identity",
    "Sec. 6, short paths": "supported (2 of 3 settings)",
    "Theorem 5": "identity",
    "Theorem 3": "identity",
    "Theorem 4": "identity",
    "Eq. 21": "identity",
    "Theorem 3, assumptions": "not supported (1 of 5 settings)",
    "Sec. 6, no assumptions": "not supported",
    "Sec. 4.1": "not supported",
    "Gates of paths": "not supported (1 of 3 settings)",
    "Theorem 2, proof": "not supported (0 of 2 settings)",
    "Theorem 3, proof": "not supported (1 of 2 settings)",
    "Theorem 4, prose": "not supported (1 of 2 settings)",
    "Theorem 5, proof": "not supported (0 of 3 settings)",
    "Eqs. 5-7, 28-30": "supported (9 of 9 settings)",
    "Def. 3, Eq. 33": "supported (12 of 12 settings)",
    "Fig. 1(f)": "identity",
    "Def. 4, Eq. 32": "supported (3 of 3 settings)",
    "Sec. 2, layers": "supported (4 of 4 settings)",
    "Sec. 5, low index": "supported (4 of 4 settings)",
    "Sec. 5, field": "supported (3 of 3 settings)",
}


@pytest.fixture(scope="module")
def committed():
    return load_results(Path(__file__).parents[2] / "results")


def test_the_verdicts_of_what_is_committed(committed):
    assert {name: claim.finding(committed).verdict for name, claim in CLAIMS.items()} == VERDICTS


def test_the_verdicts_of_what_is_measured_anew(recordings):
    for name, claim in CLAIMS.items():
        if claim.needs in ("lemmas", "readings", "theorems", "slips"):
            assert claim.finding(recordings).verdict == VERDICTS[name]


def at(recording, variable, forge, **where):
    """The recording with some of a variable's numbers forged."""
    values = recording[variable].copy(deep=True)
    values.loc[where] = forge(values.loc[where])
    return recording.assign({variable: values})


def as_reading(recording, *networks):
    """The recording as if each network's parts were its reading's."""
    power = recording.power.copy(deep=True)
    scatter = np.random.default_rng(0).normal(1, 0.01, (recording.sizes["seed"], recording.sizes["length"]))
    for network in networks:
        for beta in recording.beta.values:
            e = DepthEnsemble(recording.sizes["length"], float(beta), reading_of(network))
            power.loc[{"network": network, "beta": beta}] = scatter * e.weights**2
    return recording.assign(power=power)


def swapped(recording):
    """Critical points of index 0 and 1 change places."""
    index = recording.point_index
    return recording.assign(point_index=xr.where(index == 0, 1, xr.where(index == 1, 0, index)))


LOW = {"draw": 7, "placement": ["evenly spread, Λ = n/2", "evenly spread, Λ = n", "all from one input"]}
FORGERIES = [
    ("Eq. 9", lambda r: at(r, "path_sum", lambda v: v + 1e-9, seed=3), "not supported (0 of 4 settings)"),
    ("Eqs. 2, 11", lambda r: r.assign(expectation=r.expectation + 1e-9), "not supported"),
    ("Lemma 1", lambda r: at(r, "configuration_sum", lambda v: v + 1e-9, seed=3), "not supported (1 of 2 settings)"),
    ("Lemma 1", lambda r: at(r, "uneven", lambda v: v + 0.1, seed=3), "not supported (1 of 2 settings)"),
    ("Lemma 2", lambda r: at(r, "low", lambda v: v * 0.99, **LOW), "not supported (1 of 4 settings)"),
    ("Lemma 2", lambda r: at(r, "high", lambda v: v * 1.01, **LOW), "not supported (1 of 4 settings)"),
    ("Below Lemma 2", lambda r: at(r, "high", lambda v: v * 1.01, draw=7), "not supported"),
    ("Lemma 3", lambda r: r.assign(gap=r.gap * 0), "supported (27 of 27 settings)"),
    ("Lemma 3, constants", lambda r: r.assign(slope=abs(r.slope)), "supported (2 of 2 settings)"),
    ("Eq. 15, second line", lambda r: r.assign(dropped=r.dropped * 0), "identity"),
    ("Eqs. 14, 15", lambda r: r.assign(power=r.power * r.length**4), "not supported (0 of 11 settings)"),
    ("Eqs. 14, 15", lambda r: at(r, "power", lambda v: v * v.length, beta=2.0), "supported (8 of 11 settings)"),
    ("Eqs. 14, 15", lambda r: r.assign(uniform=xr.zeros_like(r.uniform) + DepthEnsemble(8, 1.0).weights ** 2),
     "supported (11 of 11 settings)"),
    ("Independent weights", lambda r: r.assign(power=r.power * r.length**4), "not supported (0 of 10 settings)"),
    ("Eq. 15 on Eq. 8", lambda r: as_reading(r, "redundant, Eq. 8"), "supported (5 of 5 settings)"),
    ("Claim 1", lambda r: r.assign_coords(beta=r.beta.values[::-1]), "not supported (0 of 6 settings)"),
    ("Theorem 1", lambda r: r.assign(peak_share=r.peak_share + 0.01), "not supported (0 of 3 settings)"),
    ("Theorem 2", lambda r: r.assign(outside=r.outside[..., ::-1].assign_coords(depth=r.depth)),
     "not supported (0 of 2 settings)"),
    ("Lemma 4", lambda r: r.assign(reached=xr.where(r.reached == 100, 99, r.reached)), "not supported"),
    ("Eq. 17", lambda r: r.assign(deepest=r.deepest - 1), "not supported (0 of 2 settings)"),
    ("Fig. 1(a-c)", lambda r: r.assign(peak_share=1 - r.peak_share), "not supported (0 of 2 settings)"),
    ("Sec. 3, start", lambda r: r.assign(start=1 - r.start), "not supported (0 of 3 settings)"),
    ("Sec. 6, dense nets", lambda r: r.assign(dense_paths=r.dense_paths + (r.length == 4)), "not supported"),
    ("Sec. 6, short paths", lambda r: r.assign(dense_paths=r.dense_paths + (r.length == 5)),
     "supported (3 of 3 settings)"),
    ("Theorem 5", lambda r: r.assign(excess=xr.where(r.excess == r.excess.max(), 1e-6, r.excess)),
     "not supported (4 of 6 settings)"),
    ("Theorem 3", lambda r: r.assign(change=r.change * 1.001), "not supported (1 of 2 settings)"),
    ("Theorem 3", lambda r: r.assign(change=-r.change), "not supported (0 of 2 settings)"),
    ("Theorem 3", lambda r: r.assign(rest=r.rest + 1e-3), "undetermined: the points are not stationary"),
    ("Theorem 3", lambda r: r.assign(flipped=r.flipped + 1), "undetermined: every step flips a gate"),
    ("Theorem 4", lambda r: r.assign(norm_p=r.norm_p * 1.001), "not supported (1 of 2 settings)"),
    ("Theorem 4", lambda r: r.assign(rest=r.rest + 1e-3), "undetermined: the points are not stationary"),
    ("Eq. 21", lambda r: r.assign(eq21=r.eq21 * (1 + 1e-6)), "not supported"),
    ("Theorem 3, assumptions", lambda r: r.assign(theorem_force=r.true_force), "supported (5 of 5 settings)"),
    ("Sec. 6, no assumptions", lambda r: r.assign(theorem_force=r.true_force), "identity"),
    ("Sec. 4.1", lambda r: r.assign(second_moment=0 * r.second_moment + r.depth), "supported (1 of 1 setting)"),
    ("Gates of paths", lambda r: r.assign(path_low=r.gate**r.gate_length, path_high=r.gate**r.gate_length),
     "supported (3 of 3 settings)"),
    ("Theorem 2, proof", lambda r: r.assign(beyond=r.beyond * (r.side == "lower")), "identity"),
    ("Theorem 3, proof", lambda r: r.assign(slope=-abs(r.slope)), "supported (2 of 2 settings)"),
    ("Theorem 4, prose", lambda r: r.assign(scale_force=abs(r.scale_force)), "supported (2 of 2 settings)"),
    ("Theorem 5, proof", lambda r: r.assign(least=r.printed), "identity"),
    ("Eqs. 5-7, 28-30", lambda r: r.assign(product=r["product"] + 0.3 * (r.overlap == 0.6)),
     "supported (6 of 9 settings)"),
    ("Def. 3, Eq. 33", lambda r: r.assign(limit=r.limit * 0), "not supported (0 of 12 settings)"),
    ("Def. 3, Eq. 33", lambda r: r.assign(limit=r.limit * 2), "not supported (0 of 12 settings)"),
    ("Def. 3, Eq. 33", lambda r: r.assign(limit=r.limit * 1.25), "not supported (0 of 12 settings)"),
    ("Def. 3, Eq. 33", lambda r: r.assign(limit=r.limit * 0.75), "not supported (0 of 12 settings)"),
    ("Def. 3, Eq. 33", lambda r: r.assign(log_count=r.log_count * 0.8), "not supported (0 of 12 settings)"),
    ("Fig. 1(f)", lambda r: r.assign(complexity=-r.complexity), "not supported (0 of 2 settings)"),
    ("Def. 4, Eq. 32", lambda r: r.assign(z=r.z + 5), "supported (2 of 3 settings)"),
    ("Def. 4, Eq. 32", lambda r: r.assign(z=r.z + 5, chi2=r.chi2 * 4), "not supported (1 of 3 settings)"),
    ("Def. 4, Eq. 32", lambda r: r.assign(incomplete=r.incomplete + 1), "supported (2 of 3 settings)"),
    ("Sec. 2, layers", swapped, "not supported (0 of 4 settings)"),
    ("Sec. 5, low index", lambda r: r.assign(pure_index=r.pure_index + 2), "not supported (0 of 4 settings)"),
    ("Sec. 5, field", lambda r: r.assign(overlap=r.overlap * 0.5), "supported (2 of 3 settings)"),
    ("Sec. 5, field", lambda r: r.assign(overlap=xr.ones_like(r.overlap)), "supported (2 of 3 settings)"),
    ("Sec. 5, field", lambda r: r.assign(minimum=r.minimum - 0.1), "supported (2 of 3 settings)"),
]  # fmt: skip
"""Claim, the forgery of the recording that it needs, and the verdict on it."""


@pytest.mark.parametrize(("name", "forge", "verdict"), FORGERIES)
def test_a_counterfeit_turns_its_verdict(committed, name, forge, verdict):
    needs = CLAIMS[name].needs
    assert CLAIMS[name].finding({needs: forge(committed[needs])}).verdict == verdict != VERDICTS[name]


def test_every_claim_has_a_counterfeit():
    assert {name for name, *_ in FORGERIES} == set(CLAIMS) == set(VERDICTS)


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda claim: claim.name)
def test_recordings_of_nan_prove_nothing(committed, claim):
    data = committed[claim.needs]
    numbers = {v: xr.full_like(data[v], np.nan, dtype=float) for v in data.data_vars if data[v].dtype.kind in "fiu"}
    assert claim.finding({claim.needs: data.assign(numbers)}).verdict.startswith("undetermined: ")


def test_one_number_that_is_not_finite_is_named(committed):
    for needs in {claim.needs for claim in CLAIMS.values()}:
        recording = committed[needs]
        claim = next(claim for claim in CLAIMS.values() if claim.needs == needs)
        holes = {v for start, some in HOLES.items() if needs.startswith(start) for v in some}
        for variable in {v for v in recording.data_vars if recording[v].dtype.kind == "f"} - holes:
            values = recording[variable].copy(deep=True)
            values[dict.fromkeys(values.dims, -1)] = np.inf
            found = claim.finding({needs: recording.assign({variable: values})})
            assert found.verdict == f"undetermined: {variable} of {needs} is not finite"
