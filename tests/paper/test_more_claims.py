"""The first layer and the paper's slips: verdicts and counterfeits."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from skipglass.paper import CLAIMS, slips
from skipglass.paper.claims_page import load_results
from skipglass.paper.driving_force import SingleSkip
from skipglass.paper.first_layer_claims import FIRST_LAYER_CLAIMS

NEW = FIRST_LAYER_CLAIMS


@pytest.fixture(scope="module")
def committed():
    return load_results(Path(__file__).parents[2] / "results")


def judge(name, recordings):
    return next(claim for claim in CLAIMS if claim.name == name).finding(recordings)


VERDICTS = {
    "Fig. 1(d), first layer": "holds when the setting is digits nearest or digits contrary",
    "Fig. 1(d), outside": "fails",
    "Theorem 3, unskipped": "holds when the setting is digits nearest",
}


def test_every_claim_has_its_verdict_from_the_committed_recordings(committed):
    assert list(VERDICTS) == [claim.name for claim in NEW]
    for claim in NEW:
        found, wanted = claim.finding(committed), VERDICTS[claim.name]
        assert found.verdict == wanted or (wanted.startswith("holds when") and found.verdict.startswith(wanted))
        assert len(found.measured) < 600, claim.name


def first_grows(data):
    """|λ_1| grows by 1 more than any other."""
    value = data.multiplier_magnitude.transpose("evaluation", "seed", "layer").copy(deep=True)
    value[-1, :, 0] = value[0, :, 0] + abs(value[-1] - value[0]).max() + 1 + 0.01 * value.seed
    return data.assign(multiplier_magnitude=value)


def in_the_middle(data):
    """The layers fall and rise in turn, but for the first, which stays."""
    value = data.multiplier_magnitude.transpose("evaluation", "seed", "layer").copy(deep=True)
    value[-1] = value[0]
    value[-1, :, 1:] += (
        np.resize([0.1, -0.1], value.sizes["layer"] - 1) + 0.001 * np.arange(value.sizes["seed"])[:, None]
    )
    return data.assign(multiplier_magnitude=value)


FORGED = {
    "Fig. 1(d), first layer": ("figure1d", in_the_middle, "fails"),
    "Fig. 1(d), outside": ("figure1d", first_grows, "holds"),
    "Theorem 3, unskipped": ("figure1d", first_grows, "holds"),
}  # fmt: skip


def test_every_claim_has_a_counterfeit():
    assert set(FORGED) == set(VERDICTS) == {claim.name for claim in NEW}


@pytest.mark.parametrize("name", VERDICTS)
def test_a_counterfeit_flips_the_verdict(committed, name):
    which, forge, verdict = FORGED[name]
    forged = {key: forge(data) if key.startswith(which) else data for key, data in committed.items()}
    assert judge(name, forged).verdict == verdict != judge(name, committed).verdict


@pytest.fixture(scope="module")
def broken(committed):
    return {
        key: data.map(lambda v: xr.full_like(v, np.nan, dtype=float))
        for key, data in committed.items()
        if any(key.startswith(claim.needs) for claim in NEW)
    }


@pytest.mark.parametrize("claim", NEW, ids=lambda claim: claim.name)
def test_a_recording_full_of_nan_proves_nothing(broken, claim):
    with np.errstate(invalid="ignore"):
        assert not claim.finding(broken).verdict.startswith("holds")


def test_the_slips_are_computed_anew_to_the_same_numbers(committed):
    recorded, draws = committed["slips"], np.random.default_rng(0)
    for part in (slips._scale_forces(), slips._tails(), slips._eq_50(), slips._eq_41(), slips._gates(draws)):
        xr.testing.assert_allclose(part.drop_attrs(), recorded[list(part)].drop_attrs(), rtol=1e-9)


def test_the_counterexample_to_the_prose_after_theorem_4():
    """‖g_m‖ = 2 ‖g_p‖, antiparallel, m = 2, p = 10: the dominant gradient does not make C grow."""
    g_p = np.array([0.6, 0.8])
    assert slips.force_on_scale(-2 * g_p, g_p, 2, 10) == pytest.approx(-6)
    assert slips.force_on_scale(-6 * g_p, g_p, 2, 10) > 0 > slips.force_on_scale(-4 * g_p, g_p, 2, 10)


def test_the_balance_moves_with_skipped_layers_alone_on_a_network():
    """Raising a λ that is not skipped scales the whole output; one that is skipped scales the long paths alone."""
    model, x = SingleSkip(0), torch.randn(40, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for layer in model.chain:
        layer.momentum = 1.0
    model.train()(x)
    model.eval()
    with torch.no_grad():
        before = model(x)
        model.chain[-1].multiplier *= 1.1
        assert torch.allclose(model(x), 1.1 * before)
        model.chain[-1].multiplier /= 1.1
        model.chain[model.skipped[0]].multiplier *= 1.1
        assert not torch.allclose(model(x) / before, (model(x) / before)[0])


def test_the_slope_after_a_step_has_the_sign_of_minus_lambda(committed):
    data = committed["slips"]
    assert (np.sign(data.slope) == -np.sign(data.scale)).all()
    assert int((data.scale > 0).sum()) not in (0, data.scale.size)


def test_the_tails_mirror_each_other():
    """R → p - r takes the lower tail at β = 1/2 to the upper one at β = 2, where no r lies on the border."""
    found = slips._tails().beyond
    for p in found.tail_order.values:
        lower, upper = found.sel(side="lower", tail_order=p), found.sel(side="upper", tail_order=p)
        assert float(lower.sel(tail_base=0.5)) == pytest.approx(float(upper.sel(tail_base=2.0)), rel=1e-6)
