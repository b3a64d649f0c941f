"""Verdicts are pure functions of recordings: a counterfeit recording flips each of them."""

import numpy as np
import pytest

from skipglass.paper import CLAIMS, claims_table
from skipglass.paper.finding import growth
from skipglass.paper.theorems import theorems


@pytest.fixture(scope="module")
def measured(recordings):
    return dict(recordings)


def judge(name, recordings):
    return next(claim for claim in CLAIMS if claim.name == name).finding(recordings)


def changed(recordings, name, **variables):
    return {**recordings, name: recordings[name].assign(variables)}


@pytest.mark.parametrize(
    ("claim", "panel", "variable"),
    [
        ("Sec. 4, Fig. 1(d)", "figure1d", "multiplier_magnitude"),
        ("Sec. 4.2, Fig. 1(e)", "figure1e", "weight_norm"),
    ],
)
def test_growth_is_judged_setting_by_setting(measured, claim, panel, variable):
    def forge(factor):
        forged = dict(measured)
        for run in [run for run in measured if run.startswith(panel)]:
            recording = measured[run]
            value = recording[variable]
            noise = np.random.default_rng(0).normal(0, 1e-3, value.sizes["seed"])
            ramp = np.linspace(1, factor, value.sizes["evaluation"])[:, None, None] + noise[:, None] * 0
            start = value.isel(evaluation=0).values
            grown = ramp * start * (1 + np.arange(len(ramp))[:, None, None] * noise[None, :, None] * 1e-3)
            forged[run] = recording.assign({variable: (("evaluation", "seed", "layer"), grown)})
        return forged

    rising, falling = forge(1.5), forge(0.5)
    assert judge(claim, rising).verdict == "holds"
    assert judge(claim, falling).verdict == "fails"
    first = next(run for run in measured if run.startswith(panel))
    mixed = judge(claim, {**falling, first: rising[first]}).verdict
    assert mixed == f"holds when the setting is {' '.join(first.split('-')[1:]).replace('gaussians', 'Gaussians')}"


def test_a_rise_within_its_noise_is_no_growth(measured):
    runs = [run for run in measured if run.startswith("figure1e")]
    forged = dict(measured)
    for run in runs:
        value = measured[run].weight_norm
        scatter = (
            1 + np.array([-0.3, 0.0, 0.5])[None, :, None] * (np.arange(value.sizes["evaluation"]) > 0)[:, None, None]
        )
        start = value.isel(evaluation=0).values
        forged[run] = measured[run].assign(weight_norm=(("evaluation", "seed", "layer"), start * scatter))
    assert judge("Sec. 4.2, Fig. 1(e)", forged).verdict == "not testable: every change is within its noise"


def test_a_diverged_network_is_no_evidence(measured):
    run = next(run for run in measured if run.startswith("figure1e"))
    norm = measured[run].weight_norm.copy(deep=True)
    norm[-1, 0, 2] = np.nan
    assert judge("Sec. 4.2, Fig. 1(e)", changed(measured, run, weight_norm=norm)).verdict.startswith("not testable: 1")
    multiplier = measured["figure1d-digits-nearest"].multiplier_magnitude.copy(deep=True)
    multiplier[-1, 1, 1] = np.inf
    forged = changed(measured, "figure1d-digits-nearest", multiplier_magnitude=multiplier)
    assert judge("Sec. 4, Fig. 1(d)", forged).verdict.startswith("not testable: 1")


def test_the_table_has_a_row_for_each_claim(measured):
    rows = claims_table(measured)
    assert [row[0] for row in rows] == [claim.name for claim in CLAIMS]
    assert all(all(cell for cell in row) for row in rows)


def test_measuring_the_theorems_is_deterministic(measured):
    assert theorems().identical(measured["theorems"].drop_attrs().assign_attrs(theorems().attrs))


@pytest.mark.parametrize(
    ("several", "one", "verdict"),
    [
        (-1.0, 0.5, "fails, but not in single networks of b"),
        (-1.0, -0.5, "fails"),
        (1.0, -0.5, "holds, but not in single networks of b"),
        (1.0, 0.5, "holds"),
    ],
)
def test_one_seed_that_goes_the_other_way_is_named(several, one, verdict):
    changes = {"a": np.array([several, 1.1 * several]), "b": np.array([one])}
    assert growth(changes, "x").verdict == verdict


def test_one_seed_proves_no_growth(measured):
    single = {name: r.isel(seed=[0]) if "seed" in r.dims else r for name, r in measured.items()}
    assert judge("Sec. 4.2, Fig. 1(e)", single).verdict == "not testable with one seed"
