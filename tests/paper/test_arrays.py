"""Numbers and series of a labelled array, against loops over its coordinates."""

import numpy as np
import pytest
import xarray as xr

from skipglass.paper.arrays import by_setting, series_by


@pytest.fixture
def values():
    numbers = np.random.default_rng(0).normal(size=(2, 3, 4))
    return xr.DataArray(numbers, [("seed", [0, 1]), ("beta", [0.1, 0.5, 2.0]), ("kind", list("abcd"))])


def test_numbers_by_setting_are_those_at_the_coordinates(values):
    found = by_setting("{kind}, β = {beta:g}", values)
    assert list(found)[:4] == ["a, β = 0.1", "a, β = 0.5", "a, β = 2", "b, β = 0.1"]
    for k, kind in enumerate("abcd"):
        for b, beta in enumerate((0.1, 0.5, 2.0)):
            np.testing.assert_array_equal(found[f"{kind}, β = {beta:g}"], values.values[:, b, k])


def test_gaps_are_left_out_and_settings_of_nothing_else(values):
    holed = values.where((values.kind != "c") & (values.seed + values.beta != 0.1))
    found = by_setting("{kind}", holed, gaps=True)
    assert [(name, numbers.size) for name, numbers in found.items()] == [("a", 5), ("b", 5), ("d", 5)]
    assert by_setting("{kind}", holed)["c"].size == 6


@pytest.mark.parametrize("ends", [True, False])
def test_a_series_is_the_mean_with_its_spread(values, ends):
    lines = series_by("{kind}", values, "seed", ends=ends)
    assert [line.name for line in lines] == list("abcd")
    for k, line in enumerate(lines):
        column = values.values[:, :, k]
        low, high = (
            (column.min(0), column.max(0))
            if ends
            else (column.mean(0) + side * column.std(0, ddof=1) for side in (-1, 1))
        )
        np.testing.assert_array_equal(line.x, [0.1, 0.5, 2.0])
        for found, wanted in ((line.y, column.mean(0)), (line.low, low), (line.high, high)):
            np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_one_value_has_no_spread_and_a_diverged_one_leaves_a_gap(values):
    (alone,) = series_by("one", values.isel(seed=[0], kind=0), "seed")
    assert alone.low is None
    (broken,) = series_by("one", values.isel(kind=0).where(values.beta > 0.1), "seed")
    np.testing.assert_array_equal(np.isnan(broken.y), [True, False, False])
