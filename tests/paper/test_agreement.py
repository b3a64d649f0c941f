"""Counted critical points have the exact mean, in every case, and sampling does not depend on the workers."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from skipglass.errors import InputError
from skipglass.paper.agreement import CASES, agreement, largest_z, recording, sweep, z_limit
from skipglass.paper.claim import HOLES
from skipglass.record import load
from skipglass.theory import Mixture, expected_critical_points

RECORDED = Path(__file__).parents[2] / "results" / "glass" / "recordings" / "glass_agreement.nc"


@pytest.fixture(scope="module")
def results():
    return sweep(30)


def test_the_cases_cover_what_is_promised():
    shapes = {(tuple(m.orders.tolist()), size) for _, m, size in CASES}
    promised = {((3,), size) for size in range(2, 9)} | {((4,), size) for size in range(2, 7)} | {((5,), 3)}
    assert promised <= shapes
    mixtures = [m for _, m, _ in CASES if len(m.orders) > 1]
    assert len(mixtures) == 3
    fields = sorted(m.ratio for m in mixtures if m.field)
    assert fields[0] < 1 < fields[1]


def test_every_search_is_complete_and_the_means_are_the_exact_ones(results):
    assert [int(r.incomplete) for r in results] == [0] * len(CASES)
    largest, limit = largest_z(results)
    assert largest < limit, results
    tests = np.array([(float(r.chi2), int(r.dof)) for r in results])
    assert stats.chi2.sf(tests[:, 0].sum(), tests[:, 1].sum()) > 1e-3, tests


def test_what_a_fresh_recording_lacks_does_not_pass_for_damage(results):
    empty = {str(name) for r in results for name, v in r.data_vars.items() if v.dtype.kind == "f" and v.isnull().any()}
    assert "euler" in empty
    assert empty <= set(HOLES["glass_agreement"])


def test_the_recording_holds_the_promise():
    ds = load(RECORDED, kind="agreement")
    assert ds.attrs["samples"] >= 200
    np.testing.assert_allclose(ds.z * ds.standard_error, ds["mean"] - ds.expected, atol=2e-9)
    largest = float(np.abs(ds.z).max())
    assert largest < z_limit(int(ds.dof.sum()), int(ds.attrs["samples"]))
    joint = stats.chi2.sf(float(ds.chi2.sum()), float(ds.dof.sum()))
    assert joint > 1e-3
    assert (ds.attrs["largest_z"], ds.attrs["joint_p"]) == pytest.approx((largest, joint))
    assert int(ds.incomplete.sum()) == 0
    for case, (name, mixture, size) in enumerate(CASES):
        row = ds.isel(case=case)
        assert row.z.notnull().sum() == size + 1
        assert str(row.name.item()) == name
        np.testing.assert_allclose(row.expected[0], expected_critical_points(mixture, size), rtol=1e-9)


def test_only_free_numbers_are_tests_of_their_own(results):
    """p = 3, Λ = 2: as many maxima as minima; Λ = 3: as many maxima as minima, and two saddles fewer than both."""
    assert [int(r.dof) for r in results[:2]] == [1, 1]
    assert largest_z(results)[1] == z_limit(sum(int(r.dof) for r in results), 30) < z_limit(89, 30)
    assert np.isfinite(results[0].z).all()


def test_results_do_not_depend_on_the_number_of_workers():
    one, two = (agreement(Mixture.pure(3), 3, samples=24, seed=5, jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(one.counts, two.counts)
    np.testing.assert_array_equal(one.energy, two.energy)
    assert int(one.starts) == int(two.starts)


def test_a_sweep_can_be_labelled(results):
    ds = recording(results)
    assert ds.sizes["case"] == len(CASES)
    assert float(ds.expected.sel(index=-1)[0]) == pytest.approx(2 * np.sqrt(7))
    assert np.isnan(ds["mean"].sel(index=7)[0])
    assert np.isnan(ds.euler[0])  # odd, Λ = 2: it says nothing
    assert int(ds.euler[1]) == ds.attrs["samples"]


@pytest.mark.parametrize("arguments", [{"samples": 1}, {"samples": 4, "jobs": 0}, {"samples": 4, "seed": -1}])
def test_mistakes_are_named(arguments):
    with pytest.raises(InputError):
        agreement(Mixture.pure(3), 3, **arguments)
