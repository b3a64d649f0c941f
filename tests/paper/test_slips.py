"""The paper's slips, computed by hand and anew."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from skipglass.paper import slips
from skipglass.paper.claims_page import load_results
from skipglass.paper.driving_force import SingleSkip


@pytest.fixture(scope="module")
def committed():
    return load_results(Path(__file__).parents[2] / "results")


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
