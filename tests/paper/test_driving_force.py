"""What drives the scales: verdicts are functions of the recordings, and counterfeits flip them."""

from pathlib import Path

import numpy as np
import pytest

from skipglass.errors import InputError, StorageError
from skipglass.paper import CLAIMS, drift_runs
from skipglass.paper.drift import DRIFT
from skipglass.paper.drift_runs import Run, seed_of
from skipglass.paper.driving_force import driving_force, eq_21, stationary
from skipglass.paper.recursion import second_moments

RESULTS = Path(__file__).parents[2] / "results" / "drift" / "recordings"


@pytest.fixture(scope="module")
def committed():
    return DRIFT.load(RESULTS)


def judge(name, recordings):
    return next(claim for claim in CLAIMS if claim.name == name).finding(recordings)


def test_recordings_name_no_folder(committed):
    for data in committed.values():
        assert not any(
            str(value).startswith("/") or "/" in str(value).split("results/")[0] for value in data.attrs.values()
        )


def test_the_theorems_are_measured_again_and_hold():
    data = driving_force(4)
    assert judge("Theorem 3", {"driving_force": data}).verdict == "identity"
    assert judge("Theorem 4", {"driving_force": data}).verdict == "identity"
    one = data.sel(dropped="none")
    assert np.allclose(one.theorem_force, one.true_force, rtol=1e-9)
    assert float(abs(data.rest).max()) < 1e-12


@pytest.mark.parametrize("seed", [0, 1])
def test_eq_21_holds_in_a_network_that_is_split_anew(seed):
    """The committed recording alone would not show that the code which made it has changed."""
    found = eq_21(seed)
    assert float(found.eq21) == pytest.approx(float(found.slope_c), rel=1e-12)


def test_untrained_networks_of_the_package_have_the_same_second_moments():
    import torch

    from skipglass.models import ResidualMLP

    moments = second_moments(2, depth=4, width=200, samples=200).second_moment.mean("seed")
    for name, options in {
        "Eq. 22 as printed": {"normalization": "paper"},
        "batch norm before the ReLU": {"normalization": "batch", "placement": "before"},
        "batch norm after the ReLU": {"normalization": "batch"},
    }.items():
        torch.manual_seed(0)
        model, h = ResidualMLP(200, depth=4, width=200, **options), torch.randn(200, 200)
        found = []
        for layer in model.layers:
            h = layer(h)
            found.append(float(h.detach().square().mean()))
        assert np.allclose(moments.sel(variant=name), found, rtol=0.1), name  # 200 units of 200 samples


TINY = Run("digits", depth=4, width=8, epochs=1, batch_size=150, learning_rate=1e-5, momentum=0.0, weight_decay=0.01)


def test_measuring_leaves_the_training_as_it_was_and_first_orders_fit(monkeypatch):
    often = seed_of(TINY, 0)
    monkeypatch.setattr(drift_runs, "MEASURED", 1)
    once = seed_of(TINY, 0)
    assert np.array_equal(often.norm_squared, once.norm_squared)
    assert np.array_equal(often.epoch_growth, once.epoch_growth)
    for predicted, actual in (("live_force", "push"), ("push_predicted", "push_step")):
        error = np.abs(often[predicted] - often[actual]).max()
        assert float(error) < 0.1 * float(np.abs(often[actual]).max())
    assert np.allclose(often.growth_decay, -1e-5 * 0.01 * often.norm**2, rtol=1e-5)
    half = often.norm_squared.diff("boundary").values[0] / 2
    assert (half >= often.epoch_growth.values[0] - 1e-5).all()  # the rest is half of Σ‖Δλ‖²
    assert np.allclose(half, often.epoch_growth.values[0], atol=1e-3)


def test_bad_input_gets_one_line(tmp_path):
    with pytest.raises(InputError, match="100"):
        stationary(lambda targets: 1.0, lambda number: None)
    with pytest.raises(StorageError, match="skipglass reproduce drift"):
        DRIFT.load(tmp_path)
    assert not DRIFT.is_recorded(tmp_path)
    with pytest.raises(SystemExit, match="gausians"):
        drift_runs.main([str(tmp_path), "gausians"])
