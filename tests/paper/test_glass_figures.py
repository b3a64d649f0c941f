"""The glass figures: what is drawn is what was recorded, and the recorded runs say what the captions claim."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from rich.progress import Progress
from threadpoolctl import threadpool_limits

from skipglass.paper import glass, recorded, samples, write_report
from skipglass.paper.critical_points import layers
from skipglass.record import load
from skipglass.theory import DepthEnsemble, Mixture, ground_state_energy, threshold_energy

RECORDED = Path(__file__).parents[2] / "results" / "glass" / "recordings" / "glass_descent.nc"


@pytest.fixture(scope="module")
def small():
    sweep = glass.depth_sweep(factors=(0.5, 10.0), seeds=(0, 1), size=150, steps=6)
    return xr.merge([sweep, glass.finite_size({12: 3, 20: 2})], combine_attrs="drop_conflicts")


def test_landmarks_are_those_that_are_known():
    pure = glass.landmarks(Mixture({3: 4.0}))
    assert pure["threshold"] == pytest.approx(2 * threshold_energy(3))
    assert pure["ground"] == pytest.approx(2 * ground_state_energy(3))
    assert math.isnan(pure["minimum"])
    trivial = glass.landmarks(DepthEnsemble(100, 0.005).mixture(field=True))
    assert trivial["minimum"] == pytest.approx(-math.sqrt(DepthEnsemble(100, 0.005).mixture(field=True).nu1))
    assert math.isnan(trivial["threshold"])
    assert trivial["ground"] == pytest.approx(trivial["minimum"], rel=1e-9)
    unknown = glass.landmarks(Mixture({2: 12 / 13, 4: 1 / 13}))
    assert math.isnan(unknown["threshold"])
    assert unknown["ground"] == pytest.approx(-1.46470, abs=5e-6)


def test_panels_draw_the_recording(small):
    energies, overlaps, sizes = glass.glass_panels(small)
    kept = energies.series[0]
    np.testing.assert_allclose(kept.y, small.energy.sel(field=True).mean(("seed", "start")))
    np.testing.assert_allclose(kept.low, small.energy.sel(field=True).min(("seed", "start")))
    np.testing.assert_allclose(overlaps.series[1].high, small.overlap.sel(field=False).max("seed"))
    np.testing.assert_allclose(sizes.series[0].y[1], small.pure_energy.values[1, :2].mean())
    assert "10 of 10 end points are minima" in sizes.note


def test_a_sample_depends_on_its_seed_alone(small):
    m = DepthEnsemble(100, float(small.beta[0])).mixture(field=True)
    again = glass.lazy_descents(m, 150, seed=1, steps=6)
    np.testing.assert_array_equal(again.energy, small.energy.isel(beta=0).sel(field=True, seed=1))
    assert float(again.overlap) > 0.9


def test_a_sample_depends_on_neither_threads_nor_workers():
    """The last digits of long sums depend on the number of threads, and descents enlarge them."""
    found, threads = [], torch.get_num_threads()
    try:
        for count, workers in ((1, 1), (2, 1), (2, 2)):
            torch.set_num_threads(count)
            with threadpool_limits(count):
                mixture = DepthEnsemble(100, 0.5).mixture()
                found.append(samples.descents(mixture, 1000, [0, 1], starts=1, steps=12, workers=workers))
    finally:
        torch.set_num_threads(threads)
    assert found[1].identical(found[0])
    assert found[2].identical(found[0])


def test_counts_are_compared_with_their_exact_mean():
    recording = xr.Dataset(
        {
            "count": (("sample", "index"), np.array([[1, 3], [3, 5]])),
            "complete": ("sample", [True, False]),
            "exact": ("index", [2.0, 3.0]),
            "exact_error": ("index", [0.0, 0.0]),
        },
        coords={"index": [0, 1]},
        attrs={"size": 2, "mixture": "m"},
    )
    rows = samples.compared(recording)
    assert rows[0] == ("0", 2.0, 2.0, 1.0, 0.0)
    assert rows[1] == ("1", 3.0, 4.0, 1.0, 1.0)
    assert rows[2] == ("total", 5.0, 6.0, 2.0, 0.5)
    assert "1 with evidence" in samples.count_panel(recording).note


def test_the_committed_recording_says_what_the_figure_claims():
    recording = load(RECORDED, "glass")
    threshold = recording.attrs["threshold_beta"]
    kept = recording.sel(field=True)
    below, above = kept.sel(beta=kept.beta < 0.6 * threshold), kept.sel(beta=kept.beta > 3 * threshold)
    assert float(below.overlap.min()) > 0.999
    assert float(abs(above.overlap).max()) < 0.1
    spread = 5 / math.sqrt(recording.attrs["size"])
    assert (abs(below.energy - below.minimum) < spread).all()
    pure = recording.pure_energy
    assert (recording.pure_index.where(pure.notnull(), 0) == 0).all()
    assert (pure.where(pure.notnull(), 0) > ground_state_energy(3) - 0.1).all()
    assert float(pure.isel(pure_size=-1).mean()) == pytest.approx(threshold_energy(3), abs=0.05)


def test_the_page_shows_the_committed_recordings(tmp_path):
    shutil.copytree(RECORDED.parent, tmp_path / "recordings")
    assert recorded(tmp_path) == ["glass"]
    with Progress(disable=True) as progress:
        page = write_report(tmp_path, ["glass"], progress=progress).read_text()
    assert {p.stem for p in (tmp_path / "figures").glob("*.png")} == {
        "glass",
        "glass-layers-3",
        "glass-layers-4",
        "glass-depth",
        "glass-overlap",
        "glass-size",
    }
    assert "500 glasses per case" in page


def test_layers_lie_in_order_of_their_index():
    recording = load(RECORDED.parent / "glass_agreement.nc", "agreement")
    for p in (3, 4):
        found = layers(recording, p)
        assert (np.diff(found.medians[: found.size // 2]) > 0).all()
        deepest = [found.edges[np.isfinite(rate).argmax()] for rate in found.rate[:3]]
        assert deepest == sorted(deepest)


def test_the_quick_recording_is_smaller_in_every_way():
    assert set(glass.QUICK_FACTORS) < set(glass.FACTORS)
    assert set(glass.QUICK_SAMPLES) < set(glass.SAMPLES)
