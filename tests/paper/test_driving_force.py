"""What drives the scales: verdicts are functions of the recordings, and counterfeits flip them."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from skipglass.paper.drift_page import DRIFT
from skipglass.paper.drift_reach import correlation, decay_share, predictions, right

from skipglass.errors import InputError, StorageError
from skipglass.paper import CLAIMS, drift_runs
from skipglass.paper.drift_runs import Run, seed_of
from skipglass.paper.driving_force import driving_force, stationary
from skipglass.paper.recursion import second_moments

RESULTS = Path(__file__).parents[2] / "results" / "drift" / "recordings"
NAMES = [
    "Theorem 3, slope", "Theorem 3, step", "Theorem 3, epoch", "Theorem 3, condition", "Fig. 3, share",
]  # fmt: skip


@pytest.fixture(scope="module")
def committed():
    return DRIFT.load(RESULTS)


def judge(name, recordings):
    return next(claim for claim in CLAIMS if claim.name == name).finding(recordings)


def test_every_claim_has_its_verdict_from_the_committed_recordings(committed):
    found = {name: judge(name, committed).verdict for name in NAMES}
    assert {n: v for n, v in found.items() if v == "holds"} == dict.fromkeys(
        ["Theorem 3, slope", "Theorem 3, condition"], "holds"
    )
    assert found["Theorem 3, step"] == found["Theorem 3, epoch"] == "holds when the setting is CIFAR-10"
    assert found["Fig. 3, share"] == "holds when the setting is digits"


def test_the_panels_can_be_drawn_from_the_recordings(committed):
    sections, combined = DRIFT.pages(committed, ("drift",))
    assert [len(section.items) for section in sections] == [6 * sum(key.startswith("drift-") for key in committed)]
    assert len(combined["drift"]) == 6
    data = committed["drift-digits"]
    panels = {panel.name: panel for panel in sections[0].items}
    change, ends = panels["drift-digits-change"], panels["drift-digits-first-order"]
    force, growth = (values[0, :, 1:] for values in predictions(data)["step"])
    right, wrong, equal = change.series
    assert right.x.size + wrong.x.size == force.size
    same = np.sign(force) == np.sign(growth)
    assert np.allclose(np.sort(right.y), np.sort(abs(growth[same])))
    assert np.allclose(np.sort(right.x), np.sort(abs(force * data.rate.values[:, None])[same]))
    assert np.array_equal(equal.x, equal.y)
    assert np.isclose(ends.series[0].x.max(), abs(data.push_predicted[0, :, 1:]).values.max())
    found = panels["drift-digits-correlation"].series[-1].y
    assert np.allclose(found, correlation(data.push_predicted.values, data.push_step.values).mean(0), equal_nan=True)


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


def test_statistics_of_forces():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(2, 30, 3))
    assert np.allclose(correlation(a, a**3), 1)
    assert np.allclose(correlation(a, -np.exp(a)), -1)
    assert right(a, -a).max() == 0
    sums = xr.Dataset(
        {"epoch_growth": (("seed", "epoch", "layer"), [[[9.0, -4.0, 1.0]]]),
         "epoch_decay": (("seed", "epoch", "layer"), [[[-9.0, -1.0, -5.0]]])}
    )  # fmt: skip
    assert decay_share(sums) == pytest.approx([0.25])


def test_bad_input_gets_one_line(tmp_path):
    with pytest.raises(InputError, match="100"):
        stationary(lambda targets: 1.0, lambda number: None)
    with pytest.raises(StorageError, match="skipglass reproduce drift"):
        DRIFT.load(tmp_path)
    assert not DRIFT.is_recorded(tmp_path)
    with pytest.raises(SystemExit, match="gausians"):
        drift_runs.main([str(tmp_path), "gausians"])
